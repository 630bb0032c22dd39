"""Tasks: one partition of one stage each, with its journal; they read, commit, and start over.

A poll of the consumer comes in; commits go out. A task that meets any fault of the brokers is
thrown away and made anew from its journal: there is one way to begin, and it is the way out of
everything. It MUST NOT go on with a poll that does not follow the last one.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import msgspec
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from streams.clock import Clock
from streams.kafka.intake import Record
from streams.kafka.journal import Journal
from streams.kafka.quiet import Quiet, Told
from streams.kafka.wire import Output

_AGAIN_S = 1.0
_MOST_PENDING = 64 << 20
"""Bytes read and not committed, from which on reading waits."""

_log = logging.getLogger("breachline.kafka")


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
        self._now = asyncio.Event()
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

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for what is not committed yet: a finding, an incident."""
        return False

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
                    if self.is_urgent:
                        self._now.set()
                    await asyncio.sleep(0)
                    if not self._ready.is_set():
                        return
            except Exception as fault:  # noqa: BLE001  `run` says it, and begins anew
                self._fault = fault
                self._ready.clear()
                return
            if self.is_urgent:
                self._now.set()
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
                        await self._pause()
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

    async def _pause(self) -> None:
        """Until it is time to commit: something that people wait for makes it time at once."""
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes with the event.
            async with asyncio.timeout(self._commit_s):
                await self._now.wait()
        except TimeoutError:
            return
        self._now.clear()

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
