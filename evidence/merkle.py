"""RFC 6962 arithmetic: the Merkle tree over the leaves of the append-only log.

Hashes of leaves and kept nodes come in, roots and proofs go out. It must never read a store, a
clock or a file by itself, and never give a root of fewer leaves than were asked for. Whether a
proof holds is not decided here: the verifier shares no code with the writer.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol, Self

KEPT_LEVELS = 8
"""A node is kept at every eighth level: 256 children each, so keeping them costs 0.4 % more."""

EMPTY_ROOT = sha256(b"").digest()
_MEMO_NODES = 65_536


class Nodes(Protocol):
    """What is kept of a tree: all hashes of leaves, and nodes of complete subtrees."""

    def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """The hashes of leaves [start, end), in order."""
        ...

    def node(self, level: int, number: int) -> bytes | None:
        """The hash over leaves [number * 2**level, (number + 1) * 2**level); None if not kept.

        Asked only for complete subtrees, and levels 8, 16, 24 and so on.
        """
        ...


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf, 32 bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two subtrees, 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """Roots and proofs of any size that the log has reached.

    With the kept nodes, each costs at most 512 hashes for every eight levels of the tree, and
    less when neighbours were asked for before: what complete subtrees hash to never changes, so
    65,536 of them are remembered. Without the kept nodes the answer is the same, from the leaves.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._memo: dict[tuple[int, int], bytes] = {}

    def root(self, size: int) -> bytes:
        """The head of the first `size` leaves; of none, the hash of nothing.

        Raises:
            ValueError: a negative size.
            LookupError: the log has fewer leaves.
        """
        if size < 0:
            raise ValueError(f"computing the root of {size} leaves: a size is 0 or more")
        return self._hash(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path that leads from leaf `index` (from 0) to root(size), leaf's sibling first.

        Raises:
            ValueError: `index` is not among the first `size` leaves.
            LookupError: the log has fewer leaves.
        """
        if not 0 <= index < size:
            raise ValueError(f"proving leaf {index} of {size}: give an index from 0 to size - 1")
        proof = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start = middle
        return proof[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """What shows that root(new) only adds leaves to root(old); nothing for old 0 or new.

        Raises:
            ValueError: not 0 <= old <= new.
            LookupError: the log has fewer leaves.
        """
        if not 0 <= old <= new:
            raise ValueError(f"proving that {new} leaves extend {old}: give 0 <= old <= new")
        if old == 0:
            return []
        proof = []
        start, end = 0, new
        while end != old:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start = middle
        # Whoever checks has the old root: a subtree that is the whole old tree needs no hash.
        if start > 0:
            proof.append(self._hash(start, end))
        return proof[::-1]

    def complete(self, level: int, number: int) -> bytes:
        """The hash over the 2**level leaves from number * 2**level on.

        Raises:
            LookupError: the log has fewer leaves.
        """
        place = (level, number)
        if (known := self._memo.get(place)) is None:
            known = self._compute(level, number)
            if len(self._memo) >= _MEMO_NODES:
                self._memo.clear()
            self._memo[place] = known
        return known

    def _compute(self, level: int, number: int) -> bytes:
        if level and level % KEPT_LEVELS == 0:
            kept = self._nodes.node(level, number)
            if kept is not None:
                return kept
        if level > KEPT_LEVELS:
            left, right = 2 * number, 2 * number + 1
            return node_hash(self.complete(level - 1, left), self.complete(level - 1, right))
        start, end = number << level, (number + 1) << level
        hashes = self._nodes.leaves(start, end)
        if len(hashes) != end - start:
            raise LookupError(
                f"hashing leaves {start} to {end - 1}: the log has {len(hashes)} of these "
                f"{end - start}: ask for a size that it has reached"
            )
        while len(hashes) > 1:
            hashes = list(map(node_hash, hashes[::2], hashes[1::2]))
        return hashes[0]

    def _hash(self, start: int, end: int) -> bytes:
        """MTH of leaves [start, end), which begin where a subtree at least as wide does."""
        return _fold([self.complete(level, at >> level) for level, at in _peaks(start, end)])


class Frontier:
    """The right edge of a tree that grows: a leaf costs two hashes on average and no look-up."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []
        self._complete: list[tuple[int, int, bytes]] = []

    @classmethod
    def resume(cls, nodes: Nodes, size: int) -> Self:
        """The frontier after the first `size` leaves of a log, from what is kept of it.

        Raises:
            LookupError: the log has fewer leaves.
        """
        tree = Tree(nodes)
        frontier = cls()
        frontier.size = size
        frontier._peaks = [tree.complete(level, at >> level) for level, at in _peaks(0, size)]
        return frontier

    def append(self, leaf: bytes) -> None:
        """Add one leaf's hash."""
        number, level = self.size, 0
        peaks = self._peaks
        self.size = number + 1
        # As in binary counting, each 1 at the end of the old size is a subtree that this completes.
        while number & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            number >>= 1
            level += 1
            if level % KEPT_LEVELS == 0:
                self._complete.append((level, number, leaf))
        peaks.append(leaf)

    def root(self) -> bytes:
        """The head of all leaves so far."""
        return _fold(self._peaks) if self._peaks else EMPTY_ROOT

    def take_complete(self) -> list[tuple[int, int, bytes]]:
        """(level, number, hash) of each subtree to be kept that was completed since the last call.

        MUST be kept together with the leaves that completed them, or not at all: `resume` and
        `Tree` then compute them from the leaves.
        """
        taken, self._complete = self._complete, []
        return taken


def _split(count: int) -> int:
    """The greatest power of two below `count` (at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _peaks(start: int, end: int) -> list[tuple[int, int]]:
    """(level, first leaf) of the complete subtrees that make up [start, end), widest first."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start))
        start += 1 << level
    return found


def _fold(peaks: Sequence[bytes]) -> bytes:
    """One hash over complete subtrees, the smallest of which is the last."""
    *rest, root = peaks
    for peak in reversed(rest):
        root = node_hash(peak, root)
    return root
