"""A `breachline worker` under measurement: started on a deployment of its own, watched, ended.

How far it is stands at the broker, as committed offsets: a line is done when the decider has
committed what came of it. Nothing here asks the worker itself.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from evidence.keys import load_digest_key
from evidence.settings import Ledger
from evidence.signing import load_signer
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, ensure
from tests.stack._process import Process

PROGRAM = Path(sys.executable).with_name("breachline")
PAUSE_S = 0.05
QUIET_S = 2.0
"""When no stage has committed or written for so long, nothing more is coming."""
SILENT = 16
"""Records that may stay uncommitted: news of an idle partition that changed nothing."""


class Deployment:
    """The topics of one prefix, and what its workers have committed there."""

    def __init__(self, brokers: str, name: str) -> None:
        self.brokers = brokers
        self.settings = Kafka(brokers=[brokers], prefix=f"{name}.", group=f"bench-{name}")
        self.topics = Topics(self.settings.prefix)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
        self._open = AsyncExitStack()
        self._reader: AIOKafkaConsumer | None = None
        self._counts: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._counts = await ensure(self.settings, self.topics, {})
        self._reader = await self._open.enter_async_context(reader(self.brokers))
        await self._admin.start()
        return self

    async def __aexit__(self, *_fault: object) -> None:
        await self._admin.close()
        await self._open.aclose()

    async def committed(self, topic: str) -> dict[int, int]:
        """The next offset of each partition in which the group has committed one."""
        found = await self._admin.list_consumer_group_offsets(self.settings.group)
        return {
            place.partition: told.offset
            for place, told in found.items()
            if place.topic == topic and told.offset >= 0
        }

    async def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Up to where each partition can be read now."""
        assert self._reader is not None
        ends: dict[TopicPartition, int] = await self._reader.end_offsets(self._places(topic))
        return ends

    async def count(self, topic: str, start: Mapping[int, int] | None = None) -> int:
        """Records with data in the topic, from the given offset of each partition on.

        Offsets do not tell: the mark of a transaction has one too.
        """
        assert self._reader is not None
        places = self._places(topic)
        self._reader.assign(places)
        for place in places:
            self._reader.seek(place, (start or {}).get(place.partition, 0))
        ends = await self._reader.end_offsets(places)
        total = 0
        while any([await self._reader.position(place) < ends[place] for place in places]):
            total += sum(map(len, (await self._reader.getmany(timeout_ms=100)).values()))
        return total

    async def uncommitted(self, topic: str) -> int:
        """Records with data that no worker has committed."""
        return await self.count(topic, await self.committed(topic))

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._counts[topic])]


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


class Run(NamedTuple):
    """What a process did between two moments. CPU is told too: on a busy machine it is steadier."""

    lines: int
    seconds: float
    cpu_s: float
    read_s: float | None = None
    """Until all was read, of a worker that went on to judge."""

    @property
    def rate(self) -> float:
        return self.lines / self.seconds

    def __str__(self) -> str:
        more = f"; read at {self.lines / self.read_s:,.0f}" if self.read_s else ""
        return f"{self.rate:>9,.0f}   ({self.lines / self.cpu_s:,.0f} a second of CPU{more})"


class Worker:
    """The process, and what it has used."""

    def __init__(self, deployment: Deployment, home: Path, processes: int) -> None:
        data = home / "data"
        # A worker does not make keys by itself: all of a deployment must share them.
        load_digest_key(data, create=True)
        load_signer(data, Ledger().origin, create=True)
        config = home / "breachline.yaml"
        kafka = deployment.settings
        config.write_bytes(
            msgspec.yaml.encode(
                {"kafka": {"brokers": kafka.brokers, "prefix": kafka.prefix, "group": kafka.group}}
            )
        )
        self.deployment = deployment
        words = [PROGRAM, "worker", "--config", config, "--data-dir", data]
        words += ["--processes", processes]
        self._process = Process(words, home / "worker.log", cwd=home)

    def stop(self) -> None:
        if self._process.is_running:
            self._process.kill()

    def check(self) -> None:
        """RuntimeError with the end of its log, if it has ended."""
        if not self._process.is_running:
            raise RuntimeError(f"the worker ended by itself\n{self._process.output()[-3000:]}")

    def _pids(self) -> list[int]:
        """The process, and those that it has begun."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def cpu_s(self) -> float:
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """The most memory that they have held so far."""
        texts = (Path(f"/proc/{pid}/status").read_text() for pid in self._pids())
        return sum(float(text.partition("VmHWM:")[2].split()[0]) for text in texts) / 1024

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
            read_s = time.perf_counter() - started
            ended, used_s = await self.decided()
        lines = (total - first) * lines_per_message
        return Run(lines, ended - started, used_s - cpu_s, read_s)

    async def decided(self) -> tuple[float, float]:
        """(moment, seconds of CPU by then) of the last commit, when nothing is left to do.

        MUST be called within a time limit, and when all of access.raw is committed.
        """
        topics = (self.deployment.topics.signals, self.deployment.topics.exposures)
        before: object = None
        ended, used_s = time.perf_counter(), self.cpu_s()
        while True:
            self.check()
            here = [
                (await self.deployment.ends(topic), await self.deployment.committed(topic))
                for topic in topics
            ]
            if here != before:
                before, ended, used_s = here, time.perf_counter(), self.cpu_s()
            elif time.perf_counter() > ended + QUIET_S:
                left = [await self.deployment.uncommitted(topic) for topic in topics]
                if max(left) <= SILENT:
                    return ended, used_s
            await asyncio.sleep(PAUSE_S)


@contextmanager
def worker(deployment: Deployment, home: Path, processes: int = 1) -> Iterator[Worker]:
    """One that runs; killed at the end."""
    home.mkdir(parents=True)
    running = Worker(deployment, home, processes)
    try:
        yield running
    finally:
        running.stop()
