"""The Faust app: the stages of S1 on Kafka's topics (FLOW 3 to 10). It wires, and judges nothing.

`breachline worker` starts it, and so does `faust -A streams.app worker`, with the configuration
that $BREACHLINE_CONFIG names. Faust gives the consumer group, its agents and the worker's life;
what a partition knows, and how it is kept, is in streams/kafka/.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import faust
from aiokafka import TopicPartition
from faust.app.base import BootStrategy
from faust.types import TP
from yarl import URL

from evidence.keys import CredentialDigest, load_digest_key
from intake.ownership import Tables
from responders._base import Responder
from responders.capture_evidence import CaptureEvidence
from streams.beside import Beside
from streams.capture import StoreCapture
from streams.clock import Clock, SystemClock
from streams.enforcement import gateway_of
from streams.exposition import Exposition, listening
from streams.herd import when_orphaned
from streams.kafka import keys
from streams.kafka.client import connection, faust_credentials
from streams.kafka.decide import Decide
from streams.kafka.detect import Detect
from streams.kafka.intake import Intake
from streams.kafka.journal import Journal
from streams.kafka.meter import Measured, Meter
from streams.kafka.settings import Kafka
from streams.kafka.stages import DecideTask, DetectTask, IntakeTask
from streams.kafka.tasks import Task
from streams.kafka.topics import Topics, ensure
from streams.kafka.transport import POLL_RECORDS, PollSchema, Transport
from streams.metrics import Meters
from streams.outward import Outward, opened
from streams.owner_service import Service, services
from streams.owners import Asker
from streams.reread import NeverBlockFile
from streams.sealing import signer_of
from streams.settings import Settings, load
from streams.stopping import when_told
from streams.tables import read_tables

_log = logging.getLogger("breachline.worker")
_BUFFER = 4
"""Polls that wait in memory for a stage."""
_AGAIN_S = 5


class Worker:
    """The tasks of the partitions that this process owns."""

    def __init__(
        self, settings: Settings, config: Path | None, environ: Mapping[str, str], clock: Clock
    ) -> None:
        if settings.kafka is None:
            raise ValueError("a worker needs `kafka: {brokers: [...]}` in the configuration")
        self.kafka: Kafka = settings.kafka
        self.topics = Topics(self.kafka.prefix)
        self.tasks: dict[TP, Task] = {}
        self.raw = self.kafka.partitions
        self._settings = settings
        self._environ = environ
        self._clock = clock
        self._tables: Tables = read_tables(settings.intake)
        self._digest = CredentialDigest(load_digest_key(settings.data_dir, create=False))
        signer_of(settings, create=False)  # better not to start than to find it missing later
        self._never_block = NeverBlockFile(config, environ)
        self._running: dict[TP, asyncio.Future[None]] = {}
        self._gateway: Responder | None = None
        self._outward: Outward | None = None
        self._services: list[Service] = []
        self._open = AsyncExitStack()
        self._meters = Meters()
        self._meter = Meter(self._meters, self.topics, self.tasks, self._lag, clock)
        self._exposition: Exposition | None = None
        self._asked = False
        self.app = self._app()

    # -- Faust

    def _app(self) -> faust.App:
        kafka, session_s = self.kafka, self.kafka.session_timeout_s
        app = _App(
            kafka.group,
            worker=self,
            broker=[URL(f"kafka://{broker}") for broker in kafka.brokers],
            broker_credentials=faust_credentials(kafka, self._environ),
            broker_session_timeout=session_s,
            broker_heartbeat_interval=session_s / 4,
            broker_request_timeout=max(session_s + 10, 30.0),
            broker_rebalance_timeout=max(session_s, 10.0),
            broker_max_poll_records=POLL_RECORDS,
            consumer_max_fetch_size=4 << 20,
            consumer_auto_offset_reset="earliest",
            store="memory://",
            stream_buffer_maxsize=_BUFFER,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            autodiscover=False,
            datadir=str(self._settings.data_dir / "faust"),
        )
        app.transport = Transport([URL(f"kafka://{broker}") for broker in kafka.brokers], app)
        schema: Any = PollSchema()
        for name in (self.topics.raw, self.topics.signals, self.topics.exposures):
            topic = app.topic(name, schema=schema, internal=False)
            app.agent(topic, name=f"agent.{name}")(self._agent)
        assigned: Any = self._assigned
        app.on_partitions_assigned.connect(assigned)
        return app

    async def _agent(self, stream: Any) -> None:
        stream.enable_acks = False
        async for event in stream.events():
            task = self.tasks.get(event.message.tp)
            if task is not None:
                await self._meter.take(task, event.message.value)

    async def _assigned(self, _app: Any, *given: Any, **_: Any) -> None:
        """Take on what is new, and give up what is somebody else's now.

        Not at once when it is revoked: most of that comes back, and the owner of the rest fences
        us off.
        """
        assigned: set[TP] = given[0]
        for tp in self.tasks.keys() - assigned:
            await self._give_up(tp)
        for tp in assigned - self.tasks.keys():
            task = self.tasks[tp] = self._task(tp)
            self._running[tp] = self.app.add_future(task.run())
        mine = sorted(
            f"{tp.topic.removeprefix(self.topics.prefix)}/{tp.partition}" for tp in assigned
        )
        _log.info(
            "at work on %s", ", ".join(mine) or "nothing: others have it all, this one stands by"
        )
        self._meter.joined = True

    async def _give_up(self, tp: TP) -> None:
        self.tasks.pop(tp)
        running = self._running.pop(tp)
        while not running.done():
            running.cancel()
            await asyncio.wait([running], timeout=1)

    # -- life

    def listen(self, number: int = 0) -> None:
        """Take the address for metrics; they are shown once the worker prepares.

        `number`: which of several processes of one worker this is.

        Raises:
            ValueError: one was configured, and cannot be had.
        """
        if not self._asked:
            self._asked = True
            self._exposition = listening(self._settings.metrics, number)

    async def prepare(self) -> None:
        """Make what is missing; goes on trying while no broker answers, and says so once."""
        self.listen()
        if self._exposition is not None:
            self._exposition.start(self._meters.registry, self._meter.troubles)
        said = ""
        while True:
            try:
                counts = await ensure(self.kafka, self.topics, self._environ)
                break
            except ConnectionError as fault:
                if said != str(fault):
                    said = str(fault)
                    _log.warning("%s: trying again every %d s", said, _AGAIN_S)
                await asyncio.sleep(_AGAIN_S)
        self.raw = counts[self.topics.raw]
        opening = gateway_of(self._settings, self._environ)
        self._gateway = await self._open.enter_async_context(opening)
        outside = opened(self._settings, self._environ, self._clock)
        self._outward = await self._open.enter_async_context(outside)
        asked = services(self._settings.intake, self._tables, self._environ)
        self._services = await self._open.enter_async_context(asked)

    async def end(self) -> None:
        """Let everything go; what is not committed is done again by the next owner."""
        for task in list(self.tasks.values()):
            if isinstance(task, DecideTask):
                await task.finish()
        for tp in list(self.tasks):
            await self._give_up(tp)
        await self._open.aclose()
        if self._exposition is not None:
            self._exposition.close()

    # -- tasks

    def _task(self, tp: TP) -> Task:
        kafka, settings, clock = self.kafka, self._settings, self._clock
        place = TopicPartition(tp.topic, tp.partition)
        stage = {self.topics.raw: "intake", self.topics.signals: "detect"}.get(tp.topic, "decide")
        seat = self._meter.seat(stage, place)

        def journal() -> Journal:
            name = f"{kafka.prefix}{stage}-{tp.partition}"
            opened = connection(kafka, self._environ)
            state = self.topics.state(stage)
            return Measured(self._meter, seat, opened, name, state, tp.partition, kafka.group)

        common: Any = (place, journal, self._seek, self._told, clock, kafka.commit_ms / 1000)
        if stage == "intake":
            return IntakeTask(
                *common, make=lambda: Intake(settings, self._tables, self._digest, tp.partition)
            )
        if stage == "detect":
            return DetectTask(
                *common,
                make=lambda: self._meter.timed(
                    Detect(settings, tp.partition, self.raw, clock.monotonic_s())
                ),
            )
        folder = settings.data_dir / "worker"

        def decide(records: list[bytes]) -> Decide:
            made = Decide(settings, folder, self.raw, clock.monotonic_s(), records)
            # Ed25519 signs the same in the same way, so any owner's heads are the same.
            keys.sign(made.store, settings)
            made.orders.rotate = partial(keys.replace, made.store, settings)
            return made

        return DecideTask(
            *common,
            make=decide,
            responders=self._responders,
            never_block=self._never_block,
            outward=self._outward,
            asking=self._asking,
            dead=self.topics.deadletter,
        )

    def _asking(self, decide: Decide) -> list[Beside]:
        return [Asker(self._services, decide.pending, decide.answer, Random())]

    def _responders(self, decide: Decide) -> list[Responder]:
        capture: Responder = CaptureEvidence(
            StoreCapture(decide.store, self._clock.now_ms, self._settings.capture, looks_back=False)
        )
        return [capture] if self._gateway is None else [capture, self._gateway]

    async def _seek(self, place: TopicPartition, offset: int) -> None:
        await self.app.consumer.seek(TP(*place), offset)

    def _told(self, place: TopicPartition) -> tuple[int, int] | None:
        consumer: Any = self.app.consumer
        told: tuple[int, int] | None = consumer.told(place)
        return told

    def _lag(self, place: TopicPartition, position: int) -> int | None:
        consumer: Any = self.app.consumer
        records: int | None = consumer.lag(place, position)
        return records


class _Boot(BootStrategy):
    """`faust worker` serves pages to everybody unless told not to, whatever its app wants."""

    enable_web = False


class _App(faust.App):
    """Faust's app, which prepares and ends the worker with itself."""

    BootStrategy = _Boot

    def __init__(self, *args: Any, worker: Worker, **options: Any) -> None:
        super().__init__(*args, **options)
        self._breachline = worker

    async def on_first_start(self) -> None:
        await self._breachline.prepare()
        await super().on_first_start()

    async def on_stop(self) -> None:
        await self._breachline.end()
        await super().on_stop()


