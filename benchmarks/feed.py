"""Puts lines on Kafka's `access.raw`: in frames as `ship` does, or one a message; fast or steadily.

Sources are named so that each partition has one, as four gateways would. Run alone, it says how
fast it is itself: `python -m benchmarks.feed BROKERS`.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from benchmarks.traffic import STAMP, requests, stamp
from streams.clock import SystemClock
from streams.kafka.client import MAX_RECORD_BYTES
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, ensure

FRAME_LINES = 500
PARTITIONS = 4
_MESSAGE_BATCH_BYTES = 64 * 1024
_UNDER_WAY = 64
"""Requests that may wait for the broker's answer: enough to hide it, few enough to hold."""


class Sources:
    """One source a partition, each with the offset of its next line."""

    def __init__(self, count: int = PARTITIONS) -> None:
        self.names = [_name_of(partition, count) for partition in range(count)]
        self._offsets = [0] * count

    def frame(self, index: int, lines: list[bytes]) -> tuple[bytes, list[tuple[str, bytes]]]:
        """(value, headers) of the next frame of that source."""
        value = b"\n".join(lines)
        name = self.names[index]
        headers = [
            ("source", name),
            ("name", name + b".log"),
            ("offset", b"%d" % self._offsets[index]),
        ]
        self._offsets[index] += len(value) + 1
        return value, headers


def _name_of(partition: int, count: int) -> bytes:
    every = list(range(count))
    place = DefaultPartitioner()
    names = (b"gateway-%d" % number for number in range(100_000))
    return next(name for name in names if place(name, every, every) == partition)


@contextlib.asynccontextmanager
async def _producer(brokers: str, **other: object) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all", **other)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def shipper(brokers: str) -> contextlib.AbstractAsyncContextManager[AIOKafkaProducer]:
    """A producer of frames with the settings of a collector."""
    return _producer(
        brokers, enable_idempotence=True, compression_type="zstd", max_batch_size=2**20,
        max_request_size=MAX_RECORD_BYTES, linger_ms=2,
    )  # fmt: skip


class _Acks:
    """What waits for the broker's answer, bounded."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[object]] = []

    async def add(self, sent: "asyncio.Future[object]") -> None:
        self._waiting.append(sent)
        if len(self._waiting) >= _UNDER_WAY:
            await self.all()

    async def all(self) -> None:
        await asyncio.gather(*self._waiting)
        self._waiting.clear()


def blocks(lines: Iterable[bytes], size: int = FRAME_LINES) -> Iterator[list[bytes]]:
    """The lines in lists of that size; the last may be shorter."""
    rest = iter(lines)
    while block := list(islice(rest, size)):
        yield block


async def send_frames(
    brokers: str, topic: str, lines: Iterable[bytes], sources: Sources | None = None
) -> int:
    """All lines in frames of 500, one frame a partition in turn; their number.

    What goes on where an earlier call ended MUST be given its sources.
    """
    sources, acks, count = sources or Sources(), _Acks(), 0
    async with shipper(brokers) as producer:
        for number, block in enumerate(blocks(lines)):
            index = number % PARTITIONS
            value, headers = sources.frame(index, block)
            await acks.add(
                await producer.send(topic, value, key=sources.names[index], headers=headers)
            )
            count += len(block)
        await acks.all()
    return count


async def send_lines(brokers: str, topic: str, lines: Iterable[bytes]) -> int:
    """All lines, one a message, uncompressed, batches to each partition in turn; their number."""
    acks, count, turn = _Acks(), 0, 0
    async with _producer(brokers, max_batch_size=_MESSAGE_BATCH_BYTES) as producer:
        batch = producer.create_batch()
        for line in lines:
            if batch.append(key=None, value=line, timestamp=None) is None:
                await acks.add(await producer.send_batch(batch, topic, partition=turn % PARTITIONS))
                batch, turn = producer.create_batch(), turn + 1
                batch.append(key=None, value=line, timestamp=None)
            count += 1
        if batch.record_count():
            await acks.add(await producer.send_batch(batch, topic, partition=turn % PARTITIONS))
        await acks.all()
    return count


class Steady:
    """Traffic of now: so many lines a second for a while, in frames every 50 ms from each source.

    A line is stamped with the moment at which it was due, whether or not the feeder is late.
    """

    EVERY_S = 0.05

    def __init__(self, brokers: str, topic: str, lines_per_second: int) -> None:
        self._brokers, self._topic = brokers, topic
        self._tick_s = self.EVERY_S / PARTITIONS
        self.frame_lines = round(lines_per_second * self._tick_s)
        self._sources = Sources()
        self.produced_ms: list[int] = []
        """When each attack line was due."""
        self.frames = 0
        """Sent so far."""
        self.late_s = 0.0
        """The longest that a frame was sent after it was due."""

    async def run(self, ordinary: Iterator[bytes], seconds: float, attacks: Sequence[bytes]) -> int:
        """Feed; the attacks take places spread over the time. The number of lines."""
        ticks = round(seconds / self._tick_s)
        apart = ticks // max(1, len(attacks))
        # Not always the same source's turn.
        places = {n * apart + n % apart: line for n, line in enumerate(attacks)}
        acks = _Acks()
        async with shipper(self._brokers) as producer:
            started, started_ms = time.perf_counter(), now_ms()
            for tick in range(ticks):
                lines = list(islice(ordinary, self.frame_lines))
                attack = places.get(tick)
                if attack is not None:
                    lines[tick * 37 % len(lines)] = attack
                due_s = (tick + 1) * self._tick_s
                value, headers = self._frame(tick, lines, started_ms + due_s * 1000, attack)
                wait_s = started + due_s - time.perf_counter()
                await asyncio.sleep(max(0.0, wait_s))
                self.late_s = max(self.late_s, -wait_s)
                key = self._sources.names[tick % PARTITIONS]
                await acks.add(await producer.send(self._topic, value, key=key, headers=headers))
                self.frames += 1
            await acks.all()
        return ticks * self.frame_lines

    def _frame(
        self, tick: int, lines: list[bytes], until_ms: float, attack: bytes | None
    ) -> tuple[bytes, list[tuple[str, bytes]]]:
        """The lines of the last 50 ms of one source, each with its moment."""
        stamped = []
        for number, line in enumerate(lines, 1):
            due_ms = int(until_ms - self.EVERY_S * 1000 * (1 - number / len(lines)))
            stamped.append(line[: STAMP.start] + stamp(due_ms).encode() + line[STAMP.stop :])
            if line is attack:
                self.produced_ms.append(due_ms)
        return self._sources.frame(tick % PARTITIONS, stamped)


def now_ms() -> int:
    return SystemClock().now_ms()


async def _measure(brokers: str, count: int) -> None:
    lines = [request.ndjson().encode() for request in requests(count)]
    for name, send in (("frames", send_frames), ("lines", send_lines)):
        topics = Topics(f"feed.{name}.")
        await ensure(Kafka(brokers=[brokers], prefix=topics.prefix), topics, {})
        started = time.perf_counter()
        await send(brokers, topics.raw, lines)
        print(f"{name}: {count / (time.perf_counter() - started):,.0f} lines/s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("brokers")
    parser.add_argument("--lines", type=int, default=600_000)
    given = parser.parse_args()
    asyncio.run(_measure(given.brokers, given.lines))
