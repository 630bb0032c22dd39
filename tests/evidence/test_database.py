import contextlib
import errno
import gc
import os
import sqlite3
import stat
import threading

import pytest

import evidence._database as module
from evidence._database import FILE, Database, chunks, explain
from evidence._schema import VERSION
from evidence.store import EmbeddedStore


def code(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("said SQLite")
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


CASES = [
    ("SQLITE_BUSY", TimeoutError, "locked by another process"),
    ("SQLITE_BUSY_SNAPSHOT", TimeoutError, "locked by another process"),
    ("SQLITE_LOCKED", TimeoutError, "locked by another process"),
    ("SQLITE_FULL", OSError, "disk full"),
    ("SQLITE_NOTADB", ValueError, "is not a database"),
    ("SQLITE_CORRUPT", ValueError, "is damaged"),
    ("SQLITE_CORRUPT_INDEX", ValueError, "is damaged"),
    ("SQLITE_READONLY", PermissionError, "cannot be written"),
    ("SQLITE_PERM", PermissionError, "cannot be written"),
    ("SQLITE_CANTOPEN", OSError, "cannot be opened"),
    ("SQLITE_IOERR_WRITE", OSError, "check the disk"),
    ("SQLITE_CONSTRAINT", RuntimeError, "said SQLite"),
]


@pytest.mark.parametrize(("name", "kind", "words"), CASES, ids=[c[0] for c in CASES])
def test_errors_say_what_was_done_to_what(tmp_path, name, kind, words):
    error = explain(code(name), tmp_path / FILE, "storing exposures")
    assert isinstance(error, kind)
    assert "storing exposures" in str(error)
    assert str(tmp_path) in str(error)
    assert words in str(error)


def test_full_disk_can_be_told_by_errno(tmp_path):
    error = explain(code("SQLITE_FULL"), tmp_path, "x")
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC


def test_files_are_the_owners_alone(tmp_path):
    old = os.umask(0)
    try:
        with EmbeddedStore.open(tmp_path / "a" / "store") as store:
            store.add_counts({"lines": 1})
            modes = {
                p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "a/store").iterdir()
            }
    finally:
        os.umask(old)
    assert modes == {FILE: 0o600, FILE + "-wal": 0o600, FILE + "-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "a/store").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("durable", "journal", "synchronous"), [(True, "wal", 2), (False, "memory", 0)]
)
def test_durability(tmp_path, durable, journal, synchronous):
    with EmbeddedStore.open(tmp_path, durable=durable) as store:
        assert store.row("", "PRAGMA journal_mode") == (journal,)
        assert store.row("", "PRAGMA synchronous") == (synchronous,)


def test_reopened_store_has_what_was_committed(tmp_path):
    with EmbeddedStore.open(tmp_path) as store:
        store.add_counts({"lines": 3})
    with EmbeddedStore.open(tmp_path) as store:
        assert store.counts() == {"lines": 3}


