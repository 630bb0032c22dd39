"""Chunks of one source in, frames of whole lines out; what cannot be a line becomes a fault.

The same bytes give the same lines, faults and offsets however they are cut into chunks. Memory
stays within a chunk and one line, however long a line is. It MUST NOT skip or interpret a line.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

FAULT_HEAD_BYTES: Final = 4096
MAX_LINE_BYTES: Final = 1 << 20
FRAME_BYTES: Final = 1 << 20

Reason = Literal["too_long", "truncated_archive", "binary"]


class Fault(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no line: too long (binary, where its head has NULs), or cut off by damage."""

    offset: int
    reason: Reason
    sha256: str
    """Of all its bytes without the newline."""
    head: bytes
    """Its first 4096 bytes."""
    size_bytes: int
    """With the newline, so that offset + size_bytes is where the next line begins."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Whole lines of one source, or the faults between them; offsets are of the decompressed bytes.

    A frame has either data or faults, so lines and faults come in the order of the source.
    """

    source: str
    name: str
    """What to call the source to a person: the path as given, or "-"."""
    offset: int
    """Of the first byte of data."""
    data: bytes
    """Lines, each ended by a newline except possibly the last of the source."""
    faults: tuple[Fault, ...] = ()

    @property
    def end(self) -> int:
        """Where the next frame of this source begins: the mark from which to resume."""
        if self.faults:
            return self.faults[-1].offset + self.faults[-1].size_bytes
        return self.offset + len(self.data)


def missing(
    name: str, offset: int, faults: Sequence[tuple[int, str, str, bytes]], position: int
) -> list[tuple[int, str]]:
    """(offset, in words) of bytes that were skipped before a frame, or cut off in it.

    `faults` are its (offset, reason, sha256, head); before `position` everything is known.
    """
    found = []
    start = min([offset, *(at for at, *_ in faults)])
    if 0 < position < start:
        found.append((start, f"{name}: bytes {position:,} to {start:,} never came"))
    found += [
        (at, f"{name}: the archive breaks off at byte {at:,}")
        for at, reason, *_ in faults
        if reason == "truncated_archive" and at >= position
    ]
    return found


class _Overlong:
    """A line that is not kept: only its digest, its head and its length."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.length_bytes = 0
        self._head = b""
        self._sha256 = hashlib.sha256()

    def add(self, piece: memoryview) -> None:
        if len(self._head) < FAULT_HEAD_BYTES:
            self._head += bytes(piece[: FAULT_HEAD_BYTES - len(self._head)])
        self._sha256.update(piece)
        self.length_bytes += len(piece)

    def fault(self, reason: Reason | None = None, *, newline: bool) -> Fault:
        reason = reason or ("binary" if b"\0" in self._head else "too_long")
        return Fault(
            self.offset, reason, self._sha256.hexdigest(), self._head, self.length_bytes + newline
        )


class LineCutter:
    """Cuts the bytes of one source, fed in order, into frames."""

    def __init__(
        self, source: str, name: str, offset: int = 0, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        self._source = source
        self._name = name
        self._max_line = max_line_bytes
        self._pending = b""
        self._overlong: _Overlong | None = None
        self._at = offset
        """Offset of the first byte of `_pending`, or of the overlong line."""

    @property
    def position(self) -> int:
        """Offset of the next byte to feed."""
        if self._overlong:
            return self._at + self._overlong.length_bytes
        return self._at + len(self._pending)

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that this chunk completes, in order; the rest waits for its newline."""
        frames: list[Frame] = []
        start = self._resume_overlong(chunk, frames) if self._overlong else 0
        if start < 0:
            return frames
        if start:
            chunk = chunk[start:]
        data = self._pending + chunk
        start = 0
        position = 0
        # Hops of max_line: a newline within each proves that no line in between is too long.
        while len(data) - position > self._max_line:
            newline = data.rfind(b"\n", position, position + self._max_line + 1)
            if newline >= 0:
                position = newline + 1
                continue
            self._emit(data[start:position], frames)
            self._pending = b""
            self._overlong = _Overlong(self._at)
            start = self._resume_overlong(data, frames, position)
            if start < 0:
                return frames
            position = start
        end = data.rfind(b"\n", position) + 1 or position
        self._emit(data[start:end], frames)
        self._pending = data[end:]
        return frames

    def finish(self, *, damaged: bool = False) -> list[Frame]:
        """What is left at the end of the source: its last line or, of a damaged one, a fault."""
        frames: list[Frame] = []
        if damaged or self._overlong:
            rest = self._overlong or _Overlong(self._at)
            rest.add(memoryview(self._pending))
            self._fault(rest.fault("truncated_archive" if damaged else None, newline=False), frames)
        else:
            self._emit(self._pending, frames)
        self._pending = b""
        return frames

    def _resume_overlong(self, data: bytes, frames: list[Frame], start: int = 0) -> int:
        """Streams data[start:] past; where the next line begins, -1 if that is yet to come."""
        overlong = self._overlong
        if not overlong:
            raise RuntimeError("no line is being skipped")
        newline = data.find(b"\n", start)
        with memoryview(data) as view:
            overlong.add(view[start : newline if newline >= 0 else len(data)])
        if newline >= 0:
            self._fault(overlong.fault(newline=True), frames)
            return newline + 1
        return -1

    def _emit(self, data: bytes, frames: list[Frame]) -> None:
        if data:
            frames.append(Frame(self._source, self._name, self._at, data))
            self._at += len(data)

    def _fault(self, fault: Fault, frames: list[Frame]) -> None:
        frames.append(Frame(self._source, self._name, fault.offset, b"", (fault,)))
        self._at = fault.offset + fault.size_bytes
        self._overlong = None
