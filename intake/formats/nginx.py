r"""nginx: combined with any further fields, as `log_format main` has, and configured log formats.

A line in, `Parsed` out. Quoted fields are what clients wrote, escaped by nginx (\xNN): a client
cannot end a field early, and a request that was none (400) is still an event. Every expression
here MUST stay linear in the line: a group never gives back what it took.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from intake.formats import _compiled
from intake.formats._base import (
    QUOTED,
    Parser,
    absent,
    clean,
    decode,
    put_basic_user,
    split_request,
    unescape,
    unreadable,
)
from intake.formats._nginx_layout import nginx_layout
from intake.formats._unescaped import unescaped
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.times import parse_time

_PEER = r"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*+(?:%\w+)?|unix:\S*+)"
# peer, user, time, method and target (or the whole request), status, bytes, referer, agent, rest
_COMBINED = re.compile(
    # Another field in the second place may have "-" behind it. If it is an address, the first is
    # no peer: it is a virtual host, or X-Forwarded-For.
    rf'({_PEER}) (?:-|(?!{_PEER} )[\w@.:/-]{{1,255}}+(?: -)?) ([^"]+?) \[([^\]]{{1,40}}+)\] '
    rf'(?:"([A-Z]{{1,20}}+) (/[^" \\]*+) HTTP/\d(?:\.\d)?"|{QUOTED}) '
    rf"(\d{{3}}|-) (\d{{1,19}}+|-)(?: {QUOTED} {QUOTED}(?: (.*+))?)?",
    re.ASCII | re.DOTALL,
)
# A host between time and request, a number between bytes and referer: not where "combined" has any.
_BETWEEN = re.compile(
    rf'([^"\[]*+\[[^\]]{{1,40}}+\]) {{1,2}}+(?:([^\s"]{{1,255}}+) |"([^"\\\s]{{1,255}}+)" (?="))?'
    rf"({QUOTED} (?:\d{{3}}|-) (?:\d{{1,19}}+|-))((?: [\w.:+-]{{1,64}}+){{0,4}}+)( {QUOTED} .*+)?",
    re.ASCII | re.DOTALL,
)
_WORD = r'[^\s",\[\]]{1,255}+'
_TIME = r'\[[^\[\]"]{1,40}+\]'
# X-Forwarded-For instead of the peer, or before it: with white space within it or the user, nobody
# knows where either ends; and what a client writes must not pass for the time. A host may be first.
_CHAIN = re.compile(
    rf'(?:({_WORD}) )?((?:[^\s",]{{1,64}}+, ?+)++)([^\s",]{{1,64}}+)(?: ({_PEER}))? - '
    rf'(\S++ {_TIME} {{1,2}}+(?:[^\s"\[\]]{{1,255}}+ )?".*+)',
    re.ASCII | re.DOTALL,
)
# A host or X-Forwarded-For in quotes before the peer.
_QUOTED_FIRST = re.compile(rf"(?:({_WORD}) )?{QUOTED} ({_PEER} .*+)", re.ASCII | re.DOTALL)
# No user is logged, or the time is what comes first.
_USERLESS = re.compile(rf'({_PEER})(?: -)? ({_TIME} ".*+)', re.ASCII | re.DOTALL)
_TIME_FIRST = re.compile(rf'({_TIME}) ({_PEER}) (".*+)', re.ASCII | re.DOTALL)
_FIRST_QUOTED = re.compile(rf"(?<!\S){QUOTED}", re.ASCII | re.DOTALL)
_FIRST_LABELLED = re.compile(
    rf"(?<!\S)(?:(?i:x[-_]forwarded[-_]for|xff)=)?{QUOTED}", re.ASCII | re.DOTALL
)
# nginx writes hosts in lower case, so that a name without a dot in mixed case is some other id.
_HOST = re.compile(
    r"(?=[^A-Za-z]*+[A-Za-z])(?:[a-z\d_-]{1,63}|[\w-]++\.[\w.-]{1,255}+)(?::\d{1,5})?", re.ASCII
)
NO_PEER = "0.0.0.0"  # noqa: S104  it stands for none, nothing listens there
# What Nginx Proxy Manager has all its servers write: those that pass on, and the others.
_MANAGED_ONE = (
    "[$time_local] {}$status - $request_method $scheme $host "
    '"$request_uri" [Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] {}'
    '"$http_user_agent" "$http_referer"'
)
PROXY_MANAGER = (
    _MANAGED_ONE.format("$upstream_cache_status $upstream_status ", "[Sent-to $server] "),
    _MANAGED_ONE.format("", ""),
)
_MANAGED = re.compile(r'\[[^\]"]++\] [^"\[]++"(?:[^"\\]++|\\.)*+" \[Client [^\]"]++\] \[Length .++')
_LONGEST_ADDRESS = 64
_UPSTREAM = re.compile(
    r"(?:10|127|192\.168|172\.(?:1[6-9]|2[0-9]|3[01]))(?:\.[0-9]{1,3}){2,3}:[0-9]{1,5}|unix:.*",
    re.DOTALL,
)
_ID_LABEL = re.compile(r"(?i:(?:x[-_])?req(?:uest)?[-_]?id)=")
_REQUEST_ID = re.compile(
    r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII
)
# A request's id before its user, as BunkerWeb has it.
_ID_AND_USER = re.compile(rf"({_REQUEST_ID.pattern})(?: -)? (.++)", re.ASCII | re.DOTALL)


def is_address_list(text: str) -> bool:
    """Whether the last of a comma list is an address, as the last proxy of a chain appends it.

    What stands before it is the client's to choose, so it decides nothing.
    """
    return is_address(text.rpartition(",")[2].strip())


def is_address(text: str) -> bool:
    """Whether this is an IP address, perhaps with a port, or the name of a unix socket."""
    return len(text) <= _LONGEST_ADDRESS and _is_address(text)


@lru_cache(maxsize=8192)
def _is_address(text: str) -> bool:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.startswith("unix:"):
        return True
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def trailing(rest: str) -> tuple[str | None, str | None]:
    """(forwarded, request id) of the fields after the user agent.

    `forwarded` is the first quoted field, if it is a list of addresses: later ones may be
    upstreams. The request id is the last field: before it, 32 hex digits may be a session.
    """
    forwarded = request_id = None
    rest = rest.rstrip()
    first = _FIRST_LABELLED if '="' in rest else _FIRST_QUOTED
    if '"' in rest and (quoted := first.search(rest)):
        found = quoted[1]
        # A private address with a port is where it was sent on to, not where it came from.
        if is_address_list(found) and not _UPSTREAM.fullmatch(found.rpartition(",")[2].strip()):
            forwarded = found
    last = rest.rpartition(" ")[2]
    if "=" in last and (label := _ID_LABEL.match(last)):
        last = last[label.end() :]
    if last.startswith('"'):
        last = last[1:].removesuffix('"')
    if len(last) in {32, 36} and _REQUEST_ID.fullmatch(last):
        request_id = last
    return forwarded, request_id


def _is_combined(line: bytes) -> bool:
    text = decode(clean(line))
    match = _COMBINED.fullmatch(text)
    if match is None and '"' in text and (found := _rearranged(text)) is not None:
        match = found.match
    if match is None:
        return _MANAGED.fullmatch(text) is not None
    return match[10] is not None and is_address(match[1])


def put_user(parsed: Parsed, user: str, *, vouched: bool) -> None:
    """Notes the user of a line as it was logged, and the request's id where that stands before it.

    Where the owner vouches for names, a name is all that stands there: a user may be called so.
    """
    if not vouched and (match := _ID_AND_USER.fullmatch(user)):
        parsed.request_id, user = parsed.request_id or match[1], match[2]
    if (name := absent(unescape(user))) is not None:
        put_basic_user(parsed, name, vouched=vouched)


class Usual(NamedTuple):
    """A line that begins with the peer, "-", a user and the time; and what stood there instead."""

    text: str
    chain: str | None = None
    """X-Forwarded-For, where it stands before the peer or in its place (then with `NO_PEER`)."""
    host: str | None = None


def usual(text: str) -> Usual:
    """A line with the beginning of "combined", whatever the order of its own; else as it was."""
    if match := _QUOTED_FIRST.fullmatch(text):
        first, quoted, rest = match.groups()
        chain = quoted if is_address_list(quoted) else None
        return Usual(rest, chain, _server_of(first or quoted))
    if match := _CHAIN.fullmatch(text):
        first, others, last, peer, rest = match.groups()
        if not is_address(peer or last):
            return Usual(text)
        # The peer is as much of a guess as the others: a client may have written a space too.
        chain = f"{others}{last}, {peer}" if peer else others + last
        return Usual(f"{NO_PEER} - {rest}", chain, _server_of(first))
    if match := _USERLESS.fullmatch(text):
        return Usual(f"{match[1]} - - {match[2]}")
    if match := _TIME_FIRST.fullmatch(text):
        return Usual(f"{match[2]} - - {match[1]} {match[3]}")
    return Usual(text)


def _server_of(text: str | None) -> str | None:
    """The host that a word before all others is: the server's name, whose port says nothing."""
    found = _host_of(text)
    return found.partition(":")[0] if found else None


