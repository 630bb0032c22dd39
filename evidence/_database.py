"""One SQLite file: opened safely, written in explicit transactions, its errors in plain words.

A directory comes in, a connection that `store.py` puts tables on goes out. It must never leave
half a transaction behind, and never write to a file that is not this project's.

Errors that leave: TimeoutError (locked), FileNotFoundError, PermissionError, OSError (disk full,
I/O), ValueError (no database, damaged, of a newer version), RuntimeError (misuse).
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote

from evidence._migrate import migrate
from evidence._schema import PAGE_BYTES, TABLES, VERSION, statements

FILE = "breachline.db"
_LOCK_WAIT_MS = 5000
_CHUNK = 500


def explain(error: sqlite3.Error, path: Path, doing: str) -> Exception:
    """The builtin exception that says what went wrong while `doing` something to `path`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    what = f"{doing}: {path}"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return TimeoutError(
            f"{what} is locked by another process for more than {_LOCK_WAIT_MS // 1000} s: "
            "stop the other `breachline`, or use another --data-dir"
        )
    if code == sqlite3.SQLITE_FULL:
        return OSError(errno.ENOSPC, f"{what}: disk full: free space, then start again")
    if code == sqlite3.SQLITE_NOTADB:
        return ValueError(f"{what} is not a database: move it away, or use another --data-dir")
    if code == sqlite3.SQLITE_CORRUPT:
        return ValueError(f"{what} is damaged ({error}): restore it from a backup")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return PermissionError(errno.EACCES, f"{what} cannot be written ({error})")
    if code == sqlite3.SQLITE_CANTOPEN:
        return OSError(errno.EIO, f"{what} cannot be opened ({error}): check its permissions")
    if code == sqlite3.SQLITE_IOERR:
        return OSError(errno.EIO, f"{what}: {error}: check the disk")
    return RuntimeError(f"{what}: {error}")


Statement = tuple[str, list[Sequence[Any]]]
"""SQL that changes the file, and the rows of values that it was given."""


