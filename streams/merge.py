"""Several logs as one stream by event time, so that windows and lateness mean what they say.

In: an iterator of frames a log, and a function that gives each line's time. Out: frames, cut where
another log's line comes first. One log passes through untouched; copies of one source follow each
other, since the second is all duplicates.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import msgspec

from streams.lines import Frame

SLACK_MS = 1_000
"""Lines of one log may run this far ahead of another's before the frame is cut."""

LineTimes = Callable[[Frame], Sequence[tuple[int, int]]]
"""(offset, time in ms) of each line of a frame that has a time, in file order."""


def merge(logs: Sequence[Iterator[Frame]], times: LineTimes) -> Iterator[Frame]:
    """Frames of all logs, ordered by event time to within SLACK_MS where their times overlap."""
    lanes: dict[str, list[Iterator[Frame]]] = {}
    for log in logs:
        if (first := next(log, None)) is not None:
            lanes.setdefault(first.source, []).append(chain([first], log))
    if len(lanes) == 1:
        for log in next(iter(lanes.values())):
            yield from log
        return
    heap: list[tuple[int, int, _Lane]] = []
    for number, group in enumerate(lanes.values()):
        lane = _Lane(chain.from_iterable(group), times)
        if lane.next_frame():
            heapq.heappush(heap, (lane.first_ms, number, lane))
    while heap:
        _, number, lane = heapq.heappop(heap)
        yield lane.take(heap[0][0] + SLACK_MS if heap else None)
        if lane.rest or lane.next_frame():
            heapq.heappush(heap, (lane.first_ms, number, lane))


class _Lane:
    """The frames of one source, given out in pieces; each line's time is looked up once."""

    def __init__(self, frames: Iterator[Frame], times: LineTimes) -> None:
        self._frames = frames
        self._times = times
        self._line_times: Sequence[tuple[int, int]] = ()
        self._at = 0
        """Of `_line_times`: the first that was not given out."""
        self._start = 0
        """Offset of what was not given out."""
        self.rest = False
        """Whether some of the frame at hand is still to be given out."""
        self.first_ms = 0
        """Time of what comes next; of a frame without any times, that of the one before it."""

    def next_frame(self) -> bool:
        """Go on to the next frame; False if there is none."""
        frame = next(self._frames, None)
        if frame is None:
            return False
        self._frame, self._line_times, self._at = frame, self._times(frame), 0
        self._start, self.rest = frame.offset, True
        if self._line_times:
            self.first_ms = self._line_times[0][1]
        return True

    def take(self, until_ms: int | None) -> Frame:
        """Lines up to the first that lies after `until_ms`, at least one; None: all."""
        frame, start = self._frame, self._start
        last = len(self._line_times)
        cut = last
        if until_ms is not None:
            later = (n for n in range(self._at + 1, last) if self._line_times[n][1] > until_ms)
            cut = next(later, last)
        if cut == last:
            self.rest = False
            data = frame.data[start - frame.offset :] if start > frame.offset else frame.data
        else:
            self._at = cut
            self._start, self.first_ms = self._line_times[cut]
            data = frame.data[start - frame.offset : self._start - frame.offset]
        return msgspec.structs.replace(frame, data=data, offset=start)
