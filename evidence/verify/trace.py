"""Holds leaves, as they come, against heads, and finds where they first differ.

Hashes of leaves and heads come in, both in order; problems go out. A head says only that something
among its entries differs. So the range between the last head that fits and the first that does not
is kept, and what may have happened in it is tried out: an entry too much, or two in each other's
place. What can be shown so is named; else the range is.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import msgspec

from evidence.verify.report import Report
from evidence.verify.tree import NOTHING, Growing

_RANGE = 4096
"""Leaves of a range that are remembered; a longer one is only named."""
_AHEAD = 64
"""Leaves behind it, among which one that was moved away is looked for."""
_TRIES = 200_000
"""Hashes that trying out may cost."""


class Mark(msgspec.Struct, frozen=True):
    """What a head says, and what to call it."""

    size: int
    root: bytes
    says: str


class Trace:
    """The leaves of one log against marks of one origin: its own heads, or published ones."""

    def __init__(self, report: Report, marks: Iterator[Mark], *, published: bool = False) -> None:
        self._report = report
        self._marks = marks
        self._published = published
        self._range: list[bytes] = []
        self._start = Growing()
        self._reached = 0
        self._broken: Mark | None = None
        self._ahead: list[bytes] = []
        self.proven = 0
        """Leaves that the newest head that fits is over."""
        self.count = 0
        self.newest = 0
        """The size of the newest mark that was read."""
        self._next: Mark | None = None
        self.due = -1
        """The size at which `reached` is to be called; -1 when no mark is left."""
        self._take()

    def _take(self) -> None:
        self.due = -1
        for mark in self._marks:
            self.count += 1
            self.newest = max(self.newest, mark.size)
            if mark.size == 0 and mark.root == NOTHING:
                continue
            if 0 < mark.size >= self._reached:
                self._next, self.due = mark, mark.size
                return
            self._report.add("forged head", f"{mark.says} is over nothing, or out of order")
        self._next = None

    @property
    def fits(self) -> bool:
        """Whether every head did so far."""
        return self._broken is None

    def keep(self, hashed: bytes) -> None:
        """Another leaf; MUST be called for each before `reached`."""
        if self._broken is None:
            if len(self._range) <= _RANGE:
                self._range.append(hashed)
        elif len(self._ahead) < _AHEAD:
            self._ahead.append(hashed)

    def reached(self, tree: Growing) -> None:
        """All leaves up to `due` are in this tree."""
        root = tree.root()
        self._reached = tree.size
        while self._next is not None and self._next.size == tree.size:
            if self._broken is None:
                if self._next.root == root:
                    self.proven, self._start = tree.size, tree.copy()
                    self._range.clear()
                else:
                    self._broken = self._next
            self._take()

    def end(self, size: int, *, gaps: bool) -> None:
        """There are no more leaves. gaps: some were missing, so that no later head can fit."""
        while self._next is not None:
            self._take()
        if gaps:
            return
        if self._broken is not None:
            self._explain(self._broken, size)
        elif self.newest > size:
            self._cut(size)

    def _cut(self, size: int) -> None:
        if self._published:
            lacking = _entries(size, self.newest)
            says = (
                f"{lacking} missing: a head over {self.newest} was published, and the log has "
                f"{size}: an older copy was put back, or its end was cut off"
            )
            self._report.add("rolled back", says, size)
        elif self._report.named.isdisjoint(range(self.proven, self.newest)):
            where = _entries(self.proven, self.newest, verb=False)
            says = f"{self.newest - size} of {where} missing: the log has {size} in all"
            self._report.add("missing", says, self.proven)

    def _explain(self, mark: Mark, size: int) -> None:
        first, last = self._start.size, mark.size
        where = _entries(first, last, verb=False)
        if self._published:
            says = (
                f"{where} were replaced, and the log was signed again: {mark.says} is over others"
            )
            self._report.add("rewritten", says, first)
            return
        if not self._report.named.isdisjoint(range(first, last)):
            return
        found = self._inserted(mark, size) if size > self.newest else None
        if found is not None:
            start, count = found
            says = f"{_entries(start, start + count)} too much: without it {mark.says} fits"
            self._report.add("inserted", says, start)
        elif (pair := self._moved(mark)) is not None:
            says = f"entry {pair[0]} stands in the place of entry {pair[1]}, and that in its place"
            self._report.add("moved", says, pair[0])
        elif size < self.newest:
            says = f"{self.newest - size} of {where} missing: the log has {size} in all"
            self._report.add("missing", says, first)
        else:
            says = f"{where}: {mark.says} is over another content or order of them"
            self._report.add("altered", says, first)

    def _inserted(self, mark: Mark, size: int) -> tuple[int, int] | None:
        """(first, how many) of a run without which the mark fits."""
        leaves = [*self._range, *self._ahead]
        want = mark.size - self._start.size
        for count in {1, max(1, size - self.newest)}:
            if len(self._range) > _RANGE or want + count > len(leaves):
                continue
            for start in range(min(want, _TRIES // (want + 1))):
                rest = leaves[:start] + leaves[start + count : want + count]
                if self._start.root_with(rest) == mark.root:
                    return self._start.size + start, count
        return None

    def _moved(self, mark: Mark) -> tuple[int, int] | None:
        """Two leaves that fit in each other's place."""
        leaves = [*self._range, *self._ahead]
        want = mark.size - self._start.size
        if len(self._range) > _RANGE:
            return None
        pairs = ((i, j) for i, j in combinations(range(len(leaves)), 2) if i < want)
        for i, j in islice(pairs, _TRIES // (want + 1)):
            if self._start.root_with(_swapped(leaves, i, j)[:want]) == mark.root:
                return self._start.size + i, self._start.size + j
        return None


def _swapped(leaves: Sequence[bytes], i: int, j: int) -> list[bytes]:
    swapped = list(leaves)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    return swapped


def _entries(start: int, end: int, *, verb: bool = True) -> str:
    """What to call the leaves [start, end)."""
    one = end - start == 1
    name = f"entry {start}" if one else f"entries {start} to {end - 1}"
    return f"{name} {'is' if one else 'are'}" if verb else name
