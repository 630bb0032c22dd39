"""What a log format is, how formats are found, and which one a source is written in.

A format is one module here with a `FORMAT`; nothing lists it. Lines (bytes) in, `Parsed` out. A
parser MUST raise nothing but `Unreadable`, whatever the bytes: half of a line is the attacker's.
Also here is what the text formats share: decoding, quoted fields, the request line.

`sniff` answers the share of lines understood times how special the shape is: 1 for a shape that
no other server writes, 0.9 nginx combined, 0.85 apache, 0.7 any JSON.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Container, Sequence
from typing import Protocol

import intake.formats
from intake.line import Parsed, Reason, Unreadable
from intake.settings import IntakeSettings

Parser = Callable[[bytes], Parsed]

BOM = b"\xef\xbb\xbf"
QUOTED = r'"((?:[^"\\]++|\\.)*+)"'
"""A field in quotes that a client cannot end; linear, as it gives nothing back."""
_HEX_RUN = re.compile(r'(?:\\x[0-9A-Fa-f]{2})++|\\[\\"abfnrtv]')
_ESCAPES = {
    "\\\\": "\\", '\\"': '"', "\\a": "\a", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r",
    "\\t": "\t", "\\v": "\v",
}  # fmt: skip
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}+")
_PROTOCOL = re.compile(r"HTTP/\d(?:\.\d)?", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://([^/?#]*)(.*)", re.DOTALL)
_BEFORE = frozenset({b"\0", b" ", b"\t", b"\r", BOM[:1]})
_TEXT = bytes([9, 10, 13, *range(32, 127), *range(128, 256)])


class Timeless(Unreadable):
    """A line that lacks nothing but its time; what carried it may know one."""

    def __init__(self, parsed: Parsed) -> None:
        super().__init__("no_time")
        self.parsed = parsed


class NoRequest(Unreadable):
    """A line of this very format that tells of no request, such as an error told beside it.

    Nobody else MUST take it for one.
    """

    def __init__(self) -> None:
        super().__init__("no_request")


class Format(Protocol):
    """One log format. Instances hold no state: `parser` compiles what a source's settings need."""

    name: str
    examples: Sequence[bytes]
    """Lines of it that say all that its servers log of themselves: for people, and for tests."""

    def sniff(self, lines: Sequence[bytes]) -> float:
        """How surely these lines (none blank) are this format: 0 none is, 1 all are, see above."""
        ...

    def parser(self, settings: IntakeSettings) -> Parser:
        """A function from one line to its `Parsed`; MUST raise nothing but `Unreadable`.

        It is made once a source. What it must still know after a restart in the middle of a file
        (the fields that a directive named) it has as an attribute `memory`, a short text that can
        be set; a line without a time it may hand over as `Timeless`.
        """
        ...


def discover() -> dict[str, Format]:
    """The formats of this package by name."""
    formats: dict[str, Format] = {}
    for module in pkgutil.iter_modules(intake.formats.__path__):
        found = getattr(importlib.import_module(f"intake.formats.{module.name}"), "FORMAT", None)
        if found is not None:
            formats[found.name] = found
    return formats


def detect(lines: Sequence[bytes]) -> Format | None:
    """The format that understands most of these lines; None if none understands any.

    Blank lines do not count, and neither the order of lines nor what stands first decides.
    """
    sample = [line for line in lines if not is_blank(line)]
    if not sample:
        return None
    formats = discover().values()
    # Equal scores go by name, so that the answer does not hang on the file system's order.
    best = max(((f.sniff(sample), f.name, f) for f in formats), key=lambda found: found[:2])
    return best[2] if best[0] > 0 else None


def share(
    lines: Sequence[bytes], parse: Callable[[bytes], object], also: Container[Reason] = ()
) -> float:
    """The share of lines that a parser understands, or refuses for a reason that counts `also`."""
    understood = 0
    for line in lines:
        try:
            parse(line)
        except Unreadable as why:
            if why.reason not in also:
                continue
        understood += 1
    return understood / len(lines) if lines else 0.0


def is_blank(line: bytes) -> bool:
    """Nothing but white space."""
    return not line or line.isspace()


def clean(line: bytes) -> bytes:
    """Without what copytruncate (NULs), editors (BOM) and Windows (CR) put round a line."""
    return line.strip(b"\0 \t\r\n").removeprefix(BOM).strip(b"\0 \t\r\n")


def unmarked(line: bytes) -> bytes:
    """Without what copytruncate and editors put before a line."""
    if line[:1] not in _BEFORE:
        return line
    return line.lstrip(b"\0 \t\r\n").removeprefix(BOM).lstrip(b"\0 \t\r\n")


def is_object(line: bytes) -> bool:
    """Whether a line begins as a JSON object does."""
    return line[:1] == b"{" or unmarked(line)[:1] == b"{"


def json_or_text(read_json: Parser, read_text: Parser) -> Parser:
    """A parser of logs that are written as JSON or as text."""

    def parse(line: bytes) -> Parsed:
        return read_json(line) if is_object(line) else read_text(line)

    return parse


def decode(line: bytes) -> str:
    r"""Text of a line; bytes that are not UTF-8 become \xNN, so they cost no more than a field."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("utf-8", "backslashreplace")


def unreadable(line: bytes, reason: Reason) -> Unreadable:
    """The verdict on a line: `reason`, or binary if most of it is no text."""
    if line.isascii() and line.decode("ascii").isprintable():
        return Unreadable(reason)
    text = line.decode("utf-8", "replace")
    odd = text.count("\ufffd") + len(line.translate(None, _TEXT))
    return Unreadable("binary" if odd * 2 > len(text) else reason)


def unescape(text: str) -> str:
    r"""A quoted field as it was before the server wrote \xNN, \" and the like."""
    return _HEX_RUN.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    found = match[0]
    if (plain := _ESCAPES.get(found)) is not None:
        return plain
    return bytes.fromhex(found.replace("\\x", "")).decode("utf-8", "backslashreplace")


def split_request(text: str, *, escaped: bool = True) -> tuple[str, str, str | None]:
    """(method, target, host) of a request line, as logged in quotes if it is `escaped`.

    Both "" for what was no request: nothing, "-", or bytes of another protocol. The host is that
    of an absolute target, None for others.
    """
    method, _, target = text.partition(" ")
    target = target.strip(" ")
    path, _, protocol = target.rpartition(" ")
    if path and _PROTOCOL.fullmatch(protocol):
        target = path.rstrip(" ")
    elif target[:1] != "/":
        return "", "", None
    if _METHOD.fullmatch(method) is None or method == target == "-":
        return "", "", None
    target, host = split_url(unescape(target) if escaped else target)
    return method.upper(), target, host


def split_url(target: str) -> tuple[str, str | None]:
    """(path and query, host) of a target that may be absolute; host None where it is not."""
    if target[:1] == "/" or (match := _URL.match(target)) is None:
        return target, None
    rest = match[2].partition("#")[0]
    if rest[:1] != "/":
        rest = "/" + rest
    return rest, match[1].rpartition("@")[2] or None


def put_basic_user(parsed: Parsed, name: str, *, vouched: bool) -> None:
    """Notes a name of Basic authentication: no more than asserted unless the owner vouches."""
    if vouched:
        parsed.principal = name
    else:
        parsed.asserted = name
        parsed.basic_user = True


def absent(text: str) -> str | None:
    """None for "" and "-", which logs write for nothing."""
    return None if text in {"", "-"} else text
