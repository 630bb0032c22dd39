"""Builders for tests of incidents: exposures, findings, an in-memory store, a desk that is fed."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from incidents.fold import Desk, Folded
from incidents.population import Population
from incidents.settings import PolicySettings
from intake.addresses import net_of
from records.event import Actor, Exposure
from records.finding import Finding
from records.ids import DAY_MS, finding_id, incident_id
from records.incident import Action, Incident

T0 = 1_795_000_000_000 - 1_795_000_000_000 % DAY_MS + 10 * 3_600_000
"""10:00 UTC of a day in November 2026."""
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, DAY_MS


def principal(name: str) -> Actor:
    return Actor("principal", name)


def session(name: str) -> Actor:
    return Actor("session", name)


def address(ip: str) -> Actor:
    return Actor("ip", ip)


def net(value: str) -> Actor:
    return Actor("subnet", value)


def around(actor: Actor) -> Actor:
    """The /64 that answers for an address too."""
    return net(net_of(actor.value)) if actor.type == "ip" else actor


def foreign(actor: Actor, time_ms: int, target: str, **changes: Any) -> Exposure:
    values: dict[str, Any] = {
        "event": f"log-{time_ms:x}-{actor.value}",
        "time_ms": time_ms,
        "actor": actor,
        "principal": actor.value if actor.type == "principal" else "",
        "session": actor.value if actor.type == "session" else "",
        "ip": actor.value if actor.type == "ip" else "203.0.113.7",
        "target": target,
        "route": "/users/{owner}",
        "category": "profile",
    }
    return Exposure(**{**values, **changes})


def finding(actor: Actor, start_ms: int, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "rule": "cross_user_read",
        "name": "Reads other people's data",
        "version": "1",
        "reference": "CWE-639",
        "severity": "high",
        "confidence": 0.95,
        "actor": actor,
        "members": (actor,),
        "principal": actor.value if actor.type == "principal" else "",
        "ips": (actor.value if actor.type == "ip" else "203.0.113.7",),
        "users": ("v1", "v2"),
        "start_ms": start_ms,
        "end_ms": start_ms,
        "message": f"{actor.value} read the data of others",
        "explain": {"targets": 2, "limit": 1},
        "evidence": (f"log-{start_ms:x}",),
        **changes,
    }
    day = values["start_ms"] // DAY_MS
    values = {
        "id": finding_id(
            values["rule"], "1", str(values["actor"]), values["severity"], day, start_ms
        ),
        "episode_day": day,
        "episode_ordinal": 0,
        **values,
    }
    return Finding(**values)


def first_id(actor: Actor, time_ms: int = T0) -> str:
    return incident_id(str(actor), time_ms // DAY_MS, 0)


class Store:
    """An exposure store in memory."""

    def __init__(self) -> None:
        self.items: list[Exposure] = []

    def exposures_of(
        self, actors: Iterable[Actor], since_ms: int, until_ms: int
    ) -> Iterator[Exposure]:
        wanted = set(actors)
        found = [
            e
            for e in self.items
            if (e.actor in wanted or around(e.actor) in wanted) and since_ms <= e.time_ms < until_ms
        ]
        return iter(sorted(found, key=lambda e: (e.time_ms, e.event)))


class World:
    """A desk with its store and population, and what it gave out so far."""

    def __init__(self, *, event_time: bool = True, **settings: Any) -> None:
        self.store = Store()
        self.population = Population()
        self.settings = PolicySettings(**settings)
        self.event_time = event_time
        self.kept: dict[str, bytes] = {}
        self.incidents: dict[str, Incident] = {}
        self.actions: dict[str, Action] = {}
        self.watermark_ms = 0
        self.history_from_ms = T0 - 30 * DAY
        self.desk = self._desk()

    def _desk(self) -> Desk:
        return Desk(
            self.store,
            self.population,
            self.settings,
            ["10.0.0.0/8"],
            event_time=self.event_time,
        )

    def crowd(self, ip: str, *names: str, time_ms: int = T0 - 10 * MINUTE) -> None:
        self.population.observe({(ip, name): time_ms for name in names})

    def fold(self, *items: Exposure | Finding, now_ms: int | None = None) -> Folded:
        exposures = [item for item in items if isinstance(item, Exposure)]
        findings = [item for item in items if isinstance(item, Finding)]
        self.store.items += exposures
        times = [e.time_ms for e in exposures] + [f.end_ms for f in findings]
        self.watermark_ms = max([self.watermark_ms, *times])
        now_ms = self.watermark_ms if now_ms is None else now_ms
        folded = self.desk.fold(
            findings, exposures, now_ms, self.history_from_ms, self.watermark_ms
        )
        for incident in folded.incidents:
            before = self.incidents.get(incident.id)
            assert incident.version == (before.version if before else 0) + 1
            self.incidents[incident.id] = incident
        for action in folded.actions:
            assert action.id not in self.actions
            self.actions[action.id] = action
        return folded

    def restart(self) -> None:
        """Lose everything but what was kept."""
        self.kept |= dict(self.desk.take_dirty())
        self.desk = self._desk()
        self.desk.load(self.kept.items())

    def open(self) -> dict[str, Incident]:
        return {key: item for key, item in self.incidents.items() if item.status != "closed"}

    def only(self) -> Incident:
        (incident,) = self.open().values()
        return incident

    def blocks(self) -> list[Action]:
        return [action for action in self.actions.values() if action.kind == "block_ip"]

    def outcome(self) -> object:
        """Everything that must not depend on how the input was cut up."""
        incidents = sorted(
            (msgspec.structs.replace(item, version=0) for item in self.open().values()),
            key=lambda item: item.id,
        )
        return incidents, [self.desk.impact(item.id) for item in incidents]