def test_newer_version_is_refused(tmp_path):
    with EmbeddedStore.open(tmp_path) as store, store.writing("") as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (VERSION + 1,))
    for opening in (EmbeddedStore.open, EmbeddedStore.open_readonly):
        with pytest.raises(ValueError, match="written by a newer breachline"):
            opening(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path):
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("CREATE TABLE theirs (a)")
    db.commit()
    db.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ValueError, match="database of another program"):
        EmbeddedStore.open(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_file_that_is_no_database(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database " * 1000)
    for opening in (EmbeddedStore.open, EmbeddedStore.open_readonly):
        with pytest.raises(ValueError, match="is not a database"):
            opening(tmp_path)


def test_reading_where_nothing_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no data in .* yet: run"):
        EmbeddedStore.open_readonly(tmp_path)
    (tmp_path / FILE).touch()  # killed before its first table
    with pytest.raises(FileNotFoundError, match=r"no data in .* yet: run"):
        EmbeddedStore.open_readonly(tmp_path)
    with EmbeddedStore.open(tmp_path) as store:
        assert store.counts() == {}


def test_path_with_the_characters_of_an_address(tmp_path):
    path = tmp_path / "a?b=c#d %41"
    with EmbeddedStore.open(path) as store:
        store.add_counts({"lines": 1})
    with EmbeddedStore.open_readonly(path) as store:
        assert store.counts() == {"lines": 1}


def test_reader_sees_commits_of_the_writer_and_cannot_write(tmp_path):
    with EmbeddedStore.open(tmp_path) as writer, EmbeddedStore.open_readonly(tmp_path) as reader:
        with writer.transaction():
            writer.add_counts({"lines": 1})
            assert reader.counts() == {}
        assert reader.counts() == {"lines": 1}
        with pytest.raises(PermissionError, match="cannot be written"):
            reader.add_counts({"lines": 1})


def test_second_writer_waits_then_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LOCK_WAIT_MS", 50)
    with EmbeddedStore.open(tmp_path) as first, EmbeddedStore.open(tmp_path) as second:
        with first.transaction(), pytest.raises(TimeoutError, match="locked by another process"):
            second.add_counts({"lines": 1})
        second.add_counts({"lines": 1})
        assert first.counts() == {"lines": 1}


def test_transactions_do_not_nest(store):
    with store.transaction():
        store.add_counts({"lines": 1})
        with pytest.raises(RuntimeError, match="already open"), store.transaction():
            pass
    assert store.counts() == {"lines": 1}


def test_error_inside_a_transaction_undoes_it(store):
    def counted_then_failed():
        with store.transaction():
            store.add_counts({"lines": 1})
            raise KeyError

    with pytest.raises(KeyError):
        counted_then_failed()
    assert store.counts() == {}


def test_swallowed_error_of_a_write_undoes_it_too(store):
    def rows():
        yield "space", "a", b"1"
        raise KeyError

    def swallowed():
        with store.transaction():
            store.add_counts({"lines": 1})
            with contextlib.suppress(KeyError), store.writing("") as db:
                db.executemany("INSERT INTO state VALUES (?, ?, ?)", rows())

    with pytest.raises(RuntimeError, match="nothing of it is kept"):
        swallowed()
    assert store.counts() == {}
    assert list(store.load_state("space")) == []


def test_full_disk_leaves_no_half_transaction(store, make):
    store.add_counts({"lines": 1})
    pages = store.row("", "PRAGMA page_count")
    store._db.execute(f"PRAGMA max_page_count={pages[0] + 2}")
    lines = [make.line(n, os.urandom(9000)) for n in range(100)]

    def too_much():
        with store.transaction():
            store.add_counts({"lines": 1})
            store.add_lines(lines)

    with pytest.raises(OSError, match="disk full: free space"):
        too_much()
    assert (store.counts(), list(store.lines([make.line(0).event]))) == ({"lines": 1}, [])
    store._db.execute("PRAGMA max_page_count=1000000")
    with store.transaction():
        store.add_counts({"lines": 1})
    assert store.counts() == {"lines": 2}


def test_two_threads_may_create_one_store_at_once(tmp_path):
    errors = []

    def create():
        try:
            EmbeddedStore.open(tmp_path).close()
        except Exception as error:  # noqa: BLE001  shown by the assert
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_chunks_keep_order_and_lose_nothing():
    values = [str(n) for n in range(1201)]
    parts = list(chunks(values))
    assert [v for _, part in parts for v in part] == values
    assert [marks.count("?") for marks, _ in parts] == [500, 500, 201]
    assert list(chunks([])) == []


def test_database_alone_opens(tmp_path):
    with Database.open(tmp_path) as database:
        assert database.row("", "SELECT value FROM meta") == (VERSION,)


def test_rows_may_be_left_half_read_longer_than_the_store(tmp_path, monkeypatch):
    unheard: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", unheard.append)
    with Database.open(tmp_path) as database:
        rows = database.rows("reading numbers", "SELECT 1 UNION SELECT 2")
        assert next(rows) == (1,)
    del rows
    gc.collect()
    assert unheard == []


def test_what_is_wrong_with_a_later_row_is_mapped_too(tmp_path):
    with Database.open(tmp_path) as database:
        rows = database.rows(
            "reading numbers", "SELECT 1 UNION ALL SELECT abs(-9223372036854775808)"
        )
        with pytest.raises(RuntimeError, match=r"reading numbers: .*: integer overflow"):
            list(rows)


def dump(store):
    names = [n for (n,) in store.rows("", "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(store.rows("", f"SELECT * FROM {name}"), key=repr) for name in names}


@pytest.fixture
def pair(tmp_path):
    """A store that notes, and an empty one."""
    with (
        EmbeddedStore.open(tmp_path / "a") as first,
        EmbeddedStore.open(tmp_path / "b") as second,
    ):
        first.note_statements()
        yield first, second


def test_nothing_is_noted_unless_asked_for(tmp_path):
    with EmbeddedStore.open(tmp_path) as store:
        store.add_counts({"lines": 1})
        assert store.take_statements() == []


def test_what_was_written_can_be_written_elsewhere(pair):
    first, second = pair
    with first.transaction():
        first.add_counts({"lines": 1, "events": 2})
        first.save_state([("a", "k", b"1"), ("a", "gone", b"1")])
    first.save_state([("a", "gone", b"")])
    taken = first.take_statements()
    second.apply_statements(taken)
    assert dump(second) == dump(first)
    assert dump(first)["state"] == [("a", "k", b"1")]
    assert first.take_statements() == [], "taken once"


def test_reading_is_not_noted(pair):
    first, _ = pair
    first.add_counts({"lines": 1})
    first.take_statements()
    assert list(first.load_state("a")) == []
    first.row("", "SELECT 1")
    with first.writing("looking") as db:
        assert db.execute("SELECT n FROM count").fetchall() == [(1,)]
    assert first.take_statements() == []


def test_what_was_rolled_back_is_not_noted(pair):
    first, second = pair
    first.add_counts({"lines": 1})
    with contextlib.suppress(ArithmeticError), first.transaction():
        first.add_counts({"lines": 100})
        raise ArithmeticError
    with pytest.raises(RuntimeError, match="no such table"), first.writing("spoiling") as db:
        db.execute("DELETE FROM nonsense")
    first.add_counts({"lines": 2})
    second.apply_statements(first.take_statements())
    assert dump(second) == dump(first)
    assert dump(first)["count"] == [("lines", 3)]


def test_statements_are_applied_together_or_not_at_all(pair):
    _, second = pair
    before = dump(second)
    wrong = [
        ("INSERT INTO count VALUES (?, ?)", [("lines", 1)]),
        ("INSERT INTO no VALUES (?)", [(1,)]),
    ]
    with pytest.raises(RuntimeError, match="following another worker"):
        second.apply_statements(wrong)
    assert dump(second) == before


def test_an_image_opens_as_the_same_store(pair, tmp_path):
    first, _ = pair
    first.add_counts({"lines": 7})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / FILE).write_bytes(first.image())
    with EmbeddedStore.open(tmp_path / "c", durable=False) as third:
        assert dump(third) == dump(first)
        first.add_counts({"lines": 1})
        third.apply_statements(first.take_statements()[-1:])
        assert dump(third) == dump(first)
