"""Keeps what an incident's actors did besides: their other requests in the look-back window.

Incidents whose capture asks for it come in; lines, read again from the logs, go into the log that
proves itself, and where a line is gone, what was understood of it. Searching and reading go on in a
thread and entering in short transactions, so that detection never waits. What is begun and not
done is begun again by the next run, and nothing is entered twice.
"""

import asyncio
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import msgspec

from evidence.log import Captured, kept_digest
from evidence.requests import Requests
from evidence.settings import Capture as Limits
from evidence.store import EmbeddedStore
from intake.settings import IntakeSettings
from records.event import RawLine
from records.incident import Incident
from streams.again import Again
from streams.capture import LOOK_BACK, Room, evidence_events, responsible

LOOKBACK_MS = 30 * 86_400_000
_SLICE = 250


class _Found(msgspec.Struct):
    """Other requests of an incident's actors, by time."""

    rows: list[dict[str, Any]]
    lines: dict[str, RawLine]
    total: int


class LookBack:
    """Works beside detection; see `streams.beside`."""

    def __init__(
        self, store: EmbeddedStore, folder: Path, intake: IntakeSettings, limits: Limits
    ) -> None:
        """`folder` is the data directory: the store is read there a second time."""
        self._store = store
        self._folder = folder
        self._intake = intake
        self._limits = limits

    async def step(self, now_ms: int) -> float | None:
        """Look back for one incident; None where none waits."""
        name = next((name for name, _ in self._store.load_state(LOOK_BACK)), None)
        if name is None:
            return None
        incident = self._store.incident(name)
        if incident is not None:
            known = sorted(evidence_events(self._store, incident))
            stop = Event()
            try:
                found = await asyncio.to_thread(self._find, incident, known, stop)
            finally:
                stop.set()
            await self._enter(incident, found, now_ms)
        with self._store.transaction():
            self._store.save_state([(LOOK_BACK, name, b"")])
        return 0.0

    async def last(self, now_ms: int) -> None:
        """Look back for all that wait."""
        while await self.step(now_ms) is not None:
            pass

    def _find(self, incident: Incident, known: list[str], stop: Event) -> _Found:
        """In a thread, with a store and a history of its own."""
        since_ms = incident.first_seen_ms - LOOKBACK_MS
        with (
            EmbeddedStore.open_readonly(self._folder) as store,
            Requests(self._folder / "history") as requests,
        ):
            requests.load_staged(store)
            rows, total = requests.of(
                responsible(incident), since_ms, known, self._limits.max_other_lines
            )
            sources = store.sources()
        again = Again(sources, self._intake, stop)
        lines: dict[str, RawLine] = {}
        too_many: set[str] = set()
        size_bytes = 0
        for source in sorted({row["source"] for row in rows}):
            places = {row["offset"]: row["time_ms"] for row in rows if row["source"] == source}
            for line in again.lines(source, places):
                size_bytes += len(line.data)
                if size_bytes > self._limits.max_bytes:
                    # A log of very long lines must not fill the memory.
                    too_many.add(line.event)
                else:
                    lines[line.event] = line
        return _Found([row for row in rows if row["event"] not in too_many], lines, total)

    async def _enter(self, incident: Incident, found: _Found, now_ms: int) -> None:
        # The newest first: they are nearest to the attack, and the limits may cut off the rest.
        rows, store = reversed(found.rows), self._store
        kept = columns = 0
        while part := list(islice(rows, _SLICE)):
            with store.transaction():
                room = Room.of(store, incident.id, self._limits)
                for row in part:
                    line = found.lines.get(row["event"])
                    if room.take_other(_captured(row, line, incident.id, now_ms), line):
                        kept += line is not None
                        columns += line is None
                room.save()
            await asyncio.sleep(0)
        words = f"other requests of its actors: kept {kept} lines"
        if columns:
            words += f", and what was understood of {columns} whose lines are gone"
        if rest := found.total - kept - columns:
            words += f"; {rest} left out beyond the limits of capture"
        with store.transaction():
            Room.of(store, incident.id, self._limits).tell(words, now_ms)


def _captured(row: dict[str, Any], line: RawLine | None, incident: str, now_ms: int) -> Captured:
    names = {row["principal"], row["claimed"], *row["targets"]} - {""}
    return Captured(
        event=row["event"],
        sha256=line.sha256 if line else "",
        masked=line.masked if line else True,
        incident=incident,
        at_ms=now_ms,
        role="other",
        names=tuple(sorted(names)),
        columns=None if line else row,
        kept_sha256=kept_digest(line) if line else "",
    )
