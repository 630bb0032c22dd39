"""What detectors conclude. A finding never changes once emitted; growth is in its incident."""

import msgspec

from records.event import Actor
from records.kinds import Mode, Severity

Explain = dict[str, int | float | str | bool | list[str]]
"""The numbers that decided, beside the limits that they passed."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's limit crossed by one actor in one episode, at one severity."""

    id: str
    rule: str
    name: str
    version: str
    reference: str
    severity: Severity
    confidence: float
    actor: Actor
    members: tuple[Actor, ...]
    """Who did it, as actors of exposures: for an address rule, those behind the address."""
    principal: str = ""
    """The vouched-for principal, where there is exactly one."""
    ips: tuple[str, ...] = ()
    untrusted_ips: tuple[str, ...] = ()
    """Those of `ips` that a client could have written itself: never blocked."""
    sessions: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """Whose data the deciding requests addressed; sorted."""
    start_ms: int
    end_ms: int
    """Event time of the earliest and latest deciding request."""
    episode_day: int
    episode_ordinal: int
    message: str
    explain: Explain
    evidence: tuple[str, ...]
    """Event ids of the deciding requests, by time."""
    undetermined: bool = False
    """True where fan-out alone decided: its undetermined exposures count as this incident's."""
    mode: Mode | None = None
    """The rule's own mode, where the configuration gives it one."""
