r"""Envoy: its default text (Emissary's too), Istio's, and JSON named as these or by Envoy Gateway.

A line in, `Parsed` out; lines of TCP proxies are `not_http`. The default text names no peer, only
X-Forwarded-For. The text escapes nothing: a client that writes `" "` can move what stands between
X-Forwarded-For and request id; then its address is the peer's or, without one, not trusted. What
stands before and behind is out of its reach, but for the TLS server name in older Envoys.
Envoy took an address with port 0 from a header, on whose word the line does not say: it is trusted
only if `intake.fields.client_ip` is `downstream_remote_address`.
Every expression MUST stay linear in the line.
"""

import re
from collections.abc import Sequence
from functools import lru_cache, partial

from intake.formats._base import (
    Parser,
    absent,
    clean,
    decode,
    is_object,
    json_or_text,
    split_url,
    unreadable,
)
from intake.formats._names import path_of
from intake.formats._record import Finish, Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.formats.nginx import is_address, is_address_list
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from intake.times import parse_time

NAMES = (
    ("starttime", "time_ms"),
    ("downstreamdirectremoteaddress", "peer"),
    ("downstreamremoteaddress", "peer"),
    ("xenvoyoriginalpath", "uri"),
    ("xenvoyoriginpath", "uri"),
    ("path", "uri"),
    ("responsecode", "status"),
    ("bytessent", "bytes"),
    ("authority", "host"),
    ("requestid", "request_id"),
    ("xrequestid", "request_id"),
)
_MARK = re.compile(rb'"response_flags"\s*+:')
_AFTER_PATH = (
    r' (HTTP/\d(?:\.\d)?|-)" (\d{1,3}) ([A-Za-z,-]{1,200}+) '
    # Istio: details of the status and of the connection's end (before 1.9: mixer's); failure.
    r'(?:(\S++) \S++ "[^"]*+" |"[^"]*+" "[^"]*+" )?'
    r'\d{1,19} (\d{1,19}) \S{1,40} \S{1,40} "'
)
# time, method, path, protocol, status, flags, details, bytes
# Emissary and Edge Stack write a word before it.
_TIME = r'(?:ACCESS )?\[([^\]]{1,40}+)\] "'
_HEAD = re.compile(rf"{_TIME}(\S++) (\S++){_AFTER_PATH}", re.ASCII)
_ODD_PATH = re.compile(rf"{_TIME}(\S++) (.*?){_AFTER_PATH}", re.ASCII | re.DOTALL)
_SERVERS = 3
"""Request id, authority, upstream host: after X-Forwarded-For and agent."""
_REMOTE_ADDRESS = 3
"""After cluster, upstream local and downstream local address; behind it TLS name and route."""
_REFUSING = frozenset({"UAEX", "RL", "RLSE", "IH"})
_REFUSALS = (
    "rbac_access_denied", "ext_authz_", "jwt_authn_access_denied", "request_rate_limited",
    "local_rate_limited", "rate_limiter_error", "csrf_origin_mismatch",
)  # fmt: skip


@lru_cache(maxsize=1024)
def _refusal(flags: str, details: str) -> str | None:
    """What refused a request, by its response flags and the details of its status."""
    if details == "via_upstream":
        return None
    if details.startswith(_REFUSALS) or details.endswith("_for_basic_auth"):
        return details
    return next((flag for flag in flags.split(",") if flag in _REFUSING), None)


def _put_peer(parsed: Parsed, logged: str, *, is_trusted: bool) -> None:
    """The direct peer without its port; what Envoy took from a header is one only if trusted."""
    host, colon, port = logged.rpartition(":")
    if host[:1] == "[":
        host = host[1:-1]
    if colon and is_address(host):
        parsed.peer = host
        if port == "0" and not is_trusted:
            parsed.peer, parsed.client, parsed.forwarded = "", host, None
    elif logged[:1] in {"/", "@"}:
        parsed.peer = f"unix:{logged}"
    elif is_address(logged) or parsed.forwarded is None:
        parsed.peer = logged
    else:
        # envoy://...: a listener within the same Envoy.
        parsed.peer = ""


