"""What the logs around an incident lack: late lines, rejected lines, and bytes that never came.

Batches in, counts by source and minute out. The time of a line that could not be read is that of
the last one before it in its source that could. A log that was merely silent is no gap here: only
what is known to be missing counts, since nothing says how much a service ought to log.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from incidents.cases import Group
from intake.frames import Batch

MINUTE_MS = 60_000
HOUR_MIN = 60
NEAR_MS = 15 * MINUTE_MS
"""Rejected lines and gaps count this long before and after an incident."""
KEEP_HOURS = 31 * 24
MOST_HOURS = 20_000
"""Hours of sources with anything to say; beyond that, the oldest are forgotten."""
MOST_GAPS = 20
"""Gaps named for one hour of a source; each incident names as many."""

_HOUR, _CLOCK = "h/", "c/"
_OFFSET = attrgetter("offset")


class Nearby(msgspec.Struct, frozen=True):
    """What is missing or came late around one incident."""

    late: int = 0
    rejected: int = 0
    gaps: tuple[str, ...] = ()


class _Hour(msgspec.Struct):
    """One hour of one source, by minute since 1970."""

    late: dict[int, int] = {}
    rejected: dict[int, int] = {}
    gaps: list[tuple[int, str]] = []


class _Clock(msgspec.Struct):
    """Where a source's time stands; what came before its first readable line waits for that."""

    last_ms: int = 0
    rejected: int = 0
    gaps: list[str] = []


