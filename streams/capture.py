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
    Undetermined exposures are evidence where fan-out alone decided, while it went on.
    """
    findings = list(store.findings(incident.findings))
    events = dict.fromkeys(event for finding in findings for event in finding.evidence)
    fan_outs = [finding for finding in findings if finding.undetermined]
    prints = {name for finding in fan_outs for name in finding.fingerprints}
    if not all(finding.fingerprints for finding in fan_outs):
        prints.clear()
    first_ms, last_ms = incident.first_seen_ms, incident.last_seen_ms
    since_ms = min(first_ms, incident.coverage.from_ms)
    for exposure in store.exposures_of(responsible(incident), since_ms, last_ms + 1):
        walked = (
            bool(fan_outs)
            and exposure.time_ms >= first_ms
            and (not prints or exposure.fingerprint in prints)
        )
        if exposure.verdict == "foreign" or walked:
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
