"""ingress-nginx: its default text format, the older ones, and its documented JSON.

A line in, `Parsed` out. Upstream fields are lists ("a, b : c") where a request was tried again.
`$req_id` is the client's own X-Request-ID if it sent one. It MUST raise nothing but `Unreadable`.
"""

from collections.abc import Sequence

from intake.formats._base import Parser, is_object, json_or_text, unreadable
from intake.formats._compiled import compiled, first_of
from intake.formats._nginx_layout import nginx_layout
from intake.formats._record import RecordReader
from intake.formats._sniffing import marked_share
from intake.line import Parsed
from intake.settings import IntakeSettings

_BEFORE = '$remote_addr - $remote_user [$time_local] "$request" '
_TWICE = '$remote_addr - [$the_real_ip] - $remote_user [$time_local] "$request" '
_AFTER = '$status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time'
_NAMES = "[$proxy_upstream_name] [$proxy_alternative_upstream_name]"
_UPSTREAM = "$upstream_addr $upstream_response_length $upstream_response_time $upstream_status"
FORMATS = (
    # Before 0.26, with the address twice. Others' user names may look so: it is told by the first.
    f"{_TWICE}{_AFTER} {_NAMES} {_UPSTREAM} $req_id",
    f"{_TWICE}{_AFTER} [$proxy_upstream_name] {_UPSTREAM} $req_id",
    f"{_TWICE}{_AFTER} [$proxy_upstream_name] {_UPSTREAM}",
    # Newer documents say "$request_method $uri $server_protocol", which reads the same.
    f"{_BEFORE}{_AFTER} {_NAMES} {_UPSTREAM} $req_id",
)
# Names of the documented JSON that no other logger uses so.
_JSON_NAMES = (("requestquery", "query"), ("requestid", "request_id"), ("vhost", "host"))
_JSON_MARKS = (b'"request_proto"', b'"request_query"', b'"vhost"')


class NginxIngress:
    """The format of ingress-nginx's access logs."""

    name = "nginx-ingress"
    examples = (
        (
            b'203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /api/users/17?full=1 HTTP/2.0" '
            b'200 512 "-" "okhttp/4.12.0" 345 0.006 [shop-orders-80] [] 10.1.2.3:8080 512 0.004'
            b" 200 9f8e7d6c5b4a39281706f5e4d3c2b1a0"
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share that has all of the fields after the user agent, or the JSON's names."""
        return marked_share(lines, _is_marked, self.parser)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        readings = [compiled(nginx_layout(written), settings) for written in FORMATS]
        text = first_of(readings, _no_line)
        json = RecordReader(settings, _JSON_NAMES, wrappers=False).parser()
        return json_or_text(json, text)


def _is_marked(line: bytes) -> bool:
    return not is_object(line) or all(mark in line for mark in _JSON_MARKS)


def _no_line(line: bytes) -> Parsed:
    raise unreadable(line, "not_this_format")


FORMAT = NginxIngress()
