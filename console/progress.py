"""The progress bar of long reads: lines a second and time left, on stderr, only on a terminal."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from console.screen import Screen
from streams.decider import Step
from streams.lines import Frame


class Progress:
    """Counts frames as they are read; silent where nobody watches."""

    def __init__(self, logs: Sequence[str]) -> None:
        console = Screen(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[lines]:,} lines, {task.fields[rate]:,}/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=_total_bytes(logs), lines=0, rate=0)
        self._lines = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, frame: Frame, step: Step) -> None:
        """One frame is done."""
        self.count(frame, step.batch.lines)

    def count(self, frame: Frame, lines: int) -> None:
        """A frame with so many lines is done."""
        self._lines += lines
        elapsed_s = self._bar.tasks[0].elapsed or 0
        self._bar.update(
            self._task,
            advance=len(frame.data),
            lines=self._lines,
            rate=round(self._lines / elapsed_s) if elapsed_s else 0,
        )


def _total_bytes(logs: Sequence[str]) -> int | None:
    """Bytes to read, None where that cannot be known beforehand (archives, stdin)."""
    total = 0
    for log in logs:
        path = Path(log)
        if log == "-" or not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(4)[:2] in {b"\x1f\x8b", b"\x28\xb5"}:
                return None
        total += path.stat().st_size
    return total
