"""Plays a log as if it happened now: frames cut by event time, with the waits between them.

In: a log and how long the play may take. Out: (frame, seconds to wait after it). What a play keeps
is removed before the next one; nothing else ever is.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from streams.lines import Frame

LineTimes = Callable[[Frame], Sequence[tuple[int, int]]]
_TICK_S = 0.25
_STAYS = frozenset({"run.lock", "keys"})
_GOES = frozenset({"history", *(f"breachline.db{end}" for end in ("", "-wal", "-shm", "-journal"))})


def clear(folder: Path) -> None:
    """Remove what an earlier play kept in a folder; its lock and its key stay.

    Raises:
        ValueError: the folder holds something that no play wrote.
    """
    names = {path.name for path in folder.iterdir()}
    if other := sorted(names - _STAYS - _GOES):
        raise ValueError(
            f"playing the example in {folder}: it holds {other[0]}, which no play wrote; "
            "give another folder with --data-dir"
        )
    for name in sorted(names & _GOES):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def paced(
    frames: Iterator[Frame], times: LineTimes, play_s: float
) -> Iterator[tuple[Frame, float]]:
    """All lines, spread over `play_s` seconds in ticks of equal event time.

    Reads the whole log first: an example is small.
    """
    whole = [(frame, list(times(frame))) for frame in frames]
    moments = [time_ms for _, line_times in whole for _, time_ms in line_times]
    if not moments:
        yield from ((frame, 0.0) for frame, _ in whole)
        return
    ticks = max(1, round(play_s / _TICK_S))
    tick_ms = max(1, (max(moments) - min(moments)) // ticks)
    for frame, line_times in whole:
        start = frame.offset
        due_ms = line_times[0][1] + tick_ms if line_times else 0
        for offset, time_ms in line_times:
            if time_ms > due_ms and offset > start:
                yield _slice(frame, start, offset), _TICK_S
                start, due_ms = offset, due_ms + tick_ms
        yield _slice(frame, start, frame.offset + len(frame.data)), _TICK_S


def _slice(frame: Frame, start: int, end: int) -> Frame:
    data = frame.data[start - frame.offset : end - frame.offset]
    return msgspec.structs.replace(frame, offset=start, data=data)
