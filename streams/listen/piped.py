"""Standard input as a source that is polled beside files: frames of whole lines, until its end.

A descriptor comes in; a thread reads it, for nobody knows when a pipe has something. Like a file,
it is known by its beginning: what was read of the same bytes before is passed over. It MUST NOT
read far ahead of whoever polls it.
"""

import io
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Final

from streams.archives import Log, packing
from streams.book import HEAD_BYTES, SourceBook, first_line
from streams.lines import Frame, LineCutter

_CHUNK_BYTES: Final = 1 << 18
_AHEAD: Final = 8
_LOOK_S: Final = 0.2


class Piped:
    """Reads one descriptor to its end."""

    def __init__(
        self,
        descriptor: int,
        book: SourceBook,
        positions: Mapping[str, int],
        *,
        name: str = "-",
        arrived: Callable[[], object] = lambda: None,
    ) -> None:
        """`arrived` is called in a thread of its own whenever a poll would find something.

        The descriptor is copied. Only `frames` touches the book, in its caller's thread.
        """
        self.problem = ""
        """Why it could not be read to its end; "" if it could."""
        self._name = name
        self._book = book
        self._positions = positions
        self._chunks: Queue[bytes | None] = Queue(_AHEAD)
        self._closed = Event()
        self._arrived = arrived
        self._damaged = self._ended = False
        self._ready: deque[Frame] = deque()
        self._head = b""
        self._first = 0
        """Offset of the head: past NULs."""
        self._source = ""
        self._start = 0
        """Offset of the first byte that was not read before."""
        self._cutter: LineCutter | None = None
        self._at = 0
        """Offset of the next byte that comes."""
        file = io.BufferedReader(io.FileIO(os.dup(descriptor)), _CHUNK_BYTES)
        Thread(target=self._read, args=(file,), name="stdin", daemon=True).start()

    @property
    def finished(self) -> bool:
        """Everything there was has been given out."""
        return self._ended and not self._ready

    def frames(self) -> Iterator[Frame]:
        """What has come since the last call, without waiting; what is not taken stays."""
        while True:
            while self._ready:
                yield self._ready.popleft()
            if self._ended:
                return
            try:
                chunk = self._chunks.get_nowait()
            except Empty:
                return
            if chunk is None:
                self._ended = True
                self._end()
            else:
                self._feed(chunk)

    def close(self) -> None:
        """Reads no more."""
        self._closed.set()

    # -- the thread

    def _read(self, file: io.BufferedReader) -> None:
        try:
            with file:
                log = packing(file.peek(4))(file)
                # A plain one gives what there is; an archive has to be unpacked by pieces.
                read = file.read1 if type(log) is Log else log.read
                while not self._closed.is_set() and (chunk := read(_CHUNK_BYTES)):
                    self._hand_over(chunk)
                self._damaged = log.damaged
        except OSError as error:
            self.problem = f"reading standard input: {error.strerror or type(error).__name__}"
        self._hand_over(None)

    def _hand_over(self, chunk: bytes | None) -> None:
        while not self._closed.is_set():
            try:
                self._chunks.put(chunk, timeout=_LOOK_S)
            except Full:
                continue
            self._arrived()
            return

    # -- the caller's side

    def _feed(self, chunk: bytes) -> None:
        if not self._head:
            content = chunk.lstrip(b"\0")
            self._first += len(chunk) - len(content)
            chunk = content
        if len(self._head) >= HEAD_BYTES or not chunk:
            self._cut(chunk)
            return
        # Until here, everything that came is in the head.
        content = self._head + chunk
        self._head = content[:HEAD_BYTES]
        if self._cutter is None:
            if first_line(self._head)[1]:
                self._begin(content)
        elif self._book.confirm(self._source, self._head):
            self._cut(chunk)
        else:
            # It began as a known source does and goes on otherwise.
            self._begin(content, {self._source})

    def _begin(self, content: bytes, apart_from: Collection[str] = ()) -> None:
        self._source = self._book.identify(self._head, apart_from)
        self._start = max(self._first, self._positions.get(self._source, 0))
        self._cutter = LineCutter(self._source, self._name, self._start)
        self._at = self._first
        self._cut(content)

    def _cut(self, chunk: bytes) -> None:
        if self._cutter is None:
            return
        known = self._cutter.position - self._at
        self._at += len(chunk)
        if known > 0:
            chunk = chunk[known:]
        if chunk:
            self._ready.extend(self._cutter.feed(chunk))

    def _end(self) -> None:
        if self._cutter is None and self._head:
            self._begin(self._head)
        cutter = self._cutter
        # A mark at or past the end: what it ends with has been told before.
        if cutter is not None and (cutter.position > self._start or self._start == self._first):
            self._ready.extend(cutter.finish(damaged=self._damaged))
