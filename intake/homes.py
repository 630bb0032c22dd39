"""At which place an id was first seen, so that one met elsewhere can be told (fan-out).

In: ids of logs that name nobody, with time and place: an IPv4 address, or the /64 of an IPv6 one.
Out: whether the id was known at another place before. Only what lies over the lateness back
counts, so that order within it does not.
"""

from collections.abc import Iterator

import msgspec

from intake.addresses import net_of

LATENESS_MS = 60_000
_MOST = 200_000


class Homes:
    """First place and time of each id; the longest unseen are forgotten, half at a time."""

    def __init__(self) -> None:
        self._recent: dict[str, tuple[str, int]] = {}
        self._older: dict[str, tuple[str, int]] = {}
        self._dirty: set[str] = set()

    def is_elsewhere(self, target: str, place: str, time_ms: int) -> bool:
        """Note an id at a place; whether it was at another one over a minute before."""
        home = self._recent.get(target) or self._older.get(target)
        if home is None or time_ms < home[1]:
            home = (place, time_ms)
            self._dirty.add(target)
        if target not in self._recent and len(self._recent) >= _MOST:
            self._older, self._recent = self._recent, {}
            self._dirty &= self._older.keys()
        self._recent[target] = home
        return home[0] != place and home[1] < time_ms - LATENESS_MS

    def take_dirty(self) -> Iterator[tuple[str, bytes]]:
        """Ids whose home changed."""
        for target in sorted(self._dirty):
            if (home := self._recent.get(target) or self._older.get(target)) is not None:
                yield target, msgspec.msgpack.encode(home)
        self._dirty.clear()

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for target, data in items:
            place, time_ms = msgspec.msgpack.decode(data, type=tuple[str, int])
            # Earlier versions kept the address.
            self._recent[target] = (net_of(place) or place, time_ms)
