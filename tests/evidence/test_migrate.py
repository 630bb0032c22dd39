import sqlite3

import pytest

from evidence._database import FILE
from evidence.entry import canonical, commit
from evidence.store import EmbeddedStore

# The log as version 1 had it.
LOG_1 = """
DROP TABLE log; DROP TABLE body; DROP TABLE erased; DROP TABLE node; DROP TABLE head;
CREATE TABLE log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, entry_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  at_ms INTEGER NOT NULL, subject TEXT NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX log_subject ON log (subject, kind, seq);
CREATE TRIGGER log_no_update BEFORE UPDATE ON log
  BEGIN SELECT RAISE(ABORT, 'the log is append-only: entries never change'); END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log
  BEGIN SELECT RAISE(ABORT, 'the log is append-only: entries are never removed'); END;
UPDATE meta SET value = 1 WHERE key = 'schema_version';
"""


@pytest.fixture
def old(tmp_path, make):
    """A folder with a store of version 1, and the actions in its log."""
    with EmbeddedStore.open(tmp_path):
        pass
    actions = [make.action("act-1"), make.action("act-2", target="198.51.100.9")]
    db = sqlite3.connect(tmp_path / FILE)
    db.executescript(LOG_1)
    db.executemany(
        "INSERT INTO log VALUES (?, ?, 'intent', ?, ?, ?)",
        [(n, a.id, a.decided_ms, a.id, canonical(a)) for n, a in zip((1, 3), actions, strict=True)],
    )
    db.commit()
    db.close()
    return tmp_path, actions


def test_the_log_of_version_1_gets_leaves_in_its_order(old):
    folder, actions = old
    with EmbeddedStore.open(folder) as store:
        assert list(store.log.actions()) == actions
        entries = list(store.log.entries())
        assert [(e.seq, e.entry_id, e.payload) for e in entries] == [
            (1, "act-1", canonical(actions[0])), (2, "act-2", canonical(actions[1]))
        ]  # fmt: skip
        assert [e.commitment for e in entries] == [
            commit(e.salt or b"", e.entry_id, e.payload or b"") for e in entries
        ]
        assert store.row("", "SELECT value FROM meta WHERE key = 'schema_version'") == (2,)
    with EmbeddedStore.open(folder) as again:
        assert list(again.log.entries()) == entries


def test_a_reader_says_who_brings_it_up(old):
    folder, _ = old
    with pytest.raises(ValueError, match=r"written by an older breachline \(version 1\)"):
        EmbeddedStore.open_readonly(folder)
