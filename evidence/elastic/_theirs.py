"""Which documents of somebody else's access log can hold what a query over our events asks for.

A tree over `fields.EVENTS` goes in, a clause of Elasticsearch comes out that leaves out only what
certainly does not fit: what an event is, the intake alone decides. Where their words may differ
from ours (a path in another spelling, a session that we only keep as a digest) nothing is left out.
"""

import re
from collections.abc import Sequence

from evidence.query.dsl import Clause
from evidence.query.tree import And, Between, Is, Network, Node, Or
from intake.addresses import is_address
from intake.settings import IntakeSettings

_ADDRESSES = ("source.ip", "client.ip", "related.ip", "network.forwarded_ip")
"""Fields of ECS that are typed as addresses."""
_WRITTEN_ADDRESSES = ("source.address", "client.address")
_FORWARDED = ("http.request.headers.x-forwarded-for", "http.request.headers.x-real-ip",
              "nginx.access.remote_ip_list")  # fmt: skip
_PRINCIPALS = ("user.id", "user.name", "http.request.headers.x-user-id")
_CREDENTIALS = ("http.request.headers.authorization", "http.request.headers.x-jwt-payload")
_STATUS = "http.response.status_code"
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SPECIAL = re.compile(r"[*?\\]")


def superset(query: Node, settings: IntakeSettings) -> Clause | None:
    """A clause that every fitting document fits; None where that may be any."""
    match query:
        case And():
            found = [made for part in query.parts if (made := superset(part, settings))]
            return {"bool": {"filter": found}} if found else None
        case Or(parts=()):
            return {"match_none": {}}
        case Or():
            found = [made for part in query.parts if (made := superset(part, settings))]
            return _any(found) if len(found) == len(query.parts) else None
        case Is() if query.field.name in {"source.ip", "source.address"}:
            return _address(str(query.value), settings)
        case Network():
            return _network(query.network, settings)
        case Is() if query.field.name == "user.id":
            return _principal(str(query.value), settings)
        case Is() | Between() if query.field.name == _STATUS and not settings.fields.status:
            return _status(query)
    return None


def time_field(settings: IntakeSettings) -> str:
    """Where their documents say when it was."""
    return settings.fields.time or "@timestamp"


def _any(clauses: Sequence[Clause]) -> Clause:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}


def _address(address: str, settings: IntakeSettings) -> Clause:
    """Where the address is the peer's, or one of those that a proxy passed on."""
    named = [f for f in (settings.fields.client_ip, settings.fields.forwarded_for) if f]
    written = (*_WRITTEN_ADDRESSES, *_FORWARDED, *named)
    typed = _ADDRESSES if is_address(address) else ()
    exact = [{"term": {field: {"value": address}}} for field in typed]
    return _any([*exact, *(_holds(field, address) for field in written)])


def _network(network: str, settings: IntakeSettings) -> Clause:
    """Where an address of the network stands in a typed field, or any in one that is a text."""
    named = [f for f in (settings.fields.client_ip, settings.fields.forwarded_for) if f]
    exact = [{"term": {field: {"value": network}}} for field in _ADDRESSES]
    untyped = [{"exists": {"field": field}} for field in (*_FORWARDED, *named)]
    peers = [{"exists": {"field": field}} for field in _ADDRESSES[:2]]
    return _any([*exact, *untyped, {"bool": {"must_not": peers}}])


def _principal(value: str, settings: IntakeSettings) -> Clause | None:
    """Where an id that is read as this one stands, or a credential that may hold it."""
    if settings.identities is not None:
        # Each person has several ids, and only the intake knows which.
        return None
    fields = settings.fields
    headers = [f"http.request.headers.{one.name.lower()}" for one in settings.identity_headers]
    named = [field for field in (fields.principal, fields.claimed_user) if field]
    hidden = [field for field in (fields.authorization, fields.jwt_payload) if field]
    spellings = {value, value.replace("-", "")} if _UUID.fullmatch(value) else {value}
    return _any(
        [
            *(
                _holds(field, spelling)
                for field in dict.fromkeys((*_PRINCIPALS, *headers, *named))
                for spelling in sorted(spellings)
            ),
            *({"exists": {"field": field}} for field in dict.fromkeys((*_CREDENTIALS, *hidden))),
        ]
    )


def _holds(field: str, text: str) -> Clause:
    """The text stands anywhere in the field: with zeros before it, a port behind it, in a list."""
    pattern = _SPECIAL.sub(r"\\\g<0>", text)
    return {"wildcard": {field: {"value": f"*{pattern}*", "case_insensitive": True}}}


def _status(query: Is | Between) -> Clause:
    if isinstance(query, Is):
        return {"term": {_STATUS: {"value": query.value}}}
    ends = {"gte": query.low, "lt": query.high}
    return {"range": {_STATUS: {name: end for name, end in ends.items() if end is not None}}}
