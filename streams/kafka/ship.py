"""Logs in, frames on access.raw out: what `breachline ship` does, without the command line.

A position moves only when the brokers have acknowledged everything before it. After a crash at most
what was acknowledged since the last checkpoint is sent again: the same bytes at the same offsets,
which intake drops. It MUST NOT name a source, or skip a line, otherwise than `run` would.
"""

import asyncio
import hashlib
import io
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple, Self

from intake.join import Joiner
from intake.settings import Join
from streams.archives import packing
from streams.book import SourceBook
from streams.clock import Clock
from streams.follow import Follower
from streams.kafka.apart import Apart
from streams.kafka.outflow import FRAME_BYTES, TICK_S, Connect, Outflow, Unanswered
from streams.kafka.received import Received
from streams.lines import Frame
from streams.listen.inbox import Inbox
from streams.sources import read_log

POLL_S: Final = 0.05
CHECKPOINT_S: Final = 1.0
STOP_S: Final = 5.0
"""Whoever stops it waits no longer than this for acknowledgements."""
_JOINED: Final = "joined"
"""The key of logs that are joined: their lines must meet in one partition."""
_BURST_S: Final = 0.05
_READ_BYTES: Final = FRAME_BYTES - (16 << 10)
"""So that a read and the line that it completes mostly make one frame, not one and a bit."""


def cut(frame: Frame, max_bytes: int = FRAME_BYTES, max_lines: int = 0) -> Iterator[Frame]:
    """The frame in pieces of whole lines; a line of more than max_bytes is a piece of its own."""
    data, start = frame.data, 0
    if not max_lines and len(data) <= max_bytes:
        yield frame
        return
    while start < len(data):
        end = min(start + max_bytes, len(data))
        if end < len(data):
            end = data.rfind(b"\n", start, end) + 1 or data.find(b"\n", end) + 1 or len(data)
        if max_lines:
            end = _after_lines(data, start, end, max_lines)
        yield Frame(frame.source, frame.name, frame.offset + start, data[start:end])
        start = end
    if frame.faults:
        yield frame


def _after_lines(data: bytes, start: int, end: int, lines: int) -> int:
    for _ in range(lines):
        start = data.find(b"\n", start, end) + 1
        if not start:
            return end
    return start


class Throttle:
    """A smooth token bucket: so many lines a second, in pieces of `max_lines`."""

    def __init__(self, lines_per_s: float, clock: Clock) -> None:
        self._rate = lines_per_s
        self._clock = clock
        self._free_s = clock.monotonic_s()
        self.max_lines = max(1, int(lines_per_s * _BURST_S))

    def wait_s(self, lines: int) -> float:
        """How long the next piece waits, so that all before it have had their time."""
        now_s = self._clock.monotonic_s()
        self._free_s = max(self._free_s, now_s - _BURST_S)
        wait_s = self._free_s - now_s
        self._free_s += lines / self._rate
        return max(0.0, wait_s)


