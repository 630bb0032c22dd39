"""Which lines have been taken before, by what their senders call them.

Identities of lines come in, inside the transaction that takes the lines; out comes which are new.
A sender that was not answered sends again, and a batch sent later may come first: so each line has
an entry of its own, for a day, and no mark can pass over one. It MUST NOT read a clock.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from evidence._database import Database
from evidence._schema import statements

ROWS: Final = 5_000_000
AGE_MS: Final = 24 * 3_600_000
PARTS: Final = 7
"""The table is filled and emptied in so many parts: all pages of the one that is filled stay in
memory, and what is old goes by parts. One more may be on its way out: a bit each in `_cells`."""
_DROP_ROWS: Final = 50_000
"""Of a part that is over, so many go with each call: nobody waits for all of it."""
_AT_ONCE: Final = 500
_CELLS: Final = 1 << 23
_MASK: Final = _CELLS - 1
_cells_of: Final = Struct("<IIII").unpack

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS seen (
  part INTEGER NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (part, identity)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen_part (
  part INTEGER PRIMARY KEY, begun_ms INTEGER NOT NULL, latest_ms INTEGER NOT NULL,
  rows INTEGER NOT NULL
);
"""


class _Part:
    """One part of the table."""

    __slots__ = ("begun_ms", "bit", "latest_ms", "number", "rows")

    def __init__(self, number: int, begun_ms: int, latest_ms: int, rows: int) -> None:
        self.number = number
        self.bit = 1 << number % 8
        self.begun_ms = begun_ms
        self.latest_ms = latest_ms
        self.rows = rows


class Seen:
    """The identities of one store. MUST be driven inside `store.transaction()`."""

    def __init__(self, store: Database, *, rows: int = ROWS, age_ms: int = AGE_MS) -> None:
        """Makes its tables, if there are none yet."""
        self._store = store
        self._part_rows = max(1, rows // PARTS)
        self._part_ms = max(1, age_ms // PARTS)
        self._age_ms = age_ms
        with store.transaction(), store.writing("making the table of identities") as db:
            for statement in statements(_TABLES):
                db.execute(statement)
        sql = "SELECT part, begun_ms, latest_ms, rows FROM seen_part ORDER BY part"
        self._parts = [_Part(*row) for row in store.rows("reading identities", sql)]
        # A Bloom filter for each part, side by side: a bit of every cell is a part's. Without it, a
        # new line would be looked for in every part on disk. Of parts that an earlier run filled
        # everything is possible.
        self._cells = bytearray([sum(part.bit for part in self._parts)]) * _CELLS

    def are_new(self, identities: Sequence[bytes], now_ms: int) -> list[bool]:
        """Of each, whether it was not seen before; all of them have been from now on."""
        known = self._known(list(dict.fromkeys(identities)))
        new: list[bytes] = []
        found: list[bool] = []
        for identity in identities:
            is_new = identity not in known
            found.append(is_new)
            if is_new:
                known.add(identity)
                new.append(identity)
        self._keep(new, now_ms)
        self._drop(now_ms)
        return found

    def _known(self, identities: Sequence[bytes]) -> set[bytes]:
        cells = self._cells
        possible: dict[int, list[bytes]] = {}
        for identity in identities:
            a, b, c, _ = _cells_of(identity)
            if bits := cells[a & _MASK] & cells[b & _MASK] & cells[c & _MASK]:
                possible.setdefault(bits, []).append(identity)
        known: set[bytes] = set()
        for part in self._parts:
            some = [each for bits, them in possible.items() if bits & part.bit for each in them]
            for start in range(0, len(some), _AT_ONCE):
                values = some[start : start + _AT_ONCE]
                marks = ",".join("?" * len(values))
                sql = f"SELECT identity FROM seen WHERE part = ? AND identity IN ({marks})"  # noqa: S608
                rows = self._store.rows("looking for identities", sql, (part.number, *values))
                known.update(identity for (identity,) in rows)
        return known

    def _keep(self, new: Sequence[bytes], now_ms: int) -> None:
        if not new:
            return
        part = self._part(now_ms)
        cells, bit = self._cells, part.bit
        for identity in new:
            a, b, c, _ = _cells_of(identity)
            cells[a & _MASK] |= bit
            cells[b & _MASK] |= bit
            cells[c & _MASK] |= bit
        part.rows += len(new)
        part.latest_ms = now_ms
        with self._store.writing("storing identities") as db:
            rows = ((part.number, identity) for identity in sorted(new))
            db.executemany("INSERT INTO seen VALUES (?, ?)", rows)
            db.execute(
                "INSERT OR REPLACE INTO seen_part VALUES (?, ?, ?, ?)",
                (part.number, part.begun_ms, part.latest_ms, part.rows),
            )

    def _part(self, now_ms: int) -> _Part:
        """The part that is being filled."""
        last = self._parts[-1] if self._parts else None
        if (
            last is not None
            and last.rows < self._part_rows
            and 0 <= now_ms - last.begun_ms < self._part_ms
        ):
            return last
        while len(self._parts) > PARTS:
            self._drop_some()
        part = _Part(last.number + 1 if last else 1, now_ms, now_ms, 0)
        self._cells = self._cells.translate(bytes(cell & ~part.bit for cell in range(256)))
        self._parts.append(part)
        return part

    def _drop(self, now_ms: int) -> None:
        """Removes some of the oldest part, if its time is over or there are too many."""
        if len(self._parts) > 1 and (
            len(self._parts) > PARTS or now_ms - self._parts[0].latest_ms >= self._age_ms
        ):
            self._drop_some()

    def _drop_some(self) -> None:
        number = self._parts[0].number
        with self._store.writing("removing old identities") as db:
            gone = db.execute(
                "DELETE FROM seen WHERE part = ? AND identity IN"
                " (SELECT identity FROM seen WHERE part = ? LIMIT ?)",
                (number, number, _DROP_ROWS),
            ).rowcount
            if gone < _DROP_ROWS:
                db.execute("DELETE FROM seen_part WHERE part = ?", (number,))
                del self._parts[0]