def make(config: Path | None, environ: Mapping[str, str], data_dir: Path | None = None) -> Worker:
    """The worker of a configuration, found as every command finds it.

    Raises:
        ConfigError, ValueError, OSError: what is wrong with it, or with the keys.
    """
    loaded = load(config, environ, Path.cwd())
    settings = loaded.settings
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir})
    return Worker(settings, loaded.path, environ, SystemClock())


async def serve(worker: Worker) -> int:
    """Work until a signal comes; its number."""
    app, stopped = worker.app, asyncio.Event()
    signals = when_told(stopped.set)
    when_orphaned(stopped)
    app.finalize()
    starting = asyncio.ensure_future(app.start())
    gone = asyncio.ensure_future(app.wait_until_stopped())
    told = asyncio.ensure_future(stopped.wait())

    def begun(start: "asyncio.Future[None]") -> None:
        if not start.cancelled() and start.exception() is not None:
            stopped.set()

    starting.add_done_callback(begun)
    try:
        await asyncio.wait([told, gone], return_when="FIRST_COMPLETED")
        if starting.done():
            starting.result()
    finally:
        starting.cancel()
        await app.stop()
    return signals[0] if signals else 0


def __getattr__(name: str) -> faust.App:
    """`app`, made when `faust -A streams.app` asks for it: importing must not read a file."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return make(None, os.environ).app
