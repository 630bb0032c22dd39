"""RFC 6962 once more, for the verifier alone: hashes, a tree that grows, and proofs.

Leaves and proofs come in, roots and yes or no go out. It is written from the standard, and MUST NOT
share code with `evidence.merkle`: an error in one of them then shows in the other.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Self

NOTHING = sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """Of the bytes of one leaf."""
    return sha256(b"\x00" + leaf).digest()


class Growing:
    """A tree that leaves are added to at the right, and its root at any moment."""

    def __init__(self) -> None:
        self.size = 0
        # The root of each full tree that the size is a sum of, the widest first.
        self._full: list[bytes] = []
        self.byte_nodes: list[tuple[int, int, bytes]] = []
        """(level, number, hash) of what was completed at levels 8, 16 and so on; taken by who
        wants it."""

    def add(self, hashed: bytes) -> None:
        """One leaf's hash."""
        self.size += 1
        full, number, level = self._full, self.size, 0
        while not number & 1:
            hashed = sha256(b"\x01" + full.pop() + hashed).digest()
            number >>= 1
            level += 1
            if not level & 7:
                self.byte_nodes.append((level, number - 1, hashed))
        full.append(hashed)

    def root(self) -> bytes:
        """Of all leaves so far."""
        if not self._full:
            return NOTHING
        *wider, hashed = self._full
        for one in reversed(wider):
            hashed = sha256(b"\x01" + one + hashed).digest()
        return hashed

    def copy(self) -> Self:
        """Another that goes on from here by itself."""
        other = type(self)()
        other.__dict__.update(size=self.size, _full=self._full.copy())
        return other

    def root_with(self, hashes: Iterable[bytes]) -> bytes:
        """What the root would be after these."""
        other = self.copy()
        for hashed in hashes:
            other.add(hashed)
        return other.root()


def is_included(index: int, hashed: bytes, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether leaf `index` of `size` has this hash in the tree of this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last = index, size - 1
    for other in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            hashed = sha256(b"\x01" + other + hashed).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            hashed = sha256(b"\x01" + hashed + other).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and hashed == root


def is_extended(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `new` leaves begins with that of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old in {0, new}:
        return not proof and (old_root == new_root if old else old_root == NOTHING)
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first = sha256(b"\x01" + other + first).digest()
            second = sha256(b"\x01" + other + second).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            second = sha256(b"\x01" + second + other).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and (first, second) == (old_root, new_root)
