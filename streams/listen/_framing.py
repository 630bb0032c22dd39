"""Where one syslog message ends and the next begins, on a stream (RFC 6587).

Bytes as they come in; whole messages out, without their framing. Octet counting (`52 <134>1 ...`)
and newlines, told apart message by message: a count stands before `<`, which no other message
begins with a number and a blank before. It MUST NOT keep more than one message of the longest size.
"""

import re
from typing import Final

_COUNT = re.compile(rb"([1-9][0-9]{0,8}) <")
_MAYBE_COUNT = re.compile(rb"[1-9][0-9]{0,8}(?: )?")


class Messages:
    """Cuts one connection's bytes."""

    def __init__(self, max_message: int) -> None:
        self._max: Final = max_message
        self._rest = b""
        self._skip = 0
        """Bytes of a counted message that is too long, still to come."""
        self._skip_line = False
        """The rest of a line that is too long is still to come."""
        self.too_long = 0
        """Messages of which only the beginning was kept."""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        data = self._rest + data
        found: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                skipped = min(self._skip, end - at)
                self._skip -= skipped
                at += skipped
                continue
            if self._skip_line:
                newline = data.find(b"\n", at)
                if newline < 0:
                    at = end
                else:
                    at = newline + 1
                    self._skip_line = False
                continue
            counted = _COUNT.match(data, at)
            if counted is not None:
                start, size = counted.end() - 1, int(counted[1])
                if size > self._max:
                    if end - start < self._max:
                        break
                    found.append(data[start : start + self._max])
                    at, self._skip = start + self._max, size - self._max
                    self.too_long += 1
                    continue
                if end - start < size:
                    break
                found.append(data[start : start + size])
                at = start + size
                continue
            maybe = _MAYBE_COUNT.match(data, at)
            if maybe is not None and maybe.end() == end:
                break
            newline = data.find(b"\n", at, at + self._max + 1)
            if newline < 0:
                if end - at <= self._max:
                    break
                found.append(data[at : at + self._max])
                at += self._max
                self._skip_line = True
                self.too_long += 1
                continue
            found.append(data[at:newline])
            at = newline + 1
        self._rest = data[at:]
        return [text for one in found if (text := clean(one))]

    def finish(self) -> list[bytes]:
        """What stands at the end of the connection without its newline."""
        rest, self._rest = self._rest, b""
        counted = _COUNT.match(rest)
        # Less than was counted is no whole message: its sender did not finish it.
        return [text] if not counted and (text := clean(rest)) else []


def clean(message: bytes) -> bytes:
    """One message as one line: what ends it goes, and what would end the line is written out."""
    text = message.strip(b"\0\r\n ")
    if b"\n" in text:
        # As rsyslog writes control characters.
        text = text.replace(b"\n", b"#012")
    return text
