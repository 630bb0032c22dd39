"""What a log does not say, and the line that would add it.

In: the tally and what the judge could not compare. Out: hints, most blinding first, for `scan`,
`run`, `doctor` and `summary.json`. A log that cannot show an attack must not look like safety.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from intake.patterns import MAX_TARGETS, compile_route
from streams.server_lines import principal_line
from streams.tally import Tally

_MOSTLY = 0.5
_NGINX = (
    'log_format breachline escape=json \'{"time":"$time_iso8601","remote_addr":"$remote_addr",'
    '"xff":"$http_x_forwarded_for","request":"$request","status":"$status",'
    '"body_bytes_sent":"$body_bytes_sent","host":"$host","http_user_agent":"$http_user_agent",'
    '"request_id":"$request_id","user_id":"$upstream_http_x_authenticated_user",'
    '"session_id":"$cookie_session","http_x_user_id":"$http_x_user_id"}\';'
)
_APACHE = (
    'LogFormat "{\\"time\\":\\"%{%Y-%m-%dT%H:%M:%S%z}t\\",\\"remote_addr\\":\\"%a\\",'
    '\\"xff\\":\\"%{X-Forwarded-For}i\\",\\"request\\":\\"%r\\",\\"status\\":\\"%>s\\",'
    '\\"bytes\\":\\"%B\\",\\"host\\":\\"%V\\",\\"user_agent\\":\\"%{User-Agent}i\\",'
    '\\"user_id\\":\\"%{X-Authenticated-User}o\\",\\"session_id\\":\\"%{session}C\\",'
    '\\"x_user_id\\":\\"%{X-User-ID}i\\"}" breachline'
)
_TRUST = "intake: {trust: {principal: gateway}}"
_WHOLE_LINES = frozenset({"apache", "nginx", "nginx-ingress"})
"""Of these the line that adds the principal adds the session as well."""
_MAX_ROUTES = 5
_SHOWN_PAIRS = 3


class Hint(msgspec.Struct, frozen=True):
    """One blind spot: what is missing, what follows, and what to add where."""

    missing: str
    """principal | trust | session | comparable_ids | issuer | tenant | owner | owner_pending |
    batch | join"""
    events: int
    says: str
    add: str


class Unsaid(msgspec.Struct, frozen=True):
    """What the judge met and no configuration explains."""

    apart: Mapping[str, int] = {}
    """Issuer -> events of subjects who are not known to be users that paths name."""
    tenants: Mapping[str, int] = {}
    """Tenant -> events, where no configuration names tenants."""
    pairs: Sequence[tuple[str, str]] = ()
    """(principal, target) that seem to be one person's ids: proposed, never used."""
    excess: Mapping[str, int] = {}
    """Route -> ids of single requests that were too many to be judged."""
    sources: Mapping[str, str] = {}
    """Route of an ownership source -> how it knows: file, http, learn; or nothing_learned."""
    home: Sequence[str] = ()
    """Issuers whose subjects are taken for the users that paths name."""


def hints(
    tally: Tally,
    formats: AbstractSet[str],
    incomparable: Mapping[str, tuple[int, str, str]],
    unsaid: Unsaid | None = None,
) -> list[Hint]:
    """Hints for what was read.

    incomparable: route -> (events, id space of principals, id space of the route's ids).
    """
    events = tally.events
    if not events:
        return []
    found: list[Hint] = []
    nobody = tally.provenance.get("", 0)
    asserted = sum(tally.provenance.get(name, 0) for name in ("asserted", "unverified"))
    line = _line_for(formats)
    if nobody > events * _MOSTLY and nobody == events - asserted:
        found.append(
            Hint(
                "principal",
                nobody,
                f"{nobody:,} of {events:,} events do not say who was asking. Own and foreign "
                "access look alike in this log: only fan-out from one address can show.",
                f"{line}\nand, once your gateway writes it: {_TRUST}",
            )
        )
    if asserted > events * _MOSTLY:
        found.append(
            Hint(
                "trust",
                asserted,
                f"{asserted:,} of {events:,} events have a user id that nobody vouches for: a "
                "client may have written it. It compares, but cannot name or block anybody.",
                f"{_TRUST}    # if your gateway authenticated it",
            )
        )
    if not tally.with_session:
        found.append(
            Hint(
                "session",
                events,
                "No event has a session: several sessions of one attacker, or two people behind "
                "one address, cannot be told apart.",
                "the same line"
                if found and found[0].missing == "principal" and formats & _WHOLE_LINES
                else _session_line(formats),
            )
        )
    for route, (count, principals, ids) in sorted(incomparable.items(), key=lambda x: -x[1][0])[
        :_MAX_ROUTES
    ]:
        found.append(
            Hint(
                "comparable_ids",
                count,
                f"{count:,} events on {route}: principals are {_space(principals)}, the ids there "
                f"are {_space(ids)}. They cannot be compared, so these are undetermined.",
                "intake: {identities: {file: people.csv}}    # columns id,user",
            )
        )
    unsaid = unsaid or Unsaid()
    if unsaid.apart:
        found.append(_issuers(unsaid.apart, unsaid.home))
    if unsaid.pairs and (incomparable or unsaid.apart):
        found[-1] = _proposed(found[-1], unsaid.pairs)
    if len(unsaid.tenants) > 1:
        found.append(_tenants(unsaid.tenants, formats))
    found.extend(_unknown_owners(tally, set(incomparable), unsaid.sources))
    found.extend(_batches(unsaid.excess))
    return found


