"""Faust's Kafka transport, changed in three things (FACTS: what follows for Faust).

1. A poll of a partition is one message, whatever it holds: Faust's cost is by message.
2. Each says from where to where it reaches, so that a task sees what is missing before it; offsets
   have holes where transactions ended, and tell nothing.
3. Nothing is acknowledged or committed here: positions are in the tasks' own transactions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from faust import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.kafka.tasks import Poll

POLL_RECORDS = 4_000
_ANSWER_MS = 250
"""So often brokers say that there is nothing new."""


class _Thread(driver.AIOKafkaConsumerThread):
    """Fetches polls; remembers up to where each partition was handed over."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._handed: dict[TopicPartition, int] = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  Faust ties it to its own way
        consumer._fetch_max_wait_ms = _ANSWER_MS  # noqa: SLF001  Faust has 1,500
        return consumer

    async def on_partitions_assigned(self, *args: Any, **kwargs: Any) -> None:
        self._handed.clear()
        await super().on_partitions_assigned(*args, **kwargs)

    async def seek_here(self, partition: TP, offset: int) -> None:
        """Read on from `offset`; in this thread, or a fetch under way would be taken for it."""
        self.seek(partition, offset)
        self._handed[TopicPartition(*partition)] = offset

    def told(self, place: TopicPartition) -> tuple[int, int] | None:
        """(a partition's end, when the brokers last said so in ms UTC); None before they did.

        Where the end is a transaction's marker, it is the end of what was handed over.
        """
        state = self._state(place)
        if state is None or state.highwater is None:
            return None
        end: int = state.highwater
        if state.has_valid_position and state.position >= end:
            end = min(end, self._handed.get(place, end))
        return end, state.timestamp

    def lag(self, place: TopicPartition, position: int) -> int | None:
        """Records from `position` to the end of a partition; None while the end is not known.

        Markers of transactions have offsets, and are none: what was fetched is compared with the
        end, and only what was handed over with `position`.
        """
        state = self._state(place)
        if state is None or state.highwater is None or not state.has_valid_position:
            return None
        waiting = self._handed.get(place, position) - position
        unfetched: int = state.highwater - state.position
        return max(0, unfetched) + max(0, waiting)

    def _state(self, place: TopicPartition) -> Any:
        consumer: Any = self._consumer
        assigned = consumer._subscription.subscription if consumer else None  # noqa: SLF001
        assignment = assigned.assignment if assigned else None
        return assignment.state_value(place) if assignment else None

    async def _fetch_records(self, consumer: Any, *args: Any, **options: Any) -> Any:
        subscription: Any = consumer._subscription.subscription  # noqa: SLF001  no public way
        assignment: Any = subscription.assignment if subscription else None
        before = {}
        for tp in assignment.tps if assignment else ():
            state = assignment.state_value(tp)
            if state is not None and state.has_valid_position:
                before[tp] = state.position
        found = await super()._fetch_records(consumer, *args, **options)
        polls: dict[TopicPartition, list[Poll]] = {}
        for tp, records in found.items():
            if not records:
                continue
            start = self._handed.get(tp, before.get(tp, records[0].offset))
            end = records[-1].offset + 1
            self._handed[tp] = end
            polls[tp] = [Poll(min(start, records[0].offset), end, records)]
        return polls


class Consumer(driver.Consumer):
    """A consumer that commits nothing."""

    _thread: _Thread

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def told(self, place: TopicPartition) -> tuple[int, int] | None:
        """As the thread's."""
        found: tuple[int, int] | None = self._thread.told(place)
        return found

    def lag(self, place: TopicPartition, position: int) -> int | None:
        """As the thread's."""
        found: int | None = self._thread.lag(place, position)
        return found

    async def _seek(self, partition: TP, offset: int) -> None:
        await self._thread.call_thread(self._thread.seek_here, partition, offset)

    def _to_message(self, tp: TP, record: Poll) -> ConsumerMessage:
        last = record.records[-1]
        value: Any = record  # Faust only hands it on
        return ConsumerMessage(
            tp.topic, tp.partition, record.end - 1, last.timestamp / 1000, last.timestamp_type,
            [], None, value, None, 0, 0, tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:  # noqa: ARG002
        return {}

    async def _add_gap(self, *_: Any) -> None:
        return

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002
        return False

    def verify_event_path(self, *_: Any) -> None:
        """Faust takes a partition for stuck that it never sees committed: see the journals."""


class PollSchema(Schema[Any, Any]):
    """Values are polls already."""

    def loads_key(self, *_: Any, **__: Any) -> None:
        """There is none."""
        return

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002
        """The poll."""
        return message.value


class Transport(driver.Transport):
    """The transport of the worker."""

    Consumer = Consumer
