"""Asks ownership services whose objects they were: at assessment only, and until they answer.

Objects of incidents come in, answers go out to whoever folds them. A service that fails is asked
again after a while that grows; nothing waits for it but what depends on its answer. What was asked
and not told is asked again by the next run.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from random import Random

import msgspec

from incidents.owners import Answer, Item
from streams.clock import Clock
from streams.hints import Hint
from streams.owner_service import Service, Trouble
from streams.owner_url import is_askable

CONCURRENT = 4
"""Requests to one service at a time."""
QUICK_CAP_S = 60.0
SLOW_CAP_S = 300.0
_SLOW_S = 10.0
_ROUND = 1_000
"""Least objects whose answers are folded together."""
_ROUNDS = 8
_LOOK_MS = 5_000
"""Between two looks for objects, while all that there are were refused."""
GIVE_UP = 3
"""Failures in a row after which a scan asks a service no more."""

_log = logging.getLogger("breachline.owners")

_Waiting = dict[str, list[str]]
"""Object of one source -> the routes under which it waits: one a tenant."""

Accept = Callable[[list[Answer], int], None]
"""Folds answers, as of a time."""


class _Standing(msgspec.Struct):
    """How it goes with one service."""

    service: Service
    failures: int = 0
    next_ms: int = 0
    why: str = ""
    alone: set[str] = msgspec.field(default_factory=set)
    """Objects to be asked for one by one."""
    refused: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """Object that the service does not take -> (how often, when it is asked for again)."""
    named: int = 0
    nobodys: int = 0


class Report(msgspec.Struct, frozen=True):
    """How it stands with one source, for a person."""

    route: str
    host: str
    named: int
    """Objects whose owners it has named."""
    none: int
    """Objects that it says are nobody's, or are not there."""
    pending: int
    why: str
    """Why it has not answered for those that are pending; "" if it was not asked yet."""


