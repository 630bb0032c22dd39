"""Whoever changes a store's log is found, and the entry is named.

Each case is what a person with write access to the file could do. The log has 15 entries under 6
heads: those are over 3, 6, 7, 8, 12 and 15 entries. Bundles, topics and keys are beside this file.
"""

import contextlib
import random
import sqlite3

import pytest

from evidence.entry import commit
from evidence.store import EmbeddedStore
from evidence.verify.store import check_store, read_heads, read_leaves
from tests._ledger import (
    HEADS,
    SIZE,
    flipped,
    found,
    key,
    past_the_guards,
    range_of,
    trust,
)

KINDS = [
    "configuration", "finding", "incident", "captured", "captured", "captured", "intent", "intent",
    "intent", "receipt", "receipt", "approval", "read", "read", "read",
]  # fmt: skip
OWN_TIME = {"captured", "intent", "receipt", "approval"}
"""Kinds whose content says when: a changed time is named there, else the range of its head."""


def test_nothing_is_found_where_nothing_was_done(folder):
    assert check_store(folder, trust()).document() == {
        "target": str(folder),
        "kind": "store",
        "intact": True,
        "entries": SIZE,
        "heads": len(HEADS),
        "published_heads": 0,
        "signed_by": [str(key())],
        "problems": [],
        "problem_count": 0,
        "unproven": [],
    }
    assert [size for size, _ in read_heads(folder)] == HEADS


COLUMNS = [
    ("log", "entry_id"), ("log", "kind"), ("log", "at_ms"), ("log", "commitment"),
    ("body", "kind"), ("body", "subject"), ("body", "salt"), ("body", "payload"),
    ("log", "seq"), ("body", "seq"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(one) for one in COLUMNS])
def test_a_flipped_bit_of_an_entry_is_found_and_the_entry_named(folder, table, column):
    file = folder / "breachline.db"
    before, rng = file.read_bytes(), random.Random(f"{table}.{column}")
    tried = 0
    for index in range(SIZE):
        for place in rng.sample(range(4096), 12):
            with past_the_guards(folder) as db:
                row = db.execute(f"SELECT {column} FROM {table} WHERE seq = ?", (index + 1,))
                value = flipped(row.fetchone()[0], place)
                sql = f"UPDATE OR IGNORE {table} SET {column} = ? WHERE seq = ?"
                # Not where another entry has that number or id already.
                done = value is not None and db.execute(sql, (value, index + 1)).rowcount
            if done:
                tried += 1
                first = check_store(folder, trust()).problems[0]
                if column != "at_ms" or KINDS[index] in OWN_TIME:
                    assert first.index == index, (index, place, first)
                else:
                    assert (first.what, first.index) == ("altered", range_of(index).start)
            file.write_bytes(before)
    assert tried > 20


HEAD_COLUMNS = ["size", "note"]


