"""Brings the file of an older version up to this one, in one transaction.

The connection comes in, with a transaction open; the tables of this version go out. It must never
drop what it could not carry over.
"""

import sqlite3

from evidence._schema import LOG_TABLES, VERSION, statements
from evidence.entry import commit, new_salt


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Every step from `version` on."""
    if version < 2:
        _split_log(db)
    db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (VERSION,))


def _split_log(db: sqlite3.Connection) -> None:
    """Version 1 had the payloads in `log` itself: they get salts and leaves, in the same order."""
    db.execute("DROP TRIGGER log_no_update")
    db.execute("DROP TRIGGER log_no_delete")
    db.execute("DROP INDEX log_subject")
    db.execute("ALTER TABLE log RENAME TO log_1")
    for statement in statements(LOG_TABLES):
        db.execute(statement)
    rows = db.execute("SELECT entry_id, kind, at_ms, subject, payload FROM log_1 ORDER BY seq")
    # Numbers had no gaps but where version 1 was killed: leaves are counted anew.
    for seq, (entry_id, kind, at_ms, subject, payload) in enumerate(rows.fetchall(), 1):
        salt = new_salt()
        digest = commit(salt, entry_id, payload)
        db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?)", (seq, entry_id, kind, at_ms, digest))
        db.execute("INSERT INTO body VALUES (?, ?, ?, ?, ?)", (seq, kind, subject, salt, payload))
    db.execute("DROP TABLE log_1")