class Checkpoint:
    """How far each source has been acknowledged by one destination, and how to tell sources."""

    def __init__(self, folder: Path, destination: str) -> None:
        """Opens what an earlier run left, and holds it for this one.

        Raises:
            OSError: the folder cannot be written.
            ValueError: another process ships from it, or the file is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(destination.encode()).hexdigest()[:16]
        self._path = folder / f"{name}.db"
        # Opened by us first, for sqlite's words name neither the file nor the reason.
        self._path.touch(mode=0o600)
        self._db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS source (id TEXT PRIMARY KEY, head BLOB NOT NULL,"
                " position INTEGER NOT NULL DEFAULT 0) STRICT"
            )
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._db.close()
            busy = error.sqlite_errorname == "SQLITE_BUSY"
            todo = "another breachline ship uses it: stop it, or give this one its own --data-dir"
            if not busy:
                todo = f"{error}: move it away; what was shipped is then shipped again, and dropped"
            raise ValueError(f"opening {self._path}: {todo}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()

    def load(self) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
        """(heads for `SourceBook.load`, source id -> next offset to ship)."""
        rows = self._db.execute("SELECT id, head, position FROM source ORDER BY rowid").fetchall()
        return [(row[0], row[1]) for row in rows], {row[0]: row[2] for row in rows}

    def save(self, heads: Mapping[str, bytes], marks: Mapping[str, int]) -> None:
        """Makes it durable; the head of a forgotten source is b""."""
        gone = [(source,) for source, head in heads.items() if not head]
        known = [(source, head) for source, head in heads.items() if head]
        at = [(position, source) for source, position in marks.items()]
        upsert = (
            "INSERT INTO source (id, head) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET head = excluded.head"
        )
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(upsert, known)
            self._db.executemany("UPDATE source SET position = ? WHERE id = ?", at)
            self._db.executemany("DELETE FROM source WHERE id = ?", gone)
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise RuntimeError(f"writing {self._path}: {error}: free some space there") from error


class Shipped(NamedTuple):
    """What one run did."""

    lines: int
    size_bytes: int
    """Acknowledged, as are the lines."""
    seconds: float
    held_bytes: int
    """Read and not acknowledged, when the run was stopped; the next one sends them again."""


class Shipper:
    """Ships logs until stopped, or once to their ends."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        connect: Connect,
        topic: str,
        clock: Clock,
        *,
        rate: float | None = None,
        patience_s: float | None = None,
        say: Callable[[str], None] = lambda _text: None,
        watch: Callable[[int], None] = lambda _lines: None,
        join: Join | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        """`watch` is told how many lines are acknowledged, `say` what stops it for a while.

        `join`: logs whose lines belong together go to one partition, where they are joined.
        `inbox`: what listeners bring, answered when the brokers have acknowledged it.
        """
        self._received = Received(inbox, FRAME_BYTES) if inbox is not None else None
        self._checkpoint = checkpoint
        self._clock = clock
        self._watch = watch
        self._say = say
        self._problems: dict[str, str] = {}
        """By path, as it was said."""
        self._throttle = Throttle(rate, clock) if rate else None
        heads, self._marks = checkpoint.load()
        self._book = SourceBook()
        self._book.load(heads)
        self._read = dict(self._marks)
        """How far each source has been read: what the followers go on from."""
        self._new_heads: dict[str, bytes] = {}
        self._new_marks: dict[str, int] = {}
        self._kept_s = self._started_s = clock.monotonic_s()
        self._stopping = False
        self._lines = 0
        self._bytes = 0
        self._out = Outflow(
            connect, topic, clock, acknowledged=self._acknowledged, say=say,
            patience_s=patience_s, key_of=_key_of(join),
        )  # fmt: skip

    def stop(self) -> None:
        """Reads no further, waits a little for acknowledgements, and returns from `ship`."""
        self._stopping = True
        self._out.end_in(STOP_S)

    async def ship(self, logs: Sequence[str], *, once: bool) -> Shipped:
        """Reads what is there at full speed, then goes on following; `once` ends there.

        Raises:
            Unanswered: the brokers had `patience_s` and did not acknowledge.
            OSError: standard input cannot be read.
        """
        paths = [log for log in logs if log != "-"]
        followers = [Follower(path, self._book, self._read) for path in paths]
        try:
            if "-" in logs:
                async for frame in self._stdin():
                    await self._take(frame)
            unread = followers
            while (unread or self._received) and not self._stopping:
                # One frame of each in turn, so that none waits until another is done.
                found = [f for f in unread if not self._stopping and await self._poll(f, once)]
                came = await self._take_received()
                if once:
                    unread = found
                elif not (found or came):
                    await self._pause(POLL_S)
            await self._out.drain()
        except Unanswered:
            if not self._stopping:
                raise
        finally:
            if self._received is not None:
                self._received.close()
            self._keep()
            for follower in followers:
                follower.close()
            await self._out.close()
        seconds = self._clock.monotonic_s() - self._started_s
        return Shipped(self._lines, self._bytes, seconds, self._out.bytes_held)

    async def _poll(self, follower: Follower, once: bool) -> bool:
        frame = follower.poll(_READ_BYTES, finish=once)
        if follower.problem != self._problems.get(follower.path, ""):
            self._problems[follower.path] = follower.problem
            self._say(follower.problem or f"following {follower.path}: it can be read again")
        if frame is None:
            return False
        await self._take(frame)
        return True

    async def _take(self, frame: Frame) -> None:
        # Kept not later than any position of theirs.
        self._new_heads.update(self._book.take_dirty())
        self._read[frame.source] = frame.end
        throttle = self._throttle
        for piece in cut(frame, max_lines=throttle.max_lines if throttle else 0):
            if throttle:
                await self._pause(throttle.wait_s(_lines(piece)))
            if self._stopping:
                return
            await self._out.put(piece)
        self._keep_now_and_then()

    async def _take_received(self) -> bool:
        """Some of what listeners brought; whether there was any."""
        came = False
        for frame in self._received.frames() if self._received is not None else ():
            came = True
            if self._throttle:
                await self._pause(self._throttle.wait_s(_lines(frame)))
            if self._stopping:
                break
            await self._out.put(frame)
        return came

    async def _pause(self, seconds: float) -> None:
        end_s = self._clock.monotonic_s() + seconds
        while (left_s := end_s - self._clock.monotonic_s()) > 0 and not self._stopping:
            await self._out.tick(min(left_s, TICK_S))
            self._keep_now_and_then()

    def _acknowledged(self, frame: Frame) -> None:
        if isinstance(frame, Apart) and self._received is not None:
            self._received.acknowledged()
        else:
            self._new_marks[frame.source] = frame.end
        self._lines += _lines(frame)
        self._bytes += len(frame.data)
        self._watch(self._lines)

    def _keep_now_and_then(self) -> None:
        if self._clock.monotonic_s() - self._kept_s >= CHECKPOINT_S:
            self._keep()

    def _keep(self) -> None:
        self._kept_s = self._clock.monotonic_s()
        if self._new_heads or self._new_marks:
            self._checkpoint.save(self._new_heads, self._new_marks)
            self._new_heads.clear()
            self._new_marks.clear()

    async def _stdin(self) -> AsyncIterator[Frame]:
        """Frames of standard input; between two of them nobody else touches the book."""
        frames = _stdin_frames(self._book, self._read)
        while not self._stopping:
            reading = _in_thread(lambda: next(frames, None))
            while not reading.done() and not self._stopping:
                await self._out.tick(0)
                await asyncio.wait([reading], timeout=TICK_S)
                self._keep_now_and_then()
            frame = reading.result() if reading.done() else None
            if frame is None:
                return
            yield frame


