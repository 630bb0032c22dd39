"""Counts what was read and judged: the numbers of `summary.json` and of the first screen.

In: batches and findings. Out: one dictionary in the contract's shape. Silence must not look like
safety, so what could not be judged is counted as carefully as what was.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import attrgetter

import msgspec

from intake.frames import Batch
from records.finding import Finding

_FACTS = attrgetter("route", "verdict", "provenance", "allowed")
_SESSION = attrgetter("session")
_TIME_MS = attrgetter("time_ms")
MAX_ROUTES = 10_000
MAX_ROUTE_LENGTH = 256
"""Longer ones are what somebody typed, and would be remembered by the thousand."""
OTHER_ROUTES = "(other routes)"


class Tally(msgspec.Struct):
    """Sums over all batches; kept by the live service between restarts."""

    lines: int = 0
    events: int = 0
    duplicate: int = 0
    late: int = 0
    with_session: int = 0
    rejected: dict[str, int] = {}
    routes: dict[str, dict[str, int]] = {}
    """Route -> verdict (and "allowed") -> events."""
    provenance: dict[str, int] = {}
    """Provenance of the principal -> events; "" without one."""
    findings: dict[str, int] = {}
    first_ms: int = 0
    """Event time of the first event that was not late; 0 before any."""
    last_ms: int = 0
    joined: int = 0
    """Lines that are the other half of an event's request; a part of `duplicate`."""
    unmatched: dict[str, int] = {}
    """Events of one log alone, by which log, where the lines of two are joined."""

    def add(self, batch: Batch) -> None:
        """Count one batch."""
        self.lines += batch.lines
        self.duplicate += batch.duplicate
        self.late += batch.late
        self.joined += batch.joined
        _add(self.unmatched, batch.unmatched)
        _add(self.rejected, Counter(reject.reason for reject in batch.rejects))
        events = batch.events
        if not events:
            return
        self.events += len(events)
        self.with_session += sum(map(bool, map(_SESSION, events)))
        for (route, verdict, provenance, allowed), count in Counter(map(_FACTS, events)).items():
            full = route not in self.routes and len(self.routes) >= MAX_ROUTES
            if full or len(route) > MAX_ROUTE_LENGTH:
                route = OTHER_ROUTES  # noqa: PLW2901  the name it is counted under
            by_verdict = self.routes.setdefault(route, {})
            by_verdict[verdict] = by_verdict.get(verdict, 0) + count
            if allowed and verdict == "foreign":
                by_verdict["allowed"] = by_verdict.get("allowed", 0) + count
            self.provenance[provenance] = self.provenance.get(provenance, 0) + count
        times = list(map(_TIME_MS, events))
        self.last_ms = max(self.last_ms, *times)
        # A late line may come from a clock that never was set: what is kept does not begin there.
        first = min(
            times if not batch.late else (e.time_ms for e in events if not e.late), default=0
        )
        if first:
            self.first_ms = min(self.first_ms or first, first)

    def merge(self, other: "Tally") -> None:
        """Add what another one counted of other lines."""
        self.lines += other.lines
        self.events += other.events
        self.duplicate += other.duplicate
        self.late += other.late
        self.with_session += other.with_session
        self.joined += other.joined
        for sums, counts in (
            (self.rejected, other.rejected),
            (self.provenance, other.provenance),
            (self.findings, other.findings),
            (self.unmatched, other.unmatched),
        ):
            _add(sums, counts)
        for route, by_verdict in other.routes.items():
            full = route not in self.routes and len(self.routes) >= MAX_ROUTES
            _add(self.routes.setdefault(OTHER_ROUTES if full else route, {}), by_verdict)
        self.first_ms = min(filter(None, (self.first_ms, other.first_ms)), default=0)
        self.last_ms = max(self.last_ms, other.last_ms)

    def found(self, findings: Iterable[Finding]) -> None:
        """Count new findings."""
        _add(self.findings, Counter(finding.rule for finding in findings))

    def judged(self) -> dict[str, int]:
        """Events by verdict over all routes; `allowed` is a part of `foreign`."""
        total = dict.fromkeys(("own", "foreign", "undetermined", "no_target", "allowed"), 0)
        for by_verdict in self.routes.values():
            _add(total, by_verdict)
        return total

    def document(self, seconds: float) -> dict[str, object]:
        """`summary.json` (CONTRACT 1): `seconds` is how long the work took."""
        halves: dict[str, object] = {}
        if self.joined or self.unmatched:
            unmatched = {"gateway": 0, "service": 0, **self.unmatched}
            halves = {"joined": self.joined, "unmatched": unmatched}
        return {
            "lines": self.lines,
            "events": self.events,
            "rejected": dict(self.rejected),
            "duplicate": self.duplicate,
            **halves,
            "late": self.late,
            "judged": {**self.judged(), "by_route": self.routes},
            "findings": self.findings,
            "principals": self.provenance,
            "events_with_session": self.with_session,
            "seconds": round(seconds, 3),
            "events_per_second": round(self.events / seconds) if seconds > 0 else 0,
        }


def _add(sums: dict[str, int], counts: Mapping[str, int]) -> None:
    for key, count in counts.items():
        sums[key] = sums.get(key, 0) + count
