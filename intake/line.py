"""What a format finds in one line, before anyone asks who it was or whose data it touched.

A format fills a `Parsed` with strings as they were logged ("-" and "" become None) and raises
`Unreadable` for a line that it does not understand. It MUST NOT interpret identity or ownership.
"""

from typing import Literal

import msgspec

Reason = Literal[
    "not_this_format",
    "not_json",
    "not_an_object",
    "no_time",
    "bad_time",
    "no_address",
    "bad_address",
    "no_request",
    "bad_status",
    "too_long",
    "truncated_archive",
    "bad_frame",
    "binary",
    "not_http",
    "partial",
    "directive",
]


class Unreadable(ValueError):
    """A line that is no event; becomes a counted reject."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Parsed(msgspec.Struct, gc=False):
    """The fields of one line. Positional order is the hot loop's; None means "not in this line"."""

    time_ms: int
    peer: str
    """The direct peer's address as logged; "" where only a forwarding header is."""
    method: str
    target: str
    """Request target as logged: path and query. "" for a request that had none (nginx 400)."""
    status: int
    """0 where none is logged."""
    bytes: int = -1
    forwarded: str | None = None
    """X-Forwarded-For, as logged."""
    host: str | None = None
    user_agent: str | None = None
    referer: str | None = None
    request_id: str | None = None
    principal: str | None = None
    """A field that the owner of the log vouches for: ECS user.id, or named in the configuration."""
    asserted: str | None = None
    """A bare user, user_id, remote_user: on many servers the client writes it."""
    basic_user: bool = False
    """`asserted` is a Basic-auth user name (remote_user), which says nothing where it is absent."""
    claimed: str | None = None
    """The value of the identity header (X-User-ID)."""
    session: str | None = None
    """Session id or cookie, as logged: to be reduced to a digest at once."""
    authorization: str | None = None
    """Authorization header or bare token, as logged: to be reduced at once."""
    jwt_payload: str | None = None
    owners: tuple[str, ...] = ()
    """Whose data it was, as the service logged it."""
    tenant: str | None = None
    context_error: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    override_method: str | None = None
    upstream_status: str | None = None
    internal: tuple[str, ...] = ()
    """Names of `internal_headers` that the line carries."""
    client: str | None = None
    """The client as one proxy named it: PROXY protocol, True-Client-IP, X-Real-IP and the like."""
    forwarded_elements: str | None = None
    """The Forwarded header of RFC 7239, as logged."""
    trace_id: str | None = None
    """Trace id (W3C, B3): lines of one request share it, and so may other requests."""
    location: str | None = None
    """Location header of the answer."""
    blocked_by: str | None = None
    """What refused the request before any service saw it, as the gateway logged it."""
    logs_principal: bool = False
    """The line has a place for a vouched principal or credential, whether or not it is filled."""
    other_claims: tuple[tuple[int, str], ...] = ()
    """(which of `identity_headers`, its value) of those after the first, which is `claimed`."""
