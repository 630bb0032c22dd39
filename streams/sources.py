"""Whole logs in, frames out; and the book of sources, which tells one log from another.

A source is named by its beginning, so that renaming, rotating, packing and copying a log keep its
name. Comes in: paths. Goes out: frames of whole lines with their offsets in the decompressed bytes.
It MUST NOT skip a line, count duplicates or judge what a line says: that is the caller's.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streams.archives import Log, open_log
from streams.lines import FRAME_BYTES, MAX_LINE_BYTES, Fault, Frame, LineCutter, Reason

__all__ = [
    "HEAD_BYTES", "Fault", "Frame", "Reason", "SourceBook", "beginning", "first_line", "open_log",
    "problems", "read_frames", "read_log", "source_id",
]  # fmt: skip

HEAD_BYTES: Final = 4096
"""As much of a source's beginning as tells it from others."""

_BOM: Final = b"\xef\xbb\xbf"
_MAX_SOURCES: Final = 10_000
_NONE: Final[Mapping[str, int]] = MappingProxyType({})


def problems(paths: Sequence[str]) -> list[str]:
    """Why these logs cannot be read, one message a path; empty if all can."""
    return [text for path in paths if (text := _problem(path))]


def _problem(path: str) -> str:
    advice = "give the path of an access log"
    if path == "-":
        closed = sys.stdin is None or sys.stdin.closed
        return f"reading -: standard input is closed; {advice}" if closed else ""
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            return f"reading {path}: it is a directory; {advice}"
        if stat.S_ISFIFO(mode):
            # Opening it to see would take its writer away from the real reader.
            allowed = os.access(path, os.R_OK)
            return "" if allowed else f"reading {path}: permission denied; allow reading it"
        if not stat.S_ISREG(mode):
            return f"reading {path}: it is not a regular file; {advice}"
        with Path(path).open("rb"):
            return ""
    except FileNotFoundError:
        return f"reading {path}: no such file; {advice}"
    except PermissionError:
        return f"reading {path}: permission denied; allow this user to read it"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"reading {path}: {reason}; {advice}"


def first_line(head: bytes) -> tuple[bytes, bool]:
    """The first line that is neither blank nor a comment, and whether it is there for good.

    It is, if its newline or the end of the first 4096 bytes has been reached. Without such a
    line, all of the first 4096 bytes stand in for it.
    """
    head = head[:HEAD_BYTES]
    start = len(_BOM) if head.startswith(_BOM) else 0
    while start < len(head):
        newline = head.find(b"\n", start)
        end = newline if newline >= 0 else len(head)
        line = head[start:end]
        if not line.isspace() and line and not line.startswith(b"#"):
            return line.rstrip(b"\r"), newline >= 0 or len(head) == HEAD_BYTES
        start = end + 1
    return head, len(head) == HEAD_BYTES


def source_id(head: bytes) -> str:
    """16 hex digits of the SHA-256 of a source's first line (as far as in its first 4096 bytes)."""
    return _numbered_id(first_line(head)[0], 0)


def _numbered_id(line: bytes, ordinal: int) -> str:
    numbered = line + b"\n%d" % ordinal if ordinal else line
    return hashlib.sha256(numbered).hexdigest()[:16]


