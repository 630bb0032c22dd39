"""Routes of an OpenAPI document, as configured routes: whose data each path names.

In: the document as read (OpenAPI 3 or Swagger 2). Out: a route for each path with an id in it. What
a parameter is called is what there is to go by: `userId` is proposed as the owner, `orgId` as the
tenant, all others are objects. An extension `x-breachline-role: owner | object | tenant` on a
parameter overrules its name. It MUST NOT resolve references to other files.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from intake.route_order import in_order
from intake.settings import RouteRule
from intake.words import CANDIDATE_QUERY, OWNER_QUERY, OWNER_WORDS

Role = Literal["owner", "object", "tenant"]
_ROLES: tuple[Role, ...] = ("owner", "object", "tenant")
_METHODS = ("get", "put", "post", "delete", "patch", "head", "query")
_VARIABLE = re.compile(r"\{([^{}/]{1,200})\}")
_PLAIN = re.compile(r"[-_. ]")
_USERS = frozenset(
    "user userid username useruuid uid member memberid person personid profile profileid "
    "owner ownerid accountholder accountholderid patient patientid employee employeeid".split()
)
_TENANTS = frozenset(
    "tenant tenantid org orgid organization organizationid organisation organisationid "
    "workspace workspaceid company companyid".split()
)
_REFERENCE = "#/"
_DEPTH = 8


class Proposed(NamedTuple):
    """One route of a document, and why its owner is proposed; "" where none is."""

    rule: RouteRule
    why: str


def proposed_routes(document: object) -> list[Proposed]:
    """The routes of a document in the order in which they match: words before variables.

    Raises:
        ValueError: it is no OpenAPI document.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("paths"), Mapping):
        raise ValueError(  # noqa: TRY004  what a file holds is a value
            "no OpenAPI document: it has no `paths`; name a file of OpenAPI 3 or Swagger 2"
        )
    found: dict[str, Proposed] = {}
    for base in _bases(document):
        for path, item in document["paths"].items():
            if not isinstance(path, str) or not path.startswith("/"):
                continue
            for one in _routes(document, base, path, _resolved(document, item)):
                found.setdefault(one.rule.match, one)
    return [found[match] for match in in_order(found)]


def _bases(document: Mapping[str, Any]) -> list[str]:
    """The path prefixes below which the paths are served."""
    if isinstance(base := document.get("basePath"), str):
        return [base.rstrip("/")]
    servers = document.get("servers")
    bases = []
    for server in servers if isinstance(servers, Sequence) else ():
        url = server.get("url") if isinstance(server, Mapping) else None
        if not isinstance(url, str):
            continue
        for name, variable in (server.get("variables") or {}).items():
            default = variable.get("default", "") if isinstance(variable, Mapping) else ""
            url = url.replace(f"{{{name}}}", str(default))
        try:
            bases.append(urlsplit(url).path.rstrip("/"))
        except ValueError:
            continue
    return list(dict.fromkeys(bases)) or [""]


def _routes(
    document: Mapping[str, Any], base: str, path: str, item: Mapping[str, Any]
) -> Iterator[Proposed]:
    operations = [
        _resolved(document, item[name]) for name in _METHODS if isinstance(item.get(name), Mapping)
    ]
    shared = _parameters(document, item)
    parameters = dict(shared)
    for operation in operations:
        parameters.update(_parameters(document, operation))
    why = ""
    parts: list[str] = []
    before = ""
    for segment in (base + path).split("/"):
        part = segment
        for name in _VARIABLE.findall(segment):
            role = _role(name, parameters.get(("path", name), {}), before)
            if role == "owner" and not why:
                why = f"{{{name}}} of {path}"
            part = part.replace(f"{{{name}}}", f"{{{role}}}", 1)
        parts.append(part)
        before = segment.lower()
    match = "/".join(parts) or "/"
    public = bool(operations) and all(_is_open(document, one) for one in operations)
    queries = [
        (name, asked)
        for place, name in parameters
        if place == "query"
        and (asked := _query_role(name, parameters[place, name], before)) is not None
    ]
    for name, asked in sorted(queries):
        reason = f"?{name} of {path}" if asked == "owner" else ""
        yield Proposed(RouteRule(match=f"{match}?{name}={{{asked}}}", public=public), reason)
    yield Proposed(RouteRule(match=match, public=public), why)


def _parameters(
    document: Mapping[str, Any], holder: Mapping[str, Any]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(where, name) -> parameter."""
    listed = holder.get("parameters")
    found = {}
    for item in listed if isinstance(listed, list) else ():
        parameter = _resolved(document, item)
        place, name = parameter.get("in"), parameter.get("name")
        if isinstance(place, str) and isinstance(name, str):
            found[place, name] = parameter
    return found


def _resolved(document: Mapping[str, Any], value: object) -> Mapping[str, Any]:
    """What a reference within the document leads to; nothing for what is no object."""
    for _ in range(_DEPTH):
        if not isinstance(value, Mapping):
            return {}
        target = value.get("$ref")
        if not isinstance(target, str):
            return value
        if not target.startswith(_REFERENCE):
            return {}
        value = document
        for part in target.removeprefix(_REFERENCE).split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            value = value.get(name) if isinstance(value, Mapping) else None
    return {}


def _role(name: str, parameter: Mapping[str, Any], before: str) -> Role:
    said = parameter.get("x-breachline-role")
    if said in _ROLES:
        return _ROLES[_ROLES.index(said)]
    plain = _PLAIN.sub("", name).lower()
    if plain in _TENANTS:
        return "tenant"
    if plain in _USERS or (before in OWNER_WORDS and plain in {"id", "uuid", "name", "key"}):
        return "owner"
    return "object"


def _query_role(name: str, parameter: Mapping[str, Any], last: str) -> Role | None:
    """The role of a query parameter; None where it names nobody."""
    if parameter.get("x-breachline-role") in _ROLES:
        return _role(name, parameter, "")
    plain = name.lower().replace("-", "_").removesuffix("[]")
    if last in OWNER_WORDS and plain in OWNER_QUERY:
        return "owner"
    if _PLAIN.sub("", plain) in _USERS:
        return "owner"
    return "object" if plain in CANDIDATE_QUERY else None


def _is_open(document: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
    """Whether an operation says that it asks for no credentials where others do."""
    asked = document.get("security")
    return operation.get("security") == [] and bool(asked)
