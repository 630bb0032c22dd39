"""An access event as an ECS document: what `parse` prints, and what analysts query.

Records in, plain dicts out. Keys without a value are absent, as ECS has it.
"""

from typing import Any

from intake.addresses import is_address
from records.event import AccessEvent
from records.ids import iso

_OUTCOME = {"proven": "success", "metadata": "success", "denied": "failure"}


def event_document(event: AccessEvent, source_name: str) -> dict[str, Any]:
    """One access event in ECS; what ECS has no field for, and our judgement, under `breachline`."""
    http: dict[str, Any] = {"request": {"method": event.method}}
    if event.request_id:
        http["request"]["id"] = event.request_id
    if event.status:
        http["response"] = {"status_code": event.status}
    if event.bytes >= 0:
        http.setdefault("response", {})["body"] = {"bytes": event.bytes}
    path, _, query = event.path.partition("?")
    url: dict[str, Any] = {"original": event.path, "path": path}
    if query:
        url["query"] = query
    if event.host:
        url["domain"] = event.host
    document: dict[str, Any] = {
        "@timestamp": iso(event.time_ms),
        "event": {
            "kind": "event",
            "category": ["web"],
            "type": ["access"],
            "module": "breachline",
            "dataset": "breachline.access",
            "id": event.id,
            "outcome": _OUTCOME.get(event.outcome, "unknown"),
        },
        "source": {"address": event.ip},
        "http": http,
        "url": url,
        "log": {"file": {"path": source_name}},
        "breachline": _judgement(event),
    }
    if is_address(event.ip):
        document["source"]["ip"] = event.ip
    if event.principal:
        document["user"] = {"id": event.principal}
    if event.user_agent:
        document["user_agent"] = {"original": event.user_agent}
    if event.tenant:
        document["organization"] = {"id": event.tenant}
    return document


def _judgement(event: AccessEvent) -> dict[str, Any]:
    judged: dict[str, Any] = {
        "offset": event.offset,
        "route": event.route,
        "category": event.category,
        "effect": event.effect,
        "outcome": event.outcome,
        "verdict": event.verdict,
        "authentication": event.authentication,
        "address_trusted": event.ip_trusted,
    }
    said = {
        "session": event.session,
        "provenance": event.provenance,
        "claimed_user": event.claimed,
        "object": event.object,
        "basis": event.basis,
        "allowed": event.allowed,
    }
    judged.update({name: value for name, value in said.items() if value})
    if event.targets:
        judged["targets"] = list(event.targets)
    if event.cross_site:
        judged["cross_site"] = True
    if event.late:
        judged["late"] = True
    return judged
