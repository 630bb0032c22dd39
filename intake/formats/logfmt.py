r"""logfmt: key=value pairs, with quotes round values that need them, in any order.

A line in, `Parsed` out; what the keys mean is in `_names.py`, as for JSON. Of a key that stands
there twice the first counts. A client cannot end a quoted value, and a bare one has no spaces; but
where a logger puts bare what holds spaces, what clients write cannot be told from its own pairs.
The expression MUST stay linear in the line.
"""

import re
from collections.abc import Sequence

from intake.formats._base import Parser, clean, decode, unreadable
from intake.formats._record import Record, RecordReader
from intake.formats._sniffing import default_parser
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings

_NAMES = (("fwd", "forwarded"), ("t", "time_ms"))
"""Heroku's, and Grafana's."""
_KEY = r'[A-Za-z_@][^\s="]{0,99}+'
_BEGINS = re.compile(rf"{_KEY}=")
# A quoted value whose end was cut off goes to the end of the line: what is in it are no pairs.
_TOKEN = re.compile(
    rf'(?:({_KEY})=(?:"((?:[^"\\]++|\\.)*+)(?:"(?!\S)|\\?\Z)|(\S*+))|\S++)\s*+', re.DOTALL
)
_ESCAPE = re.compile(
    r"((?:\\x[0-9A-Fa-f]{2})++)|((?:\\u[0-9A-Fa-f]{4})++)|\\U([0-9A-Fa-f]{8})|\\(.)", re.DOTALL
)
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NOTHING = frozenset({"<nil>", "null", "nil"})
"""What stands bare for no value."""
_LAST_CHARACTER = 0x10FFFF


def _unescaped(match: re.Match[str]) -> str:
    if octets := match[1]:
        return bytes.fromhex(octets.replace("\\x", "")).decode("utf-8", "backslashreplace")
    if units := match[2]:
        # Two of them may be one character, as in JSON.
        return bytes.fromhex(units.replace("\\u", "")).decode("utf-16-be", "replace")
    if code := match[3]:
        return chr(int(code, 16)) if int(code, 16) <= _LAST_CHARACTER else "\ufffd"
    return _CONTROLS.get(match[4], match[4])


def _record(text: str) -> Record:
    record: Record = {}
    for key, quoted, bare in _TOKEN.findall(text):
        if not key or key in record:
            continue
        if quoted:
            record[key] = _ESCAPE.sub(_unescaped, quoted) if "\\" in quoted else quoted
        elif bare not in _NOTHING:
            record[key] = bare
    return record


class Logfmt:
    """The format of logs in key=value pairs."""

    name = "logfmt"
    examples = (
        (
            b'time=2026-11-22T10:00:00.123Z level=info msg="request done" method=GET path="/api'
            b'/users/17?full=1" status=200 bytes=512 remote_addr=203.0.113.7 user_id=17 session'
            b'_id=s-4f user_agent="okhttp/4.12.0" request_id=6d3f3a2b'
        ),
    )

    def sniff(self, lines: Sequence[bytes]) -> float:
        """0.8 of the share that tells of requests and their answers, be it without a time."""
        parse = default_parser(self.parser)
        known = 0
        for line in lines:
            try:
                known += parse(line).status > 0
            except Unreadable as why:
                known += why.reason == "no_time"
        return 0.8 * known / len(lines)

    def parser(self, settings: IntakeSettings) -> Parser:
        """See `Format.parser`."""
        read = RecordReader(settings, _NAMES, wrappers=False).read
        begins = _BEGINS.match

        def parse(line: bytes) -> Parsed:
            text = decode(clean(line))
            if begins(text) is None:
                raise unreadable(line, "not_this_format")
            return read(_record(text))

        return parse


FORMAT = Logfmt()
