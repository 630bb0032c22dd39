"""What a store's check makes of erasures, of its tree, and of files that are no such store.

Whoever changes something is in tests/contract/test_tamper.py.
"""

import ast
import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

import evidence.verify
from evidence.store import EmbeddedStore
from evidence.verify.store import check_store, is_store, origin_of, read_heads, read_leaves
from tests._ledger import HEADS, ORIGIN, alone, fill, key, line, past_the_guards, sealed, trust

WRITERS = """
    _database _migrate _schema bundle checkpoint entry ledger log merkle signing store
""".split()


def test_the_verifier_shares_no_code_with_the_writer():
    files = sorted(Path(evidence.verify.__path__[0]).glob("*.py"))
    assert len(files) > 9
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                room, _, rest = f"{name}.".partition(".")
                assert room not in {"records", "intake", "streams", "console"}, (file, name)
                assert room != "evidence" or rest.startswith("verify."), (file, name)


def erase(store, *ids, events=(), named=True):
    """As GDPR art. 17 asks: content goes, leaves stay, an entry says so."""
    sql = "SELECT seq FROM log WHERE entry_id = ?"
    numbers = [store.row("", sql, (name,))[0] for name in ids]
    said = {"entries": len(ids), "events": list(events), "why": "asked for"}
    if named:
        said["numbers"] = numbers
    with store.transaction(), store.writing("erasing") as db:
        because = store.log.append("erasure", "era-1", 9, "erasure", said)
        for seq in numbers:
            db.execute("INSERT INTO erased VALUES (?, ?)", (seq, because))
            db.execute("DELETE FROM body WHERE seq = ?", (seq,))
        for event in events:
            db.execute("DELETE FROM line WHERE event = ?", (event,))


def test_what_was_erased_is_proven_as_before_and_named_where_nobody_said_so(tmp_path):
    with sealed(tmp_path) as store:
        fill(store)
        erase(store, "rd-0", "fin-1", events=["a1b2-64"])
    assert check_store(tmp_path, trust()).problems == []
    with past_the_guards(tmp_path) as db:
        db.execute("UPDATE erased SET because = 3 WHERE seq = 2")
    problems = check_store(tmp_path, trust()).problems
    assert [(p.what, p.index, p.id) for p in problems] == [
        ("missing", 1, "fin-1"),
        ("missing", 15, ""),
    ]


def test_an_erasure_that_does_not_say_which_says_how_many(tmp_path):
    with sealed(tmp_path) as store:
        fill(store)
        erase(store, "rd-0", "fin-1", named=False)
    assert check_store(tmp_path, trust()).problems == []
    with past_the_guards(tmp_path) as db:
        db.execute("INSERT INTO erased VALUES (3, 16)")
        db.execute("DELETE FROM body WHERE seq = 3")
    (problem,) = check_store(tmp_path, trust()).problems
    assert problem.says == "entry 15 erased 2 entries, and 3 are gone"


def test_content_that_was_to_be_erased_and_is_there_is_named(tmp_path):
    with sealed(tmp_path) as store:
        fill(store)
        erase(store, "rd-0")
    with past_the_guards(tmp_path) as db:
        db.execute("INSERT INTO erased VALUES (3, 16)")
        db.execute("INSERT INTO erased VALUES (99, 16)")
    problems = check_store(tmp_path, trust()).problems
    assert [(p.what, p.index) for p in problems] == [("altered", 2), ("inserted", None)]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """With nodes of two levels; nobody writes to it."""
    folder = tmp_path_factory.mktemp("long")
    with sealed(folder) as store, store.transaction():
        for n in range(66_000):
            store.log.append("read", f"rd-{n}", n, "inc-1", {"incident": "inc-1"})
    alone(folder)
    return folder


def test_a_long_log_with_one_head(long):
    report = check_store(long, trust())
    assert (report.entries, report.heads, report.problems) == (66_000, 1, [])


