"""Keeps an incident's raw lines, and knows which events are its evidence.

In: the store and incident ids. Out: event ids, and entries of the append-only log. A line is in the
store from the batch in which it was judged; capturing enters its digest in the log.
"""

from collections.abc import Callable

from evidence.store import EmbeddedStore
from records.event import Actor
from records.incident import Incident
from responders.capture_evidence import CaptureResult


def evidence_events(store: EmbeddedStore, incident: Incident) -> list[str]:
    """Events that the incident rests on: its findings' evidence and its actors' exposures.

    An address counts as an actor only where the incident has no principal and no session.
    """
    events: dict[str, None] = {}
    for finding in store.findings(incident.findings):
        events.update(dict.fromkeys(finding.evidence))
    for exposure in store.exposures_of(
        responsible(incident), incident.coverage.from_ms, incident.last_seen_ms + 1
    ):
        if exposure.verdict == "foreign" or exposure.event in events:
            events[exposure.event] = None
    return list(events)


def responsible(incident: Incident) -> list[Actor]:
    """The actors that exposures of this incident have."""
    named = [actor for actor in incident.actors if actor.type in {"principal", "session"}]
    return named or list(incident.actors)


class StoreCapture:
    """Enters an incident's lines in the append-only log; entering one twice keeps it once."""

    def __init__(self, store: EmbeddedStore, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def capture(self, incident_id: str) -> CaptureResult:
        """Keep every line of the incident.

        Raises:
            OSError: the store could not be written; trying again can help.
        """
        store = self._store
        incident = store.incident(incident_id)
        if incident is None:
            return CaptureResult(kept=0, missing=0)
        events = evidence_events(store, incident)
        kept = 0
        with store.transaction():
            for line in store.lines(events):
                store.log.append_captured(line, incident.id, self._now_ms())
                kept += 1
        return CaptureResult(kept=kept, missing=len(events) - kept)
