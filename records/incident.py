"""Incidents, the actions that the policy decides, and what enforcement points answered."""

import msgspec

from records.event import Actor
from records.kinds import (
    ActionKind,
    Cause,
    GuardVerdict,
    IncidentSeverity,
    IncidentStatus,
    Mode,
    ReceiptState,
)  # fmt: skip


class Account(msgspec.Struct, frozen=True):
    """A person left out of the affected because the actor used their own account."""

    id: str
    relation: str
    """own | colluding | possibly_compromised; a person decides."""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the affected set rests on."""

    from_ms: int
    complete: bool
    late: int = 0
    rejected: int = 0
    gaps: tuple[str, ...] = ()


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One attack, fault or insider case; upserted by (id, version)."""

    id: str
    version: int
    severity: IncidentSeverity
    status: IncidentStatus
    cause: Cause
    breach: bool
    title: str
    actors: tuple[Actor, ...]
    actor_accounts: tuple[Account, ...] = ()
    findings: tuple[str, ...]
    rules: tuple[str, ...]
    first_seen_ms: int
    last_seen_ms: int
    awareness_ms: int
    """When the first finding was made: GDPR art. 33 counts its 72 hours from here."""
    affected_count: int = 0
    affected_upper: int = 0
    attempted_count: int = 0
    unknown_objects: int = 0
    records_count: int = 0
    categories: tuple[str, ...] = ()
    coverage: Coverage
    merged: tuple[str, ...] = ()


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one person's data in one incident."""

    user: str
    certainty: str
    """proven | presumed | possible | attempted: the best seen."""
    categories: tuple[str, ...]
    reads: int
    writes: int
    first_ms: int
    last_ms: int
    events: tuple[str, ...]
    """A bounded sample, the earliest."""


class UnknownObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object that was read or changed and whose owner nobody could name."""

    object: str
    route: str
    effect: str
    first_ms: int
    events: tuple[str, ...]


class Guard(msgspec.Struct, frozen=True):
    """Whether the policy lets an action be performed, and why."""

    verdict: GuardVerdict
    why: str


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An effect as data: an intent once it is in the store, performed only by a responder."""

    id: str
    kind: ActionKind
    target: str
    until_ms: int
    """When the effect ends by itself; 0 for kinds that have no duration."""
    mode: Mode
    reason: str
    incident: str
    findings: tuple[str, ...]
    guard: Guard
    decided_ms: int


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an enforcement point answered to an action, and what was read back."""

    action: str
    state: ReceiptState
    at_ms: int
    point: str
    """The enforcement point, such as gateway or evidence."""
    detail: str
    read_back: str = ""
    """present | absent | unavailable | "" where the kind has none."""
    attempt: int = 1
    retry_after_s: float | None = None
    """Set where trying again can help."""
