"""Whole logs in, frames of whole lines out, with their offsets in the decompressed bytes.

Comes in: paths, or "-" for standard input. Goes out: frames, and why a path cannot be read. It
MUST NOT skip a line, count duplicates or judge what a line says: that is the caller's.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streams.archives import Log, open_log
from streams.book import HEAD_BYTES, SourceBook, source_id
from streams.lines import FRAME_BYTES, MAX_LINE_BYTES, Fault, Frame, LineCutter, Reason

__all__ = [
    "Fault", "Frame", "Reason", "SourceBook", "beginning", "open_log", "problems", "read_frames",
    "read_log", "source_id",
]  # fmt: skip

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