class Writer(Protocol):
    """What writers use of a connection."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> sqlite3.Cursor:
        """One statement."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        """One statement for each row."""
        ...


class _Noting:
    """A connection that also remembers what changes the file."""

    def __init__(self, db: sqlite3.Connection, noted: list[Statement]) -> None:
        self._db = db
        self._noted = noted

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> sqlite3.Cursor:
        if not sql.startswith("SELECT"):
            self._noted.append((sql, [values]))
        return self._db.execute(sql, values)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        kept: list[Sequence[Any]] = [tuple(row) for row in rows]
        if kept:
            self._noted.append((sql, kept))
        return self._db.executemany(sql, kept)


class Database:
    """A connection to one store, used from one thread.

    Every write stands in `transaction()`, or is one by itself. After an error inside a
    transaction nothing of it is kept.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._open = False
        self._failed: Exception | None = None
        self._noted: list[Statement] | None = None
        self._since = 0

    @classmethod
    def open(cls, path: Path, *, durable: bool = True) -> Self:
        """Open or create the store in directory `path`, for the one process that writes.

        durable=False is for results that can be made again: a crash may damage the file.

        Raises:
            TimeoutError, OSError, ValueError: as the module says, with what to do.
        """
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        file = path / FILE
        # SQLite gives its -wal and -shm the permissions of the database file.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        file.chmod(0o600)
        with _alone(path) as directory, _mapped(file, "opening the store"):
            db = sqlite3.connect(file, timeout=_LOCK_WAIT_MS / 1000, isolation_level=None)
            try:
                _prepare(db, file, durable=durable)
                if durable:
                    os.fsync(directory)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    @classmethod
    def open_readonly(cls, path: Path) -> Self:
        """Open an existing store for reading, also while another process writes it.

        Raises:
            FileNotFoundError: there is none yet.
            TimeoutError, OSError, ValueError: as the module says.
        """
        file = path / FILE
        missing = FileNotFoundError(
            errno.ENOENT, f"no data in {path} yet: run `breachline scan` or `breachline run` first"
        )
        if not file.is_file():
            raise missing
        with _mapped(file, "opening the store for reading"):
            uri = f"file:{quote(str(file.absolute()))}?mode=ro"
            db = sqlite3.connect(uri, uri=True, timeout=_LOCK_WAIT_MS / 1000, isolation_level=None)
            try:
                version = _version(db, file)
            except BaseException:
                db.close()
                raise
        if version is None:
            db.close()
            raise missing
        if version < VERSION:
            db.close()
            raise ValueError(
                f"opening the store for reading: {file} was written by an older breachline "
                f"(version {version}): start `breachline run` once, or scan again"
            )
        return cls(path, db)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are kept together, or none is.

        Raises:
            RuntimeError: nested use, or a write inside failed and its error was swallowed.
        """
        if self._open:
            raise RuntimeError(f"a transaction of {self.path} is already open: close it first")
        with _mapped(self.path / FILE, "beginning a transaction"):
            self._db.execute("BEGIN IMMEDIATE")
        self._open, self._failed = True, None
        self._since = len(self._noted or ())
        try:
            yield
            self._commit()
        except BaseException:
            self._forget()
            # A full disk makes SQLite roll back by itself.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if self._noted is not None:
                del self._noted[self._since :]
            raise
        finally:
            self._open = False

    def _commit(self) -> None:
        if self._failed:
            raise RuntimeError(
                f"a write to {self.path} failed inside this transaction: nothing of it is kept"
            ) from self._failed
        with _mapped(self.path / FILE, "committing"):
            self._db.execute("COMMIT")

    def _forget(self) -> None:
        """Drop what was remembered of rows that are now rolled back."""

    @contextmanager
    def writing(self, doing: str) -> Iterator["Writer"]:
        """The connection, inside a transaction: the open one, or one for this write alone."""
        if not self._open:
            with self.transaction(), self.writing(doing) as db:
                yield db
            return
        try:
            with _mapped(self.path / FILE, doing):
                yield self._writer
        except BaseException as error:
            # Also an error of the caller's own iterable: rows before it are already written.
            self._failed = error if isinstance(error, Exception) else RuntimeError(repr(error))
            raise

    @property
    def _writer(self) -> "Writer":
        return self._db if self._noted is None else _Noting(self._db, self._noted)

    # Replication: the same statements in the same order make the same file elsewhere.

    def note_statements(self) -> None:
        """From now on, remember what is written, for `take_statements`."""
        self._noted = []

    def take_statements(self) -> list[Statement]:
        """What was committed since the last call, in order; not inside a transaction."""
        taken = list(self._noted or ())
        if self._noted is not None:
            self._noted.clear()
        return taken

    def apply_statements(self, statements: Iterable[Statement]) -> None:
        """Write what another store of the same content has written, as one transaction."""
        with self.transaction(), self.writing("following another worker") as db:
            for sql, rows in statements:
                db.executemany(sql, rows)
            self._forget()

    def image(self) -> bytes:
        """The whole file as bytes; not inside a transaction."""
        with _mapped(self.path / FILE, "copying the store"):
            return self._db.serialize()

    def rows(self, doing: str, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows as they are read; they may be left half read, also for longer than the store."""
        with _mapped(self.path / FILE, doing):
            # Not the cursor itself: `yield from` would close it when these rows are dropped, which
            # a store that is closed by then refuses, where nobody can catch it.
            yield from chain(self._db.execute(sql, values))

    def row(self, doing: str, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return next(self.rows(doing, sql, values), None)


def chunks(values: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """("?,?,?", values) in pieces that SQLite's limit on bound values allows."""
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        yield ",".join("?" * len(part)), part


@contextmanager
def _mapped(file: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, file, doing) from error


@contextmanager
def _alone(directory: Path) -> Iterator[int]:
    """One process at a time prepares a store: SQLite does not wait for one that turns WAL on."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _version(db: sqlite3.Connection, file: Path) -> int | None:
    """The form of the tables; None for a file without any."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return None
    row = None
    if "meta" in tables:
        row = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is None:
        raise ValueError(f"opening the store: {file} is a database of another program")
    if row[0] > VERSION:
        raise ValueError(
            f"opening the store: {file} was written by a newer breachline (version {row[0]}, "
            f"this one knows {VERSION}): upgrade, or use another --data-dir"
        )
    return int(row[0])


def _prepare(db: sqlite3.Connection, file: Path, *, durable: bool) -> None:
    version = _version(db, file)
    if version is None:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
    db.execute(f"PRAGMA journal_mode={'WAL' if durable else 'MEMORY'}")
    db.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    db.execute("PRAGMA cache_size=-65536")
    # Without it, INSERT OR REPLACE could remove a row of the log past its trigger.
    db.execute("PRAGMA recursive_triggers=ON")
    if version == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    if version is not None:
        migrate(db, version)
    else:
        for statement in statements(TABLES):
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('schema_version', ?)", (VERSION,))
    db.execute("COMMIT")
