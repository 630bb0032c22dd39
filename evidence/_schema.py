"""The tables of the embedded store, as SQL, and the number of their form.

Records are kept whole as blobs beside the few columns that are searched. Exposures alone are
split, because on a log without principals every line makes one: who and what repeat, so each is
written once and an exposure is a row of small numbers, clustered by who for the reader.
The log is split as well: `log` holds what the Merkle tree is made of and never changes, `body` what
may have to be erased, `erased` the number of the entry that says why it was.
"""

import sqlite3
from collections.abc import Iterator

VERSION = 2
"""Raised with any change below, together with the step that brings older files up."""

PAGE_BYTES = 8192
"""Measured: actors arrive in random order, and larger pages make that cheaper than 4096 does."""

CASE_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE who (
  actor TEXT NOT NULL, body BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (actor, body)
) WITHOUT ROWID;
CREATE TABLE what (id INTEGER PRIMARY KEY, body BLOB NOT NULL UNIQUE);
CREATE TABLE exposure (
  who INTEGER NOT NULL, time_ms INTEGER NOT NULL, event TEXT NOT NULL, target TEXT NOT NULL,
  object TEXT NOT NULL, what INTEGER NOT NULL, PRIMARY KEY (who, time_ms, event, target, object)
) WITHOUT ROWID;

CREATE TABLE line (
  event TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, sha256 TEXT NOT NULL, masked INTEGER NOT NULL,
  data BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE referred (event TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE finding (id TEXT PRIMARY KEY, end_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX finding_end ON finding (end_ms, id);

CREATE TABLE incident (
  id TEXT PRIMARY KEY, version INTEGER NOT NULL, first_ms INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE kept_actor (
  actor TEXT NOT NULL, keeper TEXT NOT NULL, PRIMARY KEY (actor, keeper)
) WITHOUT ROWID;
CREATE INDEX kept_actor_keeper ON kept_actor (keeper);
CREATE TABLE incident_merged (
  absorbed TEXT NOT NULL, into_id TEXT NOT NULL, PRIMARY KEY (absorbed, into_id)
) WITHOUT ROWID;
CREATE INDEX incident_merged_into ON incident_merged (into_id);
"""

LOG_TABLES = """
CREATE TABLE log (
  seq INTEGER PRIMARY KEY, entry_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  at_ms INTEGER NOT NULL, commitment BLOB NOT NULL
);
CREATE TRIGGER log_no_update BEFORE UPDATE ON log
  BEGIN SELECT RAISE(ABORT, 'the log is append-only: entries never change'); END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log
  BEGIN SELECT RAISE(ABORT, 'the log is append-only: entries are never removed'); END;
CREATE TABLE body (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, salt BLOB NOT NULL,
  payload BLOB NOT NULL
);
CREATE INDEX body_subject ON body (subject, kind, seq);
CREATE TABLE erased (seq INTEGER PRIMARY KEY, because INTEGER NOT NULL);
CREATE TRIGGER body_no_update BEFORE UPDATE ON body
  BEGIN SELECT RAISE(ABORT, 'the log is append-only: entries never change'); END;
CREATE TRIGGER body_no_delete BEFORE DELETE ON body
  WHEN OLD.seq NOT IN (SELECT seq FROM erased)
  BEGIN SELECT RAISE(ABORT, 'the log is append-only: only what is entered as erased goes'); END;
CREATE TABLE node (
  level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)
) WITHOUT ROWID;
CREATE TABLE head (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
"""

OTHER_TABLES = """
CREATE TABLE outbox (
  action TEXT PRIMARY KEY, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  next_attempt_ms INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (state, next_attempt_ms, action);

CREATE TABLE source (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, position INTEGER NOT NULL, head BLOB NOT NULL,
  profile BLOB NOT NULL
);
CREATE TABLE state (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (space, key));
CREATE TABLE reject (
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL,
  UNIQUE (source, place)
);
CREATE TABLE count (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE staged (
  id INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL, body BLOB NOT NULL
);
"""

TABLES = CASE_TABLES + LOG_TABLES + OTHER_TABLES


def statements(script: str) -> Iterator[str]:
    """Single statements; `executescript` would commit the transaction that they stand in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
