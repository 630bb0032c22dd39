import sqlite3

import pytest

from evidence._schema import TABLES


def table(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(TABLES)
    db.execute("PRAGMA recursive_triggers=ON")
    db.execute(f"SELECT * FROM {name}")
    return db


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log SET commitment = x'00'",
        "UPDATE log SET at_ms = at_ms",
        "DELETE FROM log",
        "INSERT OR REPLACE INTO log VALUES (1, 'act-2', 'intent', 1, x'01')",
        "INSERT OR REPLACE INTO log VALUES (2, 'act-1', 'intent', 1, x'01')",
        "UPDATE body SET payload = x'00'",
        "UPDATE body SET salt = salt",
        "DELETE FROM body",
        "INSERT OR REPLACE INTO body VALUES (1, 'intent', 's', x'00', x'01')",
    ],
)
def test_log_refuses_every_change_of_an_entry(change):
    db = table("log")
    row, body = (1, "act-1", "intent", 5, b"digest"), (1, "intent", "act-1", b"salt", b"{}")
    db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", row)
    db.execute("INSERT INTO body VALUES (?, ?, ?, ?, ?)", body)
    with pytest.raises(sqlite3.IntegrityError, match="the log is append-only"):
        db.execute(change)
    assert db.execute("SELECT * FROM log").fetchall() == [row]
    assert db.execute("SELECT * FROM body").fetchall() == [body]
    db.close()


def test_exposures_of_an_actor_are_found_by_index():
    db = table("exposure")
    plan = db.execute(
        "EXPLAIN QUERY PLAN SELECT x.event FROM who w JOIN exposure x ON x.who = w.id "
        "WHERE w.actor IN (?) AND x.time_ms >= ?",
        ("ip:192.0.2.7", 0),
    ).fetchall()
    assert [row[3].split(" USING ")[0] for row in plan] == ["SEARCH w", "SEARCH x"]
    db.close()
