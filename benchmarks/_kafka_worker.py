"""A `breachline worker` under measurement: started on a deployment of its own, watched, ended.

How far it is stands at the broker, as committed offsets: a line is done when the decider has
committed what came of it. Nothing here asks the worker itself.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from evidence.keys import load_digest_key
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, ensure
from tests.stack._process import Process

PROGRAM = Path(sys.executable).with_name("breachline")
PAUSE_S = 0.05
QUIET_S = 1.0
"""So long after the last thing that the decider had to do, nothing more is coming."""
_TAIL = 256
"""Records at a partition's end among which the last one with data is looked for first."""


class Deployment:
    """The topics of one prefix, and what its workers have committed there."""

    def __init__(self, brokers: str, name: str) -> None:
        self.brokers = brokers
        self.settings = Kafka(brokers=[brokers], prefix=f"{name}.", group=f"bench-{name}")
        self.topics = Topics(self.settings.prefix)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
        self._counts: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._counts = await ensure(self.settings, self.topics, {})
        await self._admin.start()
        return self

    async def __aexit__(self, *_fault: object) -> None:
        await self._admin.close()

    async def committed(self, topic: str) -> dict[int, int]:
        """The next offset of each partition in which the group has committed one."""
        found = await self._admin.list_consumer_group_offsets(self.settings.group)
        return {
            place.partition: told.offset
            for place, told in found.items()
            if place.topic == topic and told.offset >= 0
        }

    async def ends(self, topic: str) -> dict[int, int]:
        """The offset after each partition's last data: the mark of a transaction is none."""
        async with reader(self.brokers) as consumer:
            places = [TopicPartition(topic, n) for n in range(self._counts[topic])]
            return {place.partition: await _end(consumer, place) for place in places}

    async def is_done(self, topic: str) -> bool:
        """Whether all that is in the topic now has been committed."""
        ends, done = await self.ends(topic), await self.committed(topic)
        return all(done.get(partition, 0) >= end for partition, end in ends.items())

    async def count(self, topic: str) -> int:
        """Records with data in the topic."""
        total = 0
        async with reader(self.brokers) as consumer:
            places = [TopicPartition(topic, n) for n in range(self._counts[topic])]
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    total += len(records)
        return total


@asynccontextmanager
async def reader(brokers: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group that sees what is committed, as anyone else would."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _end(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    consumer.assign([place])
    until: int = (await consumer.end_offsets([place]))[place]
    tail = _TAIL
    while until:
        start = max(0, until - tail)
        consumer.seek(place, start)
        last: int | None = None
        while await consumer.position(place) < until:
            for record in (await consumer.getmany(timeout_ms=100)).get(place, ()):
                last = record.offset
        if last is not None:
            return last + 1
        if not start:
            break
        tail *= 8
    return 0


class Run(NamedTuple):
    """What a process did between two moments. CPU is told too: on a busy machine it is steadier."""

    lines: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.lines / self.seconds

    def __str__(self) -> str:
        return f"{self.rate:>9,.0f}   ({self.lines / self.cpu_s:,.0f} a second of CPU)"


class Worker:
    """The process, and what it has used."""

    def __init__(self, deployment: Deployment, home: Path) -> None:
        data = home / "data"
        # A worker does not make the key by itself: all of a deployment must share it.
        load_digest_key(data, create=True)
        config = home / "breachline.yaml"
        kafka = deployment.settings
        config.write_bytes(
            msgspec.yaml.encode(
                {"kafka": {"brokers": kafka.brokers, "prefix": kafka.prefix, "group": kafka.group}}
            )
        )
        self.deployment = deployment
        words = [PROGRAM, "worker", "--config", config, "--data-dir", data]
        self._process = Process(words, home / "worker.log", cwd=home)

    def stop(self) -> None:
        if self._process.is_running:
            self._process.kill()

    def check(self) -> None:
        """RuntimeError with the end of its log, if it has ended."""
        if not self._process.is_running:
            raise RuntimeError(f"the worker ended by itself\n{self._process.output()[-3000:]}")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """The most memory that it has held so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024

    async def intake(self) -> int:
        """Messages of access.raw that are committed."""
        self.check()
        return sum((await self.deployment.committed(self.deployment.topics.raw)).values())

    async def until(self, messages: int, timeout_s: float) -> None:
        """Until it has committed more than so many messages of access.raw."""
        async with asyncio.timeout(timeout_s):
            while await self.intake() <= messages:  # noqa: ASYNC110 -- the broker has no event
                await asyncio.sleep(PAUSE_S)

    async def measure(self, total: int, lines_per_message: int, timeout_s: float) -> Run:
        """From its next commit to the decider's last, when `total` messages are there to read."""
        async with asyncio.timeout(timeout_s):
            begun = await self.intake()
            while (first := await self.intake()) <= begun:  # noqa: ASYNC110 -- as in `until`
                await asyncio.sleep(PAUSE_S / 5)
            started, cpu_s = time.perf_counter(), self.cpu_s()
            if first >= total:
                raise RuntimeError(
                    f"measuring a worker: its first commit was all {total}: give more lines"
                )
            await self.until(total - 1, timeout_s)
            ended, used_s = await self._decided()
        return Run((total - first) * lines_per_message, ended - started, used_s - cpu_s)

    async def _decided(self) -> tuple[float, float]:
        """(moment, seconds of CPU by then) of the decider's last commit."""
        topics = self.deployment.topics
        while not await self.deployment.is_done(topics.signals):
            await asyncio.sleep(PAUSE_S)
            self.check()
        seen, ended, used_s = -1, time.perf_counter(), self.cpu_s()
        while time.perf_counter() < ended + QUIET_S:
            end = (await self.deployment.ends(topics.exposures))[0]
            done = (await self.deployment.committed(topics.exposures)).get(0, 0)
            if end != seen or done < end:
                seen, ended, used_s = end, time.perf_counter(), self.cpu_s()
            await asyncio.sleep(PAUSE_S)
            self.check()
        return ended, used_s


@contextmanager
def worker(deployment: Deployment, home: Path) -> Iterator[Worker]:
    """One that runs; killed at the end."""
    home.mkdir(parents=True)
    running = Worker(deployment, home)
    try:
        yield running
    finally:
        running.stop()
