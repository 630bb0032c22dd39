"""Index templates: what Breachline's documents are in Elasticsearch, field by field.

A retention comes in, bodies of component and index templates go out, in the order in which they
can be put. ECS has the last word on every field that is not below `breachline.`. A field that is
not listed here is kept in `_source` and cannot be searched, so that documents of a newer version
are never turned away.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

ECS_VERSION = "9.4.0"
VERSION = 1
"""Raised with any change below."""

FINDINGS = "logs-breachline.finding-default"
EVIDENCE = "logs-breachline.evidence-default"
ACTIONS = "logs-breachline.action-default"
INCIDENTS = "breachline-incidents"
HEADS = "breachline-heads"
STREAMS = (FINDINGS, EVIDENCE, ACTIONS)
INDICES = (INCIDENTS, HEADS)

_PRIORITY = 250
"""Above the 100 of Elastic's own template of logs-*-*, and the 200 of its integrations'."""
_LONGEST = 1024
"""Characters of a keyword that are indexed, as ECS has it: beyond 32 KiB Lucene would refuse the
whole document."""

ECS: Mapping[str, str] = MappingProxyType(
    {
        "@timestamp": "date",
        "data_stream.dataset": "constant_keyword",
        "data_stream.namespace": "constant_keyword",
        "data_stream.type": "constant_keyword",
        "ecs.version": "keyword",
        "event.action": "keyword",
        "event.category": "keyword",
        "event.dataset": "keyword",
        "event.end": "date",
        "event.hash": "keyword",
        "event.id": "keyword",
        "event.kind": "keyword",
        "event.module": "keyword",
        "event.original": "keyword",
        "event.outcome": "keyword",
        "event.reason": "keyword",
        "event.sequence": "long",
        "event.severity": "long",
        "event.start": "date",
        "event.type": "keyword",
        "log.file.path": "keyword",
        "message": "match_only_text",
        "related.hash": "keyword",
        "related.hosts": "keyword",
        "related.ip": "ip",
        "related.user": "keyword",
        "rule.id": "keyword",
        "rule.name": "keyword",
        "rule.reference": "keyword",
        "rule.version": "keyword",
        "source.address": "keyword",
        "source.ip": "ip",
        "user.id": "keyword",
        "user.name": "keyword",
    }
)
"""Fields of ECS that our documents use, with the types that ECS gives them."""

OWN: Mapping[str, str] = MappingProxyType(
    {
        "breachline.action.findings": "keyword",
        "breachline.action.guard.verdict": "keyword",
        "breachline.action.guard.why": "keyword",
        "breachline.action.id": "keyword",
        "breachline.action.kind": "keyword",
        "breachline.action.mode": "keyword",
        "breachline.action.target": "keyword",
        "breachline.action.until": "date",
        "breachline.actor.type": "keyword",
        "breachline.actor.value": "keyword",
        "breachline.actors": "keyword",
        "breachline.affected_count": "long",
        "breachline.confidence": "float",
        "breachline.evidence.event": "keyword",
        "breachline.evidence.masked": "boolean",
        "breachline.evidence.offset": "long",
        "breachline.evidence.sha256": "keyword",
        "breachline.evidence.source": "keyword",
        "breachline.explain": "flattened",
        "breachline.head.note": "keyword",
        "breachline.head.origin": "keyword",
        "breachline.head.root": "keyword",
        "breachline.head.size": "long",
        "breachline.incident.actor_accounts.id": "keyword",
        "breachline.incident.actor_accounts.relation": "keyword",
        "breachline.incident.affected_count": "long",
        "breachline.incident.affected_upper": "long",
        "breachline.incident.attempted_count": "long",
        "breachline.incident.breach": "boolean",
        "breachline.incident.categories": "keyword",
        "breachline.incident.cause": "keyword",
        "breachline.incident.clocks.authority_deadline": "date",
        "breachline.incident.clocks.awareness": "date",
        "breachline.incident.coverage.complete": "boolean",
        "breachline.incident.coverage.from": "date",
        "breachline.incident.coverage.gaps": "keyword",
        "breachline.incident.coverage.late": "long",
        "breachline.incident.coverage.rejected": "long",
        "breachline.incident.findings": "keyword",
        "breachline.incident.first_seen": "date",
        "breachline.incident.id": "keyword",
        "breachline.incident.last_seen": "date",
        "breachline.incident.merged": "keyword",
        "breachline.incident.records_count": "long",
        "breachline.incident.rules": "keyword",
        "breachline.incident.severity": "keyword",
        "breachline.incident.status": "keyword",
        "breachline.incident.title": "keyword",
        "breachline.incident.unknown_objects": "long",
        "breachline.incident.version": "long",
        "breachline.ledger.commitment": "keyword",
        "breachline.ledger.erased": "boolean",
        "breachline.ledger.index": "long",
        "breachline.ledger.kind": "keyword",
        "breachline.ledger.leaf_hash": "keyword",
        "breachline.ledger.payload": "flattened",
        "breachline.receipt.attempt": "long",
        "breachline.receipt.detail": "keyword",
        "breachline.receipt.point": "keyword",
        "breachline.receipt.read_back": "keyword",
        "breachline.receipt.retry_after_s": "float",
        "breachline.receipt.state": "keyword",
        "breachline.severity": "keyword",
        "breachline.victims": "keyword",
    }
)
"""Fields of our own; `flattened` where the shape depends on the rule or on the kind of entry."""

FAMILY: Mapping[str, str] = MappingProxyType(
    {"constant_keyword": "keyword", "match_only_text": "text", "wildcard": "keyword"}
)
"""The core type that answers the same queries, for a server built without the special one."""

_KEPT_ONLY = frozenset({"event.original", "breachline.head.note"})
"""Kept to be read, never searched for: ECS does not index `event.original` either."""

_Body = dict[str, Any]


class Template(msgspec.Struct, frozen=True):
    """A template and the body that makes it."""

    kind: Literal["component", "index"]
    name: str
    body: _Body

    @property
    def path(self) -> str:
        """Where it is put."""
        return f"/_{self.kind}_template/{self.name}"


def templates(retention_s: int, lacking: frozenset[str] = frozenset()) -> list[Template]:
    """Every template, components first.

    retention_s: how long findings and actions are kept. Evidence has no age: a legal hold may
    stand on it, and Elasticsearch would not know. Incidents and heads are few, and stay.
    lacking: types that the server does not have; those of the same family take their place.
    """
    made_of = ["breachline@settings", "breachline-ecs@mappings", "breachline@mappings"]
    return [
        _component("breachline@settings", {"settings": _SETTINGS}),
        _component("breachline-ecs@mappings", {"mappings": mappings(ECS, lacking)}),
        _component("breachline@mappings", {"mappings": mappings(OWN, lacking)}),
        _stream("finding", made_of, {"data_retention": duration(retention_s)}),
        _stream("evidence", made_of, {}),
        _stream("action", made_of, {"data_retention": duration(retention_s)}),
        _index(INCIDENTS, made_of),
        _index(HEADS, made_of),
    ]


_SETTINGS: _Body = {
    "index": {
        "number_of_shards": "1",
        # One node is green without a copy; a second one gets it without being told.
        "auto_expand_replicas": "0-1",
        # Servers from 9.0 on make every logs-*-* stream `logsdb`, which may rebuild `_source` from
        # its fields: evidence must come back as it was written.
        "mode": "standard",
        # A value that is not of its field's type costs that field, not the finding.
        "mapping": {"ignore_malformed": "true"},
    }
}


def _component(name: str, template: _Body) -> Template:
    return Template("component", name, {"template": template, **_said("a part of the templates")})


def _stream(dataset: str, made_of: list[str], lifecycle: _Body) -> Template:
    body = {
        "index_patterns": [f"logs-breachline.{dataset}-*"],
        "data_stream": {},
        "priority": _PRIORITY,
        "template": {"lifecycle": {"enabled": True, **lifecycle}},
        **_composed(made_of),
        **_said(f"the {dataset} stream"),
    }
    return Template("index", f"logs-breachline.{dataset}", body)


def _index(name: str, made_of: list[str]) -> Template:
    body = {
        "index_patterns": [name],
        "priority": _PRIORITY,
        **_composed(made_of),
        **_said(f"the index {name}"),
    }
    return Template("index", name, body)


def _composed(made_of: list[str]) -> _Body:
    """The last part is the operator's own, and need not exist: settings that setup leaves alone."""
    return {
        "composed_of": [*made_of, "breachline@custom"],
        "ignore_missing_component_templates": ["breachline@custom"],
        "allow_auto_create": True,
    }


def _said(what: str) -> _Body:
    meta = {"managed_by": "breachline", "description": f"Breachline: {what}", "ecs": ECS_VERSION}
    return {"version": VERSION, "_meta": meta}


def mappings(fields: Mapping[str, str], lacking: frozenset[str]) -> _Body:
    """Mappings of dotted paths; types that a server lacks give way to their family's."""
    properties: _Body = {}
    for path, kind in fields.items():
        *parents, leaf = path.split(".")
        at = properties
        for parent in parents:
            at = at.setdefault(parent, {"properties": {}})["properties"]
        at[leaf] = _field(path, FAMILY[kind] if kind in lacking else kind)
    return {"dynamic": "false", "properties": properties}


def _field(path: str, kind: str) -> _Body:
    if path in _KEPT_ONLY:
        return {"type": kind, "index": False, "doc_values": False}
    if kind in {"keyword", "flattened"}:
        return {"type": kind, "ignore_above": _LONGEST}
    return {"type": kind}


def duration(seconds: int) -> str:
    """A time as Elasticsearch writes it, in the largest unit that is exact."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
