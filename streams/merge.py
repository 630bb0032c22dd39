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
    heap: list[tuple[int, int, Frame, Iterator[Frame]]] = []

    def push(number: int, lane: Iterator[Frame], after_ms: int) -> None:
        if (frame := next(lane, None)) is not None:
            first = next((time_ms for _, time_ms in times(frame)), after_ms)
            heapq.heappush(heap, (first, number, frame, lane))

    for number, group in enumerate(lanes.values()):
        push(number, chain.from_iterable(group), 0)
    while heap:
        first_ms, number, frame, lane = heapq.heappop(heap)
        until_ms = heap[0][0] + SLACK_MS if heap else None
        head, tail, next_ms = _cut(frame, times(frame), until_ms)
        yield head
        if tail is None:
            push(number, lane, first_ms)
        else:
            heapq.heappush(heap, (next_ms, number, tail, lane))


def _cut(
    frame: Frame, line_times: Sequence[tuple[int, int]], until_ms: int | None
) -> tuple[Frame, Frame | None, int]:
    """(lines up to the first that lies after `until_ms`, the rest or None, time of the rest)."""
    if until_ms is None:
        return frame, None, 0
    for count, (offset, time_ms) in enumerate(line_times):
        if time_ms > until_ms and count:
            at = offset - frame.offset
            head = msgspec.structs.replace(frame, data=frame.data[:at])
            tail = msgspec.structs.replace(frame, data=frame.data[at:], offset=offset)
            return head, tail, time_ms
    return frame, None, 0