def _key_of(join: Join | None) -> Callable[[Frame], str]:
    """What decides on a frame's partition: its source, or for all that are joined the same."""
    if join is None:
        return attrgetter("source")
    is_gateway = Joiner(join).is_gateway
    return lambda frame: frame.source if is_gateway(frame.name) is None else _JOINED


def _lines(frame: Frame) -> int:
    return frame.data.count(b"\n") + (frame.data[-1:] not in {b"", b"\n"}) + len(frame.faults)


def _stdin_frames(book: SourceBook, read: Mapping[str, int]) -> Iterator[Frame]:
    # A descriptor of our own: Python waits at exit for whoever is reading from its own stdin.
    file = io.BufferedReader(io.FileIO(os.dup(sys.stdin.fileno())), FRAME_BYTES)
    log = packing(file.peek(4))(file)
    yield from read_log(log, "-", book, mark=lambda s: read.get(s, 0), frame_bytes=FRAME_BYTES)


def _in_thread(call: Callable[[], Frame | None]) -> asyncio.Future[Frame | None]:
    """Its result, from a thread that does not hold up the end of the program."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Frame | None] = loop.create_future()

    def run() -> None:
        try:
            result, error = call(), None
        except Exception as raised:  # noqa: BLE001  it is raised again where it is awaited
            result, error = None, raised
        with suppress(RuntimeError):  # the program has ended meanwhile
            loop.call_soon_threadsafe(told, result, error)

    def told(result: Frame | None, error: Exception | None) -> None:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return future
