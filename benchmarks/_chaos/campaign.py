"""One run of the campaign: a log fed to two workers, faults meanwhile, and what came of it.

A fault comes when so many lines have been fed, at counts drawn by chance from a seed, and never
sooner than 12 s after the last one was over.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks._chaos.feeding import Feeder, Way
from benchmarks._chaos.outcome import Outcome
from benchmarks._chaos.stack import KAFKA_FAULTS, Result, Stack
from benchmarks._chaos.world import SESSION_TIMEOUT_S, World
from tests.stack._kafka import Cluster, Kafka

Kind = Literal["none", "kill", "freeze", "broker", "leader"]
APART_S = 12
WARM_UP_S = 6
FROZEN_S = 1.5 * SESSION_TIMEOUT_S
AWAY_S = 3
"""How long a broker is gone."""
BEHIND_S = 2
"""A deployment has recovered when less than so much of the feed waits to be read."""
_LOOK_S = 0.5
_PAUSE_S = 0.05
_END_TIMEOUT_S = 600


class Plan(NamedTuple):
    """A run: what happens, in order, while the log comes in that way."""

    name: str
    way: Way
    faults: tuple[Kind, ...]
    workers: int = 2
    seed: int = 1

    @property
    def brokers(self) -> int:
        """The leader of a partition may be lost only where others have its copy."""
        return 3 if "leader" in self.faults else 1


class Report(NamedTuple):
    """What a run came to."""

    plan: Plan
    result: Result
    differences: dict[str, str]
    """From the reference, by field."""
    recoveries_s: tuple[float, ...]
    """From each fault until less than BEHIND_S of the feed waited, or the next fault came."""

    @property
    def is_exact(self) -> bool:
        return not (self.differences or self.result.ledger or self.result.gateway)


def lines_for(faults: int, rate: int) -> int:
    """How long a log must be for so many faults."""
    return int(rate * max(60, WARM_UP_S + (faults + 1) * (APART_S + 4)))


def moments(faults: int, lines: int, rate: int, rng: random.Random) -> list[int]:
    """At how many fed lines each fault comes: by chance, and at least 12 s apart."""
    apart = APART_S * rate
    first = WARM_UP_S * rate
    room = lines - first - apart * max(0, faults - 1) - 2 * rate
    if room < 0:
        raise ValueError(f"{lines:,} lines at {rate:,}/s are too few for {faults} faults")
    drawn = sorted(rng.randrange(room + 1) for _ in range(faults))
    return [first + extra + n * apart for n, extra in enumerate(drawn)]


async def run(plan: Plan, world: World, home: Path) -> tuple[Result, tuple[float, ...]]:
    """Start everything, feed, disturb, wait for the end, and read what is there."""
    async with AsyncExitStack() as opened:
        nodes = opened.enter_context(_kafka(plan.brokers, home / "kafka"))
        stack = Stack(world, nodes.brokers, "chaos", home / "stack")
        await opened.enter_async_context(stack)
        for number in range(plan.workers):
            stack.start(number)
        await stack.ready()
        feeder = Feeder(world, nodes.brokers, stack.topics.raw, plan.way)
        troubles = _Troubles(plan, stack, nodes, feeder)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feeder.run())
            watching = tasks.create_task(troubles.watch())
            await troubles.all()
            await stack.finished(_END_TIMEOUT_S)
            watching.cancel()
        return await stack.result(), troubles.recoveries_s()


def report(plan: Plan, world: World, home: Path, reference: Outcome) -> Report:
    """`run`, beside the reference."""
    result, recoveries_s = asyncio.run(run(plan, world, home))
    return Report(plan, result, result.outcome.differences(reference), recoveries_s)


def _kafka(count: int, home: Path) -> Kafka | Cluster:
    return Kafka(home) if count == 1 else Cluster(home, count)


class _Troubles:
    """The faults of one run, and how far behind the workers were meanwhile."""

    def __init__(self, plan: Plan, stack: Stack, nodes: Kafka | Cluster, feeder: Feeder) -> None:
        self._plan = plan
        self._stack = stack
        self._nodes = nodes
        self._feeder = feeder
        self._rng = random.Random(plan.seed)
        self._happened_s: list[float] = []
        self._late: list[float] = []
        """Moments at which too much waited."""

    async def all(self) -> None:
        """Each fault in its time."""
        world, plan = self._stack.world, self._plan
        loop = asyncio.get_running_loop()
        over_s = loop.time()
        for count, kind in zip(
            moments(len(plan.faults), world.lines, world.rate, self._rng), plan.faults, strict=True
        ):
            while self._feeder.fed < count or loop.time() < over_s + APART_S:  # noqa: ASYNC110
                if self._feeder.done:
                    raise RuntimeError(f"{kind}: the log ended before its fault; give more lines")
                await asyncio.sleep(_PAUSE_S)
            self._stack.check()
            self._happened_s.append(loop.time())
            await getattr(self, f"_{kind}")()
            over_s = loop.time()

    async def _kill(self) -> None:
        self._stack.kill(self._some())

    async def _freeze(self) -> None:
        number = self._some()
        self._stack.freeze(number)
        await asyncio.sleep(FROZEN_S)
        self._stack.wake(number)

    async def _broker(self) -> None:
        assert isinstance(self._nodes, Kafka)
        await asyncio.to_thread(self._nodes.stop)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(self._nodes.start)

    async def _leader(self) -> None:
        nodes, topics = self._nodes, self._stack.topics
        assert isinstance(nodes, Cluster)
        topic = (topics.raw, topics.signals, topics.exposures)[len(self._happened_s) % 3]
        index = await nodes.leader(topic)
        assert index is not None, f"nobody leads {topic}"
        nodes.kill(index)
        await asyncio.sleep(FROZEN_S)
        await asyncio.to_thread(nodes.start)

    def _some(self) -> int:
        return self._rng.randrange(len(self._stack.workers))

    async def watch(self) -> None:
        """Look again and again at how much waits, until cancelled."""
        loop = asyncio.get_running_loop()
        most = BEHIND_S * self._feeder.messages_per_s
        while True:
            with contextlib.suppress(*KAFKA_FAULTS):
                if await self._stack.lag() > most:
                    self._late.append(loop.time())
            await asyncio.sleep(_LOOK_S)

    def recoveries_s(self) -> tuple[float, ...]:
        """By fault."""
        ends = [*self._happened_s[1:], float("inf")]
        return tuple(
            max((late - begin for late in self._late if begin <= late < end), default=0.0)
            for begin, end in zip(self._happened_s, ends, strict=True)
        )
