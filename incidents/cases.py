"""What an incident is made of: one case for each actor, grouped where they share a session.

These are the values that survive a restart; counts are not among them, they are folded again from
the exposures. Nothing here decides anything.

A case has its own id, a function of its actor alone. An incident takes the id of its oldest case
and names the others as merged, so the outcome does not depend on who was found first.
"""

from collections.abc import Iterable

import msgspec

from records.event import Actor
from records.finding import Finding
from records.ids import DAY_MS, incident_id
from records.incident import Incident
from records.kinds import IncidentStatus, Mode

QUIET_MS = DAY_MS
"""After this long without a finding or foreign exposure, the next one opens a new incident."""
DONE: frozenset[IncidentStatus] = frozenset({"resolved", "closed"})


class Case(msgspec.Struct, eq=False, kw_only=True):
    """One actor's findings, and the span of exposures that belongs to them."""

    actor: Actor
    id: str
    day: int
    """Days since 1970 of its first finding's episode; names it together with the actor."""
    opened_ms: int
    """Event time at which its first finding was made: the lower, the older."""
    start_ms: int
    """Earliest deciding request: the look-back goes on from here."""
    last_ms: int
    """Latest deciding request or exposure."""
    from_ms: int
    """Where the look-back ended."""
    complete: bool = True
    """False where the look-back met the edge of what is kept."""
    findings: dict[str, Finding] = msgspec.field(default_factory=dict)
    """Without their bulk: see `slim`."""
    sessions: dict[str, int] = msgspec.field(default_factory=dict)
    """Sessions that the actor, a principal, used, and since when."""
    cut: set[str] = msgspec.field(default_factory=set)
    """Sessions that join nobody any more, because a person split the incident."""
    sources: set[str] = msgspec.field(default_factory=set)
    """Ids of the logs that its deciding requests and exposures stand in."""
    insider: bool = False
    noted_ms: int = 0
    """Latest access to an object of unknown owner that counts beside it."""
    held: bool = False
    """One address whose /64 has a case of its own now: that one counts, this one names."""

    def take(self, finding: Finding) -> bool:
        """Add a finding; False if it is known."""
        if finding.id in self.findings:
            return False
        self.findings[finding.id] = slim(finding)
        self.opened_ms = min(self.opened_ms, finding.end_ms)
        self.start_ms = min(self.start_ms, finding.start_ms)
        self.last_ms = max(self.last_ms, finding.end_ms)
        self.sources |= {source_of(event) for event in finding.evidence}
        self.insider |= finding.explain.get("insider") is True
        if finding.members == (self.actor,):
            self.uses(finding.sessions, finding.start_ms)
        return True

    def hold(self, other: "Case") -> None:
        """Stand for the case of one address of this /64 from now on; when it opened is its own."""
        other.held = True
        self.findings |= other.findings
        self.start_ms = min(self.start_ms, other.start_ms)
        self.last_ms = max(self.last_ms, other.last_ms)
        self.noted_ms = max(self.noted_ms, other.noted_ms)
        self.sources |= other.sources
        self.insider |= other.insider

    def uses(self, sessions: Iterable[str], time_ms: int) -> list[str]:
        """Note sessions of a principal; those that are new to its case."""
        if self.actor.type != "principal":
            return []
        used = {session for session in sessions if session} - self.cut
        new = sorted(used - self.sessions.keys())
        for session in used:
            self.sessions[session] = min(time_ms, self.sessions.get(session, time_ms))
        return new

    @property
    def undetermined(self) -> list[Finding]:
        """Findings that make undetermined exposures count."""
        return [finding for finding in self.findings.values() if finding.undetermined]


