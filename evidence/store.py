"""The embedded store: everything that one machine keeps, in one SQLite file.

Exposures, raw lines, findings, incidents and the runner's progress come in, in transactions;
they come out in a fixed order. `log` holds what may never change. It must not judge: which
incident holds what is told to it.

Errors that leave are those of `_database.py`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from pathlib import Path

import msgspec

from evidence._database import FILE, _mapped, chunks
from evidence._exposures import ExposureTables
from evidence._progress import Progress
from evidence.ledger import Ledger
from evidence.log import Log
from records.event import RawLine
from records.finding import Finding
from records.incident import Incident

_encode = msgspec.json.Encoder().encode
_finding = msgspec.json.Decoder(Finding).decode
_incident = msgspec.json.Decoder(Incident).decode
_HALVES = "half"
"""The space of state that says which other line an event has."""


class EmbeddedStore(ExposureTables, Progress):
    """One writer, any number of readers; see `Database.open` and `Database.open_readonly`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        self.log = Log(self)
        self.ledger = Ledger(self)
        self._forget()

    def _commit(self) -> None:
        if self._failed is None:
            self.ledger.seal()
        super()._commit()

    def _forget(self) -> None:
        super()._forget()
        self.ledger.forget()

    # Raw lines

    def add_lines(self, lines: Sequence[RawLine], at_ms: int | None = None) -> None:
        """Keep raw lines, once an event.

        at_ms: the newest time among them, by which `prune` finds them; without it, the newest
        time of any exposure so far.
        """
        if not lines:
            return
        with self.writing("storing raw lines") as db:
            stamp = self._newest_ms() if at_ms is None else at_ms
            db.executemany(
                "INSERT OR IGNORE INTO line VALUES (?, ?, ?, ?, ?)",
                ((x.event, stamp, x.sha256, x.masked, x.data) for x in lines),
            )

    def digests(self, events: Iterable[str]) -> dict[str, str]:
        """SHA-256 by event, of those whose line is kept."""
        found: dict[str, str] = {}
        for marks, part in chunks(sorted(set(events))):
            sql = f"SELECT event, sha256 FROM line WHERE event IN ({marks})"  # noqa: S608
            found.update(self.rows("reading digests", sql, part))
        return found

    def lines(self, events: Iterable[str]) -> Iterator[RawLine]:
        """The kept lines of these events, by event id."""
        for marks, part in chunks(sorted(set(events))):
            sql = (
                "SELECT event, sha256, data, masked FROM line "  # noqa: S608
                f"WHERE event IN ({marks}) ORDER BY event"
            )
            for event, sha256, data, masked in self.rows("reading raw lines", sql, part):
                yield RawLine(event, sha256, data, bool(masked))

    def add_halves(self, halves: Mapping[str, str]) -> None:
        """Events of two lines: event -> the id under which its other line is kept."""
        self.save_state(
            (_HALVES, event, msgspec.msgpack.encode(other)) for event, other in halves.items()
        )

    def with_halves(self, events: Iterable[str]) -> list[str]:
        """These events in their order, each followed by the id of its other line if it has one."""
        wanted = list(events)
        other: dict[str, str] = {}
        decode = msgspec.msgpack.Decoder(str).decode
        for marks, part in chunks(sorted(set(wanted))):
            sql = f"SELECT key, value FROM state WHERE space = '{_HALVES}' AND key IN ({marks})"  # noqa: S608
            other.update(
                (key, decode(value)) for key, value in self.rows("reading halves", sql, part)
            )
        if not other:
            return wanted
        return [one for event in wanted for one in (event, other.get(event)) if one]

    # Findings

    def put_findings(self, findings: Sequence[Finding]) -> list[Finding]:
        """Keep findings; those that were new. A finding never changes."""
        new = []
        for finding in findings:
            with self.writing(f"storing finding {finding.id}") as db:
                row = (finding.id, finding.end_ms, _encode(finding))
                if not db.execute("INSERT OR IGNORE INTO finding VALUES (?, ?, ?)", row).rowcount:
                    continue
                db.executemany(
                    "INSERT OR IGNORE INTO referred VALUES (?)",
                    ((event,) for event in self.with_halves(finding.evidence)),
                )
                actors = {str(actor) for actor in (finding.actor, *finding.members)}
                db.executemany(
                    "INSERT OR IGNORE INTO kept_actor VALUES (?, ?)",
                    ((actor, finding.id) for actor in actors),
                )
            new.append(finding)
        return new

    def findings(self, ids: Iterable[str] | None = None) -> Iterator[Finding]:
        """Findings of these ids, or all, by (end, id)."""
        sql = "SELECT body FROM finding {} ORDER BY end_ms, id"
        if ids is None:
            parts = [self.rows("reading findings", sql.format(""))]
        else:
            parts = [
                self.rows("reading findings", sql.format(f"WHERE id IN ({marks})"), part)
                for marks, part in chunks(sorted(set(ids)))
            ]
        decoded = [map(_finding, (body for (body,) in part)) for part in parts]
        return merge(*decoded, key=lambda finding: (finding.end_ms, finding.id))

    def finding(self, finding_id: str) -> Finding | None:
        """The finding of an id, or of the only one that begins so; None if there is none.

        Raises:
            LookupError: several begin so.
        """
        full = self._full_id("finding", finding_id)
        return next(self.findings([full]), None) if full else None

    # Incidents

    def put_incidents(self, incidents: Sequence[Incident]) -> list[Incident]:
        """Keep each whose version is higher than the kept one; those that were."""
        return [incident for incident in incidents if self._put_incident(incident)]

    def _put_incident(self, incident: Incident) -> bool:
        row = (incident.id, incident.version, incident.first_seen_ms, _encode(incident))
        with self.writing(f"storing incident {incident.id}") as db:
            changed = db.execute(
                "INSERT INTO incident VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "version = excluded.version, first_ms = excluded.first_ms, body = excluded.body "
                "WHERE excluded.version > incident.version",
                row,
            ).rowcount
            if not changed:
                return False
            db.execute("DELETE FROM kept_actor WHERE keeper = ?", (incident.id,))
            db.executemany(
                "INSERT OR IGNORE INTO kept_actor VALUES (?, ?)",
                ((str(actor), incident.id) for actor in incident.actors),
            )
            db.execute("DELETE FROM incident_merged WHERE into_id = ?", (incident.id,))
            db.executemany(
                "INSERT OR IGNORE INTO incident_merged VALUES (?, ?)",
                ((absorbed, incident.id) for absorbed in incident.merged),
            )
        return True

    def incidents(self, *, absorbed: bool = False) -> Iterator[Incident]:
        """Incidents by (first seen, id); those that another absorbed only if asked for."""
        sql = "SELECT body FROM incident {} ORDER BY first_ms, id"
        only = "" if absorbed else "WHERE id NOT IN (SELECT absorbed FROM incident_merged)"
        for (body,) in self.rows("reading incidents", sql.format(only)):
            yield _incident(body)

    def incident_versions(self) -> dict[str, int]:
        """The version of every incident by id, of absorbed ones too."""
        return dict(self.rows("reading incidents", "SELECT id, version FROM incident"))

    def incident(self, incident_id: str) -> Incident | None:
        """The incident of an id, or of the only one that begins so; None if there is none.

        An absorbed one leads to the one that absorbed it.

        Raises:
            LookupError: several begin so.
        """
        full = self._full_id("incident", incident_id)
        seen: set[str] = set()
        while full and full not in seen:
            seen.add(full)
            sql = "SELECT into_id FROM incident_merged WHERE absorbed = ? ORDER BY into_id"
            row = self.row("reading incidents", sql, (full,))
            if row is None:
                break
            full = row[0]
        row = self.row("reading incidents", "SELECT body FROM incident WHERE id = ?", (full,))
        return _incident(row[0]) if row else None

    def _full_id(self, table: str, typed: str) -> str | None:
        """The id that begins with what was typed, with or without its `inc-` or `fin-`."""
        names = [typed] if typed else []
        if typed and "-" not in typed:
            names.append(f"{table[:3]}-{typed}")
        for name in names:
            found = self._ids_from(table, name)
            if name in found or len(found) == 1:
                return name if name in found else found[0]
            if found:
                raise LookupError(
                    f"{typed!r} begins more than one {table} ({', '.join(found)}): type more of it"
                )
        return None

    def _ids_from(self, table: str, prefix: str) -> list[str]:
        sql = f"SELECT id FROM {table} WHERE id >= ? AND substr(id, 1, ?) = ? ORDER BY id LIMIT 3"  # noqa: S608
        if table == "incident":
            # An absorbed incident may have been named only by the one that absorbed it.
            sql = sql.replace(
                "FROM incident",
                "FROM (SELECT id FROM incident UNION SELECT absorbed FROM incident_merged)",
            )
        values = (prefix, len(prefix), prefix)
        return [name for (name,) in self.rows(f"looking for {table} {prefix}", sql, values)]

    # Retention

    def forget_rows(self) -> None:
        """Drop what is remembered of rows: an erasure changed them."""
        self._forget()

    def scrub(self) -> None:
        """Write the file anew, so that nothing is left in it of rows that are gone.

        MUST NOT be called inside a transaction; takes as long as writing the file does.

        Raises:
            TimeoutError: another process reads, and keeps what was there before in sight.
        """
        with _mapped(self.path / FILE, "scrubbing the store"):
            self._db.execute("VACUUM")
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise TimeoutError(
                f"scrubbing {self.path / FILE}: another process reads it, so that freed pages are "
                "still on the disk: end it, and erase once more"
            )

    def prune(self, now_ms: int, lookback_ms: int) -> dict[str, int]:
        """Remove what is older than the look-back; how many of each.

        Kept whatever their age: exposures of actors that a finding or an incident names, lines
        that a finding or the log refers to, findings, incidents, the log.
        """
        before_ms = now_ms - lookback_ms
        with self.writing("removing what is older than the look-back") as db:
            lines = db.execute(
                "DELETE FROM line WHERE at_ms < ? AND event NOT IN (SELECT event FROM referred)",
                (before_ms,),
            ).rowcount
            db.execute(
                "DELETE FROM state WHERE space = ? AND key NOT IN (SELECT event FROM line)",
                (_HALVES,),
            )
            return {
                "exposures": self._prune_exposures(before_ms),
                "lines": lines,
                "rejects": self._prune_rejects(),
            }
