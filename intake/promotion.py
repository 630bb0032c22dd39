"""Learns which `{object}` routes hold users' ids, because own is clearly the usual case there.

In: successes on routes with ids of unknown owner. Out: from which ten-minute cell on a route's ids
count as owners. A cell's answer rests only on cells that were complete before it, so it does not
depend on the order of events within the allowed lateness, and the attack under judgement cannot
vote on itself.
"""

from collections.abc import Iterator

import msgspec

CELL_MS = 600_000
MIN_PRINCIPALS = 20
OWN_SHARE = 0.8
_MAX_ROUTES = 1_000
_MAX_PRINCIPALS = 1_000


class _Learning(msgspec.Struct):
    """Votes of one route: principal -> [own successes, all successes]."""

    cells: dict[int, dict[str, tuple[int, int]]] = msgspec.field(default_factory=dict)
    complete: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    since_cell: int | None = None
    """First cell in which the route's ids are owners; None while they are not."""


class Promotion:
    """Votes by route, each principal one vote whatever its traffic."""

    def __init__(self) -> None:
        self._routes: dict[str, _Learning] = {}
        self._dirty: set[str] = set()

    def is_owner_route(self, route: str, time_ms: int) -> bool:
        """Whether the ids of this route were known to be users' ids at this time."""
        if (learning := self._routes.get(route)) is None:
            return False
        cell = time_ms // CELL_MS
        if learning.since_cell is None and any(c <= cell - 2 for c in learning.cells):
            self._complete(route, learning, cell)
        return learning.since_cell is not None and cell >= learning.since_cell

    def note(self, route: str, principal: str, *, own: bool, time_ms: int) -> None:
        """Count one success of a principal on a route of unknown owner."""
        learning = self._routes.get(route)
        if learning is None:
            if len(self._routes) >= _MAX_ROUTES:
                return
            learning = self._routes[route] = _Learning()
        if learning.since_cell is not None:
            return
        votes = learning.cells.setdefault(time_ms // CELL_MS, {})
        if principal in votes or len(votes) < _MAX_PRINCIPALS:
            mine, total = votes.get(principal, (0, 0))
            votes[principal] = (mine + own, total + 1)
            self._dirty.add(route)

    def _complete(self, route: str, learning: _Learning, cell: int) -> None:
        self._dirty.add(route)
        complete = learning.complete
        for done in sorted(c for c in learning.cells if c <= cell - 2):
            for principal, (own, total) in learning.cells.pop(done).items():
                if principal in complete or len(complete) < _MAX_PRINCIPALS:
                    before = complete.get(principal, (0, 0))
                    complete[principal] = (before[0] + own, before[1] + total)
            usual = sum(own >= OWN_SHARE * total for own, total in complete.values())
            if len(complete) >= MIN_PRINCIPALS and usual >= OWN_SHARE * len(complete):
                learning.since_cell = done + 2
                learning.cells.clear()
                complete.clear()
                return

    def take_dirty(self) -> Iterator[tuple[str, bytes]]:
        """Routes whose votes changed."""
        for route in sorted(self._dirty):
            yield route, msgspec.msgpack.encode(self._routes[route])
        self._dirty.clear()

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for route, data in items:
            self._routes[route] = msgspec.msgpack.decode(data, type=_Learning)
