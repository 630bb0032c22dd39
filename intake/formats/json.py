"""Any JSON log, flat or nested, with the usual names of fields; others are configured.

A line in, `Parsed` out. What the names mean is in `_names.py`, how records are read in
`_record.py`; formats with names of their own (ecs) stand beside this one and win over it.
"""

from collections.abc import Sequence

from intake.formats._base import Parser
from intake.formats._record import RecordReader
from intake.line import Unreadable
from intake.settings import IntakeSettings


class Json:
    """The format of JSON logs that no other format knows."""

    name = "json"

    def sniff(self, lines: Sequence[bytes]) -> float:
        """0.7 of the share understood.

        And next to nothing of objects whose names settings may still explain: most are records of
        another kind, which must not outweigh a few requests beside them.
        """
        parse = self.parser(IntakeSettings())
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
        return RecordReader(settings).parser()


_INCOMPLETE = frozenset({"no_time", "bad_time", "no_request", "no_address", "bad_status"})

FORMAT = Json()
