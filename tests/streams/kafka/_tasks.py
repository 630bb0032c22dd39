"""A task with a stage that writes down what it gets, and doubles of what it talks to."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from streams.clock import HandClock
from streams.kafka.intake import Record
from streams.kafka.tasks import Poll, Task
from streams.kafka.wire import Output

PLACE = TopicPartition("breachline.access.raw", 2)
PATIENCE_S = 20


def record(offset):
    return ConsumerRecord(
        PLACE.topic, PLACE.partition, offset, 0, 0, None, b"%d" % offset, None, 0, 1, ()
    )


def poll(*offsets, start=None, end=None):
    """A poll of these records; of all up to `end`, where markers of transactions end it."""
    return Poll(
        offsets[0] if start is None else start,
        offsets[-1] + 1 if end is None else end,
        [record(offset) for offset in offsets],
    )


class Kept:
    """What the brokers keep for one task, whoever has it: the journal, the outputs, the position.

    Journals are made of it; `faults` come up in their commits, and in their beginnings.
    """

    def __init__(self):
        self.journal: list[bytes] = []
        self.sent: list[bytes] = []
        self.position = 0
        self.begins = self.ends = self.commits = 0
        self.bases: list[bool] = []
        self.forgotten = 0
        self.wants_base = False
        self.demanded = 0
        self.commit_faults: list[Exception | None] = []
        self.begin_faults: list[Exception | None] = []
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    def __call__(self):
        return Journal(self)


class Journal:
    """As its namesake's docstrings say: after a fault it is of no more use."""

    def __init__(self, kept):
        self._kept = kept
        self._fault: Exception | None = None

    async def begin(self):
        kept = self._kept
        kept.begins += 1
        await kept.may_begin.wait()
        if kept.begin_faults and (fault := kept.begin_faults.pop(0)):
            raise fault
        return list(kept.journal)

    @property
    def wants_base(self):
        return self._kept.wants_base

    def demand_base(self):
        self._kept.demanded += 1
        self._kept.wants_base = True

    async def commit(self, outputs, state, place, position, *, base=False):
        kept = self._kept
        await kept.may_commit.wait()
        if self._fault is None and kept.commit_faults:
            self._fault = kept.commit_faults.pop(0)
        if self._fault is not None:
            raise self._fault
        assert place == PLACE
        kept.commits += 1
        kept.bases.append(base)
        kept.sent += [output.value for output in outputs]
        kept.journal = [*([] if base else kept.journal), *state]
        kept.position = position

    async def forget(self):
        self._kept.forgotten += 1

    async def end(self):
        self._kept.ends += 1


class Stage(Task):
    """Writes down every record; says each on, and knows them all."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.worked: list[bytes] = []
        self.closed = 0
        self.broken: Exception | None = None
        self.stop_at: Callable[[int], None] = lambda _offset: None

    def restore(self, records):
        self.broken = None
        self.worked = list(records)
        self._position = int(records[-1]) + 1 if records else 0
        self._fresh: list[bytes] = []

    def work(self, records: Iterable[Record]) -> Iterator[None]:
        for one in records:
            self.stop_at(one.offset)
            self.worked.append(one.value or b"")
            self._fresh.append(one.value or b"")
            self._position = one.offset + 1
            yield

    def gather(self) -> tuple[list[Output], list[bytes]]:
        if self.broken is not None:
            raise self.broken
        fresh, self._fresh = self._fresh, []
        return [Output("out", value) for value in fresh], fresh

    def base(self):
        return list(self.worked)

    @property
    def position(self):
        return self._position

    def close(self):
        self.closed += 1


class Consumer:
    """Where seeks go, and the brokers' word on the end comes from."""

    def __init__(self, clock):
        self.sought: list[int] = []
        self.end: int | None = 0
        self.silent_s = 0.0
        """Since when the brokers have said nothing."""
        self._clock = clock

    async def seek(self, place, offset):
        assert place == PLACE
        self.sought.append(offset)

    def told(self, place):
        assert place == PLACE
        said_ms = self._clock.now_ms() - round(self.silent_s * 1000)
        return None if self.end is None else (self.end, said_ms)


class World:
    """A task, what it talks to, and its clock."""

    def __init__(self):
        self.kept, self.clock = Kept(), HandClock()
        self.consumer = Consumer(self.clock)
        self.task = self.made()

    def made(self):
        return Stage(PLACE, self.kept, self.consumer.seek, self.consumer.told, self.clock, 0.001)

    @asynccontextmanager
    async def running(self):
        """The task runs; at the end it is cancelled, as when its partition goes elsewhere."""
        run = asyncio.ensure_future(self.task.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield run
        finally:
            run.cancel()
            await asyncio.wait([run])

    async def until(self, holds):
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.001)

    async def committed(self, *offsets):
        wanted = [b"%d" % offset for offset in offsets]
        await self.until(lambda: self.kept.sent == wanted)
