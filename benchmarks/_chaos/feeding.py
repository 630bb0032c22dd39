"""Puts a world's log on access.raw, steadily, whatever happens to the brokers meanwhile."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import BinaryIO, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from benchmarks._chaos.stack import Stack
from benchmarks._chaos.world import SOURCES
from streams.kafka.client import MAX_RECORD_BYTES

Way = Literal["frames", "lines"]
FRAME_LINES = 500
"""At most, and never more than a collector sends at once: 0.4 s of one source."""
_BATCH_LINES = 125
_UNDER_WAY = 256
_LOOK_S = 0.02
_PATIENCE_MS = 120_000
"""A broker that is away for a while is waited for: a shipper keeps its lines too."""


class Feeder:
    """One way in; `fed` counts the lines that were handed over so far."""

    def __init__(self, stack: Stack, way: Way, rate: int | None = None) -> None:
        """`rate`, in lines a second, is the log's own unless given."""
        self.world = stack.world
        self.topic = stack.topics.raw
        self.way = way
        self.rate = rate or self.world.rate
        self.fed = 0
        self._frame_lines = min(FRAME_LINES, max(1, self.world.rate // 10))
        self._connection = stack.connection
        self._waiting: list[asyncio.Future[object]] = []

    @property
    def messages_per_s(self) -> float:
        return self.rate / (self._frame_lines if self.way == "frames" else 1)

    async def run(self) -> None:
        """Feed all of it; returns when everything is acknowledged."""
        producer = AIOKafkaProducer(
            **self._connection | {"request_timeout_ms": _PATIENCE_MS},
            acks="all",
            enable_idempotence=True,
            compression_type="zstd" if self.way == "frames" else "lz4",
            max_batch_size=1 << 20,
            max_request_size=MAX_RECORD_BYTES,
        )
        await producer.start()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            with ExitStack() as files:
                parts: list[BinaryIO] = [
                    files.enter_context(path.open("rb")) for path in self.world.parts
                ]
                ways = {"frames": self._frames, "lines": self._lines}
                async for count in ways[self.way](producer, parts):
                    self.fed += count
                    if len(self._waiting) >= _UNDER_WAY:
                        await self._acknowledged()
                    due = started + self.fed / self.rate
                    await asyncio.sleep(max(0.0, due - loop.time()))
            await self._acknowledged()
        finally:
            await producer.stop()

    async def until(self, count: int) -> None:
        """Until so many lines were handed over."""
        while self.fed < count:  # noqa: ASYNC110 -- a look at a number
            await asyncio.sleep(_LOOK_S)

    async def _acknowledged(self) -> None:
        await asyncio.gather(*self._waiting)
        self._waiting.clear()

    async def _frames(
        self, producer: AIOKafkaProducer, parts: list[BinaryIO]
    ) -> AsyncIterator[int]:
        """As `ship` sends them: frames of one source each, keyed by it."""
        offsets = [0] * SOURCES
        for number, lines in _in_turn(parts, self._frame_lines):
            source = b"gateway-%d" % number
            value = b"".join(lines)
            headers = [
                ("source", source),
                ("name", source + b".log"),
                ("offset", b"%d" % offsets[number]),
            ]
            offsets[number] += len(value)
            sent = await producer.send(
                self.topic, value, key=source, headers=headers, partition=number
            )
            self._waiting.append(sent)
            yield len(lines)

    async def _lines(self, producer: AIOKafkaProducer, parts: list[BinaryIO]) -> AsyncIterator[int]:
        """As any shipper does: one line a message, no key, round robin over the partitions."""
        for number, lines in _in_turn(parts, _BATCH_LINES):
            batch: BatchBuilder = producer.create_batch()
            for line in lines:
                batch.append(key=None, value=line.rstrip(b"\n"), timestamp=None)
            self._waiting.append(await producer.send_batch(batch, self.topic, partition=number))
            yield len(lines)


def _in_turn(parts: list[BinaryIO], count: int) -> Iterator[tuple[int, list[bytes]]]:
    """(number, next lines) of each source in turn, to the end of all."""
    for number in itertools.cycle(range(len(parts))):
        lines = list(itertools.islice(parts[number], count))
        if lines:
            yield number, lines
        elif number == 0:
            for other in range(1, len(parts)):
                if rest := list(parts[other]):
                    yield other, rest
            return