@pytest.mark.parametrize("column", HEAD_COLUMNS)
def test_a_flipped_bit_of_a_head_is_found_and_the_head_named(folder, column):
    file = folder / "breachline.db"
    before = file.read_bytes()
    with contextlib.closing(sqlite3.connect(file)) as db:
        heads = db.execute("SELECT size, note FROM head").fetchall()
    for size, text in heads:
        value = size if column == "size" else text
        for place in range(0, 8 * len(text), 3 if size == HEADS[-1] else 97):
            other = flipped(value, place // (1 if column == "size" else 8) + place % 8)
            if other is None or (column == "size" and (place > 23 or other in HEADS)):
                continue
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
                db.execute(f"UPDATE head SET {column} = ? WHERE size = ?", (other, size))
            says = [p.says for p in check_store(folder, trust()).problems]
            named = f"head over {other if column == 'size' else size}"
            assert any(named in one for one in says), (size, place, says)
            file.write_bytes(before)


def test_a_flipped_bit_of_a_captured_line_is_found_and_its_entry_named(folder):
    file = folder / "breachline.db"
    before = file.read_bytes()
    for index, event in ((3, "a1b2-0"), (4, "a1b2-64"), (5, "a1b2-c8")):
        for column in ("event", "sha256", "masked", "data"):
            for place in range(24):
                with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
                    row = db.execute(f"SELECT {column} FROM line WHERE event = ?", (event,))
                    value = flipped(row.fetchone()[0], place)
                    if value is not None:
                        sql = f"UPDATE line SET {column} = ? WHERE event = ?"
                        db.execute(sql, (value, event))
                if value is not None:
                    first = check_store(folder, trust()).problems[0]
                    assert (first.index, event in first.says) == (index, True)
                file.write_bytes(before)


CONTENT = (
    "SELECT * FROM log ORDER BY seq", "SELECT * FROM body ORDER BY seq",
    "SELECT * FROM erased ORDER BY seq", "SELECT * FROM head ORDER BY size",
    "SELECT event, sha256, masked, data FROM line ORDER BY event",
)  # fmt: skip


def content(folder):
    with contextlib.closing(sqlite3.connect(folder / "breachline.db")) as db:
        return [db.execute(sql).fetchall() for sql in CONTENT]


def test_a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing(folder):
    file = folder / "breachline.db"
    before, kept, rng = file.read_bytes(), content(folder), random.Random(7)
    harmless = 0
    for _ in range(400):
        changed = bytearray(before)
        place = rng.randrange(8 * len(before))
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(changed)
        try:
            intact = check_store(folder, trust()).intact
        except (ValueError, OSError):
            intact = False  # of another version, or no database any more
        if intact:
            harmless += 1
            # The line that no entry captured is no part of the log.
            lines = [[row for row in rows if row[0] != "a1b2-1f4"] for rows in content(folder)]
            assert lines == [[row for row in rows if row[0] != "a1b2-1f4"] for rows in kept]
    assert 0 < harmless < 400  # most of a page is empty


# Entries taken away, added, moved


def drop(db, index):
    for table in ("body", "log"):
        db.execute(f"DELETE FROM {table} WHERE seq = ?", (index + 1,))


def renumber(db, first, by):
    """Shift all entries from an index on."""
    for table in ("log", "body"):
        db.execute(f"UPDATE {table} SET seq = -seq WHERE seq > ?", (first,))
        db.execute(f"UPDATE {table} SET seq = -seq + ? WHERE seq < 0", (by,))


def put(db, index, entry_id="rd-x", kind="read", at_ms=5):
    salt, payload = b"s" * 16, b'{"incident":"inc-1"}'
    digest = commit(salt, entry_id, payload)
    db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", (index + 1, entry_id, kind, at_ms, digest))
    row = (index + 1, kind, "inc-1", salt, payload)
    db.execute("INSERT INTO body VALUES (?, ?, ?, ?, ?)", row)


def swap(db, i, j):
    for table in ("log", "body"):
        for before, after in ((i + 1, -1), (j + 1, i + 1), (-1, j + 1)):
            db.execute(f"UPDATE {table} SET seq = ? WHERE seq = ?", (after, before))


@pytest.mark.parametrize("index", range(SIZE))
def test_a_missing_entry_is_named(folder, index):
    with past_the_guards(folder) as db:
        drop(db, index)
    # Of the last, nothing but the newest head tells, which is over three.
    first = index if index < SIZE - 1 else range_of(index).start
    assert found(check_store(folder, trust()))[0] == ("missing", first)


@pytest.mark.parametrize("index", range(SIZE))
def test_a_missing_entry_is_named_where_the_others_were_given_its_number(folder, index):
    with past_the_guards(folder) as db:
        drop(db, index)
        renumber(db, index, -1)
    first = check_store(folder, trust()).problems[0]
    assert (first.what, first.index) == ("missing", range_of(index).start)
    assert index in range_of(first.index)


@pytest.mark.parametrize("index", range(SIZE))
def test_lost_content_is_named(folder, index):
    with past_the_guards(folder) as db:
        db.execute("DELETE FROM body WHERE seq = ?", (index + 1,))
    assert found(check_store(folder, trust())) == [("missing", index)]


@pytest.mark.parametrize("index", range(SIZE))
def test_content_that_claims_to_be_erased_is_named(folder, index):
    with past_the_guards(folder) as db:
        db.execute("DELETE FROM body WHERE seq = ?", (index + 1,))
        db.execute("INSERT INTO erased VALUES (?, ?)", (index + 1, 15))
    assert found(check_store(folder, trust())) == [("missing", index)]


@pytest.mark.parametrize("index", range(SIZE))
def test_an_inserted_entry_is_named(folder, index):
    with past_the_guards(folder) as db:
        renumber(db, index, 1)
        put(db, index)
    assert found(check_store(folder, trust())) == [("inserted", index)]


def test_an_appended_entry_is_named(folder):
    with past_the_guards(folder) as db:
        put(db, SIZE)
    assert found(check_store(folder, trust())) == [("inserted", SIZE)]


@pytest.mark.parametrize(("i", "j"), [(0, 1), (0, 2), (3, 5), (6, 7), (1, 13), (8, 11), (13, 14)])
def test_moved_entries_are_named(folder, i, j):
    with past_the_guards(folder) as db:
        swap(db, i, j)
    report = check_store(folder, trust())
    assert found(report) == [("moved", i)]
    assert f"entry {j}" in report.problems[0].says


@pytest.mark.parametrize("index", range(SIZE))
def test_an_entry_written_anew_with_all_that_belongs_to_it_is_found(folder, index):
    with past_the_guards(folder) as db:
        drop(db, index)
        put(db, index)
    assert found(check_store(folder, trust())) == [("altered", range_of(index).start)]


@pytest.mark.parametrize("size", range(SIZE))
def test_a_log_that_was_cut_is_found(folder, size):
    with past_the_guards(folder) as db:
        for index in range(size, SIZE):
            drop(db, index)
    first = max([0, *(head for head in HEADS if head <= size)])
    assert found(check_store(folder, trust())) == [("missing", first)]


def test_a_log_without_heads_is_found(folder):
    with past_the_guards(folder) as db:
        db.execute("DELETE FROM head")
    assert found(check_store(folder, trust())) == [("missing", None)]


def test_the_newest_head_taken_away_is_found(folder):
    with past_the_guards(folder) as db:
        db.execute("DELETE FROM head WHERE size = 15")
    assert found(check_store(folder, trust())) == [("inserted", 12)]


def test_guards_taken_away_are_found(folder):
    with contextlib.closing(sqlite3.connect(folder / "breachline.db")) as db:
        db.execute("DROP TRIGGER log_no_update")
    (problem,) = check_store(folder, trust()).problems
    assert "log_no_update" in problem.says


def test_the_leaves_that_are_read_are_those_that_were_written(folder):
    """The two sides share no code, so they are held against each other."""
    with EmbeddedStore.open_readonly(folder) as store:
        made = [(entry.entry_id.encode(), entry.leaf) for entry in store.log.entries()]
    assert list(read_leaves(folder)) == made
