"""The Parquet files of the history: written whole or not at all, listed, merged.

Arrow tables come in, files named TIME-FIRST-ROWS.parquet go out, in a directory that one process
writes and any may read. A name depends on its rows alone, so that writing them again replaces
and never doubles. No half file may ever carry such a name.

Within a file rows stand by actor: looking back over months for one of them reads a part of each
file, which Bloom filters name, and not all of it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import msgspec

from evidence._columns import COLUMNS, schema
from records.ids import digest
from records.kinds import TRUSTED

_GROUP_ROWS = 8_192
"""What is read for one row that is looked for. Half as many double what is read to find them."""
_ACTOR = ("ip", "principal", "provenance", "session", "time")
_LOOKED_UP = ("ip", "principal", "session")
_WRONG = 0.05
"""Share of row groups that a Bloom filter names in vain; a tenth of that takes twice the space."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")
_NAME = re.compile(r"(?P<time>\d{8}T\d{6}Z)-(?P<first>.+)-(?P<rows>\d+)\.parquet")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIQUE_TEXTS = {"event", "path", "request_id"}
_JOURNAL = "merge.json"


class Segment(msgspec.Struct, frozen=True, order=True):
    """One file, as its name tells."""

    time: str
    """Of its earliest row, YYYYMMDDTHHMMSSZ."""
    first: str
    rows: int

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.time}-{self.first}-{self.rows}.parquet"


def stamp(time_ms: int) -> str:
    """Milliseconds since 1970 as a segment's name writes them; clamped to the years 1-9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        moment = datetime.min if time_ms < 0 else datetime.max  # noqa: DTZ901
    return f"{moment.year:04d}{moment:%m%dT%H%M%SZ}"


def first_name(event: str) -> str:
    """An event id as part of a file's name."""
    return event if _PLAIN_NAME.fullmatch(event) else digest(event)


class _Merge(msgspec.Struct, frozen=True):
    """What a merge replaces; without it, a crash in the middle would double rows."""

    new: str
    old: tuple[str, ...]


def segments(directory: Path) -> list[Segment]:
    """The segments of a directory by name, without those that a merged one replaces."""
    try:
        names = {entry.name for entry in os.scandir(directory)}
    except FileNotFoundError:
        return []
    if _JOURNAL in names:
        merge = _read_journal(directory)
        if merge and merge.new in names:
            names.difference_update(merge.old)
    matches = filter(None, map(_NAME.fullmatch, names))
    return sorted(Segment(m["time"], m["first"], int(m["rows"])) for m in matches)


def _read_journal(directory: Path) -> _Merge | None:
    try:
        return msgspec.json.decode((directory / _JOURNAL).read_bytes(), type=_Merge)
    except FileNotFoundError:
        return None  # its merge has just ended


def tidy(directory: Path) -> None:
    """Finish or undo what a crash left; for the one process that writes."""
    for left in directory.glob("*.tmp"):
        left.unlink()
    if merge := _read_journal(directory):
        if (directory / merge.new).exists():
            for name in merge.old:
                (directory / name).unlink(missing_ok=True)
        sync_directory(directory)
        (directory / _JOURNAL).unlink()


