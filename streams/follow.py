"""One followed path in, frames of whole lines out, for as long as anybody polls.

Growth, renaming, copying and truncating, deletion, a switched symlink and a restart in the middle
of any of them lose no line that was still to be had and repeat none. It MUST NOT block, sleep,
read a clock, or tell a source by its path: only by its beginning (streams/book.py).
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from streams.archives import Log, open_log, packing, stored_from
from streams.book import HEAD_BYTES, SourceBook, first_line
from streams.lines import FRAME_BYTES, MAX_LINE_BYTES, Frame, LineCutter
from streams.rotated import Key, Rotated, inode_key, names_beside, recognise, rotated_files
from streams.sources import read_log

_LINGER_POLLS: Final = 50
_READS_A_POLL: Final = 64
"""So that a line without end cannot hold up the other files."""
_NONE: Final[Mapping[str, int]] = MappingProxyType({})


class _Tail:
    """A file that may grow, held open so that renaming or deleting it loses nothing."""

    def __init__(
        self,
        descriptor: int,
        name: str,
        book: SourceBook,
        mark: Callable[[str], int],
        recover: "Callable[[_Tail, str], bool]",
        max_line: int,
    ) -> None:
        self.key = inode_key(os.fstat(descriptor))
        self.quiet_polls = 0
        self._descriptor = descriptor
        self._name = name
        self._book = book
        self._mark = mark
        self._recover = recover
        self._max_line = max_line
        self._cutter: LineCutter | None = None
        self._source = ""
        self._head = b""
        self._first = 0
        """Offset of the head: past the hole that truncation may leave."""
        self._seen: tuple[int, int] = (-1, -1)
        self._apart_from: set[str] = set()
        self._ready: deque[Frame] = deque()

    def poll(self, max_bytes: int, *, finish: bool) -> Frame | None:
        """The next frame, or None."""
        reads = 0
        while not self._ready and (finish or reads < _READS_A_POLL):
            if not self._advance(max_bytes, finish=finish):
                break
            reads += 1
        return self._ready.popleft() if self._ready else None

    def lag_bytes(self) -> int:
        """What is in the file and has not been read."""
        read = self._cutter.position if self._cutter else 0
        return max(0, os.fstat(self._descriptor).st_size - read)

    def is_unlinked(self) -> bool:
        """Whether no path leads to the file any more."""
        return os.fstat(self._descriptor).st_nlink == 0

    def close(self) -> None:
        """Lets the file go."""
        os.close(self._descriptor)

    def _advance(self, max_bytes: int, *, finish: bool) -> bool:
        """Reads once; False if there was nothing to read."""
        if not self._cutter:
            self._cutter = self._identify(finish=finish)
            if not self._cutter:
                return False
        data = os.pread(self._descriptor, max_bytes, self._cutter.position)
        # Looked at after reading: the other way round, a truncation in between would pass unseen.
        status = os.fstat(self._descriptor)
        head = self._changed_head(status)
        if status.st_size < self._cutter.position or not head.startswith(self._head):
            if not self._recover(self, self._source):
                self._ready.extend(self._cutter.finish())
            self._begin_again()
            return False
        self._seen = (status.st_size, status.st_mtime_ns)
        if len(head) > len(self._head):
            self._head = head
            if not self._book.confirm(self._source, head):
                # It began as a known source does and goes on otherwise.
                self._begin_again()
                return True
        if data:
            self.quiet_polls = 0
            self._ready.extend(self._cutter.feed(data))
        elif finish:
            self._ready.extend(self._cutter.finish())
        return bool(data)

    def _changed_head(self, status: os.stat_result) -> bytes:
        """The head as it is now, read only if the file has changed since the last time."""
        if self._seen == (status.st_size, status.st_mtime_ns):
            return self._head
        return os.pread(self._descriptor, HEAD_BYTES, self._first)

    def _identify(self, *, finish: bool) -> LineCutter | None:
        if not self._pass_hole():
            return None
        head = os.pread(self._descriptor, HEAD_BYTES, self._first)
        if not head or not (finish or first_line(head)[1]):
            return None
        size = os.fstat(self._descriptor).st_size
        self._head = head
        others = self._apart_from | self._book.longer(head, size, self._mark)
        self._source = self._book.identify(head, others)
        offset = max(self._first, self._mark(self._source))
        return LineCutter(self._source, self._name, offset, self._max_line)

    def _pass_hole(self) -> bool:
        """Finds the first byte that is not NUL (see sources.beginning); False if none is there."""
        while chunk := os.pread(self._descriptor, FRAME_BYTES, self._first):
            content = chunk.lstrip(b"\0")
            self._first += len(chunk) - len(content)
            if content:
                return True
            self._first = stored_from(self._descriptor, self._first)
        return False

    def _begin_again(self) -> None:
        self._apart_from = {self._source}
        self._cutter = None
        self._first = 0
        self._seen = (-1, -1)


class _Packed:
    """A packed file: it does not grow."""

    def __init__(self, path: str, name: str, book: SourceBook, mark: Callable[[str], int]) -> None:
        self.key = inode_key(Path(path).stat())
        self.quiet_polls = 0
        self._log = open_log(path)
        self._frames = read_log(self._log, name, book, mark=mark)

    def poll(self, max_bytes: int, *, finish: bool) -> Frame | None:  # noqa: ARG002  as _Tail's
        """The next frame, or None."""
        return next(self._frames, None)

    def lag_bytes(self) -> int:
        """Nobody knows before it is unpacked."""
        return 0

    def is_unlinked(self) -> bool:
        """It is read to its end at once, whatever becomes of it."""
        return False

    def close(self) -> None:
        """Lets the file go."""
        self._log.close()


class Follower:
    """Follows one path from the marks that are given, as often as it is polled.

    `positions` are the marks (`Frame.end`) of known sources, read whenever a file is identified:
    it may be the caller's own mapping, which goes on changing. A file that the path has ceased to
    name is read on until it has been quiet for `linger_polls` polls, for a server goes on writing
    to it until told of the rotation.
    """

    def __init__(
        self,
        path: str,
        book: SourceBook,
        positions: Mapping[str, int] = _NONE,
        *,
        max_line: int = MAX_LINE_BYTES,
        linger_polls: int = _LINGER_POLLS,
    ) -> None:
        self.path = path
        self.problem = ""
        """Why the path cannot be read now, though it is there; "" if it can or is not there."""
        self._book = book
        self._positions = positions
        self._marks: dict[str, int] = {}
        self._max_line = max_line
        self._linger_polls = linger_polls
        self._current: _Tail | _Packed | None = None
        self._files: list[_Tail | _Packed] = []
        """Oldest first."""
        self._beside: frozenset[tuple[str, int]] | None = None
        self._truncated = False
        """A file begins anew: the round of polls does, too."""

    def poll(self, max_bytes: int = FRAME_BYTES, *, finish: bool = False) -> Frame | None:
        """The next frame, of about max_bytes; None when there is nothing new now.

        A last line without its newline is held back, until `finish` asks for it as it is.
        """
        self._look()
        while True:
            self._truncated = False
            for file in tuple(self._files):
                if frame := self._poll_file(file, max_bytes, finish=finish):
                    self._marks[frame.source] = frame.end
                    return frame
                if self._truncated:
                    break
            else:
                return None

    def lag_bytes(self) -> int:
        """Bytes that are there to be read and have not been."""
        return sum(file.lag_bytes() for file in self._files)

    def close(self) -> None:
        """Lets all files go; what was held back is read again by the next follower."""
        for file in self._files:
            file.close()
        self._files.clear()
        self._current = None

    def _poll_file(self, file: "_Tail | _Packed", max_bytes: int, *, finish: bool) -> Frame | None:
        retired = file is not self._current and (self._current or file.is_unlinked())
        last_time = retired and (finish or file.quiet_polls >= self._linger_polls)
        frame = file.poll(max_bytes, finish=finish or bool(last_time))
        if frame:
            return frame
        file.quiet_polls = file.quiet_polls + 1 if retired else 0
        if last_time and not self._truncated:
            self._files.remove(file)
            file.close()
        return None

    def _mark(self, source: str) -> int:
        return max(self._marks.get(source, 0), self._positions.get(source, 0))

    def _look(self) -> None:
        """Finds out which file the path names now."""
        self.problem = ""
        try:
            status = Path(self.path).stat()
            if self._current and self._current.key == inode_key(status):
                return
            self._current = self._opened(inode_key(status))
            if self._current:
                return
            if not stat.S_ISREG(status.st_mode):
                self.problem = f"following {self.path}: it is not a regular file; give a log's path"
                return
            new = self._open(self.path)
            self._catch_up(recognise(self.path, self._book, self._mark))
            self._files.append(new)
            self._current = new
        except FileNotFoundError:
            self._current = None
            # Files may come and be rotated away again without ever being seen under the path.
            if self._beside != (names := names_beside(self.path)):
                self._beside = names
                self._catch_up(None)
        except OSError as error:
            self._current = None
            self.problem = f"following {self.path}: {error.strerror}; allow this user to read it"

    def _opened(self, key: Key) -> "_Tail | _Packed | None":
        return next((file for file in self._files if file.key == key), None)

    def _open(self, path: str) -> "_Tail | _Packed":
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            plain = packing(os.pread(descriptor, 4, 0)) is Log
        except OSError:
            os.close(descriptor)
            raise
        if plain:
            return _Tail(
                descriptor, self.path, self._book, self._mark, self._recover, self._max_line
            )
        os.close(descriptor)
        return _Packed(path, self.path, self._book, self._mark)

    def _catch_up(self, named: Rotated | None) -> None:
        """Opens the rotated files in which something is unread, up to the one the path names.

        Those are the known ones that hold more than their marks, and what came after the newest
        known one. Where nothing is known there is nothing to catch up with.
        """
        files = rotated_files(self.path, self._book, self._mark)
        known = [file.mark > 0 or self._opened(file.key) is not None for file in files]
        newest = max((i for i, is_known in enumerate(known) if is_known), default=-1)
        for i, file in enumerate(files):
            if known[i]:
                # The newest may still be written to, by a server not yet told of the rotation.
                wanted = file.has_rest or i == newest
            else:
                wanted = file.numbered and 0 <= newest < i and not (named and named.mark)
            if wanted:
                self._open_rotated(file, len(self._files))

    def _recover(self, truncated: _Tail, source: str) -> bool:
        """Opens the copy that was taken of a file before it was truncated, if it holds more."""
        self._truncated = True
        for file in reversed(rotated_files(self.path, self._book, self._mark)):
            if file.source == source and file.has_rest and file.key != truncated.key:
                if copy := self._opened(file.key):
                    self._files.remove(copy)
                    self._files.insert(self._files.index(truncated), copy)
                    return True
                return self._open_rotated(file, self._files.index(truncated))
        return False

    def _open_rotated(self, file: Rotated, at: int) -> bool:
        if self._opened(file.key):
            return False
        try:
            self._files.insert(at, self._open(file.path))
        except OSError:
            return False
        return True
