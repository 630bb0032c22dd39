"""One request in two logs: what each half is, which belong together, and what is then judged.

In: the gateway's line and the service's, parsed, each with its caller. Out: one line and one
caller; `joined` and `joined_caller` say field by field whose word counts, and why. A half that
waits in a store MUST hold no credential: `reduced` takes them out.
"""

import hashlib
import re

import msgspec
from msgspec.structs import replace

from intake.identity import Caller
from intake.line import Parsed
from intake.redact import mask, mask_line, mask_target
from intake.spaces import Spaces, id_space, is_same
from intake.spelling import canonical_path
from intake.spent import short_digest
from records.event import RawLine
from records.ids import event_id
from records.kinds import TRUSTED, Provenance

_LONGEST_ID = 256
"""Clients write these ids: a longer one says nothing that a shorter could not."""
_READS = frozenset({"GET", "HEAD", "OPTIONS", ""})
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_RANK: dict[Provenance, int] = {"verified": 4, "gateway": 3, "unverified": 2, "asserted": 1, "": 0}


class Half(msgspec.Struct, gc=False):
    """One line of a request whose other line may stand in another log."""

    gateway: bool
    """Of the gateway's log; else of a service's."""
    source: str
    offset: int
    parsed: Parsed
    caller: Caller
    """Who this log says was asking, by what it is known to log."""
    credentials: Provenance
    """What this log's principals are worth."""
    late: bool
    line: bytes
    path: str
    """Canonical, without its query."""
    request: str = ""
    """Request id by which it can be joined; "" where there is none, or it tells nothing apart."""
    trace: str = ""
    """The same of its trace id."""
    key: bytes = b""
    """Digest of what must tell two requests of one request id apart."""
    number: int = 0
    """Its place in the order of those that wait."""
    sha256: str = ""
    """Of the bytes as logged, once `line` has its secrets masked."""
    masked: bool = False

    @property
    def time_ms(self) -> int:
        """Event time."""
        return self.parsed.time_ms

    def evidence(self) -> RawLine:
        """The line as evidence, under the id of its place."""
        event = event_id(self.source, self.offset)
        if self.sha256:
            return RawLine(event, self.sha256, self.line, self.masked)
        parsed = self.parsed
        known = (parsed.session, parsed.authorization, parsed.jwt_payload)
        data, masked = mask_line(self.line, [value for value in known if value])
        return RawLine(event, hashlib.sha256(self.line).hexdigest(), data, masked)


def half_of(
    source: str,
    offset: int,
    line: bytes,
    parsed: Parsed,
    caller: Caller,
    *,
    gateway: bool,
    credentials: Provenance,
    late: bool,
) -> Half:
    """A line as a half, with the ids by which it can be joined."""
    path = plain_path(parsed.target)
    request, trace = plain_id(parsed.request_id), plain_id(parsed.trace_id)
    if gateway and parsed.blocked_by is not None:
        # No service saw it: whatever has its ids is another request, and nothing is to come.
        request = trace = ""
    elif gateway and request == trace:
        # Where a log has no request id, its trace id stands for one; other requests share it.
        request = ""
    key = b""
    if request:
        said = f"{'g' if gateway else 's'}\n{request}\n{parsed.method}\n{path}\n{parsed.status}"
        key = short_digest(said)
    return Half(
        gateway, source, offset, parsed, caller, credentials, late, line, path, request, trace, key
    )


def plain_id(value: str | None) -> str:
    """An id as both logs would write it: a UUID without dashes, in small letters; "" for none."""
    if not value or len(value) > _LONGEST_ID:
        return ""
    return value.replace("-", "").lower() if _UUID.fullmatch(value) else value


def plain_path(target: str) -> str:
    """The path of a target as a backend sees it; "" for a request that had none."""
    path = target.partition("?")[0]
    if "%" in path or ";" in path or "//" in path or "/." in path:
        path = canonical_path(path)
    return path.rstrip("/") or path[:1]


def is_same_request(one: Half, other: Half) -> bool:
    """Whether method and path allow that two lines are of one request.

    A gateway may take the first parts of a path away or put some before it, so one path may be
    the end of the other; two that differ otherwise are two requests, whatever their ids say.
    """
    if one.parsed.method != other.parsed.method and one.parsed.method and other.parsed.method:
        return False
    short, long = sorted((one.path, other.path), key=len)
    return short == long != "" or (len(short) > 1 and short[0] == "/" and long.endswith(short))


def is_surely_same(one: Half, other: Half) -> bool:
    """`is_same_request`, and nothing else that both of them log differs."""
    mine, theirs = one.parsed, other.parsed
    if mine.status != theirs.status and mine.status and theirs.status:
        return False
    if not is_same_request(one, other):
        return False
    query, other_query = mine.target.partition("?")[2], theirs.target.partition("?")[2]
    if query == other_query or not (query and other_query):
        return True
    # One log may mask secrets, and what waits in a store has them masked.
    return _masked_query(mine) == _masked_query(theirs)


def _masked_query(line: Parsed) -> str:
    return mask_target(line.target).partition("?")[2]


def says_the_same(one: Half, other: Half) -> bool:
    """Whether two lines of services name the same caller and owners, as those of retries do."""
    mine, theirs = one.parsed, other.parsed
    return (one.caller, mine.owners, mine.tenant) == (other.caller, theirs.owners, theirs.tenant)


