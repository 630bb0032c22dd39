"""Which source a syslog message belongs to: the host and the program that its header names.

A message in; host and program out, or nothing for what has no such header. Headers are the
sender's to choose: what is remembered of them MUST stay bounded.
"""

import re

from records.ids import digest

MAX_SOURCES = 1_000
_RFC5424 = re.compile(rb"<\d{1,3}>\d{1,2} [^ ]{1,64} ([^ ]{1,255}) ([^ ]{1,48}) ")
_RFC3164 = re.compile(
    rb"<\d{1,3}>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[^ ]{8,24}) "
    rb"([^ ]{1,255}) ([^ \[:]{1,48})[\[: ]"
)


class Senders:
    """Sources of one listener, by its name."""

    def __init__(self, listener: str) -> None:
        self._listener = listener
        self._known: dict[tuple[bytes, bytes], tuple[str, str]] = {}

    def source(self, message: bytes) -> tuple[str, str]:
        """(id, name) of a message's source."""
        match = _RFC5424.match(message) or _RFC3164.match(message)
        key = (match[1], match[2]) if match else (b"", b"")
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_SOURCES:
                key = (b"", b"")
            host, program = (part.decode("utf-8", "replace") for part in key)
            name = f"{self._listener} {host}/{program}" if host else self._listener
            known = self._known[key] = digest("syslog", name, length=16), name
        return known
