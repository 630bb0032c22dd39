"""The fields that a query may name: of access events, findings, incidents and entries of evidence.

Name in, `Field` out: its type in Elasticsearch, and for events the history's column. The types MUST
be those of the index templates, or one query would mean two things.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

import msgspec

from evidence.elastic.templates import ECS, FAMILY, OWN
from evidence.query.tree import Field, Kind

_Table = Mapping[str, Field]


def _table(*fields: Field) -> _Table:
    return MappingProxyType({field.name: field for field in fields})


def _constant(text: str) -> str:
    return f"'{text}'"


_EVENT_OUTCOME = (
    "CASE outcome WHEN 'proven' THEN 'success' WHEN 'metadata' THEN 'success' "
    "WHEN 'denied' THEN 'failure' ELSE 'unknown' END"
)

EVENTS: _Table = _table(
    Field("@timestamp", "date", column="time"),
    Field("event.id", "keyword", anywhere=True, column="event"),
    Field("event.kind", "keyword", column=_constant("event")),
    Field("event.category", "keyword", column=_constant("web")),
    Field("event.type", "keyword", column=_constant("access")),
    Field("event.module", "keyword", column=_constant("breachline")),
    Field("event.dataset", "keyword", column=_constant("breachline.access")),
    Field("event.outcome", "keyword", column=_EVENT_OUTCOME),
    Field("source.ip", "ip", anywhere=True, column="ip"),
    Field("source.address", "keyword", column="ip"),
    Field("user.id", "keyword", anywhere=True, column="principal"),
    Field("user_agent.original", "keyword", column="user_agent"),
    Field("organization.id", "keyword", column="tenant"),
    Field("http.request.method", "keyword", column="method"),
    Field("http.request.id", "keyword", anywhere=True, column="request_id"),
    Field("http.response.status_code", "long", column="status", absent=0),
    Field("http.response.body.bytes", "long", column="bytes", absent=-1),
    Field("url.original", "keyword", anywhere=True, column="path"),
    Field("url.path", "keyword", column="split_part(path, '?', 1)"),
    Field("url.query", "keyword", column="substr(path, strpos(path || '?', '?') + 1)"),
    Field("url.domain", "keyword", column="host"),
    Field("breachline.offset", "long", column='"offset"', absent=-1),
    Field("breachline.session", "keyword", anywhere=True, column="session"),
    Field("breachline.route", "keyword", column="route"),
    Field("breachline.category", "keyword", column="category"),
    Field("breachline.effect", "keyword", column="effect"),
    Field("breachline.outcome", "keyword", column="outcome"),
    Field("breachline.verdict", "keyword", column="verdict"),
    Field("breachline.provenance", "keyword", column="provenance"),
    Field("breachline.claimed_user", "keyword", anywhere=True, column="claimed"),
    Field("breachline.object", "keyword", anywhere=True, column='"object"'),
    Field("breachline.allowed", "keyword", column="allowed"),
    Field("breachline.targets", "keyword", anywhere=True, column="targets", many=True),
    Field("breachline.late", "boolean", column="late", absent=False),
)
"""Access events, as `intake.documents.event_document` writes them and the history keeps them."""

_KEPT_ONLY = frozenset({"event.original", "breachline.head.note"})
"""Kept in documents to be read, and not indexed."""
_LONGEST = 1024
_LOOKED_FOR = frozenset(
    """
    event.id event.hash message related.hash related.hosts related.ip related.user rule.id source.ip
    user.id user.name breachline.action.id breachline.action.target breachline.actors
    breachline.evidence.event breachline.evidence.source breachline.incident.id
    breachline.incident.title breachline.victims
    """.split()
)


def _indexed() -> Iterable[Field]:
    for name, type_ in (*ECS.items(), *OWN.items()):
        kind = msgspec.convert(FAMILY.get(type_, type_), Kind)
        if name not in _KEPT_ONLY:
            longest = _LONGEST if kind in {"keyword", "flattened"} else 0
            yield Field(name, kind, name in _LOOKED_FOR, longest)


DOCUMENTS: _Table = _table(*_indexed())
"""Findings, incidents, actions and entries of evidence: see `evidence.elastic.documents`."""


def field_of(fields: _Table, name: str) -> Field | None:
    """The field of a name, also of one key below a flattened object; None if there is none."""
    if (field := fields.get(name)) is not None:
        return field
    for root in fields.values():
        if root.kind == "flattened" and name.startswith(f"{root.name}."):
            return Field(name, "flattened", longest=root.longest, root=root.name)
    return None


def nearest(name: str, fields: _Table) -> str | None:
    """The field that was probably meant."""
    if close := get_close_matches(name.lower(), fields, 1, 0.7):
        return close[0]
    # `ip` for source.ip, `status` for http.response.status_code.
    wanted = name.lower().rpartition(".")[2]
    ends = [known for known in fields if wanted and wanted in known.rpartition(".")[2]]
    return ends[0] if ends else None


def known(fields: _Table) -> str:
    """The fields in a few words, for who does not know any."""
    usual = [name for name, field in fields.items() if field.anywhere]
    return f"fields such as {', '.join(usual[:4])} (--fields lists all)"