def alone(half: Half) -> Parsed:
    """What is judged of a half without its other one.

    A service's peer is the gateway or another service of ours: nobody may be blocked by that
    address, so it counts like one that a client wrote.
    """
    return half.parsed if half.gateway else _without_peer(half.parsed)


def _without_peer(line: Parsed) -> Parsed:
    if not line.peer:
        return line
    return replace(line, peer="", forwarded=line.forwarded or line.peer)


def joined(gateway: Parsed, service: Parsed) -> Parsed:
    """The one line that both halves make. Who was asking is `joined_caller`."""
    # All that names the client from one log; a service's peer is the gateway, and no client.
    by_gateway = gateway.peer or gateway.forwarded or gateway.client or gateway.forwarded_elements
    client = gateway if by_gateway else _without_peer(service)
    method, status = gateway.method or service.method, gateway.status or service.status
    if method not in _READS and 200 <= service.status < 300:
        # What a gateway answers instead (504, 499) undoes no change that the service has made.
        status = service.status
    upstream = gateway.upstream_status
    if upstream is None and service.status:
        # Of a read, the status is what the client got; what the service had answered, upstream's.
        upstream = str(service.status)
    return Parsed(
        time_ms=gateway.time_ms,
        peer=client.peer,
        # What the client sent and got, as the gateway saw it; what it does not log, the service.
        method=method,
        target=gateway.target or service.target,
        status=status,
        bytes=gateway.bytes if gateway.bytes >= 0 else service.bytes,
        forwarded=client.forwarded,
        client=client.client,
        forwarded_elements=client.forwarded_elements,
        host=gateway.host or service.host,
        user_agent=gateway.user_agent or service.user_agent,
        referer=gateway.referer or service.referer,
        request_id=gateway.request_id or service.request_id,
        trace_id=gateway.trace_id or service.trace_id,
        origin=gateway.origin or service.origin,
        fetch_site=gateway.fetch_site or service.fetch_site,
        override_method=gateway.override_method or service.override_method,
        location=gateway.location or service.location,
        upstream_status=upstream,
        blocked_by=gateway.blocked_by,
        # Nobody outside may send these; towards the service the gateway sends them itself.
        internal=gateway.internal,
        # Who it was and whose data: the service asked for the one and read the other.
        principal=service.principal or gateway.principal,
        asserted=service.asserted or gateway.asserted,
        basic_user=service.basic_user if service.asserted else gateway.basic_user,
        # The header that reached the service is the one that can have misled it.
        claimed=service.claimed or gateway.claimed,
        session=service.session or gateway.session,
        authorization=service.authorization or gateway.authorization,
        jwt_payload=service.jwt_payload or gateway.jwt_payload,
        owners=service.owners or gateway.owners,
        tenant=service.tenant or gateway.tenant,
        context_error=service.context_error or gateway.context_error,
        logs_principal=service.logs_principal or gateway.logs_principal,
        other_claims=service.other_claims if service.claimed else gateway.other_claims,
    )


def joined_caller(gateway: Caller, service: Caller, spaces: Spaces) -> Caller:
    """Who both logs say was asking.

    The better vouched-for principal counts, of two alike the service's, with the provenance that
    its own log gives it. But where both logs vouch for one, of the same kind of id, and they
    differ, the gateway's is who was authenticated, and the service's is who it was told: a
    service that believes a header logs the victim as its user.
    """
    claiming = service if service.claimed else gateway
    said = [claiming.claimed, *claiming.claims] if claiming.claimed else []
    session, fault = service.session or gateway.session, service.token or gateway.token
    named = [one for one in (service, gateway) if one.principal and not one.claim_only]
    if not named:
        anonymous = "anonymous" in {service.authentication, gateway.authentication}
        nobody = Caller("", "", "anonymous" if anonymous else "unlogged", "", session, False)
        caller = nobody if anonymous or not said else claiming
        return replace(
            caller, claimed=claiming.claimed, claims=claiming.claims, session=session, token=fault
        )
    caller = max(named, key=lambda one: _RANK[one.provenance])
    if len(named) == 2 and gateway.provenance in TRUSTED and service.provenance in TRUSTED:
        told = _restated(service.principal, gateway.principal, spaces)
        if told != gateway.principal and id_space(told) == id_space(gateway.principal):
            caller, said = gateway, [told, *said]
    others = dict.fromkeys(_restated(one, caller.principal, spaces) for one in said)
    others.pop(caller.principal, None)
    first, *rest = [*others] or [caller.principal if said else ""]
    return replace(caller, claimed=first, claims=tuple(rest), session=session, token=fault)


def better(one: Provenance, other: Provenance) -> Provenance:
    """Of two logs, what the principals of the better one are worth."""
    return max(one, other, key=_RANK.__getitem__)


def _restated(claim: str, principal: str, spaces: Spaces) -> str:
    """A claimed id as it is held against a principal; the principal, if it is their own."""
    if claim == principal:
        return principal
    spelled = spaces.spelled(principal, "claimed", claim)
    return principal if is_same(spelled, principal, id_space(principal)) else spelled


def reduced(half: Half) -> Half:
    """The same half without credentials: its caller is known, and its line is evidence already."""
    if half.sha256:
        return half
    kept, line = half.evidence(), half.parsed
    plain = replace(
        line,
        target=mask_target(line.target),
        session=None,
        authorization=None,
        jwt_payload=None,
        referer=None,
        location=mask(line.location) if line.location else None,
    )
    return replace(half, parsed=plain, line=kept.data, sha256=kept.sha256, masked=kept.masked)
