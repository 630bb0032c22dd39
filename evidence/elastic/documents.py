"""What is kept, as documents of Elasticsearch: ECS, and what ECS has no word for by our own name.

Documents of CONTRACT 3 to 5 and entries of the log come in; index, id and bytes go out. Ids come
from what is written, so that writing twice stores once. Nothing is judged or left out here.
"""

import base64
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from evidence.elastic.bulk import Document
from evidence.elastic.templates import ACTIONS, ECS_VERSION, EVIDENCE, FINDINGS, HEADS, INCIDENTS
from evidence.entry import Entry, EntryKind, canonical
from evidence.ledger import Head
from evidence.merkle import leaf_hash
from intake.addresses import is_address
from records.event import RawLine
from records.ids import digest, event_place, iso
from records.incident import Receipt

_Fields = dict[str, Any]
_encode = msgspec.json.Encoder().encode

_SEVERITY: Mapping[str, int] = MappingProxyType({"SEV1": 99, "SEV2": 73, "SEV3": 47, "SEV4": 21})
_RECEIPT_OUTCOME: Mapping[str, str] = MappingProxyType(
    {"confirmed": "success", "failed": "failure", "drifted": "failure"}
)
_ENTRY_IS: Mapping[EntryKind, tuple[str, str]] = MappingProxyType(
    {
        "intent": ("intrusion_detection", "info"),
        "receipt": ("intrusion_detection", "info"),
        "captured": ("web", "access"),
        "approval": ("intrusion_detection", "info"),
        "finding": ("intrusion_detection", "info"),
        "incident": ("intrusion_detection", "info"),
        "configuration": ("configuration", "info"),
        "export": ("database", "access"),
        "read": ("database", "access"),
        "hold": ("configuration", "change"),
        "release": ("configuration", "change"),
        "erasure": ("database", "change"),
        "key": ("configuration", "change"),
    }
)
"""`event.category` and `event.type` of an entry, by its kind."""


def finding(document: Mapping[str, Any]) -> Document:
    """A finding (CONTRACT 3), with what dashboards group by."""
    own, user = document["breachline"], document.get("user", {}).get("id")
    named = document.get("related", {}).get("user", ())
    source = {
        **document,
        "breachline": {
            **own,
            "actors": [_actor(own["actor"])],
            "victims": [one for one in named if one != user],
        },
    }
    return _in_stream(FINDINGS, source["event"]["id"], source)


def incident(document: Mapping[str, Any]) -> Document:
    """An incident (CONTRACT 4) at its version; a higher version takes the place of a lower one."""
    actors = document["actors"]
    own = {key: value for key, value in document.items() if key != "actors"}
    source = {
        "@timestamp": document["last_seen"],
        "event": {
            **_event("state", "intrusion_detection", "info", "incident", document["id"]),
            "severity": _SEVERITY[document["severity"]],
            "start": document["first_seen"],
            "end": document["last_seen"],
        },
        "message": document["title"],
        **_related(
            [one["value"] for one in actors if one["type"] == "ip"],
            [one["value"] for one in actors if one["type"] == "principal"],
        ),
        "breachline": {"actors": [_actor(one) for one in actors], "incident": own},
    }
    body = _encode({**source, "ecs": {"version": ECS_VERSION}})
    return Document(INCIDENTS, document["id"], body, op="index", version=document["version"])


def action(document: Mapping[str, Any]) -> Document:
    """What the policy decided (CONTRACT 5)."""
    target, kind = document["target"], document["kind"]
    own = {name: document[name] for name in ("id", "kind", "target", "mode", "findings", "guard")}
    if document["until"]:
        own["until"] = document["until"]
    source = {
        "@timestamp": document["decided"],
        "event": {
            **_event("event", "intrusion_detection", "info", "action", document["id"]),
            "action": kind,
            "reason": document["reason"],
        },
        "message": f"{kind} {target} ({document['mode']}): {document['reason']}",
        **_target(kind, target),
        "breachline": {"action": own, "incident": {"id": document["incident"]}},
    }
    return _in_stream(ACTIONS, document["id"], source)


def receipt(document: Mapping[str, Any]) -> Document:
    """What an enforcement point answered to an action: the fields of `records.incident.Receipt`."""
    record = msgspec.convert(document, Receipt)
    own = {
        name: value
        for name, value in msgspec.to_builtins(record).items()
        if name not in {"action", "at_ms"} and value not in {None, ""}
    }
    receipt_id = "rcp-" + digest(canonical(record).decode())
    source = {
        "@timestamp": iso(record.at_ms),
        "event": {
            **_event("event", "intrusion_detection", "info", "action", receipt_id),
            "action": "receipt",
            "outcome": _RECEIPT_OUTCOME.get(record.state, "unknown"),
            "reason": record.detail,
        },
        "message": f"{record.point}: {record.state}: {record.detail}",
        "breachline": {"action": {"id": record.action}, "receipt": own},
    }
    return _in_stream(ACTIONS, receipt_id, source)


