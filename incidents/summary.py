"""What an incident says of itself: builds the Incident record from its cases and ledgers.

Cases and ledgers in, one frozen record out, the same for the same facts. It decides only the words:
severity, title, breach and how the actor's own accounts are related.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from incidents.affected import Counts, Ledger
from incidents.cases import Case, Fault, Group
from incidents.coverage import Nearby
from intake.addresses import net_of
from records.event import Actor
from records.finding import Finding
from records.incident import Account, Coverage, Incident
from records.kinds import SEVERITIES, ActorType, Cause, IncidentSeverity, Severity

OF_OBJECTS = frozenset({"object_enumeration", "bulk_read", "canary"})
"""Rules whose successes on objects of unknown owners are a breach: the count is then a floor."""
_BY_SEVERITY: dict[Severity, IncidentSeverity] = {
    "critical": "SEV2", "high": "SEV2", "medium": "SEV3", "low": "SEV4",
}  # fmt: skip
_ORDER: tuple[ActorType, ...] = (
    "principal", "session", "ip", "subnet", "fingerprint", "route", "service",
)  # fmt: skip


NearbyOf = Callable[[Iterable[str], int, int], Nearby]
"""What the logs of these source ids lack from one event time to another."""


def nothing_nearby(_sources: Iterable[str], _first_ms: int, _last_ms: int) -> Nearby:
    """For logs that lack nothing."""
    return Nearby()


def describe(
    group: Group, ledgers: Mapping[str, Ledger], nearby: NearbyOf = nothing_nearby
) -> Incident:
    """The incident of a group as it stands; `ledgers` by case id. Version as last given out."""
    cases = sorted(group.cases, key=lambda case: (case.opened_ms, case.id))
    ledger = Ledger.union([ledgers[case.id] for case in cases])
    findings = group.findings()
    counts = ledger.counts(group.principals)
    rules = tuple(sorted({finding.rule for finding in findings.values()}))
    cause: Cause = "insider" if any(case.insider for case in cases) else "attack"
    return Incident(
        id=group.id,
        version=group.version,
        severity=_severity(_is_breach(counts, rules), findings.values()),
        status=group.status,
        cause=cause,
        breach=_is_breach(counts, rules),
        title=_title([case.actor for case in cases if not case.held], counts, rules),
        actors=_actors(cases, findings.values()),
        actor_accounts=_accounts(cases, ledger, ledgers),
        findings=tuple(sorted(findings)),
        rules=rules,
        first_seen_ms=_first_ms(cases, ledger),
        last_seen_ms=group.last_ms,
        awareness_ms=group.awareness_ms,
        affected_count=counts.affected,
        affected_upper=counts.upper,
        attempted_count=counts.attempted,
        unknown_objects=counts.unknown_objects,
        records_count=counts.records,
        categories=counts.categories,
        coverage=_coverage(cases, ledger, counts, nearby),
        merged=tuple(sorted(case.id for case in cases if case.id != group.id)),
    )


def describe_fault(
    fault: Fault,
    groups: Sequence[Group],
    ledgers: Mapping[str, Ledger],
    nearby: NearbyOf = nothing_nearby,
) -> Incident:
    """The one service incident that stands for all these groups."""
    cases = [case for group in groups for case in group.cases]
    ledger = Ledger.union([ledgers[case.id] for case in cases])
    findings = {key: f for group in groups for key, f in group.findings().items()}
    # each actor's own principal is left out of their own row only, so nobody is left out here
    counts = ledger.counts()
    rules = tuple(sorted({finding.rule for finding in findings.values()}))
    breach = _is_breach(counts, rules)
    return Incident(
        id=fault.id,
        version=fault.version,
        severity=_severity(breach, findings.values()),
        status=fault.status,
        cause="fault",
        breach=breach,
        title=f"{fault.rule} on {len(groups)} actors within minutes: fault suspected",
        actors=(),
        findings=tuple(sorted(findings)),
        rules=rules,
        first_seen_ms=_first_ms(cases, ledger),
        last_seen_ms=max(case.last_ms for case in cases),
        awareness_ms=fault.awareness_ms,
        affected_count=counts.affected,
        affected_upper=counts.upper,
        attempted_count=counts.attempted,
        unknown_objects=counts.unknown_objects,
        records_count=counts.records,
        categories=counts.categories,
        coverage=_coverage(cases, ledger, counts, nearby),
        merged=tuple(sorted(case.id for case in cases)),
    )


def _is_breach(counts: Counts, rules: Sequence[str]) -> bool:
    if counts.affected:
        return True
    # Those that are still asked for may turn out to be the caller's own.
    unknown = counts.unknown_objects - counts.unsettled
    return unknown > 0 and not OF_OBJECTS.isdisjoint(rules)


def _severity(breach: bool, findings: Iterable[Finding]) -> IncidentSeverity:
    if breach:
        return "SEV1"
    return _BY_SEVERITY[max((f.severity for f in findings), key=SEVERITIES.index)]


def _first_ms(cases: Sequence[Case], ledger: Ledger) -> int:
    start_ms = min(case.start_ms for case in cases)
    return start_ms if ledger.first_ms is None else min(start_ms, ledger.first_ms)


def _coverage(cases: Sequence[Case], ledger: Ledger, counts: Counts, nearby: NearbyOf) -> Coverage:
    """Complete: the look-back met no edge, its logs lack nothing near by, and no owner is asked."""
    sources = {source for case in cases for source in case.sources}
    near = nearby(sources, _first_ms(cases, ledger), max(case.last_ms for case in cases))
    return Coverage(
        from_ms=min(case.from_ms for case in cases),
        complete=all(case.complete for case in cases) and near == Nearby() and not counts.pending,
        late=near.late,
        rejected=near.rejected,
        gaps=(*near.gaps, *pending_words(counts.pending)),
    )


def pending_words(pending: int) -> tuple[str, ...]:
    """What coverage says of objects whose owners are still to be asked for."""
    if not pending:
        return ()
    return (f"pending: the owners of {pending} object{'s' * (pending != 1)} are not known yet",)


def _actors(cases: Sequence[Case], findings: Iterable[Finding]) -> tuple[Actor, ...]:
    """Principals, sessions and addresses; an address that a client could have written is none.

    A /64 stands for its addresses.
    """
    forged = {ip for finding in findings for ip in finding.untrusted_ips}
    actors = {case.actor for case in cases if not case.held}
    nets = {actor.value for actor in actors if actor.type == "subnet"}
    actors |= {Actor("session", session) for case in cases for session in case.sessions}
    actors |= {
        Actor("ip", ip)
        for case in cases
        for finding in case.findings.values()
        for ip in finding.ips
        if ip not in forged and net_of(ip) not in nets
    }
    return tuple(sorted(actors, key=lambda actor: (_ORDER.index(actor.type), actor.value)))


def _accounts(
    cases: Sequence[Case], ledger: Ledger, ledgers: Mapping[str, Ledger]
) -> tuple[Account, ...]:
    """The actors' own principals among those whose data was reached; a person decides on them."""
    own = {case.actor.value: case for case in cases if case.actor.type == "principal"}
    primary = next(iter(own), "")
    accounts: list[Account] = []
    for principal in ledger.left_out(frozenset(own)):
        relation = "own"
        if principal != primary:
            accessed = ledgers[own[principal].id].accesses > 0
            relation = "colluding" if accessed else "possibly_compromised"
        accounts.append(Account(principal, relation))
    return tuple(accounts)


def _name(actor: Actor) -> str:
    return f"session {actor.value[:12]}" if actor.type == "session" else actor.value


def _title(actors: Sequence[Actor], counts: Counts, rules: Sequence[str]) -> str:
    joined = len(actors) - 1
    who = _name(actors[0]) + (f" and {joined} joined" if joined else "")
    if counts.affected:
        what = f"reached the data of {_people(counts.affected)}"
    elif counts.upper:
        what = f"may have reached the data of {_people(counts.upper)}"
    elif counts.attempted:
        what = f"tried to reach the data of {_people(counts.attempted)}"
    elif counts.unknown_objects:
        what = f"reached {counts.unknown_objects} objects of unknown owners"
    else:
        what = "is under suspicion"
    return f"{who} {what} ({', '.join(rules)})"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
