"""What `breachline run` says before, when it has caught up, and at its end.

In: the pipeline and its store. Out: text on a console. It reads what is kept and changes nothing.
"""

from collections.abc import Sequence
from pathlib import Path

from console import report
from console.screen import Screen
from evidence.store import EmbeddedStore
from streams.hints import hints
from streams.pipeline import Pipeline
from streams.settings import Settings


class Overview:
    """One run's words; the whole picture is printed again only if something was read since."""

    def __init__(
        self, pipeline: Pipeline, store: EmbeddedStore, settings: Settings, *, example: bool
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._folder = settings.data_dir
        self._example = example
        self._console = Screen()
        self._before = pipeline.tally.lines
        self._printed = -1
        """Lines that had been read when the picture was last printed."""

    def begin(self, logs: Sequence[str], listens: Sequence[str] = ()) -> None:
        """What is about to happen. `listens`: what is listened to besides."""
        names = ", ".join(
            "standard input" if log == "-" else report.printable(Path(log).name) for log in logs
        )
        if self._example:
            self._console.print(
                "Playing the bundled example: twenty minutes of an API gateway's access log, in "
                "about twenty seconds.\nMost of it is ordinary traffic. Findings appear as they "
                "happen.\n"
            )
            return
        for one in listens:
            self._console.print(f"Listening: {report.printable(one)}.")
        if not logs:
            return
        if self._before:
            self._console.print(
                f"Reading {names}, after the {report.many(self._before, 'line')} that earlier "
                "runs read."
            )
        else:
            self._console.print(f"Reading {names}.")

    def caught_up(self) -> None:
        """What was there has been read; following begins."""
        self._picture()
        self._console.print("\nFollowing: new findings appear here. Ctrl-C ends.")

    def end(self) -> None:
        """The last words."""
        if self._printed != self._pipeline.tally.lines:
            self._picture()
        where = report.printable(report.path_text(self._folder))
        if not self._example:
            self._console.print(f"\nKept in {where}/; the next run goes on from here.")
            return
        self._console.print(
            f"\nThat was the bundled example, kept in {where}/. With your own log:\n"
            "  make run LOG=/path/to/access.log\n"
            f"  {report.printable(report.program())} run /path/to/access.log"
        )

    def _picture(self) -> None:
        console, pipeline, store = self._console, self._pipeline, self._store
        tally = pipeline.tally
        self._printed = tally.lines
        summary = tally.document(0)
        console.print()
        if self._before:
            console.print(f"{report.many(tally.lines - self._before, 'new line')}. In all:")
        console.print(report.totals_line(summary))
        console.print(report.judged_line(summary))
        report.print_rejects(console, summary)
        report.print_late(console, summary)
        formats = {state.format for state in pipeline.sources.values()}
        report.print_hints(
            console, hints(tally, formats, pipeline.incomparable(), pipeline.unsaid())
        )
        incidents = [one for one in store.incidents() if one.status != "closed"]
        if not tally.events:
            report.print_nothing(console, summary)
        else:
            report.print_incidents(console, incidents, store.log.actions())
        if self._example and incidents:
            self._worst_case(report.worst(incidents).id)
        where = ""
        if self._folder != Path.cwd() / "var":
            where = f" --data-dir {report.path_text(self._folder)}"
        report.print_next(console, incidents, where)

    def _worst_case(self, case: str) -> None:
        incident = self._store.incident(case)
        assert incident is not None  # noqa: S101  it was listed a moment ago
        actions = [a for a in self._store.log.actions() if a.incident == case]
        why = [f"{a.reason}. Guards: {a.guard.why}." for a in actions if a.kind == "block_ip"]
        users = self._pipeline.desk.impact(case).users
        report.print_case(self._console, self._store, incident, users, why[0] if why else "")
