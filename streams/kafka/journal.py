"""What a task knows, kept in its own partition of a state topic; outputs and state as one.

A task has one transactional producer. A commit sends its outputs, what changed of its state, and
the offset from which it goes on, in one Kafka transaction: all of it is there, or none. Whoever
takes the task over begins with the same transactional id, which ends the other's transaction and
fences it off, and reads the state up to that point. So a frozen worker that wakes up changes
nothing.

From time to time a commit holds the whole state (a base); what lies before it is deleted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from streams.kafka.client import MAX_RECORD_BYTES
from streams.kafka.wire import Output

BASE: Final = b"base"
_DELTA: Final = b"delta"
_MORE: Final = b"+"
_PART_BYTES: Final = 2 << 20
"""A value is larger only where ids are: a key's state holds what an attacker asked for."""
_LEAST_BASE_BYTES: Final = 64 << 20
_READ_MS: Final = 1_000
_STUCK_S: Final = 120.0
"""Without anything new, after which a journal counts as unreadable."""
RECORD_BYTES: Final = 512 << 10
"""What a record of state is cut to."""

_log = logging.getLogger("breachline.kafka")


class Journal:
    """One task's state partition and producer. `begin` first, `end` last, `commit` in between."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        transactional_id: str,
        topic: str,
        number: int,
        group: str,
    ) -> None:
        """`connection` as `streams.kafka.client.connection` gives it."""
        self._connection = dict(connection)
        self._place = TopicPartition(topic, number)
        self._group = group
        self._producer = AIOKafkaProducer(
            **self._connection,
            transactional_id=transactional_id,
            transaction_timeout_ms=60_000,
            compression_type="zstd",  # lz4 is nine times slower: aiokafka asks for its level 9
            max_request_size=MAX_RECORD_BYTES,
            max_batch_size=1 << 20,
            linger_ms=0,
        )
        self._base_bytes = 0
        self._since_bytes = 0
        self._forget_before: int | None = None

    async def begin(self) -> list[bytes]:
        """Fence off whoever had this task, and read what it knew: records since the last base.

        Raises:
            KafkaError, TimeoutError: the brokers do not answer; try again with a new Journal.
        """
        await self._producer.start()
        consumer = AIOKafkaConsumer(
            **self._connection,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
        )
        found: list[tuple[bytes, bytes]] = []
        await consumer.start()
        try:
            place = self._place
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            was_base = False
            async for record in upto(consumer, place, end, _STUCK_S):
                key, value = record.key or _DELTA, record.value or b""
                is_base = key.startswith(BASE)
                if is_base and not was_base:
                    found.clear()
                    self._base_bytes = self._since_bytes = 0
                was_base = is_base
                found.append((key, value))
                if is_base:
                    self._base_bytes += len(value)
                else:
                    self._since_bytes += len(value)
        finally:
            await consumer.stop()
        return whole(found)

    @property
    def wants_base(self) -> bool:
        """Whether so much has changed since the last base that the next should be written."""
        return self._since_bytes > max(_LEAST_BASE_BYTES, 2 * self._base_bytes)

    def demand_base(self) -> None:
        """Have the next commit be a base, whatever has changed: what lies before it must go."""
        self._since_bytes = max(_LEAST_BASE_BYTES, 2 * self._base_bytes) + 1

    async def commit(
        self,
        outputs: Iterable[Output],
        state: Sequence[bytes],
        place: TopicPartition,
        position: int,
        *,
        base: bool = False,
    ) -> None:
        """All of it, or nothing: what to send, what changed, and where `place` is read on from.

        `base`: `state` is the whole state.

        Raises:
            KafkaError: it is not known whether it was kept, or somebody else has the task now;
                this Journal is of no more use.
        """
        producer, own = self._producer, self._place
        await producer.begin_transaction()
        sent = [
            await producer.send(
                output.topic,
                output.value,
                key=output.key,
                partition=output.partition,
                headers=list(output.headers),
            )
            for output in outputs
        ]
        kept = [
            await producer.send(own.topic, value, key=key, partition=own.partition)
            for whole in state
            for key, value in parts(whole, base=base)
        ]
        await producer.send_offsets_to_transaction(
            {place: OffsetAndMetadata(position, "")}, self._group
        )
        await producer.commit_transaction()
        for future in sent:
            future.result()
        first = [future.result().offset for future in kept][:1]
        size = sum(map(len, state))
        if base:
            self._base_bytes, self._since_bytes = size, 0
            self._forget_before = first[0] if first else None
        else:
            self._since_bytes += size

    async def forget(self) -> None:
        """Delete what lies before the last base; a failure only costs space until the next."""
        before, self._forget_before = self._forget_before, None
        if before is None:
            return
        admin = AIOKafkaAdminClient(**self._connection)
        try:
            await admin.start()
            await admin.delete_records({self._place: RecordsToDelete(before_offset=before)})
        except (KafkaError, TimeoutError) as error:
            _log.warning("deleting old state of %s: %s", self._place.topic, type(error).__name__)
        finally:
            await admin.close()

    async def end(self) -> None:
        """Let the producer go; an open transaction is aborted by the next owner."""
        await self._producer.stop()


async def upto(
    consumer: Any, place: TopicPartition, end: int, stuck_s: float
) -> AsyncIterator[ConsumerRecord]:
    """Every record before an offset, from where the consumer stands.

    Raises:
        TimeoutError: nothing came for `stuck_s`.
    """
    while (at := await consumer.position(place)) < end:
        polled: list[ConsumerRecord] = []
        try:
            async with asyncio.timeout(stuck_s):
                while not polled and await consumer.position(place) == at:
                    polled = (await consumer.getmany(place, timeout_ms=_READ_MS)).get(place, [])
        except TimeoutError:
            where = f"{place.topic}/{place.partition}"
            raise TimeoutError(f"reading {where}: stuck at {at} of {end}") from None
        for record in polled:
            # What came since may be a part of a transaction.
            if record.offset < end:
                yield record


def parts(value: bytes, *, base: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of the records that hold one value, however long: all but the last say more."""
    kind = BASE if base else _DELTA
    for start in range(0, max(len(value), 1), _PART_BYTES):
        more = start + _PART_BYTES < len(value)
        yield kind + _MORE if more else kind, value[start : start + _PART_BYTES]


def whole(records: Iterable[tuple[bytes | None, bytes]]) -> list[bytes]:
    """The values that the (key, value) of records hold, as `parts` made them."""
    found, part = list[bytes](), b""
    for key, value in records:
        part += value
        if not (key or b"").endswith(_MORE):
            found.append(part)
            part = b""
    return found


def cut(items: Iterable[bytes]) -> list[list[bytes]]:
    """Items in groups of about RECORD_BYTES."""
    groups: list[list[bytes]] = [[]]
    size = 0
    for item in items:
        if groups[-1] and size + len(item) > RECORD_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += len(item)
    return groups if groups[0] else []
