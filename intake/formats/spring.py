"""Spring: access log lines of Reactor Netty, Undertow and Jetty inside a Spring Boot log.

A line in, `Parsed` out: a prefix (Spring Boot 2 to 4, Sleuth, plain Logback) and a line in common
or combined form, in which nothing is escaped. The prefix MUST be matched from the start of the line
and name an access log: else text of a client which the application logs could pass for a request.
"""

import re
from collections.abc import Sequence

from intake.formats._base import Parser, clean, decode, split_request, unreadable
from intake.formats._sniffing import marked_share
from intake.formats._unescaped import unescaped
from intake.formats._values import trace_id_of
from intake.formats.nginx import is_address
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.times import parse_time

# Before a logger's name stand times, levels, process ids, and in brackets threads and trace ids.
_PART = r'(?:\[[^\]"]{0,200}+\]|[0-9][0-9T:.,Z+/-]{0,39}+|[A-Z]{4,5}+|---)'
_LOGGER = r"[\w.$]{0,200}?(?:AccessLog|accesslog|RequestLog)"
_PREFIX = re.compile(
    rf"((?:{_PART}(?: {{1,60}}+|(?=\[))){{1,12}}+){_LOGGER} {{0,60}}+(?::|--?) [ -]{{0,8}}+",
    re.ASCII,
)
# The pattern that Spring Boot's documentation has for Tomcat and Undertow: the time, the address,
# the request, the status and the time taken. No more is said, so no request can say it.
_DOCUMENTED = re.compile(
    r'\[([^\]"]{1,40}+)\] (\S{1,64}+) ("?)(.*)\3 (\d{3}) '
    r"\(\d{1,10}+ ?(?:ms|us|milliseconds|microseconds)\)",
    re.ASCII | re.DOTALL,
)
_MARKS = ("AccessLog", "accesslog", "RequestLog")
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}m")
_IDS = re.compile(r"[0-9a-fA-F]{16,32}")


def _message(text: str) -> tuple[str, str]:
    """(prefix, what was logged); the prefix is "" for a line that has none.

    Raises:
        Unreadable: another line of the application.
    """
    if not any(mark in text for mark in _MARKS):
        return "", text
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if (match := _PREFIX.match(text)) is None:
        return "", text
    return match[1], text[match.end() :]


def _documented(text: str) -> Parsed | None:
    """A line in the pattern of Spring Boot's documentation; it logs neither user nor size."""
    if (match := _DOCUMENTED.fullmatch(text)) is None:
        return None
    time, peer, _, request, status = match.groups()
    method, target, host = split_request(request, escaped=False)
    return Parsed(parse_time(time), peer, method, target, int(status), host=host)


def _trace(prefix: str) -> str | None:
    """The trace id in `[trace-span]`, or in Sleuth's `[application,trace,span]`."""
    for bracket in prefix.split("[")[1:]:
        inner = bracket.partition("]")[0].strip()
        for part in inner.split(",")[1:2] if "," in inner else [inner.partition("-")[0]]:
            if _IDS.fullmatch(part) and len(part) in {16, 32}:
                return trace_id_of(part)
    return None


def _peer(address: str) -> str:
    """An address, which some versions write with a port that belongs to it or follows it."""
    if is_address(address):
        return address
    host, _, port = address.rpartition(":")
    return host if port.isdigit() and is_address(host) else address


class Spring:
    """The format of access log lines in logs of Spring Boot applications."""

    name = "spring"
    examples = (
        (
            b"2026-11-22T10:00:00.123Z  INFO 1 --- [gateway] [or-http-epoll-2] [0af7651916cd43d"
            b"d8448eb211c80319c-b7ad6b7169203331] reactor.netty.http.server.AccessLog      : 20"
            b'3.0.113.7 - ann [22/Nov/2026:10:00:00 +0000] "GET /api/users/17?full=1 HTTP/1.1" '
            b"200 512 12"
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share of access log lines with a prefix, or with a time in "ms" at their end."""
        return marked_share(lines, _is_marked, self.parser)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        vouched = settings.trust.principal == "gateway"

        def parse(line: bytes) -> Parsed:
            prefix, text = _message(decode(clean(line)))
            parsed = unescaped(text, vouched=vouched)
            if parsed is None and not prefix:
                parsed = _documented(text)
            if parsed is None or not is_address(peer := _peer(parsed.peer)):
                raise unreadable(line, "not_this_format")
            parsed.peer = peer
            if prefix:
                parsed.trace_id = _trace(prefix)
            return parsed

        return parse


def _is_marked(line: bytes) -> bool:
    return clean(line).endswith((b" ms", b")")) or _message(decode(clean(line)))[0] != ""


FORMAT = Spring()
