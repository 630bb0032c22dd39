"""What one log line says, who it was, whose data it addressed, and what detectors see of it.

All are msgspec structs without GC tracking: a million of them pass a second's worth of work.
Times are integer milliseconds since 1970 UTC; addresses are text in canonical form.
"""

import msgspec

from records.kinds import (
    TRUSTED,
    ActorType,
    Authentication,
    Basis,
    Certainty,
    Effect,
    Key,
    Outcome,
    Provenance,
    TokenFault,
    Verdict,
)  # fmt: skip


class Actor(msgspec.Struct, frozen=True, gc=False, order=True):
    """Who answers for a request or a finding."""

    type: ActorType
    value: str

    def __str__(self) -> str:
        return f"{self.type}:{self.value}"


class AccessEvent(msgspec.Struct, frozen=True, gc=False):
    """One understood log line, normalised and judged."""

    id: str
    source: str
    offset: int
    time_ms: int
    ip: str
    ip_trusted: bool
    """False where the address comes from a forwarding header that no trusted proxy set."""
    method: str
    path: str
    """Path and query, secrets masked."""
    route: str
    """Template, such as /api/v1/users/{owner}/orders."""
    status: int
    """0 where none is logged."""
    bytes: int
    """Body bytes sent; -1 where not logged."""
    host: str
    user_agent: str
    request_id: str
    principal: str
    provenance: Provenance
    authentication: Authentication
    claimed: str
    """The canonical id in an honourable identity header; "" if none."""
    session: str
    """Keyed digest, never the credential itself."""
    tenant: str
    targets: tuple[str, ...]
    """Whose data was addressed; canonical user ids, sorted and unique."""
    object: str
    """Addressed object of the route, where it has one."""
    category: str
    effect: Effect
    outcome: Outcome
    basis: Basis
    verdict: Verdict
    allowed: str
    """Why a foreign access is allowed: "service", "delegate", "act", "grant", "public", "incoming";
    else ""."""
    cross_site: bool
    late: bool


class Signal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The part of a notable event that detectors see: all facts, no judgement of severity."""

    event: str
    time_ms: int
    late: bool = False
    ip: str = ""
    ip_trusted: bool = True
    subnet: str = ""
    """/24 of an IPv4 address, /64 of an IPv6 one."""
    principal: str = ""
    provenance: Provenance = ""
    authentication: Authentication = "unlogged"
    session: str = ""
    fingerprint: str = ""
    """Digest of the user agent."""
    claimed: str = ""
    route: str = ""
    method: str = ""
    status: int = 0
    targets: tuple[str, ...] = ()
    """The foreign targets of a foreign event; all targets of an undetermined one."""
    object: str = ""
    category: str = ""
    effect: Effect = "read"
    outcome: Outcome = "proven"
    certainty: Certainty = "proven"
    basis: Basis = ""
    verdict: Verdict = "no_target"
    mismatch: bool = False
    """The claim and a known principal of a comparable id space differ."""
    canaries: tuple[str, ...] = ()
    """Listed canary ids that this request addressed."""
    elsewhere: tuple[str, ...] = ()
    """Targets of an undetermined event that another address had asked for before."""
    out_of_bounds: str = ""
    """The service account that acted outside of its networks or routes."""
    cross_site: bool = False
    crawler: bool = False
    credentials: Provenance = ""
    """The provenance that this source's principals have, known even for an anonymous line."""
    token: TokenFault = ""
    """What is false about the token that came with it, though it was not refused."""

    @property
    def actor(self) -> Actor:
        """Principal if vouched for, else session, else address (JUDGEMENT: provenance)."""
        if self.principal and self.provenance in TRUSTED:
            return Actor("principal", self.principal)
        if self.session:
            return Actor("session", self.session)
        return Actor("ip", self.ip)

    def key(self, kind: Key) -> str:
        """The value of one key kind, "" where the signal has none."""
        if kind is Key.ACTOR:
            return str(self.actor)
        if kind is Key.ADDRESS:
            return self.ip
        return str(getattr(self, kind.value))


class Exposure(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One request by `actor` to the data of `target`, or to an `object` of unknown owner.

    `verdict` is foreign, or undetermined where the log has no comparable principal: those count
    only for incidents that a fan-out rule opened. Unique by (event, target).
    """

    event: str
    time_ms: int
    actor: Actor
    session: str = ""
    principal: str = ""
    provenance: Provenance = ""
    ip: str = ""
    fingerprint: str = ""
    target: str = ""
    object: str = ""
    route: str = ""
    category: str = ""
    effect: Effect = "read"
    certainty: Certainty = "proven"
    basis: Basis = ""
    verdict: Verdict = "foreign"


class RawLine(msgspec.Struct, frozen=True, gc=False):
    """A line kept as evidence: SHA-256 is of the bytes as logged, `data` has its secrets masked."""

    event: str
    sha256: str
    data: bytes
    masked: bool


class Reject(msgspec.Struct, frozen=True, gc=False):
    """A line that was not understood."""

    source: str
    offset: int
    reason: str
    sha256: str
    line: str
    """Secrets masked, undecodable bytes as \\xNN, cut to 4 KiB."""
