"""Cloudflare: Logpush of HTTP requests (`http_requests`), one JSON object a line.

A line in, `Parsed` out. Cloudflare is who the client connected to, so ClientIP is the peer. A rule
that ended the request before the origin saw it is what `blocked_by` names. The names of fields
are Cloudflare's own; which of them a line has is the owner's choice.
"""

import re
from collections.abc import Sequence

from intake.formats._base import Parser
from intake.formats._record import Record, RecordReader
from intake.formats._sniffing import marked_share
from intake.line import Parsed
from intake.settings import IntakeSettings

# Best first. The time when the request came, in RFC 3339, nanoseconds or seconds.
NAMES = (
    ("edgestarttimestamp", "time_ms"),
    ("edgeendtimestamp", "time_ms"),
    ("clientip", "peer"),
    ("clientrequestmethod", "method"),
    ("clientrequesturi", "target"),
    ("clientrequestpath", "uri"),
    ("edgeresponsestatus", "status"),
    ("edgeresponsebodybytes", "bytes"),
    ("edgeresponsebytes", "bytes"),
    ("clientrequesthost", "host"),
    ("clientrequestuseragent", "user_agent"),
    ("clientrequestreferer", "referer"),
    ("rayid", "request_id"),
    ("originresponsestatus", "upstream_status"),
    ("responseheaders.location", "location"),
)
_MARKS = re.compile(
    rb'"(?:Edge(?:Start|End)Timestamp|EdgeResponseStatus|ClientRequest(?:Method|URI|Path))"\s*+:'
)
_REFUSALS = frozenset(
    """
    block drop challenge jschallenge managedchallenge connectionclose forceconnectionclose
    challengefailed jschallengefailed managedchallengefailed
    """.split()
)
"""Actions after which no origin is asked; those that end in Solved or Bypassed let it through."""
_ACTIONS = ("SecurityAction", "SecurityActions", "FirewallMatchesActions", "WAFAction")


def _finish(parsed: Parsed, record: Record) -> None:
    if parsed.upstream_status in {None, "0"}:
        # 0: the answer is Cloudflare's own, from its cache or because of a rule.
        parsed.upstream_status = None
        for name in _ACTIONS:
            if (logged := record.get(name)) and (action := _refusal(logged)) is not None:
                parsed.blocked_by = action
                return


def _refusal(logged: object) -> str | None:
    """The first action that refuses, as logged."""
    for action in logged if isinstance(logged, list) else [logged]:
        if isinstance(action, str) and action.replace("_", "").lower() in _REFUSALS:
            return action
    return None


class Cloudflare:
    """The format of Cloudflare's HTTP request logs."""

    name = "cloudflare"
    examples = (
        (
            b'{"ClientIP":"203.0.113.7","ClientRequestHost":"api.example.com","ClientRequestMet'
            b'hod":"GET","ClientRequestURI":"/api/users/17?full=1","ClientRequestUserAgent":"ok'
            b'http/4.12.0","EdgeResponseBytes":745,"EdgeResponseStatus":200,"EdgeStartTimestamp'
            b'":"2026-11-22T10:00:00Z","OriginResponseStatus":200,"RayID":"8e6a1b2c3d4e5f60","R'
            b'equestHeaders":{"x-user-id":"17"},"SecurityAction":""}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood that has names which only Cloudflare gives."""
        return marked_share(lines, _MARKS.search, self.parser)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        return RecordReader(settings, NAMES, finish=_finish).parser()


FORMAT = Cloudflare()
