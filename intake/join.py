"""Joins the two lines of one request: one of the gateway's log, one of a service's.

In: halves as they are read, with how far event time has come. Out: requests that can be judged, a
pair or a half that stays alone. Ids are what clients write: one that does not tell two requests
apart joins nobody, and each half is then judged on what it has. A half waits in memory, bounded
in number and in event time; `take_dirty` gives what a restart needs. It reads no clock.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import NamedTuple

import msgspec

from intake.halves import Half, is_same_request, is_surely_same, reduced, says_the_same
from intake.settings import Join
from intake.spent import Spent, short_digest

MOST_WAITING = 500_000
"""Beyond, those that have waited longest are judged alone."""
MOST_BYTES = 256 << 20
"""Of lines that wait, beyond which the same holds: clients decide how long lines are."""
HOLD_S = 45
"""Nothing waits longer in event time, whatever the window: rules take in what is 60 s late."""
SLACK_S = 5
"""The lines of one log may be out of order by this much."""
_AT_ONCE = 4_096
_MOST_ALIKE = 32
"""Halves of one id that wait on one side; whoever sends more must not make look-ups slow, and is
joined by it no more."""
_SPACE, _PROGRESS = "intake.join", "intake.join.progress"


class Request(NamedTuple):
    """What can be judged: a pair, or a half that stays alone."""

    half: Half
    """The gateway's of a pair: the event has its place and time."""
    service: Half | None = None


class _Side:
    """Halves of one side that wait, by the ids that they can still be joined by."""

    def __init__(self) -> None:
        self.requests: dict[str, tuple[Half, ...]] = {}
        self.traces: dict[str, tuple[Half, ...]] = {}


class _Progress(msgspec.Struct, array_like=True):
    marks: dict[str, tuple[bool, int]]
    now_s: int
    frontier: int
    number: int