NODES = [
    ("changed", "UPDATE node SET hash = zeroblob(32) WHERE level = 8 AND number = 3",
     ("altered", "node 3 of level 8 is not what its leaves give")),
    ("changed at the top", "UPDATE node SET hash = zeroblob(32) WHERE level = 16",
     ("altered", "node 0 of level 16 is not what its leaves give")),
    ("taken away", "DELETE FROM node WHERE level = 8 AND number = 3",
     ("missing", "node 3 of level 8 is missing")),
    ("too many", "INSERT INTO node VALUES (8, 999, zeroblob(32))",
     ("inserted", "1 nodes are kept of a tree that is not this one")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sql", "says"), NODES, ids=[c[0] for c in NODES])
def test_what_is_kept_of_the_tree_is_checked(tmp_path, long, name, sql, says):
    folder = tmp_path / "store"
    shutil.copytree(long, folder)
    with contextlib.closing(sqlite3.connect(folder / "breachline.db", isolation_level=None)) as db:
        db.execute(sql)
    assert [(p.what, p.says) for p in check_store(folder, trust()).problems] == [says]


def test_it_is_checked_while_it_is_written(tmp_path):
    with sealed(tmp_path) as store:
        fill(store)
        with store.transaction():
            store.log.append("read", "rd-9", 9, "inc-1", {"incident": "inc-1"})
            assert check_store(tmp_path, trust()).entries == 15
        report = check_store(tmp_path, trust())
        assert (report.entries, report.problems) == (16, [])


def test_a_copy_where_nothing_can_be_written(tmp_path):
    with sealed(tmp_path / "store") as store:
        fill(store)
    for name in ("breachline.db-wal", "breachline.db-shm"):
        (tmp_path / "store" / name).unlink(missing_ok=True)
    (tmp_path / "store").chmod(0o500)
    try:
        assert check_store(tmp_path / "store", trust()).problems == []
        assert [p.name for p in (tmp_path / "store").iterdir()] == ["breachline.db"] or (
            os.geteuid() == 0
        )
    finally:
        (tmp_path / "store").chmod(0o700)


def test_a_log_that_nobody_has_signed(tmp_path):
    with EmbeddedStore.open(tmp_path) as store:
        assert check_store(tmp_path, trust()).intact
        fill(store)
    (problem,) = check_store(tmp_path, trust()).problems
    assert problem.says == "no head is there: nobody has signed this log"
    assert origin_of(tmp_path) == ""


def test_what_a_masked_line_was_kept_as_is_checked_where_the_log_says_it(tmp_path):
    with sealed(tmp_path) as store:
        fill(store)
    with past_the_guards(tmp_path) as db:
        db.execute("UPDATE line SET data = ? WHERE event = ?", (b"GET /users/8", line(0).event))
    (problem,) = check_store(tmp_path, trust()).problems
    assert (problem.what, problem.index) == ("altered", 3)


def test_what_a_store_holds_can_be_read_alone(tmp_path):
    with sealed(tmp_path) as store:
        fill(store)
        expected = [(e.entry_id.encode(), e.leaf) for e in store.log.entries()]
    assert (is_store(tmp_path), is_store(tmp_path / "none")) == (True, False)
    assert origin_of(tmp_path) == ORIGIN
    assert [size for size, _ in read_heads(tmp_path)] == HEADS
    assert list(read_leaves(tmp_path)) == expected


def test_no_store_another_version_and_a_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_store(tmp_path, trust())
    file = tmp_path / "breachline.db"
    file.write_bytes(b"no database" * 999)
    (problem,) = check_store(tmp_path, trust()).problems
    assert problem.what == "unreadable"
    assert origin_of(tmp_path) == ""
    with pytest.raises(ValueError, match="is damaged"):
        read_heads(tmp_path)
    file.unlink()
    with sealed(tmp_path) as store:
        fill(store)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    with pytest.raises(ValueError, match="its form is 99"):
        check_store(tmp_path, trust())


def test_who_signed_is_told(tmp_path):
    with sealed(tmp_path, 1, 2) as store:
        fill(store)
    report = check_store(tmp_path, trust(1, 2))
    assert report.signed_by == [str(key(1)), str(key(2))]