def sync_directory(directory: Path) -> None:
    """Make names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SegmentWriter:
    """One segment being written: its rows wait in memory until `finish`, its file is temporary.

    first: the event that names the file; "" is the first row's.
    """

    def __init__(self, directory: Path, first: str = "") -> None:
        import pyarrow as pa  # noqa: PLC0415  imported when there is something to write
        import pyarrow.parquet as pq  # noqa: PLC0415

        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._temporary = directory / "segment.tmp"
        handle = os.open(self._temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._repeated = {
            field.name
            for field in schema()
            if field.type == pa.large_string() and field.name not in _UNIQUE_TEXTS
        }
        self._parquet = pq.ParquetWriter(
            self._file,
            schema(),
            compression="zstd",
            compression_level=1,
            use_dictionary=[*sorted(self._repeated), "targets.list.element"],
            write_statistics=["time", *_LOOKED_UP],
            bloom_filter_options={
                name: {"ndv": _GROUP_ROWS // 2, "fpp": _WRONG} for name in _LOOKED_UP
            },
            column_encoding={
                "event": "DELTA_BYTE_ARRAY",
                "offset": "DELTA_BINARY_PACKED",
                "time": "DELTA_BINARY_PACKED",
            },
        )
        self._waiting: dict[str, list[Any]] = {}
        self.rows = 0
        self._first = first
        self._earliest_ms = 0

    def add(self, rows: Any) -> None:
        """Take an Arrow table's rows behind those before; it must have some."""
        import pyarrow.compute as pc  # noqa: PLC0415

        earliest_ms = pc.min(rows["time"]).cast("int64").as_py()
        if not self.rows:
            self._first = self._first or rows["event"][0].as_py()
            self._earliest_ms = earliest_ms
        self._earliest_ms = min(self._earliest_ms, earliest_ms)
        for name in COLUMNS:
            # What repeats waits as small numbers: a third of the memory, and quick to put in order.
            column = rows[name].dictionary_encode() if name in self._repeated else rows[name]
            self._waiting.setdefault(name, []).extend(column.chunks)
        self.rows += rows.num_rows

    def _write(self) -> None:
        """All rows by actor, each column taken out of the waiting ones as it is put in order."""
        import pyarrow as pa  # noqa: PLC0415

        if not self._waiting:
            return
        order = _by_actor({name: self._whole(name) for name in _ACTOR})
        columns = []
        for name in COLUMNS:
            columns.append(self._whole(name).take(order))
            del self._waiting[name]
        rows = pa.table(columns, names=list(COLUMNS))
        for start in range(0, self.rows, _GROUP_ROWS):
            self._parquet.write_table(rows.slice(start, _GROUP_ROWS).cast(schema()), _GROUP_ROWS)

    def _whole(self, name: str) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        return pa.concat_arrays(self._waiting[name])

    def finish(self, replaces: Sequence[Segment] = ()) -> Segment:
        """Make the file durable under its name; `replaces` vanish in the same step."""
        segment = Segment(stamp(self._earliest_ms), first_name(self._first), self.rows)
        self._write()
        self._parquet.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        old = tuple(s.name for s in replaces if s != segment)
        if old:
            journal = self._directory / "journal.tmp"
            with journal.open("wb") as file:
                file.write(msgspec.json.encode(_Merge(segment.name, old)))
                file.flush()
                os.fsync(file.fileno())
            journal.rename(self._directory / _JOURNAL)
            sync_directory(self._directory)
        self._temporary.rename(self._directory / segment.name)
        sync_directory(self._directory)
        if old:
            tidy(self._directory)
        return segment

    def discard(self) -> None:
        """Remove what was written so far."""
        self._waiting = {}
        for part in (self._parquet, self._file):
            # The footer of an abandoned file may not fit on a full disk either.
            with suppress(OSError):
                part.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self.discard()


def _by_actor(columns: Mapping[str, Any]) -> Any:
    """The order of rows by who answers for them (`Signal.actor`), by time, then as they came."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    provenance, principal, session, ip = (
        columns[name].cast(pa.large_string())
        for name in ("provenance", "principal", "session", "ip")
    )
    vouched = pc.is_in(provenance, pa.array(sorted(TRUSTED), pa.large_string()))
    unvouched = pc.if_else(pc.not_equal(session, ""), session, ip)
    actor = pc.if_else(vouched, principal, unvouched)
    keys = pa.table({"actor": actor, "time": columns["time"]})
    return pc.sort_indices(keys, sort_keys=[("actor", "ascending"), ("time", "ascending")])


def newest_ms(path: Path) -> int:
    """The time of a segment's newest row, from its footer."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    footer = pq.read_metadata(path)
    place = footer.schema.names.index("time")
    groups = (footer.row_group(n).column(place).statistics for n in range(footer.num_row_groups))
    return max(int(group.max_raw) for group in groups)


def merge(directory: Path, group: Sequence[Segment]) -> Segment:
    """Make one segment of several; for the one who writes."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    with SegmentWriter(directory, group[0].first) as writer:
        for segment in group:
            with pq.ParquetFile(directory / segment.name) as file:
                for number in range(file.num_row_groups):
                    writer.add(file.read_row_group(number))
        return writer.finish(replaces=group)
