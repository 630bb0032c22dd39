"""Elastic Common Schema as NDJSON, nested or with dotted names, as gateways and Beats write it.

A line in, `Parsed` out. The names that ECS adds to the usual ones are here; `_record.py` reads.
"""

from collections.abc import Sequence

from intake.formats._base import Parser, share
from intake.formats._record import RecordReader
from intake.settings import IntakeSettings

# ECS `user` is who the service authenticated; its presence says that the log names principals.
_NAMES = (
    ("timestamp", "time_ms"),
    ("source.ip", "peer"),
    ("client.ip", "peer"),
    ("source.address", "peer"),
    ("client.address", "peer"),
    ("http.request.method", "method"),
    ("url.original", "target"),
    ("url.path", "uri"),
    ("url.full", "uri"),
    ("url.query", "query"),
    ("http.response.statuscode", "status"),
    ("http.response.body.bytes", "bytes"),
    ("http.response.bytes", "bytes"),
    ("user", "place"),
    ("user.id", "place"),
    ("user.id", "principal"),
    ("user.name", "remote_user"),
    ("useragent.original", "user_agent"),
    ("http.request.id", "request_id"),
    ("http.request.referrer", "referer"),
    ("organization.id", "tenant"),
    ("session.id", "session"),
    ("url.domain", "host"),
    ("labels.resourceowner", "owners"),
    ("labels.securitycontexterror", "context_error"),
)
_MARKS = ("http", "url", "source", "client", "user_agent", "ecs")


class Ecs:
    """The format of Elastic Common Schema records."""

    name = "ecs"

    def sniff(self, lines: Sequence[bytes]) -> float:
        """The share understood that also has the names of ECS."""
        return share(lines, self.parser(IntakeSettings()))

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        return RecordReader(settings, _NAMES).parser()


FORMAT = Ecs()
