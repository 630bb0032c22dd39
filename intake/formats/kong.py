"""Kong: what its logging plugins serialize (file-log, http-log ...), and its proxy access log.

A line in, `Parsed` out. The consumer is whoever Kong authenticated, so it is a principal that the
gateway vouches for: its `custom_id`, which Kong keeps to name the user of one's own database, else
its user name, else its id. A request that an `anonymous` consumer let through is nobody's.
"""

import re
from collections.abc import Sequence

from intake.formats._base import Parser, json_or_text
from intake.formats._record import Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.formats._values import is_refusal
from intake.formats.nginx import FORMAT as NGINX
from intake.line import Parsed
from intake.settings import IntakeSettings

# Best first. Without a consumer (openid-connect), the credential's id is the subject.
NAMES = (
    ("startedat", "time_ms"),
    ("clientip", "peer"),
    ("request.method", "method"),
    ("request.uri", "target"),
    ("response.status", "status"),
    ("response.size", "bytes"),
    ("request.id", "request_id"),
    ("consumer.customid", "principal"),
    ("consumer.username", "principal"),
    ("consumer.id", "principal"),
    ("authenticatedentity.consumerid", "principal"),
    ("authenticatedentity.id", "principal"),
    ("upstreamstatus", "upstream_status"),
    ("traceid.w3c", "trace"),
    ("traceid.b3", "trace"),
)
_MARKS = re.compile(rb'"(?:latencies|authenticated_entity|upstream_uri|workspace)"\s*+:')
_TEXT_MARK = re.compile(rb' kong_request_id: "[^"\\]{0,64}+"\s*+\Z')
_ANONYMOUS = "x-anonymous-consumer"


def _finish(parsed: Parsed, record: Record) -> None:
    # Kong writes the consumer wherever there is one: its absence says something.
    parsed.logs_principal = True
    if (
        parsed.principal is not None
        and not record.get("authenticated_entity")
        and isinstance(request := record.get("request"), dict)
        and isinstance(headers := request.get("headers"), dict)
        and _ANONYMOUS in headers
    ):
        parsed.principal = None
    if (
        is_refusal(parsed.status)
        and parsed.upstream_status is None
        and record.get("source") == "kong"
    ):
        parsed.blocked_by = "kong"
    if (
        isinstance(response := record.get("response"), dict)
        and isinstance(headers := response.get("headers"), dict)
        and headers.get("content-length") == "0"
    ):
        # The size counts the headers too.
        parsed.bytes = 0


def _is_marked(line: bytes) -> bool:
    if b'"started_at"' in line:
        return _MARKS.search(line) is not None
    return b" kong_request_id: " in line and _TEXT_MARK.search(line) is not None


class Kong:
    """The format of Kong's logs."""

    name = "kong"
    examples = (
        (
            b'203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /api/users/17?full=1 HTTP/2.0" '
            b'200 512 "-" "okhttp/4.12.0" kong_request_id: "6b29fc40ca471067b31d00dd01066001"'
        ),
        (
            b'{"client_ip":"203.0.113.7","started_at":1795341600123,"request":{"id":"6b29fc40ca'
            b'471067b31d00dd01066001","method":"GET","uri":"/api/users/17","headers":{"host":"a'
            b'pi.example.com","user-agent":"okhttp/4.12.0"}},"response":{"status":200,"size":74'
            b'5,"headers":{}},"upstream_status":"200","consumer":{"custom_id":"17","username":"'
            b'ann"},"latencies":{"kong":2},"route":{},"service":{}}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood that has what only Kong writes."""
        return marked_share(lines, _is_marked, self.parser)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        read = RecordReader(settings, NAMES, finish=_finish).parser()
        return json_or_text(read, NGINX.parser(settings))


FORMAT = Kong()
