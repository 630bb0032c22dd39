"""What is counted for Prometheus: names, meanings, and the few words that labels may hold.

What was durably done comes in (counts, findings, actions, receipts); a registry goes out that an
`Exposition` shows. Counts stand for a process: they outlive the tasks whose work they count. Labels
MUST come from short lists of ours: no address, no user, no route, nothing that a log can choose.
"""

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily

from detectors.engine import Engine
from evidence.store import EmbeddedStore
from intake.line import Reason
from records.finding import Finding
from records.incident import Action, Receipt

_REASONS: Final = frozenset(get_args(Reason))
_OTHER: Final = "other"
_LATENCY_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
_STAGE_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COUNTED: Final = ("seconds", "errors", "evicted")


class Meters:
    """The counters and histograms of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"breachline_{name}", meaning, labels, registry=self.registry)

        def histogram(name: str, meaning: str, limits: Iterable[float], *labels: str) -> Histogram:
            return Histogram(
                f"breachline_{name}", meaning, labels, buckets=tuple(limits),
                registry=self.registry,
            )  # fmt: skip

        self._lines = counter("lines", "Lines that came in: events, rejected and duplicate ones.")
        self._events = counter("events", "Lines that were understood and judged, late ones too.")
        self._rejected = counter("rejected_lines", "Lines that were not understood.", "reason")
        self._duplicate = counter("duplicate_lines", "Lines that had been read before.")
        self._late = counter("late_events", "Events too late for rules; they count as exposures.")
        self._findings = counter("findings", "Findings made.", "rule", "severity")
        self._actions = counter("actions", "Actions that the policy decided on.", "kind", "mode")
        self._receipts = counter(
            "receipts", "What enforcement points answered, or Breachline itself.", "kind", "state"
        )
        self._detector_s = counter("detector_seconds", "Time that a detector took.", "rule")
        self._errors = counter("detector_errors", "Signals at which a detector raised.", "rule")
        self._evicted = counter("detector_evicted_keys", "Keys forgotten for want of room.", "rule")
        self._to_finding = histogram(
            "line_to_finding_seconds",
            "From the time in the line that completed a finding to the finding's being durable.",
            _LATENCY_S,
        )
        self._to_block = histogram(
            "line_to_block_seconds",
            "From the time in the line that completed the latest finding to the confirmed block.",
            _LATENCY_S,
        )
        self.stage_s = histogram(
            "stage_seconds",
            "From Kafka's time of a poll's first record to the commit of what came of it.",
            _STAGE_S,
            "stage",
        )
        self.commits = counter("task_commits", "Transactions committed.", "stage", "partition")
        self.restarts = counter(
            "task_restarts", "Times a task began anew after a fault.", "stage", "partition"
        )
        for reason in (*sorted(_REASONS), _OTHER):
            self._rejected.labels(reason)
        self._known: dict[str, tuple[Engine, dict[tuple[str, str], float]]] = {}

    def read(
        self, *, lines: int, events: int, late: int, duplicate: int, rejected: Mapping[str, int]
    ) -> None:
        """Lines were read; `rejected` by reason."""
        self._lines.inc(lines)
        self._events.inc(events)
        self._late.inc(late)
        self._duplicate.inc(duplicate)
        for reason, count in rejected.items():
            # A shipper's frame names the reasons of its own faults: any text.
            self._rejected.labels(reason if reason in _REASONS else _OTHER).inc(count)

    def found(self, findings: Iterable[Finding], now_ms: int) -> None:
        """Findings became durable now."""
        for finding in findings:
            self._findings.labels(finding.rule, finding.severity).inc()
            self._to_finding.observe(max(0, now_ms - finding.end_ms) / 1000)

    def acted(self, actions: Iterable[Action]) -> None:
        """Intents became durable."""
        for action in actions:
            self._actions.labels(action.kind, action.mode).inc()

    def received(self, receipt: Receipt, store: EmbeddedStore) -> None:
        """A receipt stands in the store's log. Only an action's first confirmed block is timed."""
        action = store.log.action(receipt.action)
        if action is None:
            return
        self._receipts.labels(action.kind, receipt.state).inc()
        if receipt.state != "confirmed" or not action.kind.startswith("block_"):
            return
        confirmed = (r for r in store.log.receipts(action.id) if r.state == "confirmed")
        completed_ms = max((f.end_ms for f in store.findings(action.findings)), default=None)
        if completed_ms is not None and next(confirmed, None) == receipt:
            self._to_block.observe(max(0, receipt.at_ms - completed_ms) / 1000)

    def judged(self, place: str, engine: Engine) -> None:
        """What an engine's detectors did since the last call for its place.

        Another engine at the same place begins at nothing, and what was counted of the last stays.
        """
        known = self._known.get(place)
        before = known[1] if known is not None and known[0] is engine else {}
        now: dict[tuple[str, str], float] = {}
        for rule in engine.keys:
            fault = engine.faults.get(rule)
            now["seconds", rule] = engine.seconds.get(rule, 0.0)
            now["errors", rule] = fault.count if fault else 0
            now["evicted", rule] = engine.evicted[rule]
        counters = dict(zip(_COUNTED, (self._detector_s, self._errors, self._evicted), strict=True))
        for (what, rule), value in now.items():
            counters[what].labels(rule).inc(max(0.0, value - before.get((what, rule), 0)))
        self._known[place] = (engine, now)


def gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    """One that is read when it is asked for; add what it holds."""
    return GaugeMetricFamily(f"breachline_{name}", meaning, labels=labels)
