"""Any JSON log, flat or nested, with the usual names of fields; others are configured.

A line in, `Parsed` out. What the names mean is in `_names.py`, how records are read in
`_record.py`; formats with names of their own (ecs) stand beside this one and win over it.
"""

from collections.abc import Sequence

from intake.formats._base import Parser
from intake.formats._names import Names, known_names
from intake.formats._record import RecordReader
from intake.formats._sniffing import default_parser
from intake.line import Unreadable
from intake.settings import IntakeSettings

_TOMCAT = (("host", "peer"), ("user", "remote_user"))


class JsonReader(RecordReader):
    """Reads any JSON log, and Tomcat's JsonAccessLogValve, which calls the peer a host."""

    def __init__(self, settings: IntakeSettings) -> None:
        super().__init__(settings)
        self._tomcat = known_names(settings, _TOMCAT)

    def names_of(self, record: tuple[str, ...]) -> Names:
        """See `RecordReader.names_of`."""
        # Nobody else has this name; a client can choose none that stands outside of headers.
        return self._tomcat if "logicalUserName" in record else super().names_of(record)


class Json:
    """The format of JSON logs that no other format knows."""

    name = "json"
    examples = (
        (
            b'{"time":"2026-11-22T10:00:00Z","remote_addr":"10.0.0.5","x_forwarded_for":"203.0.'
            b'113.7","request":"GET /api/users/17?full=1 HTTP/1.1","status":200,"body_bytes_sen'
            b't":512,"http_user_agent":"okhttp/4.12.0","user_id":"17","session_id":"s-4f","http'
            b'_x_user_id":"17","request_id":"9f8e7d6c5b4a39281706f5e4d3c2b1a0"}'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """0.7 of the share understood.

        And next to nothing of objects whose names settings may still explain: most are records of
        another kind, which must not outweigh a few requests beside them.
        """
        parse = default_parser(self.parser)
        score = 0.0
        for line in lines:
            try:
                parse(line)
            except Unreadable as why:
                score += 0.0001 if why.reason in _INCOMPLETE else 0
            else:
                score += 0.7
        return score / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        return JsonReader(settings).parser()


_INCOMPLETE = frozenset({"no_time", "bad_time", "no_request", "no_address", "bad_status"})

FORMAT = Json()