def _host_of(text: str | None) -> str | None:
    """The host that a word is, with its port; None for an address, an id, or nothing."""
    return text if text and _HOST.fullmatch(text) and not _REQUEST_ID.fullmatch(text) else None


class _Found(NamedTuple):
    match: re.Match[str]
    host: str | None = None
    chain: str | None = None
    """X-Forwarded-For, where it stands in the peer's place."""
    request_id: str | None = None


def _rearranged(text: str) -> _Found | None:
    """A line with combined's fields in another order, and with others between them."""
    word = None
    text, chain, host = usual(text)
    if (match := _BETWEEN.fullmatch(text)) is not None:
        word = match[2] or match[3]
        text = f"{match[1]} {match[4]}{match[7] or match[6]}"
    if (match := _COMBINED.fullmatch(text)) is None:
        return None
    request_id = word if word and _REQUEST_ID.fullmatch(word) else None
    return _Found(match, _host_of(word) or host, chain, request_id)


def _no_line(line: bytes) -> Parsed:
    raise unreadable(line, "not_this_format")


class Nginx:
    """The format of nginx access logs."""

    name = "nginx"
    examples = (
        (
            b'10.0.0.5 - - [22/Nov/2026:10:00:00 +0000] "GET /api/users/17?full=1 HTTP/1.1" 200'
            b' 512 "https://app.example.com/" "okhttp/4.12.0" "203.0.113.7" 9f8e7d6c5b4a3928170'
            b"6f5e4d3c2b1a0"
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """0.9 of the share that has the shape with referer and user agent."""
        return 0.9 * sum(map(_is_combined, lines)) / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`; a line is tried in the configured log formats first.

        Raises:
            ValueError: a configured log format says too little, or lets clients forge fields.
        """
        readings = [
            _compiled.compiled(nginx_layout(text), settings) for text in settings.log_format.nginx
        ]
        managed = [_compiled.compiled(nginx_layout(text), settings) for text in PROXY_MANAGER]
        others = _compiled.first_of(managed, _no_line)
        return _compiled.first_of(readings, self._combined(settings, others))

    def _combined(self, settings: IntakeSettings, others: Parser) -> Parser:
        vouched = settings.trust.principal == "gateway"
        fullmatch = _COMBINED.fullmatch

        def parse(line: bytes) -> Parsed:
            try:
                match = fullmatch(line.decode())
            except UnicodeDecodeError:
                match = None
            host = forwarded = request_id = None
            if match is None and (match := fullmatch(text := decode(clean(line)))) is None:
                if '"' not in text:
                    raise unreadable(line, "not_this_format")
                if (rearranged := _rearranged(text)) is None:
                    # Jetty and others write combined too, and escape nothing.
                    found = unescaped(text, vouched=vouched)
                    if found is None or not is_address(found.peer):
                        return others(line)
                    return found
                match, host, forwarded, request_id = rearranged
            (peer, user, time, method, target, request, status, size, referer, agent, rest) = (
                match.groups()
            )
            if ":" in peer and not is_address(peer):
                raise unreadable(line, "not_this_format")
            if request is not None:
                method, target, asked = split_request(request)
                host = asked or host
            if referer is not None:
                referer = None if referer == "-" else unescape(referer) or None
                agent = None if agent == "-" else unescape(agent) or None
                if rest:
                    last, last_id = trailing(rest)
                    forwarded, request_id = forwarded or last, request_id or last_id
            parsed = Parsed(
                parse_time(time),
                peer if peer != NO_PEER else "",
                method,
                target,
                0 if status == "-" else int(status),
                -1 if size == "-" else int(size),
                forwarded,
                host,
                agent,
                referer,
                request_id,
            )
            if vouched:
                parsed.logs_principal = True
            if user != "-":
                put_user(parsed, user, vouched=vouched)
            return parsed

        return parse


FORMAT = Nginx()
