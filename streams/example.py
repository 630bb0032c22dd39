"""Plays a log as if it happened now: frames cut by event time, with the waits between them.

In: a log and how long the play may take. Out: (frame, seconds to wait after it).
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from streams.lines import Frame

LineTimes = Callable[[Frame], Sequence[tuple[int, int]]]
_TICK_S = 0.25


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
