"""The numbers of `breachline run`: what each committed step and each receipt came to.

Steps and receipts of the live service come in, counts of `Meters` go out. It MUST only be told of
what is durable.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from prometheus_client import Metric
from prometheus_client.registry import Collector

from records.incident import Receipt
from streams.beside import Measured
from streams.clock import Clock
from streams.decider import Step
from streams.listen.inbox import Inbox
from streams.listen.meter import measured
from streams.metrics import Meters, gauge
from streams.pipeline import Pipeline
from streams.respond import FOREVER_MS

_PLACE: Final = ""


class LiveMeter(Collector):
    """Counts for one embedded service."""

    def __init__(
        self, meters: Meters, pipeline: Pipeline, clock: Clock, inbox: Inbox | None = None
    ) -> None:
        """`inbox`: where listeners put what came, if any listen."""
        self.beside: Sequence[Measured] = ()
        """What goes on beside detection, once it does."""
        self._meters = meters
        self._pipeline = pipeline
        self._clock = clock
        self._inbox = inbox
        self._committed_s = clock.monotonic_s()
        pipeline.engine.stopwatch = clock.monotonic_s
        meters.registry.register(self)

    def step(self, step: Step) -> None:
        """One frame was read and is durable."""
        meters, batch = self._meters, step.batch
        self._committed_s = self._clock.monotonic_s()
        meters.read(
            lines=batch.lines,
            events=len(batch.events),
            late=batch.late,
            duplicate=batch.duplicate,
            rejected=Counter(reject.reason for reject in batch.rejects),
        )
        meters.judged(_PLACE, self._pipeline.engine)
        meters.found(step.findings, self._clock.now_ms())
        meters.acted(step.actions)

    def receipt(self, receipt: Receipt) -> None:
        """An enforcement point answered."""
        self._meters.received(receipt, self._pipeline.store)

    def collect(self) -> Iterable[Metric]:
        """How things stand now."""
        age = gauge("snapshot_age_seconds", "Since the last commit; without lines there is none.")
        age.add_metric((), self._clock.monotonic_s() - self._committed_s)
        outbox = gauge("outbox_waiting", "Actions to be performed, tried again or ended.")
        outbox.add_metric((), len(self._pipeline.store.outbox_due(FOREVER_MS)))
        keys = gauge("detector_keys", "Keys of which a detector holds state.", "rule")
        for rule, count in self._pipeline.engine.keys.items():
            keys.add_metric((rule,), count)
        beside = [one.metrics(self._clock.now_ms()) for one in self.beside]
        received = measured(self._inbox) if self._inbox is not None else ()
        return age, outbox, keys, *received, *chain.from_iterable(beside)
