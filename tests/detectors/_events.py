"""Signals as sentences: at(3).user("a").read("u-7"), at(40).ip("192.0.2.9").looks("/users/7")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from detectors.engine import Engine
from intake.addresses import subnet_of
from records.event import Signal
from records.finding import Finding
from records.ids import digest, event_id

START_S = 1_795_341_600  # 2026-11-22T10:00:00Z
ADDRESS = "203.0.113.7"
ROUTE = "/users/{owner}/profile"


@dataclass(frozen=True)
class At:
    """A moment and what is known of the caller; each method returns another one, or the signal."""

    time_ms: int
    facts: dict[str, Any] = field(default_factory=dict)

    def but(self, **facts: Any) -> At:
        return At(self.time_ms, self.facts | facts)

    def ip(self, address: str, *, trusted: bool = True) -> At:
        net = {"subnet": subnet_of(address)} if ":" in address else {}
        return self.but(ip=address, ip_trusted=trusted, **net)

    def user(self, principal: str, provenance: str = "gateway") -> At:
        return self.but(principal=principal, provenance=provenance, authentication="known")

    def anonymous(self, credentials: str = "gateway") -> At:
        return self.but(authentication="anonymous", credentials=credentials)

    def session(self, session: str) -> At:
        return self.but(session=session)

    def agent(self, fingerprint: str) -> At:
        return self.but(fingerprint=fingerprint)

    def elsewhere(self) -> At:
        """Another site made the browser send it."""
        return self.but(cross_site=True)

    def route(self, route: str, category: str = "") -> At:
        return self.but(route=route, category=category)

    def read(self, *targets: str, **facts: Any) -> Signal:
        """Somebody else's data, got."""
        foreign = {"verdict": "foreign", "basis": "route", "targets": tuple(sorted(targets))}
        return self.but(**foreign | facts).signal()

    def write(self, *targets: str, **facts: Any) -> Signal:
        """Somebody else's data, changed."""
        return self.read(*targets, **{"method": "POST", "effect": "write"} | facts)

    def denied(self, *targets: str, status: int = 403, **facts: Any) -> Signal:
        """Somebody else's data, refused."""
        refused = {"status": status, "outcome": "denied", "certainty": "attempted"}
        return self.read(*targets, **refused | facts)

    def looks(self, *targets: str, **facts: Any) -> Signal:
        """Data of which the log does not say whether it is the caller's own."""
        unjudged = {"verdict": "undetermined", "basis": "route", "targets": tuple(sorted(targets))}
        return self.but(**unjudged | facts).signal()

    def claims(self, user: str, **facts: Any) -> Signal:
        """An identity header, and nobody to compare it with."""
        return self.looks(user, claimed=user, basis="claimed", **facts)

    def mismatch(self, user: str, **facts: Any) -> Signal:
        """An identity header that names another than the principal."""
        return self.but(**{"mismatch": True, "claimed": user, "verdict": "own"} | facts).signal()

    def canary(self, *ids: str, **facts: Any) -> Signal:
        return self.but(canaries=ids, **facts).signal()

    def signal(self) -> Signal:
        standard: dict[str, Any] = {"ip": ADDRESS, "route": ROUTE, "method": "GET", "status": 200}
        facts = standard | self.facts
        offset = int(digest(self.time_ms, *(f"{k}={facts[k]}" for k in sorted(facts)))[:12], 16)
        return Signal(event=event_id("gw", offset), time_ms=self.time_ms, **facts)


def at(seconds: float) -> At:
    """So many seconds after ten o'clock."""
    return At(round((START_S + seconds) * 1000))


def only(rule: str, **settings: Any) -> Engine:
    """An engine with one rule at work."""
    from detectors.engine import discover

    others = {kind.id: {"enabled": False} for kind in discover() if kind.id != rule}
    return Engine(others | {rule: settings})


def judged(rule: str, signals: Iterable[Signal], **settings: Any) -> list[Finding]:
    """What one rule makes of signals; that it raised nothing is checked here."""
    engine = only(rule, **settings)
    findings = engine.observe(signals)
    assert engine.faults == {}
    return findings


def severities(rule: str, signals: Iterable[Signal], **settings: Any) -> list[str]:
    return [finding.severity for finding in judged(rule, signals, **settings)]


def late(signal: Signal) -> Signal:
    return msgspec.structs.replace(signal, late=True)
