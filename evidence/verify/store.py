"""Checks a store's log: every entry, every head, the tree between them, and the captured lines.

The SQLite file comes in, read with nothing but sqlite3, with the keys and published heads to hold
it against; a report goes out. One entry at a time is in memory. It writes nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import msgspec

from evidence.verify.contents import (
    Captured,
    Erasure,
    commitment_of,
    leaf_of,
    line_problem,
    misplaced,
)
from evidence.verify.notes import Trust, read_head, read_note
from evidence.verify.published import published_marks
from evidence.verify.report import Report
from evidence.verify.trace import Mark, Trace
from evidence.verify.tree import Growing, leaf_hash

DATABASE = "breachline.db"
_VERSION = 2
_GUARDS = {
    "log_no_update": "BEFORE UPDATE ON log",
    "log_no_delete": "BEFORE DELETE ON log",
    "body_no_update": "BEFORE UPDATE ON body",
    "body_no_delete": "BEFORE DELETE ON body",
}
_TYPES = {
    "log": "entry_id text, kind text, at_ms integer, commitment blob",
    "body": "kind text, subject text, salt blob, payload blob",
    "erased": "because integer",
}
_ROWS = (
    "SELECT log.seq, entry_id, log.kind, at_ms, commitment, body.kind, subject, salt, payload "
    "FROM log LEFT JOIN body USING (seq) ORDER BY log.seq"
)
_GONE = "SELECT seq FROM {0} WHERE seq NOT IN (SELECT seq FROM {1}) ORDER BY seq"


def is_store(path: Path) -> bool:
    """Whether a store is in this folder."""
    return (path / DATABASE).is_file()


def origin_of(path: Path) -> str:
    """What the newest head of a store calls its log, "" if it has none that can be read.

    Raises:
        OSError: it cannot be opened.
    """
    with closing(_open(path)) as db:
        try:
            return _origin(db)
        except sqlite3.DatabaseError:
            return ""


def read_heads(path: Path) -> list[tuple[int, str]]:
    """(size, note) of each head of a store, by size, not checked.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with _reading(path) as db:
        rows = db.execute("SELECT size, note FROM head ORDER BY size").fetchall()
    return [(int(size), _text(note)) for size, note in rows]


def read_leaves(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(entry id, leaf) of each entry of a store, in order, not checked.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with _reading(path) as db:
        sql = "SELECT entry_id, kind, at_ms, commitment FROM log ORDER BY seq"
        for entry_id, kind, at_ms, commitment in db.execute(sql):
            yield entry_id, leaf_of(kind, at_ms, commitment)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(_open(path)) as db:
        try:
            yield db
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path / DATABASE} is damaged: {error}") from None


def check_store(
    path: Path, trust: Trust, published: Iterable[tuple[int, bytes]] | None = None
) -> Report:
    """Check the store in a folder, also while it is being written.

    published: lines of published heads; None if there are none to hold it against.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is of a version that is not known here.
    """
    report = Report(str(path), "store")
    with closing(_open(path)) as db:
        try:
            # One transaction: what a running service adds meanwhile is not half seen.
            db.execute("BEGIN")
            check = _Check(db, trust, report)
            check.file()
            check.log(published)
        except sqlite3.DatabaseError as error:
            report.add("unreadable", f"{path / DATABASE} is damaged: {error}")
    return report


def _open(path: Path) -> sqlite3.Connection:
    file = (path / DATABASE).absolute()
    with file.open("rb"):
        pass
    # A copy may lie where nothing can be written; but where there is a -wal, it is a part of it.
    alone = not file.with_name(f"{file.name}-wal").exists()
    said = ""
    for more in ("", "&immutable=1") if alone else ("",):
        db = sqlite3.connect(f"file:{quote(str(file))}?mode=ro{more}", uri=True, timeout=10)
        db.isolation_level = None
        db.text_factory = bytes
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            db.close()
            said = str(error)
        except sqlite3.DatabaseError:
            return db  # it is damaged, which the check says
        else:
            return db
    raise OSError(f"opening {file}: {said}: copy the folder to where it can be written")


def _origin(db: sqlite3.Connection) -> str:
    row = db.execute("SELECT note FROM head ORDER BY size DESC LIMIT 1").fetchone()
    try:
        return read_head(read_note(_text(row[0])).text).origin if row else ""
    except ValueError:
        return ""


def _text(value: object) -> str:
    """Raises ValueError where it is none."""
    return value.decode() if isinstance(value, bytes) else b"\xff".decode()


