"""Tasks: one partition of one stage each, with its journal; they read, commit, and start over.

A poll of the consumer comes in; commits go out. A task that meets any fault of the brokers is
thrown away and made anew from its journal: there is one way to begin, and it is the way out of
everything. It MUST NOT go on with a poll that does not follow the last one.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from random import Random

import msgspec
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from incidents.settings import NeverBlock
from records.incident import Action, Guard, Receipt
from responders._base import Responder
from streams.clock import Clock
from streams.kafka.decide import Decide
from streams.kafka.detect import Detect
from streams.kafka.intake import Intake, Record, State
from streams.kafka.journal import Journal, cut
from streams.kafka.quiet import Quiet, Told
from streams.kafka.wire import Output, encode
from streams.lift import lift_harmful
from streams.live import RESPOND_S
from streams.respond import Respond

_AGAIN_S = 1.0
_MOST_PENDING = 64 << 20
"""Bytes read and not committed, from which on reading waits."""

_log = logging.getLogger("breachline.kafka")
_Known = dict[str, dict[str, bytes]]


class Poll(msgspec.Struct, frozen=True):
    """What one poll of the consumer brought of one partition: everything in start <= offset < end.

    Records may be fewer than that: markers of transactions, and what was aborted, are not there.
    """

    start: int
    end: int
    records: Sequence[ConsumerRecord]


class Task(ABC):
    """One partition of one stage. `run` until cancelled; `take` what is polled meanwhile."""

    def __init__(
        self,
        place: TopicPartition,
        journal: Callable[[], Journal],
        seek: Callable[[TopicPartition, int], Awaitable[None]],
        told: Told,
        clock: Clock,
        commit_s: float,
    ) -> None:
        self.place = place
        self.commits = 0
        self.restarts = -1
        self.gathers = 0
        self._make_journal = journal
        self._seek = seek
        self._quiet = Quiet(place, told, clock)
        self._clock = clock
        self._commit_s = commit_s
        self._journal: Journal | None = None
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._pending = 0
        self._gone = False
        self._fault: Exception | None = None
        self._next = 0
        """Offset after the last poll that was taken."""
        self._sought_s = 0.0
        self._turn = asyncio.Lock()

    # -- what a stage does

    @abstractmethod
    def restore(self, records: list[bytes]) -> None:
        """Begin with what the journal holds."""

    @abstractmethod
    def work(self, records: Iterable[Record]) -> Iterator[None]:
        """Read records; yields to let others in."""

    @abstractmethod
    def gather(self) -> tuple[list[Output], list[bytes]]:
        """Messages and journal since the last call; nothing to commit if both are empty."""

    @abstractmethod
    def base(self) -> list[bytes]:
        """The whole state as it is after `gather`."""

    @property
    @abstractmethod
    def position(self) -> int:
        """Where to read on from after a restart."""

    def close(self) -> None:  # noqa: B027  most have nothing to let go of
        """Let go of what `restore` made."""

    # -- reading

    async def take(self, poll: Poll) -> None:
        """What was polled, in order; waits while the task is being made, or has too much to do."""
        await self._ready.wait()
        await self._room.wait()
        async with self._turn:
            self._quiet.polled()
            if poll.start > self._next:
                await self._go_back()
                return
            records = [
                Record(record.offset, record.value, record.headers)
                for record in poll.records
                if record.offset >= self._next
            ]
            self._pending += sum(len(record.value or b"") for record in records)
            try:
                for _ in self.work(records):
                    await asyncio.sleep(0)
                    if not self._ready.is_set():
                        return
            except Exception as fault:  # noqa: BLE001  `run` says it, and begins anew
                self._fault = fault
                self._ready.clear()
                return
            self._next = max(self._next, poll.end)
            if self._pending > _MOST_PENDING:
                self._room.clear()

    async def _go_back(self) -> None:
        """A poll from beyond: what lies between was not seen. Ask for it, once in a while."""
        now_s = self._clock.monotonic_s()
        if now_s - self._sought_s > _AGAIN_S:
            self._sought_s = now_s
            await self._seek(self.place, self._next)

    @property
    def quiet(self) -> bool:
        """Whether there has been nothing to read for a while."""
        return self._quiet.lasts(self._next)

    # -- committing

    async def run(self) -> None:
        """Begin, commit again and again, and begin anew after each fault, until cancelled."""
        try:
            while True:
                try:
                    await self._begin()
                    while True:
                        await asyncio.sleep(self._commit_s)
                        self._check()
                        await self.commit()
                except (asyncio.CancelledError, GeneratorExit):
                    raise
                except Exception as fault:  # noqa: BLE001  whatever it was, the journal is right
                    _log.warning(
                        "%s/%d begins anew from its journal: %s",
                        self.place.topic, self.place.partition, f"{type(fault).__name__}: {fault}",
                    )  # fmt: skip
                    self._quiet.away()
                    await self._drop()
                    await asyncio.sleep(_AGAIN_S)
        finally:
            self._gone = True
            await self._drop()
            # Whoever waits with a poll is let go: it is the next owner's.
            self._ready.set()
            self._room.set()

    def _check(self) -> None:
        """Raises: what was met while reading."""
        if self._fault is not None:
            raise self._fault

    async def _begin(self) -> None:
        self.restarts += 1
        self._fault = None
        journal = self._journal = self._make_journal()
        records = await journal.begin()
        self.restore(records)
        self._next = self.position
        self._pending = 0
        self._quiet.polled()
        await self._seek(self.place, self._next)
        self._sought_s = self._clock.monotonic_s()
        self._room.set()
        self._ready.set()

    async def commit(self) -> None:
        """Everything since the last commit, at once.

        Raises:
            KafkaError: see `Journal.commit`.
        """
        journal = self._journal
        if journal is None:
            raise ConnectionError("the task was given up")
        self.gathers += 1
        outputs, state = self.gather()
        if not outputs and not state:
            return
        self._pending = 0
        position, base = self.position, journal.wants_base
        whole = self.base() if base else state
        begun_s = self._clock.monotonic_s()
        await journal.commit(outputs, whole, self.place, position, base=base)
        self._quiet.answered(begun_s)
        self.commits += 1
        self._room.set()
        if base:
            await journal.forget()

    async def _drop(self) -> None:
        self._ready.clear()
        journal, self._journal = self._journal, None
        self.close()
        if journal is not None:
            try:
                async with asyncio.timeout(5):
                    await journal.end()
            except Exception as fault:  # noqa: BLE001  the next owner fences it off
                _log.debug("ending a producer: %s", type(fault).__name__)


class _Keyed(Task):
    """A task whose state is values by (space, key)."""

    _known: _Known
    """All that the journal holds, for a base."""

    def known(self, records: Iterable[bytes]) -> _Known:
        """The last of each, by space and key."""
        self._known = {}
        for record in records:
            for item in msgspec.msgpack.decode(record, type=list[bytes]):
                self._note(msgspec.msgpack.decode(item, type=State))
        return self._known

    def _note(self, item: State) -> None:
        space, key, value = item
        if value:
            self._known.setdefault(space, {})[key] = value
        else:
            self._known.get(space, {}).pop(key, None)

    def changed(self, items: Iterable[State]) -> list[bytes]:
        """Records of the journal."""
        kept = list(items)
        for item in kept:
            self._note(item)
        return [encode(group) for group in cut(map(encode, kept))]

    def base(self) -> list[bytes]:
        """All that is known."""
        items = (
            encode((space, key, value))
            for space, kept in self._known.items()
            for key, value in kept.items()
        )
        return [encode(group) for group in cut(items)]


class IntakeTask(_Keyed):
    """A partition of access.raw."""

    def __init__(self, *args: object, make: Callable[[], Intake], **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._make = make
        self.intake = make()

    def restore(self, records: list[bytes]) -> None:
        """From the journal."""
        self.intake = self._make()
        self.intake.load(self.known(records))

    def work(self, records: Iterable[Record]) -> Iterator[None]:
        """Read records."""
        return self.intake.take(records)

    def gather(self) -> tuple[list[Output], list[bytes]]:
        """What is to be committed."""
        outputs = self.intake.collect(idle=self.quiet)
        return outputs, self.changed(self.intake.take_dirty()) if outputs else []

    @property
    def position(self) -> int:
        """Offset of the next record that is needed."""
        return self.intake.position


class DecideTask(Task):
    """The partition of `exposures`: decides, and performs what was decided."""

    decide: Decide

    def __init__(
        self,
        *args: object,
        make: Callable[[list[bytes]], Decide],
        responders: Callable[[Decide], Sequence[Responder]],
        never_block: Callable[[], Sequence[NeverBlock] | None],
        **more: object,
    ) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._make = make
        self._responders = responders
        self._never_block = never_block
        self._respond: Respond | None = None
        self._one = asyncio.Lock()

    def restore(self, records: list[bytes]) -> None:
        """From the journal."""
        decide = self.decide = self._make(records)
        self._respond = Respond(
            decide.store,
            self._responders(decide),
            recheck=self._recheck,
            clock=self._clock,
            random=Random(),
            on_receipt=self._received,
            durable=self.commit,
        )

    async def run(self) -> None:
        """Commit, and respond beside it."""
        async with asyncio.TaskGroup() as both:
            both.create_task(super().run())
            both.create_task(self._perform())

    def work(self, records: Iterable[Record]) -> Iterator[None]:
        """Read records."""
        yield from self.decide.take(records, self._clock.monotonic_s(), self._clock.now_ms)

    async def commit(self) -> None:
        """As `Task.commit`, one at a time: the responding loop waits for its leases with it."""
        async with self._one:
            await super().commit()

    def gather(self) -> tuple[list[Output], list[bytes]]:
        """What is to be committed."""
        decide, respond = self.decide, self._respond
        for _ in decide.decide(self._clock.monotonic_s(), self._clock.now_ms):
            pass
        if respond is not None:
            lift_harmful(decide.decider, decide.store, respond, self._clock.now_ms())
        return decide.collect()

    def base(self) -> list[bytes]:
        """The whole store."""
        return self.decide.base()

    @property
    def position(self) -> int:
        """Offset of the next record that is needed."""
        return self.decide.position

    def close(self) -> None:
        """Give the store up."""
        if self._respond is not None:
            self._respond = None
            self.decide.close()

    async def _perform(self) -> None:
        """Do what is due; a fault of the brokers meanwhile is the committing loop's to meet."""
        while True:
            wait_s: float | None = None
            try:
                if self._respond is not None:
                    wait_s = await self._respond.step(self._clock.now_ms())
            except Exception as fault:  # noqa: BLE001  the task is begun anew, and its leases end
                _log.warning("responding: %s: %s", type(fault).__name__, fault)
                wait_s = RESPOND_S
            await asyncio.sleep(RESPOND_S if wait_s is None else min(RESPOND_S, wait_s))

    def _recheck(self, action: Action, now_ms: int) -> Guard:
        desk = self.decide.decider.desk
        if (entries := self._never_block()) is not None:
            desk.relist(entries)
        return desk.recheck(action, now_ms)

    def _received(self, receipt: Receipt) -> None:
        # Inside the receipt's transaction: what it makes of the incident stands with it.
        if (incident := self.decide.decider.desk.apply(receipt)) is not None:
            self.decide.store.put_incidents([incident])
            self.decide.publish([incident])


class DetectTask(_Keyed):
    """A partition of signals."""

    def __init__(self, *args: object, make: Callable[[], Detect], **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._make = make
        self.detect = make()

    def restore(self, records: list[bytes]) -> None:
        """From the journal."""
        self.detect = self._make()
        self.detect.load(self.known(records), self._clock.monotonic_s())

    def work(self, records: Iterable[Record]) -> Iterator[None]:
        """Read records."""
        return self.detect.take(records, self._clock.monotonic_s())

    def gather(self) -> tuple[list[Output], list[bytes]]:
        """What is to be committed."""
        self.detect.judge(self._clock.monotonic_s())
        outputs = self.detect.collect(idle=self.quiet)
        return outputs, self.changed(self.detect.take_dirty()) if outputs else []

    @property
    def position(self) -> int:
        """Offset of the next record that is needed."""
        return self.detect.position
