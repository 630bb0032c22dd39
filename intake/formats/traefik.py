r"""Traefik: its common log format, and its access logs as JSON.

A line in, `Parsed` out. ClientAddr is the direct peer. ClientHost is X-Forwarded-For where the
entry point trusts who sent it, else the peer again: its last address is what a trusted proxy added.
In the text, Traefik (from May 2026) writes a client's `"` as `\"` but a client's `\` as it is: so
the fields are taken from the right, and a quote ends a field unless `\` is before it. Before, it
stood there as it is, so that a referer or agent can look like an answer: a line is read from the
left too, where only a query over HTTP/2 can look so; of two answers the one that gave more counts,
so that nobody hides behind the other.
A Basic user name stands there bare, also a wrong one: with a time and a quote in it, a client can
move its own time and target, but not its address, nor hide an answer. The JSON has no such hole.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

from intake.formats._base import (
    Parser,
    clean,
    decode,
    json_or_text,
    put_basic_user,
    split_request,
    unreadable,
)
from intake.formats._record import Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.formats._values import is_refusal
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.times import parse_time

# Best first.
NAMES = (
    ("startutc", "time_ms"),
    ("startlocal", "time_ms"),
    ("requestmethod", "method"),
    ("requestpath", "target"),
    ("downstreamstatus", "status"),
    ("downstreamcontentsize", "bytes"),
    ("requesthost", "host"),
    ("clientusername", "remote_user"),
    ("originstatus", "upstream_status"),
    ("downstreamlocation", "location"),
    ("originlocation", "location"),
)
_RESOLVED = (("clienthost", "peer"), ("clientaddr", "peer"))
_DIRECT = (("clientaddr", "peer"), ("clienthost", "peer"), ("clienthost", "forwarded"))
_MARKS = re.compile(
    rb'"(?:DownstreamStatus|DownstreamContentSize|OriginStatus|OriginContentSize|entryPointName)"'
    rb"\s*+:"
)
_TIME = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
# peer, user, time, method, target, status, bytes, referer, agent, router, server: nothing in these
# can end a field. All other lines take the long way.
_PLAIN = re.compile(
    rf'([^\s",]++) - ([^\s"]++) \[({_TIME})\] "([A-Z]++) (/[^\s"]*+) HTTP/\d(?:\.\d)?" '
    r'(\d{3}) (\d{1,19}+) "([^"\\]*+)" "([^"\\]*+)" \d++ "([^"\\]*+)" "([^"\\]*+)" \d++ms',
    re.ASCII,
)
_START = re.compile(rf' \[({_TIME})\] "', re.ASCII)
# request, status, size, referer and agent: from the left
_ANSWERED = re.compile(r'([^\s"]++ \S++ HTTP/\d(?:\.\d)?)" (\d{3}|-) (\d{1,19}+|-) (.*+)', re.ASCII)
_NUMBER = re.compile(r"\d{1,19}|-", re.ASCII)
_TAIL = re.compile(r"\d{1,19}ms", re.ASCII)
_MIDDLEWARES = ("OriginDuration", "OriginContentSize", "ServiceName", "ServiceURL")
_NAME = "traefik"
_Take = Callable[[str], tuple[str, str] | None]


def _take_quoted(text: str) -> tuple[str, str] | None:
    r"""(what stands before, the value) of a quoted field, or a bare "-", at the end of a text."""
    if text.endswith(" -"):
        # Before 2.2, an absent field stood without quotes.
        return text[:-2], "-"
    if not text.endswith('"') or len(text) < 2:
        return None
    start = text.rfind('"', 0, -1)
    while start > 0 and text[start - 1] == "\\":
        start = text.rfind('"', 0, start)
    if start < 1 or text[start - 1] != " ":
        return None
    return text[: start - 1], text[start + 1 : -1].replace('\\"', '"')


def _take_number(text: str) -> tuple[str, str] | None:
    """(what stands before, the digits or "-") of a bare number at the end of a text."""
    rest, _, number = text.rpartition(" ")
    return (rest, number) if _NUMBER.fullmatch(number) else None


def _take(text: str, *takes: _Take) -> tuple[str, list[str]] | None:
    """(what stands before, the values in their order) of fields taken from the right."""
    values: list[str] = []
    for take in reversed(takes):
        if (taken := take(text)) is None:
            return None
        text, value = taken
        values.append(value)
    return text, values[::-1]


def _given(answer: tuple[str, ...]) -> tuple[bool, int]:
    """Whether an answer (status, size) succeeded, and how much it gave."""
    status, size = answer
    return status[:1] == "2", 0 if size == "-" else int(size)


def _request_of(text: str) -> tuple[str, ...] | None:
    """Request line, status, size, referer and agent."""
    right = _take(text, _take_number, _take_number, _take_quoted, _take_quoted)
    found = (right[0][:-1], *right[1]) if right and right[0].endswith('"') else None
    match = _ANSWERED.fullmatch(text)
    if match is None or (found and found[0] == match[1]):
        return found
    request, status, size, said = match.groups()
    # Which of these two a client ended early does not matter: it wrote both.
    referer, gap, agent = said.partition(" " if said[:1] == "-" else '" ')
    if not gap:
        return None
    answer: tuple[str, ...] = (status, size)
    if found:
        answer = max(answer, found[1:3], key=_given)
    return request, *answer, referer.removeprefix('"'), agent.strip('"')


def _split(text: str) -> tuple[str, ...] | None:
    """What `_PLAIN` finds, with the request line in place of method and target."""
    text, _, duration = text.rpartition(" ")
    if _TAIL.fullmatch(duration) is None:
        return None
    tail = _take(text, _take_number, _take_quoted, _take_quoted)
    if tail is None or (start := _START.search(tail[0])) is None:
        return None
    text, (_, router, server) = tail
    peer, _, user = text[: start.start()].partition(" - ")
    if not peer or not user or (request := _request_of(text[start.end() :])) is None:
        return None
    return peer, user, start[1], *request, router, server


def _parse_text(line: bytes, *, vouched: bool) -> Parsed:
    text = decode(clean(line))
    host = None
    if (match := _PLAIN.fullmatch(text)) is not None:
        peer, user, time, method, target, status, size, referer, agent, router, server = (
            match.groups()
        )
    elif (split := _split(text)) is not None:
        peer, user, time, request, status, size, referer, agent, router, server = split
        method, target, host = split_request(request, escaped=False)
    else:
        raise unreadable(line, "not_this_format")
    parsed = Parsed(
        parse_time(time),
        peer,
        method,
        target,
        int(status) if len(status) == 3 and status.isdecimal() else 0,
        -1 if size == "-" else int(size),
        host=host,
        user_agent=None if agent in {"", "-"} else agent,
        referer=None if referer in {"", "-"} else referer,
        logs_principal=vouched,
    )
    if "," in peer:
        _take_last_hop(parsed)
    if user != "-":
        put_basic_user(parsed, user, vouched=vouched)
    if server == "-" != router and is_refusal(parsed.status):
        parsed.blocked_by = _NAME
    return parsed


def _take_last_hop(parsed: Parsed) -> None:
    """Of X-Forwarded-For as the peer: its last address, and the others before it."""
    others, _, last = parsed.peer.rpartition(",")
    parsed.peer = last.strip()
    parsed.forwarded = others


def _finish(parsed: Parsed, record: Record) -> None:
    peer = parsed.peer
    if "," in peer:
        _take_last_hop(parsed)
    elif peer.endswith("]") or peer.count(":") == 1 or "]:" in peer:
        parsed.peer = peer.rpartition(":")[0].strip("[]") or peer
    origin = parsed.upstream_status
    if origin == "0":
        # Where Traefik answers itself it writes 0, or in earlier versions nothing.
        origin = parsed.upstream_status = None
    elif origin is None and ("Overhead" not in record or any(n in record for n in _MIDDLEWARES)):
        return
    if origin is None and is_refusal(parsed.status) and "RouterName" in record:
        parsed.blocked_by = _NAME


class Traefik:
    """The format of Traefik's access logs."""

    name = _NAME
    examples = (
        (
            b'203.0.113.7 - ann [22/Nov/2026:10:00:00 +0000] "GET /api/users/17?full=1 HTTP/2.0'
            b'" 200 512 "-" "okhttp/4.12.0" 1 "api@docker" "http://10.0.0.8:8080" 3ms'
        ),
        (
            b'{"ClientAddr":"203.0.113.7:53212","ClientHost":"203.0.113.7","ClientUsername":"-"'
            b',"DownstreamContentSize":512,"DownstreamStatus":200,"OriginStatus":200,"RequestHo'
            b'st":"api.example.com","RequestMethod":"GET","RequestPath":"/api/users/17","Router'
            b'Name":"api@docker","StartUTC":"2026-11-22T10:00:00.123456789Z","request_User-Agen'
            b't":"okhttp/4.12.0","request_X-Forwarded-For":"203.0.113.7","time":"2026-11-22T10:'
            b'00:00Z"}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood that has names, or an end, which only Traefik gives."""
        return marked_share(lines, _is_marked, self.parser)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        names = (*(_DIRECT if settings.trusted_proxies else _RESOLVED), *NAMES)
        read = RecordReader(settings, names, finish=_finish).parser()
        read_text = partial(_parse_text, vouched=settings.trust.principal == "gateway")
        return json_or_text(read, read_text)


def _is_marked(line: bytes) -> bool:
    return line.rstrip().endswith(b"ms") or _MARKS.search(line) is not None


FORMAT = Traefik()
