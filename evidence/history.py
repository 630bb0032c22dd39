"""The history of access events: Parquet segments on disk, and the rows that are in none yet.

Every event comes in; answers to searches go out (`_query.py`). Alone (`scan`), rows go to a
segment as they come. Live, after `recover`, they are staged in the store in one transaction with
the position that they belong to, and a segment is made of committed rows only: whatever is killed
when, each row is found exactly once. Nothing here judges, and no verdict waits for it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from evidence._columns import Columns, Pack, concatenated, pack_blob, table, unpack_blob
from evidence._query import Questions, connect
from evidence._segments import (
    Segment,
    SegmentWriter,
    first_name,
    merge,
    newest_ms,
    segments,
    stamp,
    tidy,
)  # fmt: skip
from records.event import AccessEvent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PACK_ROWS = 16_384
_AHEAD = 2
"""Packs or segments that may wait for the disk: memory stays small, the reader slows down."""


class Staged(Protocol):
    """The call of the store that shows rows which may be in no segment yet."""

    def staged_history(self) -> Iterator[tuple[int, int, bytes]]:
        """(id, rows, blob) in order."""
        ...


class Staging(Staged, Protocol):
    """The calls of the store that keep rows until their segment is on disk."""

    def stage_history(self, blob: bytes, rows: int) -> int:
        """Keep rows; their id, which only grows."""
        ...

    def clear_staged(self, upto: int) -> None:
        """Drop what is staged up to an id."""
        ...


class _Chunk(msgspec.Struct, frozen=True):
    """Rows that the store has staged under an id."""

    id: int
    rows: int
    first: str
    blob: bytes


class _Written(msgspec.Struct, frozen=True):
    """A segment on disk whose rows the store holds, up to an id, until the next commit."""

    upto: int
    segment: Segment


class History(Questions):
    """The history in one directory; one process writes, any may search.

    max_age_s and max_bytes are what `prune` keeps to; None keeps everything.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_age_s: float | None = None,
        max_bytes: int | None = None,
        segment_rows: int = 250_000,
    ) -> None:
        self.directory = directory
        self._max_age_s, self._max_bytes = max_age_s, max_bytes
        self._segment_rows = segment_rows
        self._pack_rows = min(_PACK_ROWS, segment_rows)
        self._columns = Columns()
        self._thread: ThreadPoolExecutor | None = None
        self._jobs: deque[tuple[Future[Segment | None], list[_Chunk]]] = deque()
        self._lost: Exception | None = None
        # Alone: the segment that the thread is writing.
        self._writer: SegmentWriter | None = None
        self.problem = ""
        """Live: why the last segment could not be written, "" if it could."""
        # Live: what the store holds for us.
        self._cut_at = segment_rows
        self._live = False
        self._uncommitted: list[_Chunk] = []
        self._staged: list[_Chunk] = []
        self._written: list[_Written] = []
        self._clearing: list[_Written] = []

    # Writing

    def append(self, events: Sequence[AccessEvent]) -> None:
        """Take events as the next rows.

        Raises:
            OSError: alone: an earlier segment could not be written, its rows are lost.
        """
        self._settle(_AHEAD)
        self._columns.add(events)
        if not self._live and self._columns.rows >= self._pack_rows:
            self._submit_pack()

    def flush(self) -> None:
        """Write what is there to a segment, and wait until it is on disk.

        Live, that is what was staged in a committed transaction.

        Raises:
            OSError: it could not be written.
        """
        if self._live:
            self._commit()
            self._cut()
        else:
            if self._columns.rows:
                self._submit_pack()
            if self._thread:
                self._jobs.append((self._executor().submit(self._finish), []))
        self._settle(0)
        if self.problem:
            raise OSError(self.problem)

    def buffered(self) -> int:
        """Rows that are in no finished segment as far as this process knows."""
        chunks = (*self._uncommitted, *self._staged, *(c for _, job in self._jobs for c in job))
        writing = self._writer.rows if self._writer else 0
        return self._columns.rows + _total(chunks) + writing

    def close(self) -> None:
        """Write what may be written, and end the thread. Live, staged rows stay in the store."""
        try:
            if self._live:
                self._settle(0)
            else:
                self.flush()
        finally:
            if self._thread:
                self._thread.shutdown()
                self._thread = None
            if self._writer:
                self._writer.discard()
                self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _executor(self) -> ThreadPoolExecutor:
        if self._thread is None:
            if not self._live:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                tidy(self.directory)
            self._thread = ThreadPoolExecutor(1, "history")
        return self._thread

    def _settle(self, allowed: int) -> None:
        """Wait until no more jobs than allowed are under way; their errors surface here."""
        if self._lost:
            raise OSError(f"{self._lost}; rows of history are lost since then") from self._lost
        while self._jobs and (len(self._jobs) > allowed or self._jobs[0][0].done()):
            job, chunks = self._jobs.popleft()
            try:
                segment = job.result()
            except Exception as error:
                failure = OSError(f"writing a segment of history to {self.directory}: {error}")
                if not self._live:
                    self._lost = failure
                    raise failure from error
                # The store still has the rows: they are tried again, with some more.
                self.problem = str(failure)
                self._staged = [*chunks, *self._staged]
                self._cut_at = _total(self._staged) + self._segment_rows // 4
                continue
            if segment and chunks:
                self._written.append(_Written(chunks[-1].id, segment))
                self.problem, self._cut_at = "", self._segment_rows

    # Alone: the thread adds packs to one segment

    def _submit_pack(self) -> None:
        self._jobs.append((self._executor().submit(self._add, self._columns.take()), []))
        self._settle(_AHEAD)

    def _add(self, pack: Pack) -> Segment | None:
        if self._writer is None:
            self._writer = SegmentWriter(self.directory)
        self._writer.add(table(pack))
        return self._finish() if self._writer.rows >= self._segment_rows else None

    def _finish(self) -> Segment | None:
        if self._writer is None:
            return None
        segment = self._writer.finish()
        self._writer = None
        return segment

    # Live: rows are staged with the position, segments are made of what is committed

    def recover(self, store: Staging) -> int:
        """Begin to work live, with the rows that the store still holds; their number.

        MUST be called before the first `append` of the one process that writes.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tidy(self.directory)
        self._live = True
        self.load_staged(store)
        self._find_written()
        if self._written:
            store.clear_staged(self._written[-1].upto)
            self._clearing, self._written = self._written, []
        return _total(self._staged)

    def load_staged(self, store: Staged) -> None:
        """Search the store's staged rows too; for a process that only reads, before it asks."""
        self._staged = [
            _Chunk(number, rows, unpack_blob(blob).first, blob)
            for number, rows, blob in store.staged_history()
        ]

    def stage(self, store: Staging) -> None:
        """Put the new rows in the store; MUST stand in the transaction that moves the position.

        After a transaction that failed, make a new History and `recover`: this one would take
        its rows as committed.

        A segment that cannot be written does not stop it: `problem` says why, the rows stay in
        the store and are tried again.
        """
        self._settle(_AHEAD)
        self._commit()
        if _total(self._staged) >= self._cut_at:
            self._cut()
        self._clearing, self._written = self._written, []
        if self._clearing:
            store.clear_staged(self._clearing[-1].upto)
        if self._columns.rows:
            pack = self._columns.take()
            blob = pack_blob(pack)
            number = store.stage_history(blob, pack.rows)
            self._uncommitted.append(_Chunk(number, pack.rows, pack.first, blob))

    def _commit(self) -> None:
        self._staged += self._uncommitted
        self._uncommitted = []

    def _cut(self) -> None:
        """Have the thread make one segment of all staged rows; one at a time, in order."""
        self._settle(0)
        # A job may have failed behind its rename: then the segment is there already.
        self._find_written()
        if self._staged:
            chunks, self._staged = self._staged, []
            self._jobs.append((self._executor().submit(self._write, chunks), chunks))

    def _write(self, chunks: Sequence[_Chunk]) -> Segment:
        with SegmentWriter(self.directory) as writer:
            for chunk in chunks:
                writer.add(table(unpack_blob(chunk.blob)))
            return writer.finish()

    def _find_written(self) -> None:
        written, self._staged = _already(self._staged, segments(self.directory))
        self._written += written

    # Retention, for the one process that writes

    def compact(self) -> int:
        """Merge small neighbouring segments; by how many fewer they are."""
        self.flush()
        tidy(self.directory)
        held = {w.segment for w in (*self._written, *self._clearing)}
        group: list[Segment] = []
        removed = 0
        for segment in [*segments(self.directory), None]:
            rows = sum(s.rows for s in group)
            small = segment and segment not in held and segment.rows * 2 <= self._segment_rows
            if small and segment and rows + segment.rows <= self._segment_rows:
                group.append(segment)
                continue
            if len(group) > 1:
                merge(self.directory, group)
                removed += len(group) - 1
            group = [segment] if small and segment else []
        return removed

    def prune(self, now_ms: int) -> list[str]:
        """Remove whole segments that are too old, then the oldest beyond the size; their names."""
        held = {w.segment for w in (*self._written, *self._clearing)}
        kept = [s for s in segments(self.directory) if s not in held]
        gone: list[Segment] = []
        if self._max_age_s is not None:
            cutoff_ms = now_ms - round(self._max_age_s * 1000)
            for segment in kept:
                # A name tells its earliest row: only those that begin too early need a look inside.
                if segment.time > stamp(cutoff_ms):
                    break
                if newest_ms(self.directory / segment.name) < cutoff_ms:
                    gone.append(segment)
        if self._max_bytes is not None:
            kept = [s for s in kept if s not in gone]
            sizes = {s: (self.directory / s.name).stat().st_size for s in kept}
            total = sum(sizes.values())
            for segment in kept:
                if total <= self._max_bytes:
                    break
                gone.append(segment)
                total -= sizes[segment]
        for segment in gone:
            (self.directory / segment.name).unlink(missing_ok=True)
        return [segment.name for segment in gone]

    # Questions (the rest is in `_query.py`)

    def _connect(self) -> "tuple[DuckDBPyConnection, list[Path]]":
        if not self._live and (self._thread or self._columns.rows):
            self.flush()
        # Rows in memory are collected first: a segment that appears meanwhile hides its own.
        chunks = [chunk for _, job in self._jobs for chunk in job]
        chunks += [*self._staged, *self._uncommitted]
        present = segments(self.directory)
        _, chunks = _already(chunks, present)
        packs = [unpack_blob(chunk.blob) for chunk in chunks]
        if self._columns.rows:
            packs.append(self._columns.look())
        rest = concatenated(packs)
        files = [self.directory / segment.name for segment in present]
        return connect(files, rest, self.directory / "spill"), files


def _total(chunks: Sequence[_Chunk]) -> int:
    return sum(chunk.rows for chunk in chunks)


def _already(
    chunks: Sequence[_Chunk], present: Sequence[Segment]
) -> tuple[list[_Written], list[_Chunk]]:
    """Which chunks are in segments that are present, and the rest.

    A segment is made of whole chunks in order, so that its first event and its number of rows
    say which.
    """
    by_first = {segment.first: segment for segment in present}
    written: list[_Written] = []
    rest = list(chunks)
    while rest and (segment := by_first.get(first_name(rest[0].first))):
        rows = list(accumulate(chunk.rows for chunk in rest))
        if segment.rows not in rows:
            break
        count = rows.index(segment.rows) + 1
        written.append(_Written(rest[count - 1].id, segment))
        rest = rest[count:]
    return written, rest