class Joiner:
    """Waits for other halves. MUST be given the halves of all sources in the order of reading."""

    def __init__(
        self,
        settings: Join,
        *,
        tracking: bool = False,
        joins: bool = True,
        most_waiting: int = MOST_WAITING,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`tracking`: what changes is kept for `take_dirty`, which MUST then be called.

        `joins`: False lets every half stay alone.
        """
        self._gateways, self._services = _Side(), _Side()
        self._patterns = (settings.service, settings.gateway)
        self._window_ms = int(settings.window * 1000)
        self._reach_s = -(-self._window_ms // 1000) + SLACK_S
        self._joins = joins
        self._most_waiting, self._most_bytes = most_waiting, most_bytes
        self.waiting = self._size_bytes = 0
        self._number = 0
        self._buckets: dict[int, dict[int, Half]] = {}
        """Second -> those that wait, by number."""
        self._seconds: list[int] = []
        """A heap of the buckets' seconds."""
        self._ahead: deque[tuple[Half, int]] = deque()
        """Halves from beyond the time that is believed, and when that was."""
        self._marks: dict[str, tuple[bool, int]] = {}
        """Source -> (gateway, second up to which it was read)."""
        self._frontier = 0
        """All halves before this second have met whoever was to come."""
        self._now_s = 0
        self._spent = Spent("intake.join.spent", most_waiting, tracking=tracking)
        """Keys and traces of requests, lately: a line that repeats one is not joined by it."""
        self._tracking = tracking
        self._fresh: dict[int, Half] = {}
        self._kept: set[int] = set()
        self._gone: set[int] = set()

    @property
    def patience_s(self) -> int:
        """How far both logs go past a line that waits."""
        return self._reach_s

    def is_gateway(self, name: str) -> bool | None:
        """Which log a source of this name is; None for one that is not joined."""
        for is_gateway in (True, False):
            for pattern in self._patterns[is_gateway]:
                if fnmatchcase(name, pattern) or fnmatchcase(PurePath(name).name, pattern):
                    return is_gateway
        return None

    def take(self, half: Half, now_ms: int) -> list[Request]:
        """What can be judged once this half is read, in order. `now_ms`: believed event time."""
        if not self._joins:
            return [Request(half)]
        ready: list[Request] = []
        second = min(half.time_ms, now_ms) // 1000
        mark = self._marks.get(half.source)
        if mark is None or second > mark[1]:
            self._marks[half.source] = (half.gateway, second)
            self._now_s = now_ms // 1000
            self._advance(ready)
        other = self._partner(half)
        if other is not None:
            ready.append(self._join(half, other))
        elif not (half.request or half.trace) or half.time_ms // 1000 < self._frontier:
            ready.append(Request(half))
        else:
            self._number += 1
            half.number = self._number
            self._wait(half)
            if self._tracking:
                self._fresh[half.number] = half
            if half.time_ms > now_ms:
                self._ahead.append((half, self._now_s))
            while self.waiting > self._most_waiting or self._size_bytes > self._most_bytes:
                self._let_go_oldest(ready)
        return ready

    def flush(self) -> list[Request]:
        """The oldest that still wait, in order: nothing more is to come. Until it is empty."""
        ready: list[Request] = []
        while self.waiting and len(ready) < _AT_ONCE:
            self._let_go_oldest(ready)
        return ready

    # -- who waits

    def _wait(self, half: Half) -> None:
        second = half.time_ms // 1000
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = {}
            heapq.heappush(self._seconds, second)
        bucket[half.number] = half
        self.waiting += 1
        self._size_bytes += len(half.line)
        side = self._gateways if half.gateway else self._services
        if half.request:
            alike = side.requests.get(half.request, ())
            if len(alike) < _MOST_ALIKE:
                side.requests[half.request] = (*alike, half)
            else:
                self._spent.note(half.key, self._now_s)
                half.request = ""
        if half.trace:
            alike = side.traces.get(half.trace, ())
            if len(alike) < _MOST_ALIKE:
                side.traces[half.trace] = (*alike, half)
            else:
                self._spent.note(short_digest(half.trace), self._now_s)
                half.trace = ""

    def _leave(self, half: Half) -> None:
        side = self._gateways if half.gateway else self._services
        _drop(side.requests, half.request, half)
        _drop(side.traces, half.trace, half)
        bucket = self._buckets.get(half.time_ms // 1000)
        if bucket is None or bucket.pop(half.number, None) is None:
            return
        self.waiting -= 1
        self._size_bytes -= len(half.line)
        self._fresh.pop(half.number, None)
        if half.number in self._kept:
            self._gone.add(half.number)

    # -- who belongs together

    def _partner(self, half: Half) -> Half | None:
        """The one that waits and is surely the other half; else None."""
        other = self._by_request(half) if half.request else None
        if other is None and half.trace:
            other = self._by_trace(half)
        return other

    def _by_request(self, half: Half) -> Half | None:
        mine, theirs = self._gateways, self._services
        if not half.gateway:
            mine, theirs = theirs, mine
        twins = [one for one in mine.requests.get(half.request, ()) if one.key == half.key]
        if half.key in self._spent or (half.gateway and twins):
            # Nothing tells this request from another one of the same id.
            self._spent.note(half.key, self._now_s)
            for one in twins if half.gateway else ():
                _drop(mine.requests, one.request, one)
                one.request = ""
                self._change(one)
            half.request = ""
            return None
        found = self._near(half, theirs.requests.get(half.request, ()), is_surely_same)
        return self._only(half, found)

    def _by_trace(self, half: Half) -> Half | None:
        """By trace id only if one gateway line has it: requests of one page may share it."""
        if not half.gateway:
            found = self._near(half, self._gateways.traces.get(half.trace, ()), is_surely_same)
            return found[0] if len(found) == 1 and found[0].path == half.path else None
        trace = short_digest(half.trace)
        twins = self._gateways.traces.get(half.trace, ())
        if twins or trace in self._spent:
            self._spent.note(trace, self._now_s)
            for one in twins:
                _drop(self._gateways.traces, one.trace, one)
                one.trace = ""
                self._change(one)
            half.trace = ""
            return None
        found = self._near(half, self._services.traces.get(half.trace, ()), is_surely_same)
        return self._only(half, [one for one in found if one.path == half.path])

    def _near(
        self, half: Half, others: tuple[Half, ...], agrees: Callable[[Half, Half], bool]
    ) -> list[Half]:
        """Those of `others` that may be the other half; of the same path, if there are such."""
        if not others:
            return []
        found = [
            one
            for one in others
            if abs(one.time_ms - half.time_ms) <= self._window_ms and agrees(one, half)
        ]
        if len(found) > 1:
            return [one for one in found if one.path == half.path] or found
        return found

    @staticmethod
    def _only(half: Half, found: list[Half]) -> Half | None:
        """The one that was found; of several tries of a gateway at the service, the first."""
        if len(found) > 1 and not (
            half.gateway and all(says_the_same(found[0], one) for one in found[1:])
        ):
            return None
        return found[0] if found else None

    def _at_last(self, half: Half) -> Half | None:
        """For one that is let go: who differs in the status, but nobody else can be meant."""
        mine, theirs = self._gateways, self._services
        if not half.gateway:
            mine, theirs = theirs, mine
        for by_id, rivals_by_id, name in (
            (theirs.requests, mine.requests, half.request),
            (theirs.traces, mine.traces, half.trace),
        ):
            if not name:
                continue
            other = self._only(half, self._near(half, by_id.get(name, ()), is_same_request))
            if other is None:
                continue
            rivals = self._near(other, rivals_by_id.get(name, ()), is_same_request)
            if half not in rivals:
                continue
            if self._only(other, [half, *(one for one in rivals if one is not half)]) is half:
                return other
        return None

    def _join(self, half: Half, other: Half) -> Request:
        gateway, service = (half, other) if half.gateway else (other, half)
        for one in (gateway, service):
            if one.request:
                self._spent.note(one.key, self._now_s)
        if gateway.trace:
            self._spent.note(short_digest(gateway.trace), self._now_s)
        self._leave(other)
        if half.number:
            self._leave(half)
        return Request(gateway, service)

    # -- who has waited long enough

    def _advance(self, ready: list[Request]) -> None:
        """Let go whoever has met all that was to come, on both sides."""
        hold_s = self._now_s - HOLD_S
        read: dict[bool, int] = {}
        for source, (is_gateway, second) in list(self._marks.items()):
            if second < hold_s:
                # A log that is written no more must not hold up the others.
                del self._marks[source]
            else:
                read[is_gateway] = min(second, read.get(is_gateway, second))
        frontier = hold_s
        if len(read) == 2:
            frontier = max(hold_s, min(read.values()) - self._reach_s)
        if frontier <= self._frontier:
            return
        self._frontier = frontier
        while self._ahead and self._ahead[0][1] < hold_s:
            # Time has moved on and did not get there: its clock is wrong.
            half, _ = self._ahead.popleft()
            if half.time_ms // 1000 > self._now_s and self._waits(half):
                self._let_go(half, ready)
        while self._seconds and self._seconds[0] < frontier:
            self._let_go_oldest(ready)
        self._spent.forget(frontier - self._reach_s)

    def _waits(self, half: Half) -> bool:
        return half.number in self._buckets.get(half.time_ms // 1000, ())

    def _let_go_oldest(self, ready: list[Request]) -> None:
        """Those of the earliest second."""
        second = self._seconds[0]
        for half in list(self._buckets[second].values()):
            if self._waits(half):
                self._let_go(half, ready)
        heapq.heappop(self._seconds)
        del self._buckets[second]

    def _let_go(self, half: Half, ready: list[Request]) -> None:
        other = self._at_last(half)
        if other is not None:
            ready.append(self._join(half, other))
        else:
            self._leave(half)
            ready.append(Request(half))

    def _change(self, half: Half) -> None:
        if self._tracking:
            self._fresh[half.number] = half

    # -- state

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, key, value) of what changed since the last call; an empty value: it left."""
        for number in sorted(self._gone):
            yield _SPACE, f"{number:x}", b""
        self._kept -= self._gone
        self._gone.clear()
        for number, half in self._fresh.items():
            yield _SPACE, f"{number:x}", _encode(reduced(half))
        self._kept |= self._fresh.keys()
        self._fresh.clear()
        yield from self._spent.take_dirty()
        progress = _Progress(self._marks, self._now_s, self._frontier, self._number)
        yield _PROGRESS, "", _encode(progress)

    def load(self, load_state: Callable[[str], Iterator[tuple[str, bytes]]]) -> None:
        """Take up where the last `take_dirty` left off."""
        for _, value in load_state(_PROGRESS):
            progress = msgspec.msgpack.decode(value, type=_Progress)
            self._marks, self._now_s = progress.marks, progress.now_s
            self._frontier, self._number = progress.frontier, progress.number
        self._spent.load(load_state)
        halves = [msgspec.msgpack.decode(value, type=Half) for _, value in load_state(_SPACE)]
        for half in sorted(halves, key=lambda half: half.number):
            self._wait(half)
            self._kept.add(half.number)
            if half.time_ms // 1000 > self._now_s:
                self._ahead.append((half, self._now_s))


_encode = msgspec.msgpack.Encoder().encode


def _drop(by_id: dict[str, tuple[Half, ...]], name: str, half: Half) -> None:
    alike = by_id.get(name, ())
    left = tuple([one for one in alike if one is not half])
    if left:
        by_id[name] = left
    elif alike:
        del by_id[name]
