r"""Apache httpd: common, combined, vhost_combined, and configured log formats.

A line in, `Parsed` out. Combined is nginx's text too, so `sniff` claims a log only if it holds
shapes that Apache alone writes. Every expression here MUST stay linear in the line.
"""

import re
from collections.abc import Sequence

from intake.formats import _compiled
from intake.formats._apache_layout import apache_layout
from intake.formats._base import (
    QUOTED,
    Parser,
    absent,
    clean,
    decode,
    split_request,
    unescape,
    unreadable,
)
from intake.formats._unescaped import unescaped
from intake.formats.nginx import NO_PEER, is_address, put_user, trailing, usual
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.times import parse_time

_NAME = r"(?=[^A-Za-z\s]*+[A-Za-z])[\w.-]{1,255}+"
_ADDRESS = r"(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*+(?:%\w+)?)"
# An IPv6 peer must not pass for a virtual host: then "-" would be the peer (hence the lookahead),
# and a user name holds no bare quote: else one could hold a forged line. Where the second field is
# an address, it is the peer: %v and hosts that nginx logs come without a port. Of two names the
# second is the peer, if what identd said (which nobody asks any more) follows. A word with a colon
# is a program's name: text that it logs must not pass for the user.
_VHOST = (
    rf'(?:([^\s"\[\]]*[^\s"\[\]:]:\d{{1,5}} (?!- )|{_NAME} (?={_ADDRESS} |{_NAME} - )'
    rf"|(?:[-_]|(?:\d{{1,3}}\.){{3}}\d{{1,3}}) (?={_ADDRESS} )))?"
)
_USER = r'(""|(?:[^"\\]|\\.)+?)'
# A host name where Apache looks them up: has a letter, so that no date or clock passes for one.
_HOST_NAME = re.compile(r"-|(?=[^A-Za-z]*+[A-Za-z])[\w.-]{1,255}+", re.ASCII)
# virtual host, peer, user, time, request, status, bytes, referer, agent, rest. Oracle HTTP Server
# has an id between time and request; numbers may stand between bytes and referer.
_LINE = re.compile(
    rf'{_VHOST}(\[[\w:.%]{{2,64}}+\]|[^\s",\[\]]++) (?:-|[^\s,]++(?<!:)(?: -)?) {_USER} '
    rf'\[([^\]]{{1,40}}+)\] (?:[^\s"\[\]]{{1,255}}+ )?{QUOTED} (\d{{3}}|-) (\d{{1,19}}+|-)'
    rf"(?:(?: [\w.:+-]{{1,64}}+){{0,4}}+ {QUOTED} {QUOTED})?(?: (.*+))?",
    re.ASCII | re.DOTALL,
)
_SPECIAL = 0.85
_PLAIN = 0.5


def _match(line: bytes) -> tuple[re.Match[str] | None, str | None, str | None]:
    """The parts of a line; X-Forwarded-For and a host where these stand before or for its peer."""
    text = decode(clean(line))
    chain = host = None
    if (match := _LINE.fullmatch(text)) is None:
        text, chain, host = usual(text)
        match = _LINE.fullmatch(text)
    return (match if match and _is_peer(match[2]) else None), chain, host


def _host_of(vhost: str) -> str | None:
    """The virtual host without its port; None for what is none, such as a server's address."""
    name, colon, port = vhost.rstrip().rpartition(":")
    name = name if colon and port.isdecimal() else vhost.rstrip()
    return name if _HOST_NAME.fullmatch(name) and name != "-" else None


def _is_common(match: re.Match[str]) -> bool:
    return match[8] is None and (match[10] or "")[:1] != '"'


def _is_peer(text: str) -> bool:
    return is_address(text) or _HOST_NAME.fullmatch(text) is not None


class Apache:
    """The format of Apache access logs."""

    name = "apache"
    examples = (
        (
            b'api.example.com:443 203.0.113.7 - ann [22/Nov/2026:10:00:00 +0000] "GET /api/user'
            b's/17?full=1 HTTP/1.1" 200 512 "https://app.example.com/" "okhttp/4.12.0"'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """0.85 of the share understood if any shape is Apache's own, else 0.5: it may be nginx."""
        known = [match for line in lines if (match := _match(line)[0])]
        own = any(m[1] or _is_common(m) or not is_address(m[2]) for m in known)
        return (_SPECIAL if own else _PLAIN) * len(known) / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`; a line is tried in the configured log formats first.

        Raises:
            ValueError: a configured log format says too little, or lets clients forge fields.
        """
        readings = [
            _compiled.compiled(apache_layout(text), settings, no_size=0)
            for text in settings.log_format.apache
        ]
        return _compiled.first_of(readings, self._named(settings))

    def _named(self, settings: IntakeSettings) -> Parser:
        vouched = settings.trust.principal == "gateway"

        def parse(line: bytes) -> Parsed:
            match, chain, named = _match(line)
            if match is None or (match[8] is None and not _is_common(match)):
                # Reactor Netty, Jetty and others write such lines too, and escape nothing.
                parsed = unescaped(decode(clean(line)), vouched=vouched)
                if parsed is not None and _is_peer(parsed.peer):
                    return parsed
                if match is None:
                    raise unreadable(line, "not_this_format")
            vhost, peer, user, time, request, status, size, referer, agent, rest = match.groups()
            method, target, host = split_request(request)
            if host is None:
                host = _host_of(vhost) if vhost else named
            forwarded, request_id = trailing(rest) if rest else (None, None)
            parsed = Parsed(
                parse_time(time),
                "" if peer in {"-", NO_PEER} else peer,
                method,
                target,
                0 if status == "-" else int(status),
                0 if size == "-" else int(size),
                chain or forwarded,
                host,
                absent(unescape(agent)) if agent else None,
                absent(unescape(referer)) if referer else None,
                request_id,
                logs_principal=vouched,
            )
            # Apache writes "" for an empty user name.
            if user not in {"-", '""'}:
                put_user(parsed, user, vouched=vouched)
            return parsed

        return parse


FORMAT = Apache()
