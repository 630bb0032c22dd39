"""Findings, incidents and actions as the documents of CONTRACT 3 to 5: plain dicts, ready for JSON.

Records in, dicts out. A key without a value is absent where ECS has it so; nothing is judged here.
"""

from collections.abc import Mapping
from typing import Any

from incidents.clocks import clocks
from intake.addresses import is_address
from records.event import Actor
from records.finding import Finding
from records.ids import iso
from records.incident import Action, Affected, Coverage, Incident, UnknownObject
from records.kinds import EVENT_SEVERITY

Document = dict[str, Any]
Evidence = Mapping[str, tuple[str, int, str]]
"""event id -> (source name, offset of the line's first byte, SHA-256 of the line)."""


def _actor(actor: Actor) -> Document:
    return {"type": actor.type, "value": actor.value}


def finding_document(finding: Finding, evidence: Evidence) -> Document:
    """CONTRACT 3: an ECS alert. Evidence that is not kept any more is named by its event alone."""
    user = finding.principal
    document: Document = {
        "@timestamp": iso(finding.end_ms),
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "module": "breachline",
            "dataset": "breachline.finding",
            "id": finding.id,
            "severity": EVENT_SEVERITY[finding.severity],
            "start": iso(finding.start_ms),
            "end": iso(finding.end_ms),
        },
        "rule": {
            "id": finding.rule,
            "name": finding.name,
            "version": finding.version,
            "reference": finding.reference,
        },
    }
    # Some logs write host names, or the path of a socket: ECS types `ip`, and has others for these.
    ips = [ip for ip in finding.ips if is_address(ip)]
    hosts = [ip for ip in finding.ips if not is_address(ip)]
    if finding.ips:
        document["source"] = {"ip": ips[0]} if ips else {"address": hosts[0]}
    if user:
        document["user"] = {"id": user}
    related: Document = {}
    if ips:
        related["ip"] = ips
    if hosts:
        related["hosts"] = hosts
    if users := sorted({*finding.users, *([user] if user else [])}):
        related["user"] = users
    if related:
        document["related"] = related
    document["message"] = finding.message
    document["breachline"] = {
        "actor": _actor(finding.actor),
        "confidence": finding.confidence,
        "severity": finding.severity,
        "affected_count": len(finding.users),
        "explain": dict(finding.explain),
        "evidence": [_evidence(event, evidence) for event in finding.evidence],
    }
    return document


def _evidence(event: str, evidence: Evidence) -> Document:
    if event not in evidence:
        return {"event": event}
    source, offset, sha256 = evidence[event]
    return {"event": event, "source": source, "offset": offset, "sha256": sha256}


def _coverage(coverage: Coverage) -> Document:
    return {
        "from": iso(coverage.from_ms),
        "complete": coverage.complete,
        "gaps": list(coverage.gaps),
        "late": coverage.late,
        "rejected": coverage.rejected,
    }


def incident_document(incident: Incident) -> Document:
    """CONTRACT 4."""
    return {
        "id": incident.id,
        "version": incident.version,
        "title": incident.title,
        "severity": incident.severity,
        "status": incident.status,
        "cause": incident.cause,
        "breach": incident.breach,
        "actors": [_actor(actor) for actor in incident.actors],
        "actor_accounts": [
            {"id": account.id, "relation": account.relation} for account in incident.actor_accounts
        ],
        "findings": list(incident.findings),
        "rules": list(incident.rules),
        "first_seen": iso(incident.first_seen_ms),
        "last_seen": iso(incident.last_seen_ms),
        "affected_count": incident.affected_count,
        "affected_upper": incident.affected_upper,
        "attempted_count": incident.attempted_count,
        "unknown_objects": incident.unknown_objects,
        "records_count": incident.records_count,
        "categories": list(incident.categories),
        "coverage": _coverage(incident.coverage),
        "clocks": clocks(incident.awareness_ms),
        "merged": list(incident.merged),
    }


def action_document(action: Action) -> Document:
    """CONTRACT 5; `until` is null for kinds that have no duration."""
    return {
        "id": action.id,
        "kind": action.kind,
        "target": action.target,
        "until": iso(action.until_ms) if action.until_ms else None,
        "mode": action.mode,
        "reason": action.reason,
        "incident": action.incident,
        "findings": list(action.findings),
        "guard": {"verdict": action.guard.verdict, "why": action.guard.why},
        "decided": iso(action.decided_ms),
    }


def affected_document(row: Affected) -> Document:
    """One line of `affected/INCIDENT.ndjson` (CONTRACT 1, `scan`)."""
    return {
        "user": row.user,
        "certainty": row.certainty,
        "categories": list(row.categories),
        "reads": row.reads,
        "writes": row.writes,
        "first": iso(row.first_ms),
        "last": iso(row.last_ms),
        "events": list(row.events),
    }


def object_document(row: UnknownObject) -> Document:
    """One line of `affected/INCIDENT.objects.ndjson`."""
    return {
        "object": row.object,
        "route": row.route,
        "effect": row.effect,
        "first": iso(row.first_ms),
        "events": list(row.events),
    }
