"""What a log does not say, and the line that would add it.

In: the tally and what the judge could not compare. Out: hints, most blinding first, for `scan`,
`run`, `doctor` and `summary.json`. A log that cannot show an attack must not look like safety.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

import msgspec

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
_MAX_ROUTES = 5


class Hint(msgspec.Struct, frozen=True):
    """One blind spot: what is missing, what follows, and what to add where."""

    missing: str
    """principal | trust | session | comparable_ids | owner | join"""
    events: int
    says: str
    add: str


def hints(
    tally: Tally,
    formats: AbstractSet[str],
    incomparable: Mapping[str, tuple[int, str, str]],
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
                "intake: {fields: {session: session.id}}    # a session id or token; kept as a "
                "keyed digest"
                if formats & {"ecs", "json"}
                else "the same line"
                if found and found[0].missing == "principal"
                else line,
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
    found.extend(_unknown_owners(tally, set(incomparable)))
    return found


def _unknown_owners(tally: Tally, known: Collection[str]) -> list[Hint]:
    routes = [
        (by_verdict.get("undetermined", 0), route)
        for route, by_verdict in tally.routes.items()
        if "{object}" in route and route not in known
    ]
    return [
        Hint(
            "owner",
            count,
            f"{count:,} events on {route}: nobody says whose object it is.",
            f'intake: {{ownership: [{{route: "{route.partition("?")[0]}", file: owners.csv, '
            "object: object_id, owner: user_id}]}",
        )
        for count, route in sorted(routes, reverse=True)[:_MAX_ROUTES]
        if count
    ]


def _line_for(formats: AbstractSet[str]) -> str:
    if "apache" in formats:
        return _APACHE
    if "nginx" in formats:
        return _NGINX
    return "intake: {fields: {principal: user.id}}    # the dotted path of the authenticated user"


def _space(space: str) -> str:
    """An id space as a person would call it."""
    if space.startswith("prefix:"):
        return f"ids like {space[7:]}17"
    return {"integer": "integers", "uuid": "UUIDs", "ulid": "ULIDs", "email": "e-mail addresses",
            "hex": "hex ids", "name": "names"}.get(space, "of no clear kind")  # fmt: skip