def entry(one: Entry, line: RawLine | None = None, path: str = "") -> Document:
    """One entry of the ledger; of a captured one also the line, secrets masked, and its file.

    An entry that was erased says so, and holds what its leaf holds: kind, time and commitment.
    """
    payload = msgspec.json.decode(one.payload) if one.payload is not None else {}
    category, type_ = _ENTRY_IS[one.kind]
    ledger: _Fields = {
        "index": one.seq - 1,
        "kind": one.kind,
        "commitment": one.commitment.hex(),
        "leaf_hash": leaf_hash(one.leaf).hex(),
        "erased": one.payload is None,
    }
    event = {
        **_event("event", category, type_, "evidence", one.entry_id),
        "action": one.kind,
        "sequence": one.seq,
    }
    own: _Fields = {"ledger": ledger}
    source: _Fields = {"@timestamp": iso(one.at_ms), "event": event, "breachline": own}
    if payload:
        ledger["payload"] = payload
        _lift(one.kind, payload, source)
    if line is not None:
        event["original"] = line.data.decode("utf-8", "backslashreplace")
    if path:
        own.setdefault("evidence", {})["source"] = path
        source["log"] = {"file": {"path": path}}
    return _in_stream(EVIDENCE, event["id"], source)


def _lift(kind: EntryKind, payload: Mapping[str, Any], source: _Fields) -> None:
    """What a payload says of persons, incidents and lines also stands where people look for it."""
    own, event, related = source["breachline"], source["event"], {}
    if kind == "incident":
        own["incident"] = {"id": payload["id"], "version": payload["version"]}
    for name in ("action", "incident"):
        if (value := payload.get(name)) and isinstance(value, str):
            own[name] = {"id": value}
    if by := payload.get("by"):
        source["user"] = {"name": by}
        related["user"] = [by]
    if why := payload.get("why") or payload.get("reason"):
        event["reason"] = why
    if sha256 := payload.get("sha256"):
        related["hash"] = [sha256]
    if kind == "captured":
        own["evidence"] = {name: payload[name] for name in ("event", "sha256", "masked")}
        own["evidence"]["offset"] = event_place(payload["event"])[1]
        event["hash"] = sha256
    if related:
        source["related"] = related


def head(one: Head, at_ms: int) -> Document:
    """A signed head of the ledger; its id is the log's name and size, so two for one size clash.

    at_ms: the time of the newest entry that it covers.
    """
    origin, _, root = one.note.split("\n")[:3]
    own = {
        "origin": origin,
        "size": one.size,
        "root": base64.b64decode(root).hex(),
        "note": one.note,
    }
    name = f"{origin}@{one.size}"
    source = {
        "@timestamp": iso(at_ms),
        "event": _event("state", "configuration", "info", "head", name),
        "message": f"{origin}: {one.size} entries, root {own['root']}",
        "breachline": {"head": own},
        "ecs": {"version": ECS_VERSION},
    }
    return Document(HEADS, name, _encode(source))


def _in_stream(stream: str, name: str, source: Mapping[str, Any]) -> Document:
    type_, dataset, namespace = stream.split("-")
    whole = {
        **source,
        "ecs": {"version": ECS_VERSION},
        "data_stream": {"type": type_, "dataset": dataset, "namespace": namespace},
    }
    return Document(stream, name, _encode(whole))


def _event(kind: str, category: str, type_: str, dataset: str, name: str) -> _Fields:
    return {
        "kind": kind,
        "category": [category],
        "type": [type_],
        "module": "breachline",
        "dataset": f"breachline.{dataset}",
        "id": name,
    }


def _actor(actor: Mapping[str, str]) -> str:
    """As one text: Elasticsearch does not keep together what an array of objects says."""
    return f"{actor['type']}:{actor['value']}"


def _related(ips: Sequence[str], users: Sequence[str]) -> _Fields:
    related: _Fields = {}
    if found := [ip for ip in ips if is_address(ip)]:
        related["ip"] = found
    if hosts := [ip for ip in ips if not is_address(ip)]:
        related["hosts"] = hosts
    if users:
        related["user"] = list(users)
    return {"related": related} if related else {}


def _target(kind: str, target: str) -> _Fields:
    """Who an action is about, where ECS has a field for it."""
    if kind in {"block_ip", "rate_limit"} and is_address(target):
        return {"source": {"ip": target}, "related": {"ip": [target]}}
    if kind == "block_principal":
        return {"user": {"id": target}, "related": {"user": [target]}}
    return {}
