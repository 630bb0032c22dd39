"""The three stages as tasks: intake and detect keep values by key, decide keeps a store.

In: what `Task` hands on. Out: messages and journal. They wire a stage to its task, no more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

import msgspec
from aiokafka.errors import KafkaError

from incidents.settings import NeverBlock
from records.incident import Action, Guard, Receipt
from responders._base import Responder
from streams.approvals import by_person
from streams.beside import Beside, Measured, ended, keep_up
from streams.kafka.decide import Decide
from streams.kafka.detect import Detect
from streams.kafka.intake import Intake, Record, State
from streams.kafka.journal import cut
from streams.kafka.tasks import Task
from streams.kafka.wire import Output, encode
from streams.lift import lift_harmful
from streams.live import LOOKBACK_MS, PRUNE_S, RESPOND_S, STOP_S
from streams.outward import Outward
from streams.respond import Respond

if TYPE_CHECKING:
    from evidence.elastic.bulk import Document

_log = logging.getLogger("breachline.kafka")
_Known = dict[str, dict[str, bytes]]


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
        outward: Outward | None = None,
        asking: Callable[[Decide], Sequence[Beside]] = lambda _decide: (),
        dead: str = "",
        **more: object,
    ) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._make = make
        self._responders = responders
        self._never_block = never_block
        self._outward = outward
        self._make_asking, self._asking = asking, tuple[Beside, ...]()
        self._dead_topic = dead
        self._dead: list[Output] = []
        self.beside: Sequence[Measured] = ()
        self._begun, self._over = asyncio.Event(), asyncio.Event()
        self._ending = asyncio.Event()
        self._telling: list[asyncio.Task[None]] = []
        self._failed = False
        self._respond: Respond | None = None
        self._listed: Sequence[NeverBlock] | None = None
        """The never-block list since it was last changed: it outlives a task that begins anew."""
        self._one = asyncio.Lock()
        self._prune_at_s = self._clock.monotonic_s() + PRUNE_S

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
        decide.orders.lift = self._respond.lift
        self._failed = False
        self._dead.clear()
        if self._outward is not None:
            self.beside = self._outward.beside(
                decide.store, durable=self._durable(decide), on_refused=self._refused
            )
        self._asking = tuple(self._make_asking(decide))
        self._over = asyncio.Event()
        self._begun.set()
        if self._listed is not None:
            decide.decider.relist(self._listed, self._clock.now_ms())

    async def run(self) -> None:
        """Commit, and respond beside it."""
        async with asyncio.TaskGroup() as both:
            both.create_task(super().run())
            both.create_task(self._perform())
            both.create_task(self._tell())

    def work(self, records: Iterable[Record]) -> Iterator[None]:
        """Read records."""
        yield from self.decide.take(records, self._clock.monotonic_s(), self._clock.now_ms)

    async def commit(self) -> None:
        """As `Task.commit`, one at a time: the responding loop waits for its leases with it."""
        async with self._one:
            if self._failed:
                # Nothing new would look like everything kept.
                raise ConnectionError("an earlier commit failed: the task begins anew")
            try:
                await super().commit()
            except BaseException:
                self._failed = True
                raise

    def gather(self) -> tuple[list[Output], list[bytes]]:
        """What is to be committed."""
        decide, respond = self.decide, self._respond
        for _ in decide.decide(self._clock.monotonic_s(), self._clock.now_ms):
            pass
        if respond is not None:
            lift_harmful(decide.decider, decide.store, respond, self._clock.now_ms())
        if self._clock.monotonic_s() >= self._prune_at_s:
            self._prune_at_s = self._clock.monotonic_s() + PRUNE_S
            with decide.store.transaction():
                decide.store.prune(self._clock.now_ms(), LOOKBACK_MS)
        if decide.wants_base and self._journal is not None:
            self._journal.demand_base()
        outputs, state = decide.collect()
        outputs += self._dead
        self._dead.clear()
        return outputs, state

    def base(self) -> list[bytes]:
        """The whole store."""
        return self.decide.base()

    @property
    def position(self) -> int:
        """Offset of the next record that is needed."""
        return self.decide.position

    @property
    def is_urgent(self) -> bool:
        """Whether there are findings."""
        return self.decide.has_findings

    def close(self) -> None:
        """Give the store up."""
        if self._respond is not None:
            self._respond = None
            self._begun.clear()
            self._over.set()
            self.beside = self._asking = ()
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

    async def _tell(self) -> None:
        """Drive what goes on beside, anew each time the task begins anew."""
        while True:
            await self._begun.wait()
            beside: Sequence[Beside] = (*self._asking, *self.beside)
            over = self._over
            async with asyncio.TaskGroup() as group:
                self._telling = [
                    group.create_task(keep_up(one, self._clock.now_ms, self._ending))
                    for one in beside
                ]
                await over.wait()
                for task in self._telling:
                    task.cancel()

    def _refused(self, document: "Document", reason: str) -> None:
        """Elasticsearch never takes it: it goes where lines go that nobody understands."""
        about = (("index", document.index), ("id", document.id), ("trouble", reason))
        headers = tuple((name, text.encode("utf-8", "replace")) for name, text in about)
        self._dead.append(Output(self._dead_topic, document.source, b"document", 0, headers))

    async def finish(self) -> None:
        """Let what goes on beside have its last word, before this is cancelled."""
        if not self._telling:
            return
        self._ending.set()
        await ended(self._telling, STOP_S)
        # How far others were told; if it does not work, the next owner tells them again. Not with
        # a timeout round it: a commit that is cancelled may take as long as it likes to end.
        committing = asyncio.ensure_future(self.commit())
        committing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([committing], timeout=STOP_S)

    def _durable(self, decide: Decide) -> Callable[[], Awaitable[None]]:
        async def durable() -> None:
            if self._respond is None or self.decide is not decide:
                raise ConnectionError("the task began anew")
            try:
                await self.commit()
            except KafkaError as fault:
                raise ConnectionError(f"committing: {type(fault).__name__}") from fault

        return durable

    def _recheck(self, action: Action, now_ms: int) -> Guard:
        store, decider = self.decide.store, self.decide.decider
        if (entries := self._never_block()) is not None:
            self._listed = entries
            decider.relist(entries, now_ms)
        return decider.desk.recheck(action, now_ms, by_person=by_person(store, action))

    def _received(self, receipt: Receipt) -> None:
        # Inside the receipt's transaction: what it makes of the incident stands with it.
        if (incident := self.decide.decider.apply(receipt)) is not None:
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

    @property
    def is_urgent(self) -> bool:
        """Whether there are findings."""
        return self.detect.has_findings
