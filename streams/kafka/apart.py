"""Lines that listeners brought, as frames of access.raw, and what such a frame holds.

Deliveries come in, frames that fit go out; a worker reads a message back into lines with their
names. Such a frame has no offset: its lines stand where their names say, or where the message does.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from records.ids import digest
from streams.lines import MAX_LINE_BYTES, Frame
from streams.listen.faults import too_long
from streams.listen.inbox import IDENTITY_BYTES, Delivery, Parcel

MAX_SOURCES: Final = 2_000
"""Names of files and hosts are the senders'; beyond so many sources, the rest share one."""
NAMES: Final = "names"
"""The header that tells such a message: 16 bytes a line, zeros for a line without a name."""
_NAMELESS: Final = bytes(IDENTITY_BYTES)


class Apart(Frame, frozen=True, gc=False):
    """Lines of one source that each stand for themselves; or faults, each for one line."""

    names: bytes = b""
    """Of its lines, or of its faults."""


class Named(NamedTuple):
    """What a message holds."""

    lines: list[bytes]
    names: list[bytes]
    """b"" for a line without one."""


def message(frame: Apart) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers on access.raw."""
    headers = [
        ("source", frame.source.encode()),
        ("name", frame.name.encode("utf-8", "surrogateescape")),
        (NAMES, frame.names),
    ]
    if frame.faults:
        faults = [[f.offset, f.reason, f.sha256, f.head] for f in frame.faults]
        headers.append(("faults", msgspec.msgpack.encode(faults)))
    return frame.data, headers


def read(value: bytes, headers: Mapping[str, bytes], faults: int) -> Named:
    """The lines of a message, or none and the names of as many `faults`.

    Raises:
        ValueError: it has not a name for each.
    """
    names = headers[NAMES]
    lines = [] if faults else value.split(b"\n")
    if len(names) != IDENTITY_BYTES * (faults or len(lines)):
        raise ValueError("a message without a name for each line")
    found = [
        b"" if (name := names[at : at + IDENTITY_BYTES]) == _NAMELESS else name
        for at in range(0, len(names), IDENTITY_BYTES)
    ]
    return Named(lines, found)


def without(frame: Apart) -> Apart:
    """The same lines as faults: no broker takes them."""
    lines = frame.data.split(b"\n")
    faults = tuple(too_long(line, number) for number, line in enumerate(lines))
    return Apart(frame.source, frame.name, 0, b"", faults, frame.names)


class Cutter:
    """Cuts deliveries into frames of about `max_bytes`; keeps the number of sources bounded."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._known: set[str] = set()

    def frames(self, delivery: Delivery) -> Iterator[Apart]:
        """All of a delivery, in order."""
        for parcel in delivery.parcels:
            source, name = parcel.source, parcel.name
            if source not in self._known and len(self._known) >= MAX_SOURCES:
                source = digest("listen", delivery.kind, length=16)
                name = f"{delivery.kind}: other sources"
            self._known.add(source)
            yield from self._cut(source, name, _pairs(parcel))

    def _cut(self, source: str, name: str, pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[Apart]:
        lines: list[bytes] = []
        names: list[bytes] = []
        size_bytes = 0
        for line, identity in pairs:
            if lines and size_bytes + len(line) >= self._max_bytes:
                yield Apart(source, name, 0, b"\n".join(lines), (), b"".join(names))
                lines, names, size_bytes = [], [], 0
            if len(line) > MAX_LINE_BYTES:
                faults = (too_long(line, 0),)
                yield Apart(source, name, 0, b"", faults, identity or _NAMELESS)
                continue
            lines.append(line)
            names.append(identity or _NAMELESS)
            size_bytes += len(line) + 1
        if lines:
            yield Apart(source, name, 0, b"\n".join(lines), (), b"".join(names))


def _pairs(parcel: Parcel) -> Iterator[tuple[bytes, bytes]]:
    """Lines and identities, without blank lines, which are none."""
    identities = parcel.identities or (b"",) * len(parcel.lines)
    for line, identity in zip(parcel.lines, identities, strict=True):
        if line and not line.isspace():
            yield line, identity
