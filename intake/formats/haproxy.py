r"""HAProxy: `option httplog` (also `clf`) and `httpslog`, behind what any `format` of `log` adds.

A line in, `Parsed` out; TCP lines and failed handshakes are `not_http`, and lines of connections
(no `option` at all) `no_request`. Times have no zone and are read as UTC. Clients' bytes are
escaped (#XX), but neither in a captured cookie, before the request, nor in the TLS server's name
behind it: who writes spaces and quotes into both can forge their line; the CLF has no such hole.
Which captured header stands where, only the configuration knows: `intake.fields` can name
`captured.request.N`, `captured.response.N` (from 1) and `captured.cookie`. Without that, only a
list of addresses is taken for X-Forwarded-For; where that is not captured, another may look so.
The CLF does not say which headers are the request's: of it only the cookie is read.
Every expression MUST stay linear in the line.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from intake.formats._base import (
    NoRequest,
    Parser,
    clean,
    decode,
    share,
    split_request,
    unreadable,
)
from intake.formats._names import path_of, session_cookie
from intake.formats._record import Plan, RecordReader
from intake.formats.nginx import is_address_list
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from intake.times import parse_time

# local without its time; priority, short, timed and iso as they are written.
_PREFIX = (
    r"(?:<\d{1,3}>)?(?:\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d) )?(?:haproxy\[\d{1,10}\]: )?"
)
_PEER = r"[0-9A-Fa-f.:]{1,60}|unix"
_DAY = r"\d\d/[A-Za-z]{3}/\d{4}(?::\d\d){3}"
_HEAD = rf"{_PREFIX}({_PEER}):\d{{1,10}} \[({_DAY})\.(\d{{3}})\] "
_NUMBER = r"[+-]?\d{1,19}"
_TIMERS = rf"{_NUMBER}(?:/{_NUMBER}){{4}}"
_COUNTS = rf"{_NUMBER}(?:/{_NUMBER}){{4}} {_NUMBER}/{_NUMBER}"
_BEFORE = rf"{_HEAD}\S++ [^\s/]++/(\S++) {_TIMERS} (-?\d{{1,3}}) (\+?\d{{1,19}}) "
# A line may be cut where syslog's ends: then the request has no second quote.
_AFTER = (
    rf"(\S)\S{{3}} {_COUNTS}"
    r'(?: \{([^{}"]*+)\})?(?: \{([^{}"]*+)\})? \\?"([^"]*+)(?:"(?: %s)?)?'
)


def _form(cookie: str, rest: str) -> re.Pattern[str]:
    """Peer, time, ms, server, status, bytes, cookie, end, request and answer headers, request."""
    return re.compile(rf"{_BEFORE}({cookie}) \S++ {_AFTER % rest}", re.ASCII | re.DOTALL)


_HTTP = _form(r"\S++", r'[^"]*+')
# Without a cookie nothing of the client's stands before the request: it is the first.
_NO_COOKIE = _form("-", ".*+")
# With spaces in the cookie, the request is the last.
_ODD_COOKIE = _form(".*", ".*+")
# peer, time, request, status, bytes, ms, server, end, cookie: the request is before all else that a
# client may write, and by its length a client may cut the rest.
_CLF = re.compile(
    rf'{_PREFIX}({_PEER}) - - \[({_DAY}) \+0000\] "([^"]*+)" (-?\d{{1,3}}) (\+?\d{{1,19}}) "" "" '
    rf'\d{{1,10}} (\d{{3}}) (?:"[^"]*+" "[^"]*+" "([^"]*+)"(?: {_NUMBER}){{5}} "?(\S)\S{{3}}"?'
    rf'(?: {_NUMBER}){{7}} (?:"([^"]*+)")?)?.*+',
    re.ASCII | re.DOTALL,
)
_CONNECTION = re.compile(
    rf"{_PREFIX}Connect from \S++ to \S++ \([^\s/]++/[A-Z]{{3,8}}+\)", re.ASCII
)
_OTHER = re.compile(
    rf"{_HEAD}(?:\S++ [^\s/]++/\S++ {_NUMBER}(?:/{_NUMBER}){{2}} {_NUMBER} \S\S {_COUNTS}(?: .*+)?"
    r"|[^\s/]++/\S*: .*+)",
    re.ASCII | re.DOTALL,
)
"""A TCP line, or what became of a handshake."""
_ESCAPED = re.compile(r"(?:#[0-9A-Fa-f]{2})++")
_Fill = Callable[[Parsed, str | None, str | None, str], None]


def _parts(line: bytes) -> tuple[Any, ...]:
    """The parts of an HTTP line, see `_form`.

    Raises:
        Unreadable: not_http or no_request for other lines of HAProxy, else not_this_format or
            binary.
    """
    text = decode(clean(line))
    match = _HTTP.fullmatch(text) or _NO_COOKIE.fullmatch(text) or _ODD_COOKIE.fullmatch(text)
    if match is not None:
        return match.groups()
    if (match := _CLF.fullmatch(text)) is not None:
        peer, day, request, status, size, ms, server, end, cookie = match.groups()
        if request == "TCP ":
            raise Unreadable("not_http")
        return peer, day, ms, server, status, size, cookie or "-", end, None, None, request
    if _OTHER.fullmatch(text):
        raise Unreadable("not_http")
    if _CONNECTION.fullmatch(text):
        raise NoRequest
    raise unreadable(line, "not_this_format")


def _plain(text: str) -> str:
    """A logged value as the client wrote it."""
    return _ESCAPED.sub(_unescaped, text) if "#" in text else text


def _unescaped(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("#", "")).decode("utf-8", "backslashreplace")


def _values(block: str | None) -> list[str]:
    """The captured headers of one block, in the order of their configuration."""
    return [] if not block else [_plain(value) for value in block.split("|")]


def _forwarded(headers: list[str]) -> str | None:
    """The one list of addresses among captured request headers; None if two of them differ.

    Any captured header is the client's to write: with an address in its User-Agent beside a real
    X-Forwarded-For it gets no address but the proxy's.
    """
    found = [value for value in headers if is_address_list(value)]
    last = {value.rpartition(",")[2].strip() for value in found}
    return found[0] if len(last) == 1 else None


def _split(request: str) -> tuple[str, str, str | None]:
    """(method, target, host); both "" for `<BADREQ>`."""
    request = _plain(request.removesuffix("\\"))
    method, target, host = split_request(request, escaped=False)
    if not method and "://" in request:
        # An absolute target that was cut with its line has lost the protocol.
        method, target, host = split_request(request + " HTTP/1.1", escaped=False)
    return method, target, host


def _guess(parsed: Parsed, asked: str | None, _answered: str | None, cookie: str) -> None:
    """Take from captures what they tell by themselves."""
    if asked:
        parsed.forwarded = _forwarded(_values(asked))
    parsed.session = session_cookie(cookie)


def _configured(settings: IntakeSettings) -> _Fill:
    """Take from captures what the settings say that they are."""
    reader = RecordReader(settings, wrappers=False)
    plans: dict[tuple[int, int], Plan] = {}

    def fill(parsed: Parsed, asked: str | None, answered: str | None, cookie: str) -> None:
        blocks = [_values(asked), _values(answered)]
        counts = len(blocks[0]), len(blocks[1])
        if (plan := plans.get(counts)) is None:
            names = [tuple(map(str, range(1, count + 1))) for count in counts]
            plan = reader.plan(
                [
                    ("captured.request.", 0, names[0]),
                    ("captured.response.", 0, names[1]),
                    ("captured.", 0, ("cookie",)),
                ],
                [],
            )
            if len(plans) < 100:
                plans[counts] = plan
        objects = [{str(at): value for at, value in enumerate(each, 1)} for each in blocks]
        reader.fill(parsed, plan, [*objects, {"cookie": cookie}])

    return fill


class HAProxy:
    """The format of HAProxy's HTTP logs."""

    name = "haproxy"
    examples = (
        (
            b"haproxy[7]: 203.0.113.7:33317 [22/Nov/2026:10:00:00.123] https-in api/srv1 10/0/3"
            b'0/69/109 200 512 - - ---- 1/1/1/1/0 0/0 {203.0.113.7} {} "GET /api/users/17?full='
            b'1 HTTP/1.1"'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share that is HAProxy's, TCP or HTTP, or of connections."""
        return share(lines, _parts, {"not_http", "no_request"})

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`.

        The logged size counts the answer's header too: only 0 says anything of the body.
        """
        named = [path_of(path) for path in settings.fields.model_dump().values() if path]
        captured = any(path.startswith("captured.") for path in named)
        fill = _configured(settings) if captured else _guess

        def parse(line: bytes) -> Parsed:
            (peer, day, ms, server, status, size, cookie, end, asked, answered, request) = _parts(
                line
            )
            method, target, host = _split(request)
            parsed = Parsed(
                # Written out as a zone, the day is remembered: it repeats for a second.
                parse_time(f"{day} +0000") + int(ms),
                "unix:" if peer == "unix" else peer,
                method,
                target,
                max(int(status), 0),
                0 if size == "0" else -1,
                host=host,
            )
            if end == "P" and server == "<NOSRV>":
                parsed.blocked_by = "haproxy"
            if asked or answered or cookie != "-":
                fill(parsed, asked, answered, cookie)
            return parsed

        return parse


FORMAT = HAProxy()
