"""One run of the campaign: a log fed to two workers, faults meanwhile, and what came of it.

A fault comes when so many lines have been fed, at counts drawn by chance from a seed, and never
sooner than 12 s after the last one was over.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks._chaos.feeding import Feeder, Way
from benchmarks._chaos.outcome import Outcome
from benchmarks._chaos.stack import KAFKA_FAULTS, Result, Stack
from benchmarks._chaos.world import SESSION_TIMEOUT_S, World
from streams.kafka.settings import Kafka
from tests.stack._kafka import Cluster
from tests.stack._kafka import Kafka as Node

Kind = Literal["kill", "freeze", "broker", "leader"]
APART_S = 12
WARM_UP_S = 6
FROZEN_S = 1.5 * SESSION_TIMEOUT_S
AWAY_S = 3
"""How long a broker is gone."""
LASTS_S: dict[Kind, float] = {"kill": 0, "freeze": FROZEN_S, "broker": 12, "leader": FROZEN_S + 8}
"""How long a fault takes at most, ordinarily: a fault that takes longer delays the next."""
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
    """What a run came to, beside the scan of its lines."""

    plan: Plan
    result: Result
    reference: Outcome
    recoveries_s: tuple[float, ...]
    """From each fault until less than BEHIND_S of the feed waited, or the next fault came."""

    @property
    def differences(self) -> dict[str, str]:
        """From the reference, by field."""
        return self.result.outcome.differences(self.reference)

    @property
    def against(self) -> dict[str, str]:
        """All that speaks against the run; empty if it was exact."""
        told = self.differences
        for name in ("ledger", "gateway"):
            if words := getattr(self.result, name):
                told[name] = "; ".join(words)
        return told

    @property
    def is_exact(self) -> bool:
        return not self.against


def seconds_for(faults: Sequence[Kind]) -> float:
    """How long a log must last for these faults: a third more than the least."""
    return max(60.0, WARM_UP_S + sum(4 / 3 * APART_S + LASTS_S[kind] for kind in faults) + APART_S)


def moments(faults: Sequence[Kind], seconds: float, rng: random.Random) -> list[float]:
    """When in the log each fault comes: by chance, and at least 12 s after the last was over."""
    least = WARM_UP_S + sum(APART_S + LASTS_S[kind] for kind in faults[:-1]) + BEHIND_S
    if seconds < least:
        raise ValueError(f"a log of {seconds:.0f} s is too short for {', '.join(faults)}")
    begins, before_s = [], float(WARM_UP_S)
    for extra_s, kind in zip(
        sorted(rng.uniform(0, seconds - least) for _ in faults), faults, strict=True
    ):
        begins.append(before_s + extra_s)
        before_s += APART_S + LASTS_S[kind]
    return begins


async def run(plan: Plan, world: World, home: Path) -> tuple[Result, tuple[float, ...]]:
    """Start everything, feed, disturb, wait for the end, and read what is there."""
    async with AsyncExitStack() as opened:
        nodes = _kafka(plan.brokers, home / "kafka")
        opened.enter_context(nodes)
        kafka = Kafka(brokers=nodes.brokers.split(","), session_timeout_s=SESSION_TIMEOUT_S)
        stack = Stack(world, kafka, home / "stack")
        await opened.enter_async_context(stack)
        for number in range(plan.workers):
            stack.start(number)
        await stack.ready()
        feeder = Feeder(stack, plan.way)
        troubles = _Troubles(plan, stack, nodes, feeder)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feeder.run())
            watching = tasks.create_task(troubles.watch())
            await troubles.all()
            await stack.finished(_END_TIMEOUT_S)
            watching.cancel()
        return await stack.result(), troubles.recoveries_s()


def _kafka(count: int, home: Path) -> Node | Cluster:
    return Node(home) if count == 1 else Cluster(home, count)


class _Troubles:
    """The faults of one run, and how far behind the workers were meanwhile."""

    def __init__(self, plan: Plan, stack: Stack, nodes: Node | Cluster, feeder: Feeder) -> None:
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
        over_s = -float(APART_S)
        begins = moments(plan.faults, world.lines / world.rate, self._rng)
        for begin_s, kind in zip(begins, plan.faults, strict=True):
            count = begin_s * world.rate
            while self._feeder.fed < count or loop.time() < over_s + APART_S:
                if self._feeder.fed == world.lines:
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
        assert isinstance(self._nodes, Node)
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
            for begin, end in zip(self._happened_s, ends, strict=False)
        )
