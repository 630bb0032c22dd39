"""The append-only log: what was found, intended, answered, kept, approved, shown and exported.

Records come in; each is one entry, numbered in order of arrival. Nothing may change or remove an
entry: triggers refuse it, and the Merkle tree counts on it, because its leaves are these entries
in this order. A leaf holds no personal data, only a salted digest: id, salt and payload stand
beside it, and can be erased while the tree still proves all the rest.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec

from evidence._database import Database
from evidence.entry import Entry, EntryKind, canonical, commit, new_salt
from records.event import RawLine
from records.ids import digest
from records.incident import Action, Receipt

Role = Literal["contributing", "other"]


class Captured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A raw line that an incident keeps: the log holds its digest, the store its bytes."""

    event: str
    sha256: str
    """Of the bytes as logged; "" where they could not be read again."""
    masked: bool
    incident: str
    at_ms: int
    role: Role = "contributing"
    """other: the incident does not rest on it; its actor did it besides."""
    names: tuple[str, ...] = ()
    """Of an other one: whom it names, as it was understood."""
    columns: Mapping[str, Any] | None = None
    """What was understood of a line that could not be read again."""
    kept_sha256: str = ""
    """Of the bytes as kept, where they were masked."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word on an action that waits for one."""

    action: str
    approved: bool
    by: str
    why: str
    at_ms: int


def _captured_id(incident: str, event: str, role: Role) -> str:
    others = () if role == "contributing" else (role,)
    return "cap-" + digest(incident, event, *others)


_Record = Action | Receipt | Captured | Approval | Mapping[str, Any]


def kept_digest(line: RawLine) -> str:
    """SHA-256 of a line as it is kept, "" where that is as it was logged."""
    return sha256(line.data).hexdigest() if line.masked else ""


class Log:
    """The log of one store; appends stand in the store's transaction where one is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append_intent(self, action: Action) -> int:
        """Sequence number of the action's intent; the first with this id stands.

        MUST be committed before the effect: an effect without an intent cannot be undone.
        """
        return self._append(action.id, "intent", action.decided_ms, action.id, action)

    def append_receipt(self, receipt: Receipt) -> int:
        """Sequence number of the receipt; an equal one is stored once."""
        entry_id = "rcp-" + digest(canonical(receipt).decode())
        return self._append(entry_id, "receipt", receipt.at_ms, receipt.action, receipt)

    def append_captured(self, line: RawLine, incident: str, at_ms: int) -> int:
        """Sequence number of the line's reference; once an incident and event.

        The line's bytes stay in the store from now on, whatever the look-back.
        """
        return self.append_kept(
            Captured(
                event=line.event,
                sha256=line.sha256,
                masked=line.masked,
                incident=incident,
                at_ms=at_ms,
                kept_sha256=kept_digest(line),
            )
        )

    def append_kept(self, kept: Captured) -> int:
        """As `append_captured`; once an incident, event and role."""
        entry_id = _captured_id(kept.incident, kept.event, kept.role)
        with self._database.writing(f"keeping line {kept.event}") as db:
            db.execute("INSERT OR IGNORE INTO referred VALUES (?)", (kept.event,))
            return self._append(entry_id, "captured", kept.at_ms, kept.incident, kept)

    def is_kept(self, incident: str, event: str, role: Role = "contributing") -> bool:
        """Whether `append_kept` was called for it."""
        sql, name = "SELECT 1 FROM log WHERE entry_id = ?", _captured_id(incident, event, role)
        return self._database.row("reading the log", sql, (name,)) is not None

    def append_approval(self, approval: Approval) -> int:
        """Sequence number of the approval; an equal one is stored once."""
        entry_id = "apr-" + digest(canonical(approval).decode())
        return self._append(entry_id, "approval", approval.at_ms, approval.action, approval)

    def append(
        self, kind: EntryKind, entry_id: str, at_ms: int, subject: str, document: Mapping[str, Any]
    ) -> int:
        """Sequence number of any other record; the first with this id stands.

        `subject` is what `payloads` finds it by: the id of the incident or finding that it is of.
        """
        return self._append(entry_id, kind, at_ms, subject, document)

    def _append(
        self, entry_id: str, kind: EntryKind, at_ms: int, subject: str, record: _Record
    ) -> int:
        with self._database.writing(f"appending {kind} {entry_id}") as db:
            # OR IGNORE would spend a number on a repeated entry, and leave a gap between leaves.
            seen = db.execute("SELECT seq FROM log WHERE entry_id = ?", (entry_id,)).fetchone()
            if seen is not None:
                return int(seen[0])
            payload, salt = canonical(record), new_salt()
            seq = self.last_seq + 1
            db.execute(
                "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
                (seq, entry_id, kind, at_ms, commit(salt, entry_id, payload)),
            )
            db.execute(
                "INSERT INTO body VALUES (?, ?, ?, ?, ?)", (seq, kind, subject, salt, payload)
            )
            return seq

    @property
    def last_seq(self) -> int:
        """The number of the newest entry, 0 before any."""
        row = self._database.row("reading the log", "SELECT max(seq) FROM log")
        return int(row[0] or 0) if row else 0

    def entries(self, after_seq: int = 0) -> Iterator[Entry]:
        """Every entry after a number, in order."""
        sql = (
            "SELECT seq, entry_id, log.kind, at_ms, commitment, salt, payload "
            "FROM log LEFT JOIN body USING (seq) WHERE seq > ? ORDER BY seq"
        )
        for row in self._database.rows("reading the log", sql, (after_seq,)):
            yield Entry(*row)

    def actions(self) -> Iterator[Action]:
        """Every action that was intended, in order."""
        for payload in self.payloads("intent", None):
            yield msgspec.json.decode(payload, type=Action)

    def action(self, action_id: str) -> Action | None:
        """One action, or None."""
        for payload in self.payloads("intent", action_id):
            return msgspec.json.decode(payload, type=Action)
        return None

    def receipts(self, action_id: str | None = None) -> Iterator[Receipt]:
        """Receipts, of one action or of all, in order."""
        for payload in self.payloads("receipt", action_id):
            yield msgspec.json.decode(payload, type=Receipt)

    def approvals(self, action_id: str | None = None) -> Iterator[Approval]:
        """Approvals, of one action or of all, in order."""
        for payload in self.payloads("approval", action_id):
            yield msgspec.json.decode(payload, type=Approval)

    def captured(self, incident: str | None = None) -> Iterator[Captured]:
        """References of lines that one incident, or any, keeps, in order."""
        for payload in self.payloads("captured", incident):
            yield msgspec.json.decode(payload, type=Captured)

    def payloads(self, kind: EntryKind, subject: str | None = None) -> Iterator[bytes]:
        """Canonical JSON of entries that were not erased: of one subject or all, in order."""
        sql, values = "SELECT payload FROM body WHERE kind = ? {} ORDER BY seq", [str(kind)]
        if subject is not None:
            values.append(subject)
        sql = sql.format("" if subject is None else "AND subject = ?")
        for (payload,) in self._database.rows("reading the log", sql, values):
            yield payload
