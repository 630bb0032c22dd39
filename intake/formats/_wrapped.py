r"""Takes log lines out of what carried them: syslog, Docker, CRI, Kubernetes, a shipper's JSON.

One line as bytes in; the line that stands in it out, with the carrier's time, or None for a line
that was not carried so. Pure, linear in the line: what is carried is the client's. A wrapper MUST
NOT be found in a carried field, only round the whole line, and at most `MAX_LAYERS` deep.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import orjson

from intake.formats import _lenient
from intake.formats._base import BOM, unmarked
from intake.line import Unreadable

MAX_LAYERS = 2
BETWEEN = "+"
"""Between the names of wrappers, the outermost first."""


class Carried(NamedTuple):
    """What one wrapper held."""

    line: bytes
    time: str | float | None = None
    """When the carrier took it; None where that says no year, or nothing."""
    stream: str = ""
    whole: bool = True
    """False for a piece of a line: the next of the same stream goes on with it."""


Unwrap = Callable[[bytes], Carried | None]

_ISO = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9}+)?(?:Z|[+-]\d\d:?\d\d)?"
# Without a year (RFC 3164), it is no time that can be used.
_BSD = rb"[A-Z][a-z]{2} [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9}+)?(?: \d{4})?"
# Without a host, the first word is the tag.
_HOST = rb"(?:(?!\S*+(?<=:) )\S{1,255}+ )?"
# No address, port or time is a tag: the rest of it would be read as another address.
_TAG = rb"(?![0-9.]++:|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]|\d{4}-\d\d-\d\dT)"
_TAG += rb"[^\s:\[\]{\"]{1,128}+(?:\[[^\]\s]{0,64}+\])?:"
_OLD = re.compile(
    rb"(?:<\d{1,3}+>(?:(?:(" + _ISO + rb")|" + _BSD + rb") )?" + _HOST + _TAG
    # Where a relay adds the sender's name (OpenShift's router), it stands twice.
    + rb"|(?:(" + _ISO + rb")|" + _BSD + rb") "
    + rb"(?:(?!\S*+(?<=:) )(?P<host>\S{1,255}+) (?:(?P=host) )?)?" + _TAG + rb"(?= )"
    # Where a sender gave no tag (Fastly), rsyslog writes two spaces.
    + rb"|(?:<\d{1,3}+>)?(?:(" + _ISO + rb")|" + _BSD + rb") \S{1,255}+ (?= \{))"
    rb" ?+(?:@cee: ?+)?+(.*+)",
    re.DOTALL,
)  # fmt: skip
_VALUE = rb'"(?:[^"\\]++|\\.)*+"'
_ELEMENT = rb"\[[^\s=\]\"]{1,255}+(?: [^\s=\]\"]{1,255}+=" + _VALUE + rb")*+\]"
_NEW = re.compile(
    # Where frames are counted, the count stands first. Heroku leaves out the structured data.
    rb"(?:\d{1,7}+ )?<\d{1,3}+>\d{1,2}+ (-|" + _ISO + rb") \S{1,255}+ \S{1,255}+ \S{1,255}+ "
    rb"\S{1,255}+ (?:(?:-|(?:" + _ELEMENT + rb")++)(?: (.*+))?|([^-\[].*+))",
    re.DOTALL,
)
_NAMED = re.compile(
    rb"(?:[A-Za-z0-9][\w.-]{0,127}+ {1,128}+\| |\[pod/[^\s\]/]{1,253}+/[^\s\]]{1,253}+\] )"
    rb"(.*+)",
    re.DOTALL,
)
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}
_TEXTS = (
    "message", "log", "MESSAGE", "msg", "short_message", "full_message", "textPayload", "line",
)  # fmt: skip
_TIMES = ("@timestamp", "time", "timestamp", "date", "__REALTIME_TIMESTAMP")


class _Docker(msgspec.Struct, gc=False):
    log: str
    stream: str = ""
    time: str = ""


_docker = msgspec.json.Decoder(_Docker).decode


def syslog(line: bytes) -> Carried | None:
    """RFC 5424, RFC 3164 with or without its PRI, and the files that rsyslog and journald write."""
    if (match := _NEW.fullmatch(line)) is not None:
        time, inner, bare = match.groups()
        return Carried(
            (inner or bare or b"").removeprefix(BOM), None if time == b"-" else time.decode()
        )
    if (match := _OLD.fullmatch(line)) is not None:
        time = match[1] or match[2] or match[4]
        return Carried(match[5].removeprefix(BOM), time.decode() if time else None)
    return None


def docker(line: bytes) -> Carried | None:
    """A line of Docker's json-file driver."""
    if not line.startswith(b'{"log":'):
        return None
    try:
        found = _docker(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        try:
            found = msgspec.convert(_lenient.read(line), _Docker)
        except (Unreadable, msgspec.MsgspecError):
            return None
    if not found.stream and not found.time:
        return None
    whole = found.log.endswith("\n")
    text = found.log.rstrip("\r\n")
    stream = _STREAMS.get(found.stream.encode("utf-8", "replace"), "other")
    return Carried(text.encode("utf-8", "replace"), found.time or None, stream, whole)


def cri(line: bytes) -> Carried | None:
    """A line of containerd, CRI-O or Podman: time, stream, P or F, and what was written."""
    parts = line.split(b" ", 3)
    if len(parts) < 3 or (stream := _STREAMS.get(parts[1])) is None:
        return None
    time, tag = parts[0], parts[2].partition(b":")[0]
    if tag not in {b"F", b"P"} or _STAMP.fullmatch(time) is None:
        return None
    inner = parts[3] if len(parts) > 3 else b""
    return Carried(inner, time.decode(), stream, tag == b"F")


def named(line: bytes) -> Carried | None:
    """What `docker compose logs` and `kubectl logs --prefix` print: whose line it is, before it."""
    match = _NAMED.fullmatch(line)
    return Carried(match[1]) if match else None


def message(line: bytes) -> Carried | None:
    """A shipper's record round a line: Filebeat, Fluent Bit, Vector, journald's own JSON, GELF."""
    if line[:1] != b"{":
        return None
    try:
        record: Any = orjson.loads(line)
    except ValueError:
        return None
    if record.__class__ is not dict:
        return None
    for name in _TEXTS:
        text = _octets(record.get(name))
        if text:
            times = (record[name] for name in _TIMES if record.get(name))
            time = next((at for at in times if at.__class__ in {str, int, float}), None)
            return Carried(text.rstrip(b"\r\n"), time)
    return None


def _octets(text: Any) -> bytes:
    """What a record says in a text, or, as journald writes what is not printable, in numbers."""
    if text.__class__ is str:
        return bytes(text.encode("utf-8", "replace"))
    if text.__class__ is list:
        with suppress(TypeError, ValueError):
            return bytes(text)
    return b""


WRAPPERS: dict[str, Unwrap] = {
    "cri": cri, "docker": docker, "syslog": syslog, "named": named, "message": message,
}  # fmt: skip
WEAK = "message"
"""A record with a text may be an access record of its own: it is looked at as such first."""


def is_weak(wrapper: str) -> bool:
    """Whether lines so carried are better read as what they are, if anything can."""
    return WEAK in wrapper.split(BETWEEN)


def layers(line: bytes) -> Iterator[tuple[str, Carried]]:
    """(names of wrappers, what they hold) of a line, the outermost first; nothing of a bare one."""
    names: list[str] = []
    carried = Carried(unmarked(line))
    while len(names) < MAX_LAYERS:
        found = next(
            ((name, it) for name, unwrap in WRAPPERS.items() if (it := unwrap(carried.line))),
            None,
        )
        if found is None:
            return
        name, inner = found
        # The inner wrapper is nearer to who wrote the line, if it knows a time at all.
        time = carried.time if inner.time is None else inner.time
        carried = Carried(inner.line, time, inner.stream, carried.whole and inner.whole)
        names.append(name)
        yield BETWEEN.join(names), carried
        if not carried.whole:
            return


def is_wrapper(wrapper: str) -> bool:
    """Whether lines may be carried so; "" is a bare line."""
    return not wrapper or all(name in WRAPPERS for name in wrapper.split(BETWEEN))


class Unwrapper:
    """Unwraps lines of one source from one chain of wrappers."""

    def __init__(self, wrapper: str, pieces: set[str]) -> None:
        """`pieces`: streams of this source that are in the middle of a split line; it changes."""
        self._steps = [WRAPPERS[name] for name in wrapper.split(BETWEEN)]
        self._pieces = pieces
        self.time: str | float | None = None
        """The carrier's time of the line that was unwrapped last."""

    def __call__(self, line: bytes) -> bytes:
        """The line inside.

        Raises:
            Unreadable: not_this_format, or partial: the rest of a split line is the client's to
                choose, and must not pass for a line of its own.
        """
        self.time = None
        line = unmarked(line)
        pieces = self._pieces
        for unwrap in self._steps:
            if (carried := unwrap(line)) is None:
                raise Unreadable("not_this_format")
            line, time, stream, whole = carried
            if time is not None:
                self.time = time
            if pieces or not whole:
                if not whole:
                    pieces.add(stream)
                    raise Unreadable("partial")
                if stream in pieces:
                    pieces.discard(stream)
                    raise Unreadable("partial")
        return line