def _quoted(text: str) -> tuple[str, bool, str, str, str]:
    """(X-Forwarded-For, whether it surely is, agent, request id, authority).

    Raises:
        Unreadable: not_this_format, if there are too few.
    """
    # From the right, where no client writes: an agent may end with a quote and a space.
    written, *servers = text.rsplit('" "', _SERVERS)
    front = written.split('" "')
    if len(servers) < _SERVERS or len(front) < 2:
        raise Unreadable("not_this_format")
    request_id, authority, _ = servers
    if len(front) == 2:
        return front[0], True, front[1], request_id, authority
    # Some of these quotes are a client's. The last proxy ended X-Forwarded-For with an address.
    ends = [at for at, part in enumerate(front[:-1]) if is_address_list(part)]
    if front[0] == "-":
        ends.insert(0, 0)
    at = ends[0] if ends else 0
    agent = '" "'.join(front[at + 1 :])
    return '" "'.join(front[: at + 1]), len(ends) == 1, agent, request_id, authority


def _read_text(line: bytes, *, is_trusted: bool) -> Parsed:
    text = decode(clean(line))
    head = _HEAD.match(text) or _ODD_PATH.match(text)
    end = text.rfind('"')
    rest = text[end + 1 :]
    if head is None or end < head.end() or rest[:1].strip():
        raise unreadable(line, "not_this_format")
    forwarded, is_sure, agent, request_id, authority = _quoted(text[head.end() : end])
    time, method, path, protocol, status, flags, details, size = head.groups()
    if protocol == method == path == "-":
        raise Unreadable("not_http")
    target, host = ("", None) if path == "-" else split_url(path)
    parsed = Parsed(
        parse_time(time),
        "",
        "" if method == "-" else method.upper(),
        target,
        int(status),
        int(size),
        absent(forwarded),
        host or absent(authority),
        absent(agent),
        None,
        absent(request_id),
    )
    behind = rest.split()
    if len(behind) > _REMOTE_ADDRESS and behind[_REMOTE_ADDRESS] != "-":
        if not is_sure:
            parsed.forwarded = None
        _put_peer(parsed, behind[_REMOTE_ADDRESS], is_trusted=is_trusted)
    if flags != "-" or details:
        parsed.blocked_by = _refusal(flags, details or "")
    return parsed


def _finishing(*, is_trusted: bool) -> Finish:
    """What Envoy's records say beyond their names."""

    def finish(parsed: Parsed, record: Record) -> None:
        if not parsed.method and not parsed.target and record.get("protocol", "") in {None, "-"}:
            raise Unreadable("not_http")
        if parsed.peer:
            _put_peer(parsed, parsed.peer, is_trusted=is_trusted)
        if parsed.blocked_by is None:
            flags, details = record.get("response_flags"), record.get("response_code_details")
            flags = flags if flags.__class__ is str else ""
            details = details if details.__class__ is str else ""
            if details != "via_upstream":
                parsed.blocked_by = _refusal(flags, details)

    return finish


class Envoy:
    """The format of Envoy's access logs."""

    name = "envoy"
    examples = (
        (
            b'[2026-11-22T10:00:00.123Z] "GET /api/users/17?full=1 HTTP/2" 200 - 0 512 12 11 "2'
            b'03.0.113.7" "okhttp/4.12.0" "4ad9ad5c-5f40-48ae-b5ab-f3cf0e0b31f6" "api.example.c'
            b'om" "10.0.2.1:8080"'
        ),
        (
            b'{"authority":"api.example.com","bytes_sent":512,"downstream_remote_address":"203.'
            b'0.113.7:34805","method":"GET","path":"/api/users/17","protocol":"HTTP/2","request'
            b'_id":"4ad9ad5c-5f40-48ae-b5ab-f3cf0e0b31f6","response_code":200,"response_flags":'
            b'"-","start_time":"2026-11-22T10:00:00.123Z","upstream_host":"10.0.2.1:8080","user'
            b'_agent":"okhttp/4.12.0","x_forwarded_for":"203.0.113.7"}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share that is Envoy's, TCP or HTTP; of JSON, what has response flags."""
        return marked_share(lines, _is_marked, self.parser, {"not_http", "no_address"})

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        is_trusted = path_of(settings.fields.client_ip or "") == "downstreamremoteaddress"
        finish = _finishing(is_trusted=is_trusted)
        read_json = RecordReader(settings, NAMES, finish=finish).parser()
        return json_or_text(read_json, partial(_read_text, is_trusted=is_trusted))


def _is_marked(line: bytes) -> bool:
    return not is_object(line) or _MARK.search(line) is not None


FORMAT = Envoy()