class Surroundings:
    """Late, rejected and missing lines of every source, to the minute, for a month."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, int], _Hour] = {}
        self._clocks: dict[str, _Clock] = {}
        self._dirty: set[tuple[str, int]] = set()
        self._moved: set[str] = set()
        self._changed: dict[str, set[int]] = {}

    def note(self, batch: Batch, gaps: Sequence[tuple[int, str]] = ()) -> None:
        """Take in one batch. `gaps`: (offset, in words) of bytes of its source that are missing."""
        events = batch.events
        clock = self._clocks.get(batch.source)
        if clock is None:
            clock = self._clocks[batch.source] = _Clock()
        if batch.rejects or gaps or clock.rejected or clock.gaps:
            self._place(batch, gaps, clock)
        if batch.late:
            for event in events:
                if event.late:
                    self._count(batch.source, event.time_ms // MINUTE_MS, late=1)
        if events:
            clock.last_ms = events[-1].time_ms
            self._moved.add(batch.source)

    def _place(self, batch: Batch, gaps: Sequence[tuple[int, str]], clock: _Clock) -> None:
        events, source = batch.events, batch.source
        first_ms = clock.last_ms or (events[0].time_ms if events else 0)
        self._moved.add(source)
        if not first_ms:
            clock.rejected += len(batch.rejects)
            clock.gaps = [*clock.gaps, *(words for _, words in gaps)][:MOST_GAPS]
            return

        def minute(offset: int) -> int:
            before = bisect_left(events, offset, key=_OFFSET)
            return (events[before - 1].time_ms if before else first_ms) // MINUTE_MS

        if clock.rejected:
            self._count(source, first_ms // MINUTE_MS, rejected=clock.rejected)
        for words in clock.gaps:
            self._gap(source, first_ms // MINUTE_MS, words)
        clock.rejected, clock.gaps = 0, []
        for reject in batch.rejects:
            self._count(source, minute(reject.offset), rejected=1)
        for offset, words in gaps:
            self._gap(source, minute(offset), words)

    def _hour(self, source: str, minute: int) -> _Hour:
        key = (source, minute // HOUR_MIN)
        self._dirty.add(key)
        self._changed.setdefault(source, set()).add(minute)
        if (hour := self._hours.get(key)) is None:
            hour = self._hours[key] = _Hour()
            if len(self._hours) > MOST_HOURS:
                self._drop(min(self._hours, key=lambda known: (known[1], known[0])))
        return hour

    def _count(self, source: str, minute: int, *, late: int = 0, rejected: int = 0) -> None:
        hour = self._hour(source, minute)
        for counts, more in ((hour.late, late), (hour.rejected, rejected)):
            if more:
                counts[minute] = counts.get(minute, 0) + more

    def _gap(self, source: str, minute: int, words: str) -> None:
        hour = self._hour(source, minute)
        if len(hour.gaps) < MOST_GAPS:
            hour.gaps.append((minute, words))

    def _drop(self, key: tuple[str, int]) -> None:
        del self._hours[key]
        self._dirty.add(key)

    # -- what it means for an incident

    @property
    def changed(self) -> bool:
        """Whether anything came that an incident may have to tell of."""
        return bool(self._changed)

    def take_touched(self, groups: Iterable[Group]) -> list[Group]:
        """The open incidents near what came since the last call."""
        if not (changed := self._changed):
            return []
        self._changed = {}
        touched: list[Group] = []
        for group in groups:
            if group.retired:
                continue
            since_ms = min(case.from_ms for case in group.cases)
            if group.document is not None:
                since_ms = group.document.first_seen_ms
            first, last = _minutes(since_ms - NEAR_MS, group.last_ms + NEAR_MS)
            sources = {source for case in group.cases for source in case.sources}
            if any(
                first <= minute <= last
                for source in sources & changed.keys()
                for minute in changed[source]
            ):
                touched.append(group)
        return touched

    def near(self, sources: Iterable[str], first_ms: int, last_ms: int) -> Nearby:
        """What these sources lack: late lines from first to last, the rest also NEAR_MS around.

        Whole minutes count, so that a line in the same minute as either end is near by.
        """
        if not self._hours:
            return Nearby()
        inside = _minutes(first_ms, last_ms)
        around = _minutes(first_ms - NEAR_MS, last_ms + NEAR_MS)
        late = rejected = 0
        gaps: list[tuple[int, str]] = []
        for source in sorted(set(sources)):
            for number in range(around[0] // HOUR_MIN, around[1] // HOUR_MIN + 1):
                if (hour := self._hours.get((source, number))) is None:
                    continue
                late += _within(hour.late, inside)
                rejected += _within(hour.rejected, around)
                gaps += [gap for gap in hour.gaps if around[0] <= gap[0] <= around[1]]
        words = dict.fromkeys(text for _, text in sorted(gaps))
        return Nearby(late, rejected, tuple(words)[:MOST_GAPS])

    def forget(self, watermark_ms: int) -> None:
        """Drop what lies further back than any look-back goes."""
        oldest = watermark_ms // MINUTE_MS // HOUR_MIN - KEEP_HOURS
        for key in [key for key in self._hours if key[1] < oldest]:
            self._drop(key)

    # -- state

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Hours and sources that changed since the last call; b"" for a forgotten one."""
        encode = msgspec.msgpack.encode
        dirty = [
            (f"{_HOUR}{key[0]}/{key[1]}", encode(self._hours[key]) if key in self._hours else b"")
            for key in sorted(self._dirty)
        ]
        dirty += [(_CLOCK + source, encode(self._clocks[source])) for source in sorted(self._moved)]
        self._dirty.clear()
        self._moved.clear()
        return dirty

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take back what `take_dirty` gave."""
        for key, value in items:
            if not value:
                continue
            if key.startswith(_CLOCK):
                self._clocks[key.removeprefix(_CLOCK)] = msgspec.msgpack.decode(value, type=_Clock)
                continue
            source, _, number = key.removeprefix(_HOUR).rpartition("/")
            self._hours[source, int(number)] = msgspec.msgpack.decode(value, type=_Hour)


def _minutes(first_ms: int, last_ms: int) -> tuple[int, int]:
    return first_ms // MINUTE_MS, last_ms // MINUTE_MS


def _within(counts: dict[int, int], span: tuple[int, int]) -> int:
    return sum(count for minute, count in counts.items() if span[0] <= minute <= span[1])
