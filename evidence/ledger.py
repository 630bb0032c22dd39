"""The Merkle tree over the log, and its signed heads (RFC 6962, C2SP tlog-checkpoint).

The log's rows come in; roots, proofs and signed heads go out. A head is signed and written in the
transaction that appends, so that no committed entry is ever outside of a head. The tree is a
function of the log alone: what is kept of it beside the log only saves time.
"""

from collections.abc import Iterator, Sequence

import msgspec

from evidence._database import Database
from evidence.checkpoint import Checkpoint, Signs, note
from evidence.entry import leaf
from evidence.merkle import Frontier, Tree, leaf_hash


class Head(msgspec.Struct, frozen=True):
    """A signed statement of what the first `size` entries are."""

    size: int
    note: str


class Ledger:
    """The tree of one store. `seal` is what the store calls before each commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._origin = ""
        self._signers: Sequence[Signs] = ()
        self._frontier: Frontier | None = None

    def sign_with(self, origin: str, signers: Sequence[Signs]) -> None:
        """From now on every commit that appends writes a head; what has none yet gets one now."""
        self._origin, self._signers = origin, signers
        with self._database.writing("signing the log"):
            self.seal()

    def forget(self) -> None:
        """Drop what was worked out of rows that are now rolled back."""
        self._frontier = None

    # Nodes, as evidence.merkle asks for them

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Leaf hashes of the entries from `start` (counted from 0) up to `end`."""
        sql = "SELECT kind, at_ms, commitment FROM log WHERE seq > ? AND seq <= ? ORDER BY seq"
        rows = self._database.rows("reading the log", sql, (start, end))
        return [leaf_hash(leaf(*row)) for row in rows]

    def node(self, level: int, number: int) -> bytes | None:
        """Hash of a complete subtree, None if it is not kept."""
        sql = "SELECT hash FROM node WHERE level = ? AND number = ?"
        row = self._database.row("reading the log's tree", sql, (level, number))
        return row[0] if row else None

    # Heads

    @property
    def size(self) -> int:
        """Entries in the log."""
        row = self._database.row("reading the log", "SELECT max(seq) FROM log")
        return int(row[0] or 0) if row else 0

    @property
    def tree(self) -> Tree:
        """Roots and proofs for any size up to `size`."""
        return Tree(self)

    def head(self) -> Head | None:
        """The newest signed head."""
        sql = "SELECT size, note FROM head ORDER BY size DESC LIMIT 1"
        row = self._database.row("reading the log's heads", sql)
        return Head(*row) if row else None

    def heads(self, after_size: int = -1) -> Iterator[Head]:
        """Signed heads of more than a size, in order."""
        sql = "SELECT size, note FROM head WHERE size > ? ORDER BY size"
        for row in self._database.rows("reading the log's heads", sql, (after_size,)):
            yield Head(*row)

    def seal(self) -> None:
        """Write the head of what is in the log now, unless nothing was appended since the last."""
        if not self._signers:
            return
        size, head = self.size, self.head()
        if not size or (head is not None and head.size >= size):
            return
        frontier = self._caught_up(size)
        with self._database.writing(f"signing the log at {size} entries") as db:
            db.executemany("INSERT OR IGNORE INTO node VALUES (?, ?, ?)", frontier.take_complete())
            signed = note(Checkpoint(self._origin, size, frontier.root()), self._signers)
            db.execute("INSERT OR REPLACE INTO head VALUES (?, ?)", (size, signed))

    def _caught_up(self, size: int) -> Frontier:
        """What is needed to go on, at `size`."""
        if self._frontier is None:
            head = self.head()
            self._frontier = Frontier.resume(self, head.size if head else 0)
        for one in self.leaves(self._frontier.size, size):
            self._frontier.append(one)
        return self._frontier