class Asker:
    """Works beside detection; see `streams.beside`."""

    def __init__(
        self,
        services: Iterable[Service],
        pending: Callable[[], Sequence[Item]],
        accept: Accept,
        random: Random,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        """`pending` gives the objects that wait, `accept` folds answers, both between two steps.

        `say` is told once what hinders a service, and when it answers again.
        """
        self._standings = {service.route: _Standing(service) for service in services}
        self._pending = pending
        self._accept = accept
        self._random = random
        self._tell = say
        self._look_ms = 0

    async def step(self, now_ms: int) -> float | None:
        """Ask for what waits and is due; None where nothing waits."""
        if not self._standings:
            return None
        if now_ms < self._look_ms:
            return (self._look_ms - now_ms) / 1000
        due = {r: s for r, s in self._standings.items() if s.next_ms <= now_ms}
        if not due:
            return self._wait_s(now_ms)
        waiting = self._by_route()
        asked = {
            route: self._askable(standing, waiting[route], now_ms)
            for route, standing in due.items()
            if route in waiting
        }
        if not any(asked.values()):
            if not any(waiting.get(route) for route in self._standings):
                return None
            self._look_ms = now_ms + _LOOK_MS
            return _LOOK_MS / 1000
        answers: list[Answer] = []
        try:
            async with asyncio.TaskGroup() as group:
                for route, items in asked.items():
                    if items:
                        group.create_task(self._ask(due[route], items, answers, now_ms))
        finally:
            # What was answered is not lost where this is cut short.
            if answers:
                self._accept(answers, now_ms)
        return 0.0 if answers else self._wait_s(now_ms)

    async def last(self, now_ms: int) -> None:
        """Ask once for all that waits and is due."""
        while await self.step(now_ms) == 0.0:
            pass

    def _by_route(self) -> dict[str, _Waiting]:
        waiting: dict[str, _Waiting] = {}
        for route, item in self._pending():
            of_source = waiting.setdefault(route.partition("#")[0], {})
            of_source.setdefault(item, []).append(route)
        return waiting

    def _askable(self, standing: _Standing, items: _Waiting, now_ms: int) -> _Waiting:
        """The part of what waits for one service that is asked for now."""
        refused = standing.refused
        free = [item for item in items if item not in refused or refused[item][1] <= now_ms]
        # Folding costs as much as an incident has exposures, however few answers there are.
        return {item: items[item] for item in free[: max(_ROUND, len(free) // _ROUNDS)]}

    async def _ask(
        self, standing: _Standing, items: _Waiting, answers: list[Answer], now_ms: int
    ) -> None:
        service = standing.service

        def answered(item: str, owners: tuple[str, ...], source: str) -> None:
            leaves = service.leaves(item, owners)
            answers.extend(
                Answer(route, item, owners, now_ms, source, leaves) for route in items[item]
            )

        for item in items:
            if not is_askable(item):
                answered(item, (), "")
        parts = _parts([item for item in items if is_askable(item)], standing)
        troubles: list[Trouble] = []

        async def work() -> None:
            while parts and not troubles:
                part = parts.pop()
                said = await service.ask(part, now_ms)
                for item, owners in said.owners.items():
                    answered(item, owners, service.host)
                    standing.named += bool(owners)
                    standing.nobodys += not owners
                    standing.refused.pop(item, None)
                    standing.alone.discard(item)
                standing.alone |= set(said.again)
                parts.extend([item] for item in said.again)
                if said.trouble is not None and said.trouble.objects_only:
                    self._refuse(standing, part[0], said.trouble, now_ms)
                elif said.trouble is not None:
                    troubles.append(said.trouble)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT):
                group.create_task(work())
        if troubles:
            self._fail(standing, troubles[0], now_ms)
        elif standing.failures:
            self._tell(f"asking for owners of {service.route}: {service.host} answers again")
            standing.failures, standing.why = 0, ""

    def _refuse(self, standing: _Standing, item: str, trouble: Trouble, now_ms: int) -> None:
        times = standing.refused.get(item, (0, 0))[0] + 1
        wait_s = min(SLOW_CAP_S, trouble.retry_after_s * 2.0 ** min(times, 16))
        standing.refused[item] = (times, now_ms + round(1000 * wait_s))
        self._say(standing, trouble.says)

    def _fail(self, standing: _Standing, trouble: Trouble, now_ms: int) -> None:
        """Exponential back-off with full jitter above the least wait that the trouble asks for."""
        standing.failures += 1
        least_s = trouble.retry_after_s
        cap_s = max(least_s, QUICK_CAP_S if least_s < _SLOW_S else SLOW_CAP_S)
        ceiling_s = min(cap_s, least_s * 2.0 ** min(standing.failures, 16))
        wait_s = self._random.uniform(least_s, max(least_s, ceiling_s))
        standing.next_ms = now_ms + round(1000 * wait_s)
        self._say(standing, trouble.says)

    def _say(self, standing: _Standing, why: str) -> None:
        if standing.why != why:
            standing.why = why
            self._tell(f"asking for owners of {standing.service.route}: {why}: it is tried again")

    def _wait_s(self, now_ms: int) -> float:
        return max(0.0, (min(s.next_ms for s in self._standings.values()) - now_ms) / 1000)

    # -- how it stands

    @property
    def is_hopeless(self) -> bool:
        """Whether every service for which something waits has failed several times in a row."""
        waiting = self._by_route()
        left = [s for route, s in self._standings.items() if waiting.get(route)]
        return all(
            s.failures >= GIVE_UP
            or all(s.refused.get(item, (0, 0))[0] >= GIVE_UP for item in waiting[s.service.route])
            for s in left
        )

    def report(self) -> list[Report]:
        """How it stands with each source, in the order of the configuration."""
        waiting = self._by_route()
        return [
            Report(
                route=route,
                host=standing.service.host,
                named=standing.named,
                none=standing.nobodys,
                pending=len(waiting.get(route, ())),
                why=standing.why if waiting.get(route) else "",
            )
            for route, standing in self._standings.items()
        ]


def _parts(items: list[str], standing: _Standing) -> list[list[str]]:
    """What is asked for in one request each; a list is worked off from its end."""
    alone = [[item] for item in items if item in standing.alone]
    rest = [item for item in items if item not in standing.alone]
    size = standing.service.batch
    return [*alone, *(rest[at : at + size] for at in range(0, len(rest), size))][::-1]


def pending_hints(reports: Iterable[Report]) -> list[Hint]:
    """What nobody has answered yet, for a person."""
    return [
        Hint(
            "owner_pending",
            report.pending,
            f"The owners of {report.pending:,} objects on {report.route} are pending: "
            f"{report.why or f'{report.host} was not asked yet'}. People among them are not "
            "counted as affected.",
            "a service that answers, and scan again (`breachline doctor` asks it)",
        )
        for report in reports
        if report.pending
    ]


async def answer_all(asker: Asker, clock: Clock, limit_s: float) -> None:
    """Ask until nothing waits, no service answers any more, or the time is over."""
    until_s = clock.monotonic_s() + limit_s
    while (left_s := until_s - clock.monotonic_s()) > 0:
        try:
            async with asyncio.timeout(left_s):
                wait_s = await asker.step(clock.now_ms())
        except TimeoutError:
            return
        if wait_s is None or (wait_s and asker.is_hopeless):
            return
        # Nothing else is at work.
        clock.sleep(min(wait_s, left_s))
