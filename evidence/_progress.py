"""What the embedded runner needs to go on where it stopped: all of it changes, none is evidence.

Positions, keyed state, counts, rejects, attempts and rows of history that are in no segment yet
come in, inside one transaction with what was concluded from them; after a crash they come out as
of the last commit. Nothing here is ever shown as proof.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from evidence._database import Database
from records.event import Reject

OutboxState = Literal["waiting", "approval", "done"]
"""waiting: an attempt is due; approval: a person is asked; done: no attempt is needed."""

KEPT_REJECTS = 100_000
"""Rejects that survive `prune`: a flood of nonsense must not fill the disk."""


class Outbox(msgspec.Struct, frozen=True):
    """Where the attempts to perform an action stand."""

    action: str
    attempts: int
    next_attempt_ms: int
    reason: str
    """Why it waits, in words; "" before the first attempt."""
    state: OutboxState


class Source(msgspec.Struct, frozen=True):
    """How far a log was read."""

    id: str
    name: str
    position: int
    """Offset behind the last line that was taken, decompressed."""
    head: bytes
    """What it was recognised by; the runner's own form."""
    profile: bytes
    """What was learned of it; the runner's own form."""


_OUTBOX = "SELECT action, attempts, next_attempt_ms, reason, state FROM outbox "


class Progress(Database):
    """The tables of the runner."""

    def outbox_add(self, action_id: str, next_attempt_ms: int) -> None:
        """An action to be attempted; one that is there already stays as it is."""
        row = (action_id, "waiting", 0, next_attempt_ms, "")
        with self.writing(f"putting {action_id} in the outbox") as db:
            db.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?)", row)

    def outbox_due(self, now_ms: int) -> list[Outbox]:
        """Waiting ones whose next attempt is due, the longest due first."""
        sql = _OUTBOX + (
            "WHERE state = 'waiting' AND next_attempt_ms <= ? ORDER BY next_attempt_ms, action"
        )
        return [Outbox(*row) for row in self.rows("reading the outbox", sql, (now_ms,))]

    def outbox_row(self, action_id: str) -> Outbox | None:
        """Where one action stands; None if it was never added."""
        row = self.row("reading the outbox", _OUTBOX + "WHERE action = ?", (action_id,))
        return None if row is None else Outbox(*row)

    def outbox_all(self) -> list[Outbox]:
        """Every one, by action."""
        return [
            Outbox(*row) for row in self.rows("reading the outbox", _OUTBOX + "ORDER BY action")
        ]

    def outbox_update(
        self,
        action_id: str,
        *,
        state: OutboxState,
        attempts: int,
        next_attempt_ms: int,
        reason: str,
    ) -> None:
        """Where one stands now.

        Raises:
            LookupError: it was never added.
        """
        row = (state, attempts, next_attempt_ms, reason, action_id)
        with self.writing(f"updating {action_id} in the outbox") as db:
            cursor = db.execute(
                "UPDATE outbox SET state = ?, attempts = ?, next_attempt_ms = ?, reason = ? "
                "WHERE action = ?",
                row,
            )
            if cursor.rowcount != 1:
                raise LookupError(f"updating the outbox: {action_id} is not in it: add it first")

    def put_source(self, id: str, name: str, position: int, head: bytes, profile: bytes) -> None:  # noqa: A002
        """How far a source was read; replaces what was known of it."""
        with self.writing(f"storing the position of {name}") as db:
            db.execute(
                "INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?)",
                (id, name, position, head, profile),
            )

    def sources(self) -> list[Source]:
        """Every source, by id."""
        sql = "SELECT id, name, position, head, profile FROM source ORDER BY id"
        return [Source(*row) for row in self.rows("reading positions", sql)]

    def save_state(self, items: Iterable[tuple[str, str, bytes]]) -> None:
        """Values by (space, key); empty bytes remove the key. The last of a key counts."""
        latest = {(space, key): value for space, key, value in items}
        if not latest:
            return
        with self.writing("storing keyed state") as db:
            db.executemany(
                "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
                ((space, key, value) for (space, key), value in latest.items() if value),
            )
            db.executemany(
                "DELETE FROM state WHERE space = ? AND key = ?",
                (place for place, value in latest.items() if not value),
            )

    def load_state(self, space: str) -> Iterator[tuple[str, bytes]]:
        """Every (key, value) of one space, by key (records.stores.KeyedStore)."""
        sql = "SELECT key, value FROM state WHERE space = ? ORDER BY key"
        for row in self.rows(f"loading state of {space}", sql, (space,)):
            yield row[0], row[1]

    def add_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keep rejects, once a source and offset."""
        with self.writing("storing rejects") as db:
            db.executemany(
                "INSERT OR IGNORE INTO reject (source, place, body) VALUES (?, ?, ?)",
                ((r.source, r.offset, msgspec.msgpack.encode(r)) for r in rejects),
            )

    def rejects(self, limit: int | None = None) -> Iterator[Reject]:
        """The newest `limit` rejects, or all, oldest first."""
        sql = "SELECT body FROM (SELECT id, body FROM reject ORDER BY id DESC LIMIT ?) ORDER BY id"
        for (body,) in self.rows("reading rejects", sql, (-1 if limit is None else limit,)):
            yield msgspec.msgpack.decode(body, type=Reject)

    def _prune_rejects(self) -> int:
        with self.writing("removing old rejects") as db:
            sql = "DELETE FROM reject WHERE id <= (SELECT max(id) FROM reject) - ?"
            return db.execute(sql, (KEPT_REJECTS,)).rowcount

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Add to counters by name."""
        with self.writing("storing counts") as db:
            db.executemany(
                "INSERT INTO count VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
                counts.items(),
            )

    def counts(self) -> dict[str, int]:
        """Every counter, by name."""
        sql = "SELECT name, n FROM count ORDER BY name"
        return dict(self.rows("reading counts", sql))

    def stage_history(self, blob: bytes, rows: int) -> int:
        """Keep rows of history that are in no segment yet; their id, which only grows."""
        with self.writing("staging history") as db:
            cursor = db.execute("INSERT INTO staged (rows, body) VALUES (?, ?)", (rows, blob))
            return int(cursor.lastrowid or 0)

    def staged_history(self) -> Iterator[tuple[int, int, bytes]]:
        """(id, rows, blob) of what is staged, in order."""
        for row in self.rows(
            "reading staged history", "SELECT id, rows, body FROM staged ORDER BY id"
        ):
            yield row[0], row[1], row[2]

    def clear_staged(self, upto: int) -> None:
        """Drop what is staged up to this id: its segment is on disk."""
        with self.writing("clearing staged history") as db:
            db.execute("DELETE FROM staged WHERE id <= ?", (upto,))