class SourceBook:
    """Remembers the head of each source: its first 4096 bytes, as far as they are known.

    Two logs are one source when they have the same first line and the shorter head begins the
    longer. A different log with the same first line gets an id of its own, by order of arrival.
    Bounded: of more than `limit` sources, the one not met for longest is forgotten.
    """

    def __init__(self, limit: int = _MAX_SOURCES) -> None:
        self._limit = limit
        self._heads: dict[str, bytes] = {}
        """In the order in which they were last met."""
        self._ordinals: dict[bytes, dict[int, str]] = {}
        self._dirty: set[str] = set()

    def head(self, source: str) -> bytes:
        """The first bytes of a source, up to 4096; b"" of an unknown one."""
        return self._heads.get(source, b"")

    def find(self, head: bytes, apart_from: Collection[str] = ()) -> str | None:
        """The known source that begins so, if there is one: the closest, then the newest."""
        head = head[:HEAD_BYTES]
        found = None
        closest = -1
        for _, source in sorted(self._ordinals.get(first_line(head)[0], {}).items(), reverse=True):
            known = self._heads[source]
            common = min(len(known), len(head))
            if source not in apart_from and known[:common] == head[:common] and common > closest:
                found, closest = source, common
        return found

    def longer(self, head: bytes, size_bytes: int, mark: Callable[[str], int]) -> set[str]:
        """Sources that begin so, but of which more has been read than a file of this size holds."""
        found: set[str] = set()
        while (source := self.find(head, found)) and mark(source) > size_bytes:
            found.add(source)
        return found

    def identify(self, head: bytes, apart_from: Collection[str] = ()) -> str:
        """The id of the source that begins so, which is remembered from now on.

        `apart_from` are sources that it cannot be, whatever its head says.
        """
        head = head[:HEAD_BYTES]
        source = self.find(head, apart_from)
        if source is None:
            line = first_line(head)[0]
            taken = {*self._ordinals.get(line, {}).values(), *apart_from}
            source = next(name for n in count() if (name := _numbered_id(line, n)) not in taken)
        self._remember(source, head)
        return source

    def confirm(self, source: str, head: bytes) -> bool:
        """Whether the source may begin so; if it may, what is known of its head grows to this."""
        head = head[:HEAD_BYTES]
        known = self._heads.get(source)
        if known is not None and first_line(head)[0] != first_line(known)[0]:
            return False
        if known is not None and not (head.startswith(known) or known.startswith(head)):
            return False
        self._remember(source, head)
        return True

    def dump(self) -> list[tuple[str, bytes]]:
        """Every (source id, head), the least recently met first."""
        return list(self._heads.items())

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """What has changed since the last call, by id; the head of a forgotten source is b""."""
        changed = [(source, self.head(source)) for source in sorted(self._dirty)]
        self._dirty.clear()
        return changed

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Takes back what `dump` or `take_dirty` gave, in any order.

        Raises:
            ValueError: an id does not belong to its head.
        """
        for source, head in items:
            if head:
                self._remember(source, head)
        self._dirty.clear()

    def _remember(self, source: str, head: bytes) -> None:
        known = self._heads.pop(source, b"")
        if len(head) > len(known):
            self._dirty.add(source)
            if not known:
                line = first_line(head)[0]
                self._ordinals.setdefault(line, {})[self._ordinal(source, line)] = source
            known = head
        if known:
            self._heads[source] = known
        while len(self._heads) > self._limit:
            self._forget(next(iter(self._heads)))

    def _ordinal(self, source: str, line: bytes) -> int:
        for ordinal in range(self._limit + 1):
            if _numbered_id(line, ordinal) == source:
                return ordinal
        raise ValueError(f"loading source {source}: its head is another source's; remove its state")

    def _forget(self, source: str) -> None:
        line = first_line(self._heads.pop(source))[0]
        same_line = self._ordinals[line]
        del same_line[self._ordinal(source, line)]
        if not same_line:
            del self._ordinals[line]
        self._dirty.add(source)


def read_frames(
    path: str,
    book: SourceBook,
    *,
    start: Mapping[str, int] = _NONE,
    frame_bytes: int = FRAME_BYTES,
    max_line: int = MAX_LINE_BYTES,
) -> Iterator[Frame]:
    """All frames of one log, in order, from offset start[source id] where that is given.

    A frame is of about frame_bytes; a line of more than max_line bytes, or what a damaged archive
    ends with, becomes a fault. The last line needs no newline. An empty log has no frames.

    Raises:
        OSError: the log cannot be opened or read.
    """
    with open_log(path) as log:
        yield from read_log(
            log,
            path,
            book,
            mark=lambda source: start.get(source, 0),
            frame_bytes=frame_bytes,
            max_line=max_line,
        )


def read_log(
    log: Log,
    name: str,
    book: SourceBook,
    *,
    mark: Callable[[str], int],
    frame_bytes: int = FRAME_BYTES,
    max_line: int = MAX_LINE_BYTES,
) -> Iterator[Frame]:
    """As `read_frames`, of a log that is open and at its start, from offset mark(source id)."""
    first, chunk = beginning(log, max(frame_bytes, HEAD_BYTES))
    if not chunk and not log.damaged:
        yield from _nothing_but_nuls(first, name, book)
        return
    source = book.identify(chunk)
    offset = max(first, mark(source))
    cutter = LineCutter(source, name, offset, max_line)
    if offset > first + len(chunk):
        log.skip(offset - first - len(chunk))
    chunk = chunk[offset - first :]
    while chunk := chunk or log.read(frame_bytes):
        yield from cutter.feed(chunk)
        chunk = b""
    # A mark at or past the end: what the log ends with has been told before.
    if cutter.position > offset or offset == first:
        yield from cutter.finish(damaged=log.damaged)


def beginning(log: Log, size_bytes: int) -> tuple[int, bytes]:
    """Where a log's content begins, and at least its first size_bytes, as far as there are so many.

    NULs before it are the hole that truncation leaves under a server which does not append: the
    file is truncated, the server writes on at its old offset.
    """
    first = 0
    while chunk := log.read(size_bytes):
        content = chunk.lstrip(b"\0")
        first += len(chunk) - len(content)
        if content:
            return first, content if content is chunk else content + log.read(size_bytes)
        first += log.skip_hole()
    return first, b""


def _nothing_but_nuls(size_bytes: int, name: str, book: SourceBook) -> Iterator[Frame]:
    cutter = LineCutter(book.identify(bytes(min(size_bytes, HEAD_BYTES))), name, 0, 0)
    for at in range(0, size_bytes, FRAME_BYTES):
        yield from cutter.feed(bytes(min(FRAME_BYTES, size_bytes - at)))
    yield from cutter.finish()