def _session_line(formats: AbstractSet[str]) -> str:
    if formats & _WHOLE_LINES:
        return _line_for(formats)
    field = "session.id" if formats & {"ecs", "json"} else "session_id"
    return (
        f"intake: {{fields: {{session: {field}}}}}    # the field with a session id or token; "
        "kept as a keyed digest"
    )


def _issuers(apart: Mapping[str, int], home: Sequence[str]) -> Hint:
    events = sum(apart.values())
    names = sorted(apart, key=lambda issuer: (-apart[issuer], issuer))[:_MAX_ROUTES]
    return Hint(
        "issuer",
        events,
        f"{events:,} events are of subjects of {', '.join(names)}, who are not known to be the "
        "users that paths name: the same subject of two issuers is two people.",
        f"intake: {{jwt: {{issuers: [{', '.join([*home, names[0]])}]}}}}    # every issuer whose "
        "subjects are those users; others through identities, as ISSUER#SUBJECT,user",
    )


def _proposed(hint: Hint, pairs: Sequence[tuple[str, str]]) -> Hint:
    """The hint with rows that a person may check."""
    some = "; ".join(f"{principal},{target}" for principal, target in pairs[:_SHOWN_PAIRS])
    return msgspec.structs.replace(
        hint,
        add=f"{hint.add}\nand, once somebody has checked them, rows for ids that always came "
        f"together ({len(pairs):,}): {some}{' ...' if len(pairs) > _SHOWN_PAIRS else ''}",
    )


def _tenants(tenants: Mapping[str, int], formats: AbstractSet[str]) -> Hint:
    field = "organization.id" if "ecs" in formats else "tenant"
    return Hint(
        "tenant",
        sum(tenants.values()),
        f"The log names {len(tenants):,} tenants. Unless user ids are unique over all of them, "
        "user 17 of one looks like user 17 of another.",
        f"intake: {{fields: {{tenant: {field}}}}}    # the field that names it, or a route with "
        "{tenant}",
    )


def _batches(excess: Mapping[str, int]) -> Iterator[Hint]:
    for route, count in sorted(excess.items(), key=lambda item: (-item[1], item[0]))[:_MAX_ROUTES]:
        yield Hint(
            "batch",
            count,
            f"{count:,} ids on {route}: requests named more than {MAX_TARGETS:,} ids each, and "
            "what was beyond that was not judged.",
            "a limit for the ids of one request, at the service",
        )


def _unknown_owners(tally: Tally, known: Collection[str], sources: Mapping[str, str]) -> list[Hint]:
    routes = [
        (by_verdict.get("undetermined", 0), route)
        for route, by_verdict in tally.routes.items()
        if "{object}" in route and route not in known
    ]
    return [
        _unknown(count, route, _way(route, sources))
        for count, route in sorted(routes, reverse=True)[:_MAX_ROUTES]
        if count
    ]


def _way(route: str, sources: Mapping[str, str]) -> str:
    """How the ownership source of a route knows; "" where it has none."""
    path = route.partition("?")[0]
    for source, way in sources.items():
        if compile_route(source.partition("?")[0]).match(path, "") is not None:
            return way
    return ""


def _unknown(count: int, route: str, way: str) -> Hint:
    if way == "learn":
        says = f"{count:,} events on {route}: objects of unknown owners, made before the log began."
        return Hint("owner", count, says, "older logs: whoever made an object there owns it")
    if way == "nothing_learned":
        says = (
            f"{count:,} events on {route}: whoever makes an object there owns it, and no line says "
            "that one was made: neither a PUT nor a POST with a Location was answered 201."
        )
        return Hint(
            "owner",
            count,
            says,
            "the answer's Location to the log, such as "
            "$sent_http_location; intake: {fields: {location: PATH}} if it has another name",
        )
    if way == "http":
        says = (
            f"{count:,} events on {route}: their owners are asked for only where an incident rests "
            "on them. Reads of others' objects there open none by themselves."
        )
        return Hint(
            "owner",
            count,
            says,
            "a file of owners instead, an export for example: " + _owners_file(route),
        )
    if way == "file":
        says = f"{count:,} events on {route}: objects that stand in no row of its owners file."
        return Hint("owner", count, says, "their rows to that file")
    return Hint(
        "owner",
        count,
        f"{count:,} events on {route}: nobody says whose object it is.",
        _owners_file(route) + _owner_route(route),
    )


def _owners_file(route: str) -> str:
    return (
        f'intake: {{ownership: [{{route: "{route}", file: owners.csv, '
        "object: object_id, owner: user_id}]}"
    )


def _owner_route(route: str) -> str:
    if route.count("{object}") != 1:
        return ""
    match = route.replace("{object}", "{owner}")
    return f'\nor, if these are ids of users: intake: {{routes: [{{match: "{match}"}}]}}'


def _line_for(formats: AbstractSet[str]) -> str:
    if "apache" in formats:
        return _APACHE
    if "nginx" in formats:
        return _NGINX
    return principal_line(formats) or (
        "intake: {fields: {principal: user.id}}    # the dotted path of the authenticated user"
    )


def _space(space: str) -> str:
    """An id space as a person would call it."""
    if space.startswith("prefix:"):
        return f"ids like {space[7:]}17"
    return {"integer": "integers", "uuid": "UUIDs", "ulid": "ULIDs", "email": "e-mail addresses",
            "hex": "hex ids", "name": "names"}.get(space, "of no clear kind")  # fmt: skip