class Group(msgspec.Struct, eq=False, kw_only=True):
    """One incident: the cases of actors that are one, and what is known of it as a whole."""

    cases: list[Case]
    awareness_ms: int
    status: IncidentStatus = "open"
    versions: dict[str, int] = msgspec.field(default_factory=dict)
    """Last version given out of its own id and of those that it absorbed."""
    document: Incident | None = None
    """As last given out, under its own id."""
    considered: set[str] = msgspec.field(default_factory=set)
    """Findings that the policy has seen."""
    captured: bool = False
    actions: dict[str, Mode] = msgspec.field(default_factory=dict)
    fault: str = ""
    """The fault incident that it is part of."""
    retired: bool = False
    """Quiet for a day, or resolved by a person: it takes in nothing more."""

    @property
    def oldest(self) -> Case:
        """The primary actor's case, which names the incident."""
        return min(self.cases, key=lambda case: (case.opened_ms, case.id))

    @property
    def id(self) -> str:
        """The incident's id."""
        return self.oldest.id

    @property
    def version(self) -> int:
        """The last version given out, 0 for none."""
        return self.versions.get(self.id, 0)

    @property
    def last_ms(self) -> int:
        """Its latest activity."""
        return max(case.last_ms for case in self.cases)

    @property
    def principals(self) -> frozenset[str]:
        """Its vouched-for principals."""
        return frozenset(case.actor.value for case in self.cases if case.actor.type == "principal")

    def findings(self) -> dict[str, Finding]:
        """Every finding by id; one of an address can stand in several cases."""
        return {key: finding for case in self.cases for key, finding in case.findings.items()}

    def absorb(self, other: "Group") -> None:
        """Take over the cases of another group, and what was done about it."""
        self.cases = sorted([*self.cases, *other.cases], key=lambda c: (c.opened_ms, c.id))
        self.awareness_ms = min(self.awareness_ms, other.awareness_ms)
        self.considered |= other.considered
        self.captured |= other.captured
        self.actions |= other.actions
        self.versions |= other.versions
        self.status = max(self.status, other.status, key=_PROGRESS.index)


class Fault(msgspec.Struct, eq=False, kw_only=True):
    """A service that seems broken: one rule on many actors at once."""

    id: str
    rule: str
    day: int
    opened_ms: int
    """Event time at which the last actor tipped the balance."""
    awareness_ms: int
    spans: list[tuple[int, int]]
    """When it was so, as (first, last) event times."""
    status: IncidentStatus = "open"
    version: int = 0
    document: Incident | None = None
    captured: bool = False
    retired: bool = False


_PROGRESS: tuple[IncidentStatus, ...] = (
    "open", "investigating", "contained", "resolved", "closed",
)  # fmt: skip


def may_become(status: IncidentStatus, to: IncidentStatus) -> bool:
    """Whether a person may set `to`: forward, or from contained back to investigating."""
    if (status, to) == ("contained", "investigating"):
        return True
    return _PROGRESS.index(to) > _PROGRESS.index(status)


def check_status(incident: str, status: IncidentStatus, to: IncidentStatus) -> None:
    """Refuse what a person may not set.

    Raises:
        ValueError: the incident is past that status.
    """
    if not may_become(status, to):
        raise ValueError(f"setting {incident} to {to}: it is {status} already")


def closed(document: Incident) -> Incident:
    """The next and last version of an incident that another one stands for now."""
    return msgspec.structs.replace(document, status="closed", version=document.version + 1)


def source_of(event: str) -> str:
    """The id of the log that an event's line stands in."""
    return event.rpartition("-")[0]


def open_case(actor: Actor, finding: Finding, ordinal: int) -> Case:
    """A case named by its actor and the UTC day of its first finding's episode."""
    return Case(
        actor=actor,
        id=incident_id(str(actor), finding.episode_day, ordinal),
        day=finding.episode_day,
        opened_ms=finding.end_ms,
        start_ms=finding.start_ms,
        last_ms=finding.end_ms,
        from_ms=finding.start_ms,
    )


def slim(finding: Finding) -> Finding:
    """A finding without what only its own document needs: state stays small."""
    return msgspec.structs.replace(
        finding, name="", reference="", users=(), evidence=(), routes=(), explain={}
    )
