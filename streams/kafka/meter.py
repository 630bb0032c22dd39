"""The worker's numbers: what its tasks committed, how far they are, and whether all is well.

It stands between a task and its journal, and counts a commit's messages once the brokers have them:
so nothing is counted that is done again, and a task that is made anew goes on counting. It MUST NOT
change what passes through, nor let a fault of counting reach a task.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from prometheus_client import Metric
from prometheus_client.registry import Collector

from records.incident import Receipt
from streams.clock import Clock
from streams.kafka.detect import Detect
from streams.kafka.journal import Journal
from streams.kafka.stages import DecideTask, DetectTask
from streams.kafka.tasks import Poll, Task
from streams.kafka.topics import Topics
from streams.kafka.wire import Output
from streams.metrics import Meters, gauge
from streams.respond import FOREVER_MS

STUCK_S: Final = 30.0
"""What takes longer, without a commit, is not well."""
_log = logging.getLogger("breachline.metrics")


class _Counts(msgspec.Struct):
    """What is counted here of a Tally."""

    lines: int
    events: int
    duplicate: int
    late: int
    rejected: dict[str, int]


class _Head(msgspec.Struct, array_like=True):
    """`Slices`, of which only the counts are looked at."""

    origin: str
    watermark_ms: int
    idle: bool
    slices: msgspec.Raw
    tally: _Counts | None = None


_decode = msgspec.msgpack.Decoder(_Head).decode


class Seat:
    """What is known of the task of one partition, whoever of its makings it is."""

    def __init__(self, stage: str, place: TopicPartition, now_s: float) -> None:
        self.stage = stage
        self.place = place
        self.labels = (stage, str(place.partition))
        self.ready = False
        self.since_s = now_s
        """Of the last commit; before one, of the beginning."""
        self.committing_s: float | None = None
        self.taking_s: float | None = None
        self.journal_bytes = 0
        self.taken: list[tuple[int, int]] = []
        """Of each poll that was read and is not committed: Kafka's time of its first record in ms,
        and how often the task had gathered before."""

    def trouble(self, now_s: float) -> str | None:
        """Why this task is not well."""
        name, age_s = f"{self.place.topic}/{self.place.partition}", now_s - self.since_s
        if not self.ready:
            return f"{name} is being made from its journal, for {age_s:.0f} s"
        if self.committing_s is not None and now_s - self.committing_s > STUCK_S:
            return f"{name} has been committing for {now_s - self.committing_s:.0f} s"
        if self.taking_s is not None and min(now_s - self.taking_s, age_s) > STUCK_S:
            return f"{name} has work, and its last commit is {age_s:.0f} s old"
        return None


class Meter(Collector):
    """Sees every poll, beginning and commit of a worker's tasks."""

    def __init__(
        self,
        meters: Meters,
        topics: Topics,
        tasks: Mapping[Any, Task],
        lag: Callable[[TopicPartition, int], int | None],
        clock: Clock,
    ) -> None:
        """`tasks` by topic and partition, as they are now; `lag` as `Consumer.lag`."""
        self.joined = False
        """Whether the brokers have given this worker its share, which may be nothing."""
        self._meters = meters
        self._topics = topics
        self._tasks = tasks
        self._lag = lag
        self._clock = clock
        self._seats: dict[TopicPartition, Seat] = {}
        meters.registry.register(self)

    def seat(self, stage: str, place: TopicPartition) -> Seat:
        """Of a task that begins, for the first time or again."""
        seat = self._seats.get(place)
        if seat is None:
            seat = self._seats[place] = Seat(stage, place, self._clock.monotonic_s())
            self._meters.commits.labels(*seat.labels)
            self._meters.restarts.labels(*seat.labels)
        return seat

    def timed(self, detect: Detect) -> Detect:
        """The same, with its detectors' time taken."""
        detect.engine.stopwatch = self._clock.monotonic_s
        return detect

    async def take(self, task: Task, poll: Poll) -> None:
        """Have a task take a poll."""
        seat = self._seats.get(task.place)
        if seat is None:
            await task.take(poll)
            return
        seat.taking_s = self._clock.monotonic_s()
        try:
            await task.take(poll)
        finally:
            seat.taking_s = None
        seat.taken += [
            (first.timestamp, task.gathers) for first in poll.records[:1] if first.timestamp > 0
        ]

    # -- told by the journal

    def committing(self, seat: Seat) -> list[int]:
        """A transaction begins; Kafka's times of the polls of which it tells, in ms.

        Those that were gathered before had nothing to tell.
        """
        seat.committing_s = self._clock.monotonic_s()
        task = self._tasks.get(seat.place)
        told = [ms for ms, gathers in seat.taken if task and gathers + 1 == task.gathers]
        seat.taken.clear()
        return told

    def begins(self, seat: Seat) -> None:
        """A task has nothing yet."""
        seat.ready, seat.since_s = False, self._clock.monotonic_s()
        seat.committing_s = None
        seat.taken.clear()
        task = self._tasks.get(seat.place)
        if task is not None and task.restarts > 0:
            self._meters.restarts.labels(*seat.labels).inc()

    def committed(self, seat: Seat, outputs: Sequence[Output], firsts_ms: Iterable[int]) -> None:
        """A transaction stands; `firsts_ms` as `committing` gave them."""
        meters, now_ms = self._meters, self._clock.now_ms()
        seat.since_s = self._clock.monotonic_s()
        meters.commits.labels(*seat.labels).inc()
        for first_ms in firsts_ms:
            meters.stage_s.labels(seat.stage).observe(max(0, now_ms - first_ms) / 1000)
        try:
            self._count(seat, outputs, now_ms)
        except Exception:  # noqa: BLE001  what is committed stands
            _log.exception("counting a commit of %s/%d", *seat.place)

    def _count(self, seat: Seat, outputs: Sequence[Output], now_ms: int) -> None:
        task, topics, meters = self._tasks.get(seat.place), self._topics, self._meters
        if seat.stage == "intake":
            heads = (_decode(one.value) for one in outputs if one.topic == topics.exposures)
            for counts in (head.tally for head in heads if head.tally is not None):
                meters.read(
                    lines=counts.lines,
                    events=counts.events,
                    late=counts.late,
                    duplicate=counts.duplicate,
                    rejected=counts.rejected,
                )
        elif isinstance(task, DetectTask):
            meters.judged(str(seat.place.partition), task.detect.engine)
        elif isinstance(task, DecideTask):
            store = task.decide.store
            meters.found(store.findings(_keys(outputs, topics.findings)), now_ms)
            actions = map(store.log.action, _keys(outputs, topics.actions))
            meters.acted(action for action in actions if action is not None)
            for one in outputs:
                if one.topic == topics.receipts:
                    meters.received(msgspec.json.decode(one.value, type=Receipt), store)

    # -- asked by the exposition

    def troubles(self) -> list[str]:
        """Why not all is well."""
        if not self.joined:
            return ["waiting for the brokers to give this worker its share of the partitions"]
        now_s = self._clock.monotonic_s()
        found = [self._seats[t.place].trouble(now_s) for t in self._tasks.values()]
        return sorted(text for text in found if text is not None)

    def collect(self) -> Iterable[Metric]:
        """How things stand now, of the tasks that this worker has."""
        task_labels = ("stage", "partition")
        lag = gauge(
            "partition_lag_records",
            "Records from where a task would go on, to the end of its partition.",
            "topic", "partition",
        )  # fmt: skip
        ready = gauge("task_ready", "1 if a task works, 0 while it is being made.", *task_labels)
        age = gauge(
            "snapshot_age_seconds",
            "Since a task's last commit; one with nothing to do commits nothing.",
            *task_labels,
        )
        journal = gauge(
            "journal_bytes", "What a task's journal holds since its last base.", *task_labels
        )
        held = gauge("held_items", "What waits for other partitions to come as far.", *task_labels)
        outbox = gauge("outbox_waiting", "Actions to be performed, tried again or ended.")
        keys = gauge("detector_keys", "Keys of which a detector holds state.", "rule")
        by_rule: dict[str, int] = {}
        told: list[Metric] = []
        for task in self._tasks.values():
            seat = self._seats[task.place]
            ready.add_metric(seat.labels, seat.ready)
            age.add_metric(seat.labels, self._clock.monotonic_s() - seat.since_s)
            if not seat.ready:
                continue
            journal.add_metric(seat.labels, seat.journal_bytes)
            if (behind := self._lag(task.place, task.position)) is not None:
                lag.add_metric((task.place.topic, seat.labels[1]), behind)
            if isinstance(task, DetectTask):
                held.add_metric(seat.labels, task.detect.aligner.held)
                for rule, count in task.detect.engine.keys.items():
                    by_rule[rule] = by_rule.get(rule, 0) + count
            elif isinstance(task, DecideTask):
                held.add_metric(seat.labels, task.decide.aligner.held)
                outbox.add_metric((), len(task.decide.store.outbox_due(FOREVER_MS)))
                for one in task.beside:
                    told += one.metrics(self._clock.now_ms())
        for rule, count in by_rule.items():
            keys.add_metric((rule,), count)
        return lag, ready, age, journal, held, outbox, keys, *told


class Measured(Journal):
    """A journal that tells the meter."""

    def __init__(self, meter: Meter, seat: Seat, *args: Any) -> None:
        super().__init__(*args)
        self._meter = meter
        self._seat = seat

    async def begin(self) -> list[bytes]:
        """As `Journal.begin`."""
        self._meter.begins(self._seat)
        found = await super().begin()
        self._seat.ready, self._seat.journal_bytes = True, self._since_bytes
        return found

    async def commit(
        self,
        outputs: Iterable[Output],
        state: Sequence[bytes],
        place: TopicPartition,
        position: int,
        *,
        base: bool = False,
    ) -> None:
        """As `Journal.commit`."""
        seat, sent = self._seat, list(outputs)
        firsts_ms = self._meter.committing(seat)
        try:
            await super().commit(sent, state, place, position, base=base)
        finally:
            seat.committing_s = None
        seat.journal_bytes = self._since_bytes
        self._meter.committed(seat, sent, firsts_ms)

    async def end(self) -> None:
        """As `Journal.end`."""
        self._seat.ready = False
        await super().end()


def _keys(outputs: Iterable[Output], topic: str) -> list[str]:
    return [one.key.decode() for one in outputs if one.topic == topic and one.key is not None]
