"""Two workers on a real Kafka, who are killed and frozen; and what stands in the topics afterwards.

Nothing here asks a worker: what was done stands at the brokers, and at the gateway.
"""

import asyncio
import hashlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from benchmarks._chaos.outcome import Outcome, outcome
from benchmarks._chaos.world import PROGRAM, TOKEN_ENV, World, settings_of
from streams.kafka.client import connection
from streams.kafka.decide import rebuilt
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, ensure
from streams.kafka.wire import decode_signals, decode_slices
from tests._gateway import TOKEN, Gateway
from tests.stack._process import Process, free_ports

_MOST_WORKERS = 4
_PAUSE_S = 0.25
_PATIENCE_S = 60
_CALM_S = 3.0
"""Nothing has been committed or written for so long, and nothing waits: it is over."""


class Stack:
    """A deployment of one prefix: workers and their gateway. `async with`, then `start` them."""

    def __init__(
        self, world: World, kafka: Kafka, home: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        """`environ` is added to that of the workers, and holds what `kafka` names of it."""
        self.world = world
        self.home = home
        self.gateway = Gateway()
        self.kafka = kafka
        self.topics = Topics(kafka.prefix)
        self.environ = {TOKEN_ENV: TOKEN, **(environ or {})}
        self.connection = connection(kafka, self.environ)
        self.workers: list[Process] = []
        self.metrics_ports = free_ports(_MOST_WORKERS)
        self._counts: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self.gateway.start()
        return self

    async def __aexit__(self, *_fault: object) -> None:
        for worker in self.workers:
            if worker.is_running:
                worker.kill()
        self.gateway.released.set()
        self.gateway.stop()

    # -- workers

    def start(self, number: int, *words: object) -> Process:
        """A worker in its own data directory, which is that of the last one of that number.

        `words` in place of `breachline worker`: they find the configuration in the environment.
        """
        home = self.home / f"worker-{number}"
        home.mkdir(parents=True, exist_ok=True)
        config = self.world.settings(
            home,
            kafka=self.kafka.model_dump(mode="json", exclude_none=True),
            metrics={"listen": f"127.0.0.1:{self.metrics_ports[number]}"},
            respond={
                "mode": "enforce",
                "gateway": {"url": self.gateway.url, "token_env": TOKEN_ENV, "timeout": "5s"},
            },
        )
        worker = Process(
            words or [PROGRAM, "worker"],
            home / "worker.log",
            cwd=home,
            env={**os.environ, **self.environ, "BREACHLINE_CONFIG": str(config)},
        )
        if number < len(self.workers):
            self.workers[number] = worker
        else:
            self.workers.append(worker)
        return worker

    def kill(self, number: int) -> None:
        """`kill -9`, and a new one at once."""
        self.workers[number].kill()
        self.start(number)

    def freeze(self, number: int) -> None:
        os.kill(self.workers[number].pid, signal.SIGSTOP)

    def wake(self, number: int) -> None:
        os.kill(self.workers[number].pid, signal.SIGCONT)

    def check(self) -> None:
        """RuntimeError with the end of its log, if a worker has ended by itself."""
        for worker in self.workers:
            if not worker.is_running:
                raise RuntimeError(f"a worker ended by itself\n{worker.output()[-4000:]}")

    # -- the brokers' view

    async def ready(self) -> None:
        """Until the topics are there, and the group's members have shared the partitions out."""
        self._counts = await ensure(self.kafka, self.topics, self.environ)
        async with _admin(self.connection) as admin, asyncio.timeout(_PATIENCE_S):
            while True:
                self.check()
                (told,) = await admin.describe_consumer_groups([self.kafka.group])
                (group,) = told.to_object()["groups"]
                if group["state"] == "Stable" and len(group["members"]) == len(self.workers):
                    return
                await asyncio.sleep(_PAUSE_S)

    async def lag(self) -> int:
        """Messages of access.raw that no task has committed."""
        async with _admin(self.connection) as admin, reader(self.connection) as consumer:
            return sum((await self._behind(admin, consumer, self.topics.raw)).values())

    async def _behind(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, topic: str
    ) -> dict[TopicPartition, int]:
        places = self._places(topic)
        ends = await consumer.end_offsets(places)
        told = await admin.list_consumer_group_offsets(self.kafka.group, partitions=places)
        done = {place: max(told[place].offset, 0) if place in told else 0 for place in places}
        return {place: end - done[place] for place, end in ends.items() if end > done[place]}

    async def finished(self, timeout_s: float) -> None:
        """Until every stage has committed every record, and all that was intended is done.

        Raises:
            TimeoutError: that never came; says what is left.
        """
        loop = asyncio.get_running_loop()
        deadline, calm_from = loop.time() + timeout_s, loop.time()
        before: object = None
        settled: object = None
        async with _admin(self.connection) as admin, reader(self.connection) as consumer:
            while True:
                self.check()
                left: dict[object, object] = {
                    **await self._behind(admin, consumer, self.topics.raw)
                }
                for topic in () if left else (self.topics.signals, self.topics.exposures):
                    for place, count in (await self._behind(admin, consumer, topic)).items():
                        # Offsets do not tell: the mark of a transaction has one too.
                        records = await _records(consumer, place, last=count)
                        if waiting := sum(map(self._says_something, records)):
                            left[place] = waiting
                ends = await consumer.end_offsets(self._places(self.topics.ledger))
                if not left and ends != settled:
                    left = await self._unanswered(consumer)
                    settled = None if left else ends
                now = (left, ends)
                if left or now != before:
                    calm_from, before = loop.time(), now
                elif loop.time() > calm_from + _CALM_S:
                    return
                if loop.time() > deadline:
                    raise TimeoutError(f"waiting for the workers' end: left {left}")
                await asyncio.sleep(_PAUSE_S)

    async def _unanswered(self, consumer: AIOKafkaConsumer) -> dict[object, object]:
        """Actions that nothing was said of: what a dead worker had begun waits for its lease."""
        topics = self.topics
        said = last_receipts(await self._all(consumer, topics.receipts))
        actions = map(orjson.loads, map(_value, await self._all(consumer, topics.actions)))
        return {
            action["id"]: action["target"]
            for action in actions
            if said.get(action["id"], "failed") == "failed"
        }

    def _says_something(self, record: ConsumerRecord) -> bool:
        """Whether it is more than an idle partition's word that it still is."""
        if record.topic == self.topics.signals:
            return bool(decode_signals(_value(record)).signals)
        frame = decode_slices(_value(record))
        return bool(frame.slices or frame.tally)

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._counts[topic])]

    async def _all(self, consumer: AIOKafkaConsumer, topic: str) -> list[ConsumerRecord]:
        return [
            record for place in self._places(topic) for record in await _records(consumer, place)
        ]

    async def result(self) -> "Result":
        """What stands in the topics, in the decider's journal, and at the gateway."""
        topics = self.topics
        async with reader(self.connection) as consumer, reader(self.connection) as other:
            told = {
                name: await self._all(consumer, getattr(topics, name))
                for name in ("findings", "incidents", "actions", "receipts", "ledger")
            }
            again = await self._all(other, topics.ledger)
            frames = await self._all(other, topics.exposures)
            state = await self._all(other, topics.state("decide"))
        tallies = [tally.lines for one in frames if (tally := decode_slices(_value(one)).tally)]
        folder = self.home / "rebuilt"
        settings = settings_of(self.home / "worker-0" / "breachline.yaml")
        with rebuilt(folder, since_base(state)) as store:
            found = outcome(store, settings, sum(tallies))
            entries = [(entry.entry_id, entry.leaf) for entry in store.log.entries()]
            expected = {
                "findings": {finding.id for finding in store.findings()},
                "incidents": {incident.id for incident in store.incidents()},
                "actions": {action.id for action in store.log.actions()},
            }
        return Result(
            found,
            tuple(self._against(told, again, entries, expected)),
            tuple(self._at_the_gateway(told)),
            len(self.gateway.blocked),
        )

    @staticmethod
    def _against(
        told: dict[str, list[ConsumerRecord]],
        again: list[ConsumerRecord],
        entries: list[tuple[str, bytes]],
        expected: dict[str, set[str]],
    ) -> Iterable[str]:
        """What speaks against one log: the topic's, its second reader's, and the decider's own."""
        for name, ids in expected.items():
            keys = Counter((record.key or b"").decode() for record in told[name])
            if set(keys) != ids and not (name == "incidents" and ids <= set(keys)):
                yield f"{name}: the topic has {len(keys)} ids, the store {len(ids)}"
            # An incident's documents are its versions; the topic is compacted by id.
            if name != "incidents" and (twice := [key for key, n in keys.items() if n > 1]):
                yield f"{name}: {len(twice)} ids stand there twice, such as {twice[0]}"
        heads = {
            "a reader": head(_entries(told["ledger"])),
            "another reader": head(_entries(again)),
            "the decider's log": head(entries),
        }
        if len(set(heads.values())) > 1:
            yield f"ledger: {heads}"
        numbers = Counter(key for key, _ in _entries(told["ledger"]))
        if twice := [key for key, n in numbers.items() if n > 1]:
            yield f"ledger: {len(twice)} entries stand there twice, such as {twice[0]}"

    def _at_the_gateway(self, told: dict[str, list[ConsumerRecord]]) -> Iterable[str]:
        """What speaks against each block having been made once, and for a reason."""
        gateway = self.gateway
        for target, count in Counter(gateway.blocked).items():
            if count > 1:
                yield f"{target} is blocked {count} times"
        for (verb, target), count in gateway.effects.items():
            if count > 1:
                yield f"{verb} {target} was carried out {count} times"
        if "" in gateway.keys or None in gateway.keys:
            yield "a call came without an Idempotency-Key"
        actions = [orjson.loads(_value(record)) for record in told["actions"]]
        targets: dict[tuple[str, str], set[str]] = {}
        for action in actions:
            targets.setdefault((action["kind"], action["target"]), set()).add(action["id"])
        for (kind, target), ids in targets.items():
            if len(ids) > 1 and kind == "block_ip":
                yield f"{kind} {target} has {len(ids)} action ids"
        said = last_receipts(told["receipts"])
        passed = {
            action["id"]: action["target"]
            for action in actions
            if action["kind"] == "block_ip" and action["guard"]["verdict"] == "pass"
        }
        # The guards look again before the effect: who shared the address came to be known.
        made = {target for action, target in passed.items() if said.get(action) == "confirmed"}
        if set(gateway.blocked) != made:
            yield f"blocked and confirmed differ: {sorted(set(gateway.blocked) ^ made)}"


