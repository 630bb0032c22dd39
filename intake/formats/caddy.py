"""Caddy: access logs as JSON, and as its console encoder writes them.

A line in, `Parsed` out. `client_ip` is what Caddy's own `trusted_proxies` made of the headers, as
`$remote_addr` is behind nginx's realip: it is the peer, unless our own trusted proxies are named,
which then judge from `remote_ip` on. Other lines of Caddy (errors tell of the same request again)
MUST NOT become events.
"""

import re
from collections.abc import Sequence

from intake.formats._base import NoRequest, Parser, clean
from intake.formats._record import Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings

# Best first. user_id is the name of whoever Caddy itself authenticated, on the paths where it does.
NAMES = (
    ("ts", "time_ms"),
    ("request.method", "method"),
    ("request.uri", "target"),
    ("status", "status"),
    ("size", "bytes"),
    ("request.host", "host"),
    ("userid", "remote_user"),
    ("respheaders.location", "location"),
)
_RESOLVED = (
    ("request.clientip", "peer"),
    ("request.remoteip", "peer"),
    ("request.remoteaddr", "peer"),
)
_DIRECT = (
    ("request.remoteip", "peer"),
    ("request.remoteaddr", "peer"),
    ("request.clientip", "peer"),
    ("request.clientip", "client"),
)
_LOGGER = "http.log.access"
_TELLS_AGAIN = ("http.log.", "http.handlers.", "admin.api")
"""Caddy's other loggers of requests; other programs have a "logger" too, and requests to tell."""
_MARKS = re.compile(rb'"logger"\s*+:\s*+"http\.log\.access|\thttp\.log\.access[\w.-]{0,200}+\t')
_ERRORS = re.compile(rb'"logger"\s*+:\s*+"http\.log\.error')
# time, level, logger, message, and the rest of the record
_CONSOLE = re.compile(
    rb"([0-9][0-9A-Za-z/:.,+ -]{7,40}+)\t[^\t\"]{1,40}+\t(http\.log\.access[\w.-]{0,200}+)\t"
    rb"(?:[^\t{]{0,200}+\t){1,3}+\{(.*+)",
    re.DOTALL,
)


def _finish(parsed: Parsed, record: Record) -> None:
    logger = record.get("logger")
    if isinstance(logger, str) and not logger.startswith(_LOGGER):
        raise NoRequest if logger.startswith(_TELLS_AGAIN) else Unreadable("not_this_format")
    if parsed.client == parsed.peer:
        parsed.client = None


def _is_marked(line: bytes) -> bool:
    # The owner may have renamed "logger".
    named = _MARKS.search(line) is not None
    return named or (b'"resp_headers"' in line and b'"bytes_read"' in line)


class Caddy:
    """The format of Caddy's access logs."""

    name = "caddy"
    examples = (
        (
            b'{"level":"info","ts":1795341600.123,"logger":"http.log.access","msg":"handled req'
            b'uest","request":{"remote_ip":"203.0.113.7","client_ip":"203.0.113.7","proto":"HTT'
            b'P/2.0","method":"GET","host":"api.example.com","uri":"/api/users/17?full=1","head'
            b'ers":{"User-Agent":["okhttp/4.12.0"]}},"bytes_read":0,"user_id":"ann","size":512,'
            b'"status":200,"resp_headers":{}}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood that says it is Caddy's, and the errors of the same requests."""
        share = marked_share(lines, _is_marked, self.parser)
        if not share:
            return 0.0
        return share + sum(_ERRORS.search(line) is not None for line in lines) / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        addresses = _DIRECT if settings.trusted_proxies else _RESOLVED
        read = RecordReader(settings, (*addresses, *NAMES), finish=_finish).parser()

        def parse(line: bytes) -> Parsed:
            if line[:1] != b"{" and (match := _CONSOLE.fullmatch(clean(line))) is not None:
                time, logger, rest = match.groups()
                line = b'{"ts":"%b","logger":"%b",%b' % (time, logger, rest)
            return read(line)

        return parse


FORMAT = Caddy()
