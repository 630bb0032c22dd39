r"""nginx: combined with any further fields, as `log_format main` has, and configured log formats.

A line in, `Parsed` out. Quoted fields are what clients wrote, escaped by nginx (\xNN): a client
cannot end a field early, and a request that was none (400) is still an event. Every expression
here MUST stay linear in the line: a group never gives back what it took.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from intake.formats import _compiled
from intake.formats._base import (
    Parser,
    absent,
    clean,
    decode,
    split_request,
    unescape,
    unreadable,
)
from intake.formats._nginx_layout import nginx_layout
from intake.formats._unescaped import unescaped
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.times import parse_time

_QUOTED = r'"((?:[^"\\]++|\\.)*+)"'
_PEER = r"([0-9.]++|[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*+(?:%\w+)?|unix:\S*+)"
# peer, user, time, method and target (or the whole request), status, bytes, referer, agent, rest
_COMBINED = re.compile(
    rf'{_PEER} \S++ ([^"]+?) \[([^\]]{{1,40}}+)\] '
    rf'(?:"([A-Z]{{1,20}}+) (/[^" \\]*+) HTTP/\d(?:\.\d)?"|{_QUOTED}) '
    rf"(\d{{3}}|-) (\d{{1,19}}+|-)(?: {_QUOTED} {_QUOTED}(?: (.*+))?)?",
    re.ASCII | re.DOTALL,
)
_FIRST_QUOTED = re.compile(rf"(?<!\S){_QUOTED}", re.ASCII | re.DOTALL)
_LONGEST_ADDRESS = 64
_UPSTREAM = re.compile(
    r"(?:10|127|192\.168|172\.(?:1[6-9]|2[0-9]|3[01]))(?:\.[0-9]{1,3}){2,3}:[0-9]{1,5}|unix:.*",
    re.DOTALL,
)
_REQUEST_ID = re.compile(
    r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII
)


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
    if '"' in rest and (quoted := _FIRST_QUOTED.search(rest)):
        found = quoted[1]
        # A private address with a port is where it was sent on to, not where it came from.
        if is_address_list(found) and not _UPSTREAM.fullmatch(found.rpartition(",")[2].strip()):
            forwarded = found
    last = rest.rpartition(" ")[2]
    if last.startswith('"'):
        last = last[1:].removesuffix('"')
    if len(last) in {32, 36} and _REQUEST_ID.fullmatch(last):
        request_id = last
    return forwarded, request_id


class Nginx:
    """The format of nginx access logs."""

    name = "nginx"

    def sniff(self, lines: Sequence[bytes]) -> float:
        """0.9 of the share that has the shape with referer and user agent."""
        match = _COMBINED.fullmatch
        known = sum(
            (m := match(decode(clean(line)))) is not None and m[10] is not None and is_address(m[1])
            for line in lines
        )
        return 0.9 * known / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`; a line is tried in the configured log formats first.

        Raises:
            ValueError: a configured log format says too little, or lets clients forge fields.
        """
        readings = [
            _compiled.compiled(nginx_layout(text), settings) for text in settings.log_format.nginx
        ]
        return _compiled.first_of(readings, self._combined(settings))

    def _combined(self, settings: IntakeSettings) -> Parser:
        vouched = settings.trust.principal == "gateway"
        fullmatch = _COMBINED.fullmatch

        def parse(line: bytes) -> Parsed:
            try:
                match = fullmatch(line.decode())
            except UnicodeDecodeError:
                match = None
            if match is None and (match := fullmatch(text := decode(clean(line)))) is None:
                # Jetty and others write combined too, and escape nothing.
                found = unescaped(text, vouched=vouched) if '"' in text else None
                if found is None or not is_address(found.peer):
                    raise unreadable(line, "not_this_format")
                return found
            (peer, user, time, method, target, request, status, size, referer, agent, rest) = (
                match.groups()
            )
            host = forwarded = request_id = None
            if request is not None:
                method, target, host = split_request(request)
            if referer is not None:
                referer = None if referer == "-" else unescape(referer) or None
                agent = None if agent == "-" else unescape(agent) or None
                if rest:
                    forwarded, request_id = trailing(rest)
            parsed = Parsed(
                parse_time(time),
                peer,
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
            if user != "-" and (name := absent(unescape(user))) is not None:
                if vouched:
                    parsed.principal = name
                else:
                    parsed.asserted = name
                    parsed.basic_user = True
            return parsed

        return parse


FORMAT = Nginx()