class Result(NamedTuple):
    """What a run came to; the tuples say what speaks against it, and should be empty."""

    outcome: Outcome
    ledger: tuple[str, ...]
    gateway: tuple[str, ...]
    blocks: int


def last_receipts(records: list[ConsumerRecord]) -> dict[str, str]:
    """The last state that was told of each action."""
    receipts = map(orjson.loads, map(_value, records))
    return {receipt["action"]: receipt["state"] for receipt in receipts}


def head(entries: Iterable[tuple[str, bytes]]) -> str:
    """A digest of entries in their order."""
    chain = hashlib.sha256()
    for entry_id, payload in entries:
        chain.update(entry_id.encode() + b"\0" + hashlib.sha256(payload).digest())
    return chain.hexdigest()[:16]


def since_base(state: list[ConsumerRecord]) -> list[bytes]:
    """The journal's records from its last base on."""
    first = 0
    for number, record in enumerate(state):
        if record.key == b"base" and (not number or state[number - 1].key != b"base"):
            first = number
    return [_value(record) for record in state[first:]]


def _entries(records: list[ConsumerRecord]) -> list[tuple[str, bytes]]:
    return [((record.key or b"").decode(), _value(record)) for record in records]


def _value(record: ConsumerRecord) -> bytes:
    return record.value or b""


@asynccontextmanager
async def _admin(arguments: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**arguments)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def reader(arguments: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group that sees what is committed."""
    consumer = AIOKafkaConsumer(
        **arguments,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _records(
    consumer: AIOKafkaConsumer, place: TopicPartition, last: int | None = None
) -> list[ConsumerRecord]:
    """All that is there now, or what stands in the last so many offsets."""
    consumer.assign([place])
    end = (await consumer.end_offsets([place]))[place]
    start = (await consumer.beginning_offsets([place]))[place]
    consumer.seek(place, start if last is None else max(start, end - last))
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(_PATIENCE_S):
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(place, timeout_ms=200)).values():
                found += records
    return found


KAFKA_FAULTS = (KafkaError, ConnectionError, TimeoutError, OSError)
