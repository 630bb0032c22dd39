"""Who was turned away behind which address, to the minute: whether a block hurts the innocent.

Batches of events in, distinct principals before and after a block out. Only vouched-for principals
who asked for nobody else's data count. It keeps two hours, and decides nothing.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import msgspec

from incidents.population import MINUTE_MS, block_of
from records.event import AccessEvent
from records.kinds import TRUSTED

REFUSALS = frozenset({401, 403, 429})
"""What gateways answer where they let nobody in; a missing page or a bad form is no refusal."""
SPAN_MIN = 60
"""The longest stretch that is compared, before the block and after it."""
KEEP_MIN = 2 * SPAN_MIN + 1
MOST_PRINCIPALS = 256
"""Remembered an address."""
MOST_ADDRESSES = 10_000


class Denials:
    """Refused innocents by address: address -> principal -> minutes, oldest first."""

    def __init__(self) -> None:
        self._denied: dict[str, dict[str, list[int]]] = {}
        self._dirty: set[str] = set()
        self._fresh: set[str] = set()
        self._last_min = 0
        self._swept_min = 0

    def note(self, events: Iterable[AccessEvent]) -> None:
        """Take in one batch's events: one glance at each, and work for the refused alone."""
        for event in [event for event in events if event.status in REFUSALS]:
            if event.principal and event.provenance in TRUSTED and event.verdict != "foreign":
                self._add(block_of(event.ip), event.principal, event.time_ms // MINUTE_MS)

    def _add(self, address: str, principal: str, minute: int) -> None:
        known = self._denied.setdefault(address, {})
        if principal not in known and len(known) >= MOST_PRINCIPALS:
            return
        minutes = known.setdefault(principal, [])
        if minute in minutes:
            return
        minutes.append(minute)
        minutes.sort()
        del minutes[:-KEEP_MIN]
        self._dirty.add(address)
        self._fresh.add(address)
        # a clock that runs ahead must not sweep what is true
        last = self._last_min or minute
        self._last_min = max(last, min(minute, last + SPAN_MIN))
        if self._last_min - self._swept_min >= SPAN_MIN or len(self._denied) > MOST_ADDRESSES:
            self._sweep()

    def _sweep(self) -> None:
        """Forget what is too old to be compared, then the addresses refused longest ago."""
        self._swept_min = self._last_min
        oldest = self._last_min - KEEP_MIN
        latest = {a: max(m[-1] for m in known.values()) for a, known in self._denied.items()}
        by_age = sorted(latest, key=lambda address: (latest[address], address))
        most = max(len(by_age) - MOST_ADDRESSES, 0)
        for number, address in enumerate(by_age):
            if number < most or latest[address] < oldest:
                del self._denied[address]
                self._dirty.add(address)

    def take_fresh(self) -> frozenset[str]:
        """Addresses where somebody was refused since the last call."""
        fresh = frozenset(self._fresh)
        self._fresh.clear()
        return fresh

    def around(
        self, address: str, innocent: AbstractSet[str], block_ms: int, now_ms: int
    ) -> tuple[int, int]:
        """How many of the innocent were refused in equal spans before and after a block.

        The block's own minute belongs to neither: what happened first in it is not known.
        """
        at = block_ms // MINUTE_MS
        span = min(now_ms // MINUTE_MS - at, SPAN_MIN)
        before = after = 0
        for principal, minutes in self._denied.get(block_of(address), {}).items():
            if principal in innocent:
                before += any(at - span <= minute < at for minute in minutes)
                after += any(at < minute <= at + span for minute in minutes)
        return before, after

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Addresses that changed since the last call; b"" for a forgotten one."""
        dirty = [
            (a, msgspec.msgpack.encode(self._denied[a]) if a in self._denied else b"")
            for a in sorted(self._dirty)
        ]
        self._dirty.clear()
        return dirty

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take back what `take_dirty` gave; all of it is fresh, a stop may have come between."""
        for address, data in items:
            if not data:
                continue
            known = msgspec.msgpack.decode(data, type=dict[str, list[int]])
            self._denied[address] = known
            self._fresh.add(address)
            self._last_min = max(self._last_min, *(minutes[-1] for minutes in known.values()))
        self._swept_min = self._last_min