class _Check:
    def __init__(self, db: sqlite3.Connection, trust: Trust, report: Report) -> None:
        self._db = db
        self._trust = trust
        self._report = report
        self._origin = ""
        self._erasures: dict[int, Erasure] = {}
        self._erased: dict[int, int] = {}
        self._lines_erased: set[str] = set()
        self._last_head = 0
        self._wrong_nodes: list[tuple[int, int, bytes | None]] = []
        self._nodes = 0

    def file(self) -> None:
        """Its version, its indexes, its guards, and the types of its columns."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        if row is None or row[0] != _VERSION:
            raise ValueError(
                f"checking {self._report.target}: its form is {row and row[0]}, and {_VERSION} is "
                "checked here: use the breachline that wrote it"
            )
        for table in ("log", "body", "erased", "node", "head", "line"):
            for (says,) in self._db.execute(f"PRAGMA integrity_check({table})"):
                if says != b"ok":
                    self._report.add("unreadable", f"table {table}: {says.decode()}")
        triggers = dict(
            self._db.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger'")
        )
        for name, when in _GUARDS.items():
            sql = (triggers.get(name.encode()) or b"").decode()
            if when not in sql or "RAISE(ABORT" not in sql:
                self._report.add(
                    "altered", f"the guard {name} is not there: something went past it"
                )
        for table, columns in _TYPES.items():
            pairs = (column.split() for column in columns.split(", "))
            wrong = " OR ".join(f"typeof({name}) <> '{kind}'" for name, kind in pairs)
            for (seq,) in self._db.execute(f"SELECT seq FROM {table} WHERE {wrong}"):  # noqa: S608
                says = f"entry {seq - 1}: values in table {table} are of a type that no entry has"
                self._report.add("altered", says, seq - 1)

    def log(self, published: Iterable[tuple[int, bytes]] | None) -> None:
        """Every entry, in order, against its commitment, the heads and the tree."""
        report = self._report
        self._origin = _origin(self._db)
        self._read_erasures()
        own = Trace(report, self._heads())
        traces = [own]
        if published is not None:
            marks = published_marks(published, self._origin, self._trust, report)
            traces.append(Trace(report, iter(marks), published=True))
        tree, last, gaps = Growing(), 0, False
        for row in self._db.execute(_ROWS):
            seq, entry_id, kind, at_ms, commitment, also, subject, salt, payload = row
            if seq < 1:
                report.add("inserted", f"there is an entry with the number {seq}")
                gaps = True
                continue
            last += 1
            if seq != last:
                self._gap(last, seq)
                gaps, last = True, seq
            report.entries += 1
            try:
                hashed = leaf_hash(leaf_of(kind, at_ms, commitment))
                if payload is None:
                    self._bare(seq, entry_id)
                elif commitment_of(salt, entry_id, payload) != commitment:
                    self._altered(seq, entry_id, "its content is not what its leaf commits to")
                elif also != kind:
                    self._altered(seq, entry_id, "its kind is not the one that was logged")
                elif why := misplaced(entry_id, kind, at_ms, subject, payload):
                    self._altered(seq, entry_id, why)
                elif kind == b"captured":
                    self._line(seq, entry_id, payload)
            except (TypeError, AttributeError, ValueError):
                hashed = b""
                self._altered(seq, str(entry_id).encode(), "its values are none that an entry has")
            tree.add(hashed)
            for trace in traces:
                trace.keep(hashed)
                if trace.due == seq and not gaps:
                    trace.reached(tree)
            if tree.byte_nodes:
                self._compare_nodes(tree)
        for trace in traces:
            trace.end(last, gaps=gaps)
        report.heads, report.published = own.count, sum(trace.count for trace in traces[1:])
        self._covered(own, last, gaps=gaps)
        if own.fits and not gaps:
            self._other_nodes()
        self._leftovers()
        self._signers()

    # Entries

    def _altered(self, seq: int, entry_id: bytes, why: str) -> None:
        name = entry_id.decode(errors="backslashreplace")
        self._report.add("altered", f"entry {seq - 1} ({name}) was altered: {why}", seq - 1, name)

    def _gap(self, first: int, seq: int) -> None:
        one = seq - first == 1
        lacking = f"entry {first - 1} is" if one else f"entries {first - 1} to {seq - 2} are"
        self._report.add("missing", f"{lacking} missing", first - 1)

    def _bare(self, seq: int, entry_id: bytes) -> None:
        """Without content: only where an erasure names it."""
        row = self._db.execute("SELECT because FROM erased WHERE seq = ?", (seq,)).fetchone()
        because = row[0] if row and row[0] > seq else 0
        erasure = self._erasures.get(because)
        if erasure is not None and (erasure.numbers is None or seq in erasure.numbers):
            self._erased[because] = self._erased.get(because, 0) + 1
        else:
            name = entry_id.decode(errors="backslashreplace")
            says = f"entry {seq - 1} ({name}) has lost its content, and no erasure names it"
            self._report.add("missing", says, seq - 1, name)

    def _read_erasures(self) -> None:
        for seq, payload in self._db.execute("SELECT seq, payload FROM body WHERE kind='erasure'"):
            try:
                erasure = msgspec.json.decode(payload, type=Erasure)
            except (ValueError, TypeError):
                continue  # it is named as altered in its turn
            self._erasures[seq] = erasure
            self._lines_erased.update(erasure.events)

    def _line(self, seq: int, entry_id: bytes, payload: bytes) -> None:
        captured = msgspec.json.decode(payload, type=Captured)
        sql = "SELECT sha256, masked, data FROM line WHERE event = ?"
        row = self._db.execute(sql, (captured.event,)).fetchone()
        name = entry_id.decode()
        if row is None:
            if captured.event not in self._lines_erased:
                says = f"entry {seq - 1} ({name}): the line of {captured.event} is missing"
                self._report.add("missing", says, seq - 1, name)
            return
        digest, masked, data = row
        why = line_problem(captured, _text(digest), masked, sha256(data).hexdigest())
        if why:
            says = f"entry {seq - 1} ({name}): the line of {captured.event} was altered: {why}"
            self._report.add("altered", says, seq - 1, name)

    # Heads

    def _heads(self) -> Iterator[Mark]:
        """Every head that is signed as it must be."""
        for size, text in self._db.execute("SELECT size, note FROM head ORDER BY size"):
            self._last_head = size
            what = f"the head over {size}"
            try:
                note = read_note(_text(text))
                head = read_head(note.text)
                signers = self._trust.check(note, what)
            except LookupError as error:
                self._report.add("unknown key", f"{error.args[0]}, which is not known here")
                continue
            except ValueError as error:
                self._report.add("forged head", f"{what} is not as it was signed: {error}")
                continue
            if head.size != size:
                self._report.add("forged head", f"{what} says that it is over {head.size}")
            elif head.origin != self._origin or not all(k.covers(head.origin) for k in signers):
                says = f"{what} is of {head.origin}: that is another log, or another's key"
                self._report.add("forged head", says)
            else:
                yield Mark(head.size, head.root, what)

    def _covered(self, own: Trace, last: int, *, gaps: bool) -> None:
        newest = max(own.newest, self._last_head)
        if not newest and last:
            self._report.add("missing", "no head is there: nobody has signed this log")
        elif newest < last and own.fits and not gaps:
            says = f"entries from {newest} on are under no head: the newest is over {newest}"
            self._report.add("inserted", says, newest)

    def _signers(self) -> None:
        self._report.signed_by = [str(key) for key in self._trust.signers]
        for key, what in self._trust.strangers().items():
            self._report.add("unknown key", f"{what} is signed by {key}, which is not trusted")

    # What is kept of the tree

    def _compare_nodes(self, tree: Growing) -> None:
        for level, number, hashed in tree.byte_nodes:
            sql = "SELECT hash FROM node WHERE level = ? AND number = ?"
            row = self._db.execute(sql, (level, number)).fetchone()
            self._nodes += row is not None
            if row is None or row[0] != hashed:
                self._wrong_nodes.append((level, number, row[0] if row else None))
        tree.byte_nodes.clear()

    def _other_nodes(self) -> None:
        for level, number, hashed in self._wrong_nodes:
            if hashed is not None:
                says = f"node {number} of level {level} is not what its leaves give"
                self._report.add("altered", says)
            elif (number + 1) << level <= self._last_head:
                self._report.add("missing", f"node {number} of level {level} is missing")
        (count,) = self._db.execute("SELECT count(*) FROM node").fetchone()
        if count != self._nodes:
            says = f"{count - self._nodes} nodes are kept of a tree that is not this one"
            self._report.add("inserted", says)

    def _leftovers(self) -> None:
        for because, erasure in self._erasures.items():
            gone = self._erased.get(because, 0)
            if gone != erasure.entries:
                says = f"entry {because - 1} erased {erasure.entries} entries, and {gone} are gone"
                self._report.add("missing", says, because - 1)
        for (seq,) in self._db.execute(_GONE.format("body", "log")):
            says = f"there is content with the number {seq}, and no such entry"
            self._report.add("inserted", says)
        for (seq,) in self._db.execute(_GONE.format("erased", "log")):
            self._report.add("inserted", f"number {seq} is noted as erased, and is no entry")
        sql = "SELECT seq FROM erased WHERE seq IN (SELECT seq FROM body)"
        for (seq,) in self._db.execute(sql):
            says = f"entry {seq - 1} is noted as erased, and its content is there"
            self._report.add("altered", says, seq - 1)
