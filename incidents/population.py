"""Who else is behind an address: principals with successes of their own, for the innocents guard.

In: (address, principal) pairs of vouched-for own successes, a batch at a time. Out: a count.
It never grows beyond what two hours saw, and an IPv6 /64 counts as one address.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec

HOUR_MIN = 60
MINUTE_MS = 60_000
GENERATIONS = 2
MOST = 256
"""Principals remembered an address: far above any limit, far below a carrier's crowd."""

_SEEN = 20
_MASK = (1 << _SEEN) - 1
"""A pair's two minutes in one integer: minute first seen, and how many minutes later last seen."""

_One = tuple[str, int]


def block_of(ip: str) -> str:
    """The address as it is counted: itself, or the /64 of an IPv6 address, also if it is given."""
    if ":" not in ip:
        return ip
    try:
        address = ip_address(ip.removesuffix("/64"))
    except ValueError:
        return ip
    if not isinstance(address, IPv6Address):
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


class Population:
    """Own successes of vouched-for principals by address, to the minute, for two hours.

    State: one entry an address; an empty value says that the address is forgotten.
    """

    def __init__(self, *, tracking: bool = True) -> None:
        """`tracking` False for a caller that takes no snapshots."""
        self._tracking = tracking
        # most addresses have one principal: a bare pair costs a fifth of a dict of one
        self._people: dict[str, _One | dict[str, int]] = {}
        self._dirty: set[str] = set()
        self._last_min = 0
        self._swept_min = 0

    def observe(self, pairs: Mapping[tuple[str, str], int], since_ms: int | None = None) -> None:
        """Note own successes: (address, principal) -> time of the last one in this batch.

        `since_ms` is the earliest event time of the batch: a new pair counts as seen from then on,
        so that a coarse batch cannot make old neighbours look as if they came after the attack.
        """
        since_min = None if since_ms is None else since_ms // MINUTE_MS
        people, dirty, note = self._people, self._dirty, self._note
        tracking = self._tracking
        for (ip, principal), last_ms in pairs.items():
            last_min = last_ms // MINUTE_MS
            known = people.get(ip)
            if known.__class__ is tuple and known[0] == principal:
                # Most addresses have one principal, who is seen again: a later minute, at most.
                first_min = known[1] >> _SEEN
                span = last_min - first_min
                if 0 <= span <= min(known[1] & _MASK, self._last_min - first_min):
                    continue
                if 0 <= span <= _MASK:
                    people[ip] = (principal, first_min << _SEEN | span)
                    self._last_min = max(self._last_min, last_min)
                    if tracking:
                        dirty.add(ip)
                    continue
            first_min = last_min if since_min is None else min(since_min, last_min)
            note(block_of(ip), principal, first_min, last_min)
        if self._last_min - self._swept_min >= HOUR_MIN:
            self._sweep()

    def _note(self, block: str, principal: str, first_min: int, last_min: int) -> None:
        self._last_min = max(self._last_min, last_min)
        people = self._people.get(block)
        known: int | None = None
        if isinstance(people, dict):
            known = people.get(principal)
        elif people is not None and people[0] == principal:
            known = people[1]
        seen = _pack(first_min, last_min, known)
        if seen == known:
            return
        if isinstance(people, dict):
            if known is None and len(people) >= MOST:
                return
            people[principal] = seen
        elif people is None or known is not None:
            self._people[block] = (principal, seen)
        else:
            self._people[block] = {people[0]: people[1], principal: seen}
        if self._tracking:
            self._dirty.add(block)

    def _sweep(self) -> None:
        """Forget pairs that were last seen two generations ago."""
        self._swept_min = self._last_min
        oldest = self._last_min - GENERATIONS * HOUR_MIN
        for block, people in list(self._people.items()):
            kept = {name: seen for name, seen in _each(people) if _last_min(seen) >= oldest}
            if len(kept) == _size(people):
                continue
            if self._tracking:
                self._dirty.add(block)
            if not kept:
                del self._people[block]
            else:
                self._people[block] = _smallest(kept)

    def innocents(
        self, target: str, before_ms: int, now_ms: int, excluding: Iterable[str] = ()
    ) -> int | None:
        """Principals with an own success behind `target` in the hour before `now_ms`.

        Only those first seen there before `before_ms`, the attack's first foreign event.
        `target` is an address or a network. None: no principal at all can be counted in this
        deployment, so that nought would mean nothing; ask a person.
        """
        names = self.innocent(target, before_ms, now_ms)
        if names or self._last_min >= now_ms // MINUTE_MS - HOUR_MIN:
            return len(names - set(excluding))
        return None

    def innocent(self, target: str, before_ms: int, now_ms: int) -> set[str]:
        """The names that `innocents` counts."""
        since_min = now_ms // MINUTE_MS - HOUR_MIN
        before_min = before_ms // MINUTE_MS
        return {
            name
            for people in self._behind(target)
            for name, seen in _each(people)
            if _last_min(seen) >= since_min and (seen >> _SEEN) <= before_min
        }

    def active(self, at_ms: int, enough: int) -> int:
        """Distinct principals with an own success in the hour before `at_ms`, to the minute.

        Counts no further than `enough`: with many there, that is soon.
        """
        at_min, names = at_ms // MINUTE_MS, set[str]()
        for people in self._people.values():
            for name, seen in _each(people):
                if (seen >> _SEEN) <= at_min and _last_min(seen) >= at_min - HOUR_MIN:
                    names.add(name)
            if len(names) >= enough:
                return enough
        return len(names)

    def _behind(self, target: str) -> Iterator[_One | dict[str, int]]:
        if "/" not in target or (":" in target and target.endswith("/64")):
            if (people := self._people.get(block_of(target))) is not None:
                yield people
            return
        network = ip_network(target, strict=False)
        for block, people in self._people.items():
            try:
                address = ip_address(block)
            except ValueError:
                continue
            if address in network or block == block_of(str(network.network_address)):
                yield people

    def __len__(self) -> int:
        return len(self._people)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Every address and its entry, as `load` takes them."""
        for block, people in self._people.items():
            yield block, msgspec.msgpack.encode(dict(_each(people)))

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Addresses whose entry changed since the last call; b"" for a forgotten one."""
        dirty = [
            (block, msgspec.msgpack.encode(dict(_each(self._people[block]))))
            if block in self._people
            else (block, b"")
            for block in sorted(self._dirty)
        ]
        self._dirty.clear()
        return dirty

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take back what `take_dirty` gave."""
        for block, data in items:
            if not data:
                self._people.pop(block, None)
                continue
            people = msgspec.msgpack.decode(data, type=dict[str, int])
            self._people[block] = _smallest(people)
            self._last_min = max(self._last_min, *map(_last_min, people.values()))
        self._swept_min = self._last_min


def _pack(first_min: int, last_min: int, known: int | None) -> int:
    if known is not None:
        first_min = min(first_min, known >> _SEEN)
        last_min = max(last_min, _last_min(known))
    first_min = max(first_min, 0)
    return first_min << _SEEN | min(max(last_min - first_min, 0), _MASK)


def _last_min(seen: int) -> int:
    return (seen >> _SEEN) + (seen & _MASK)


def _each(people: _One | dict[str, int]) -> Iterable[tuple[str, int]]:
    return people.items() if isinstance(people, dict) else (people,)


def _size(people: _One | dict[str, int]) -> int:
    return len(people) if isinstance(people, dict) else 1


def _smallest(people: dict[str, int]) -> _One | dict[str, int]:
    return next(iter(people.items())) if len(people) == 1 else people
