"""Learns which `{object}` fields hold users' ids, because own is clearly the usual case there.

In: successes on fields (a route up to the id) with ids of unknown owner. Out: from which ten-minute
cell on a field's ids count as owners. A cell's answer rests only on cells that were complete before
it, so it does not depend on the order of events within the allowed lateness, and the attack under
judgement cannot vote on itself.
"""

from collections.abc import Iterator

import msgspec

CELL_MS = 600_000
MIN_PRINCIPALS = 20
OWN_SHARE = 0.8
HOPELESS_PRINCIPALS = 500
HOPELESS_SHARE = 0.1
MAX_FIELDS = 1_000
_MAX_PRINCIPALS = 1_000
_MAX_CELLS = 64


class _Learning(msgspec.Struct):
    """Votes of one field: principal -> (own successes, all successes)."""

    cells: dict[int, dict[str, tuple[int, int]]] = msgspec.field(default_factory=dict)
    complete: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    since_cell: int | None = None
    """First cell in which the field's ids are owners; None while they are not."""
    oldest: int = 0
    """No cell is older."""
    hopeless: bool = False
    """So many people use it for what is not their own that nobody needs to ask again."""

    def voters(self) -> int:
        return len(self.complete) + sum(map(len, self.cells.values()))


class Promotion:
    """Votes by field, each principal one vote whatever its traffic."""

    def __init__(self) -> None:
        self._fields: dict[str, _Learning] = {}
        self._dirty: set[str] = set()

    def is_owner_field(self, field: str, time_ms: int) -> bool:
        """Whether the ids of this field were known to be users' ids at this time."""
        learning = self._fields.get(field)
        if learning is None:
            return False
        cell = time_ms // CELL_MS
        if learning.since_cell is None:
            if learning.hopeless or learning.oldest > cell - 2:
                return False
            self._complete(field, learning, cell)
        return learning.since_cell is not None and cell >= learning.since_cell

    def note(self, field: str, principal: str, *, own: bool, time_ms: int) -> None:
        """Count one success of a principal on a field of unknown owner."""
        learning = self._fields.get(field)
        if learning is None:
            if len(self._fields) >= MAX_FIELDS:
                self._make_room()
            learning = self._fields[field] = _Learning()
        if learning.since_cell is not None or learning.hopeless:
            return
        cell = time_ms // CELL_MS
        votes = learning.cells.get(cell)
        if votes is None:
            if len(learning.cells) >= _MAX_CELLS:
                # A log whose time jumps to and fro: the oldest cell is the least likely to matter.
                del learning.cells[min(learning.cells)]
            votes = learning.cells[cell] = {}
            learning.oldest = min(learning.cells)
        if principal in votes or len(votes) < _MAX_PRINCIPALS:
            mine, total = votes.get(principal, (0, 0))
            votes[principal] = (mine + own, total + 1)
            self._dirty.add(field)

    def _complete(self, field: str, learning: _Learning, cell: int) -> None:
        self._dirty.add(field)
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
        learning.oldest = min(learning.cells, default=cell)
        if len(complete) >= HOPELESS_PRINCIPALS and usual < HOPELESS_SHARE * len(complete):
            learning.hopeless = True
            learning.cells.clear()
            complete.clear()

    def _make_room(self) -> None:
        """Forget the half that fewest people use: paths that one client made up."""
        undecided = [f for f, learning in self._fields.items() if learning.since_cell is None]
        undecided.sort(key=lambda field: (self._fields[field].voters(), field))
        for field in undecided[: len(undecided) // 2 + 1] or list(self._fields)[:1]:
            del self._fields[field]
            self._dirty.discard(field)

    def take_dirty(self) -> Iterator[tuple[str, bytes]]:
        """Fields whose votes changed."""
        for field in sorted(self._dirty):
            yield field, msgspec.msgpack.encode(self._fields[field])
        self._dirty.clear()

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for field, data in items:
            self._fields[field] = msgspec.msgpack.decode(data, type=_Learning)
