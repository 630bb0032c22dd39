"""Why an actor was or was not flagged and acted on, gathered from everything that was kept.

In: a store, the history, and an actor, finding or incident. Out: an answer as data, and its lines.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from detectors.engine import discover
from evidence.history import History
from evidence.store import EmbeddedStore
from incidents.documents import action_document
from intake.addresses import net_of
from records.event import Actor
from records.finding import Finding
from records.ids import iso
from records.incident import Action, Incident


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to "why", or "why not"."""

    about: str
    events: dict[str, int]
    """What the history has of the actor: verdict and outcome -> events."""
    findings: list[dict[str, Any]]
    incidents: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    silent_rules: dict[str, str]
    """Rule that did not fire -> what it sees."""


def explain(
    store: EmbeddedStore,
    history: Path,
    *,
    ip: str = "",
    principal: str = "",
    session: str = "",
    finding: str = "",
    incident: str = "",
) -> Explanation:
    """Everything that was seen of one actor, finding or incident.

    Raises:
        LookupError: there is no such finding or incident.
    """
    about, findings, incidents = _found(
        store, ip=ip, principal=principal, session=session, finding=finding, incident=incident
    )
    ids = {one.id for one in incidents}
    actions = [a for a in store.log.actions() if a.incident in ids or (ip and a.target == ip)]
    events: dict[str, int] = {}
    silent: dict[str, str] = {}
    if ip or principal or session:
        events = _events(store, history, ip=ip, principal=principal, session=session)
        fired = {f.rule for f in findings}
        silent = {
            detector.id: _sees(detector.__doc__ or "")
            for detector in discover()
            if detector.id not in fired
        }
    return Explanation(
        about=about,
        events=events,
        findings=[_finding(f) for f in findings],
        incidents=[_incident(one) for one in incidents],
        actions=[_action(store, action) for action in actions],
        silent_rules=silent,
    )


def _found(
    store: EmbeddedStore, *, ip: str, principal: str, session: str, finding: str, incident: str
) -> tuple[str, list[Finding], list[Incident]]:
    every = list(store.incidents(absorbed=True))
    if finding:
        one = store.finding(finding)
        if one is None:
            raise LookupError(f"no finding {finding!r}: `breachline incidents` lists them")
        return f"finding {one.id}", [one], [i for i in every if one.id in i.findings]
    if incident:
        case = store.incident(incident)
        if case is None:
            raise LookupError(f"no incident {incident!r}: `breachline incidents` lists them")
        return f"incident {case.id}", list(store.findings(case.findings)), [case]
    value = ip or principal or session
    kind = "ip" if ip else "principal" if principal else "session"
    # An IPv6 address may have been one of many that its /64 used; a /64 may be asked for itself.
    names = {(kind, value), *({("subnet", net)} if (net := _net_of(ip)) else ())}
    findings = [
        f
        for f in store.findings()
        if value in {"ip": f.ips, "principal": (f.principal,), "session": f.sessions}[kind]
        or any((actor.type, actor.value) in names for actor in (f.actor, *f.members))
    ]
    ids = {f.id for f in findings}
    return f"{kind} {value}", findings, [i for i in every if ids & set(i.findings)]


def _events(
    store: EmbeddedStore, folder: Path, *, ip: str, principal: str, session: str
) -> dict[str, int]:
    with History(folder) as history:
        history.load_staged(store)
        found = history.search(ip=ip or None, principal=principal or None, session=session or None)
        if ip.endswith("/64") and (net := _net_of(ip)):
            found = history.look_back(Actor("subnet", net))
        return dict(Counter(f"{row['verdict']} {row['outcome']}" for row in found).most_common())


def _net_of(ip: str) -> str:
    return net_of(ip.removesuffix("/64"))


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "rule": finding.rule,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "from": iso(finding.start_ms),
        "to": iso(finding.end_ms),
        "message": finding.message,
        "numbers": dict(finding.explain),
    }


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "severity": incident.severity,
        "title": incident.title,
        "affected_count": incident.affected_count,
    }


def _action(store: EmbeddedStore, action: Action) -> dict[str, Any]:
    receipts = [
        {"state": r.state, "at": iso(r.at_ms), "point": r.point, "detail": r.detail}
        for r in store.log.receipts(action.id)
    ]
    return {**action_document(action), "receipts": receipts}


def _sees(docstring: str) -> str:
    """The `Sees:` part of a detector's docstring, on one line."""
    _, _, rest = docstring.partition("Sees:")
    return " ".join(rest.partition("Misses:")[0].split())


def lines(answer: Explanation) -> Iterator[str]:
    """The answer for a person to read."""
    yield f"About {answer.about}"
    if answer.events:
        yield ""
        yield "Events kept: " + ", ".join(f"{n:,} {what}" for what, n in answer.events.items())
    elif answer.silent_rules:
        yield "No event of it is kept."
    yield ""
    if not answer.findings:
        yield "Not flagged: no rule's limit was passed."
    for finding in answer.findings:
        yield f"{finding['severity']} {finding['rule']}: {finding['message']}"
        yield f"    confidence {finding['confidence']:.2f}, {finding['from']} to {finding['to']}"
        yield "    " + ", ".join(f"{k}={_text(v)}" for k, v in finding["numbers"].items())
    for incident in answer.incidents:
        yield f"{incident['severity']} {incident['id']}: {incident['title']}"
    yield ""
    if not answer.actions:
        yield "Not acted on: no action was decided."
    for action in answer.actions:
        guard = action["guard"]
        yield f"{action['kind']} {action['target']} ({action['mode']}): guard {guard['verdict']}"
        yield f"    {guard['why']}; {action['reason']}"
        for receipt in action["receipts"]:
            at, point = receipt["at"], receipt["point"]
            yield f"    {at} {receipt['state']} at {point}: {receipt['detail']}"
    if answer.silent_rules:
        yield ""
        yield "Rules that did not fire, and what they look for:"
        for rule, sees in answer.silent_rules.items():
            yield f"    {rule}: {sees}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return "[" + " ".join(map(str, value[:10])) + ("..." if len(value) > 10 else "") + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
