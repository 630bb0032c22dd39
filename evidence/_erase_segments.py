"""Takes one person's rows out of the history's segments, each rewritten whole or not at all.

A directory and an id come in, how many rows went goes out. For the one process that writes.
"""

from pathlib import Path
from typing import Any

from evidence._columns import table, unpack_blob
from evidence._segments import Segment, SegmentWriter, segments, sync_directory, tidy
from evidence.history import Staged

_NAMING = ("principal", "claimed", "object")


def rows_naming(directory: Path, user: str) -> int:
    """How many rows name the person: as who asked, who they said they were, or whose it was."""
    return sum(count for _, count in _affected(directory, user))


def staged_naming(store: Staged, user: str) -> int:
    """The same of rows that the store still holds, which are in no segment yet."""
    count = 0
    for _, number, blob in store.staged_history():
        count += number - _count(_others(table(unpack_blob(blob)), user))
    return count


def erase_rows(directory: Path, user: str) -> int:
    """Remove them; how many they were.

    Raises:
        OSError: a segment cannot be read or written; what was done by then stays done.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    if directory.is_dir():
        tidy(directory)
    total = 0
    for segment, count in _affected(directory, user):
        total += count
        if count == segment.rows:
            (directory / segment.name).unlink()
            sync_directory(directory)
            continue
        with (
            SegmentWriter(directory, segment.first) as writer,
            pq.ParquetFile(directory / segment.name) as file,
        ):
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number)
                if (kept := rows.filter(_others(rows, user))).num_rows:
                    writer.add(kept)
            writer.finish(replaces=[segment])
    return total


def _affected(directory: Path, user: str) -> list[tuple[Segment, int]]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    found = []
    for segment in segments(directory):
        count = 0
        with pq.ParquetFile(directory / segment.name) as file:
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number, columns=[*_NAMING, "targets"])
                count += rows.num_rows - _count(_others(rows, user))
        if count:
            found.append((segment, count))
    return found


def _count(mask: Any) -> int:
    import pyarrow.compute as pc  # noqa: PLC0415

    return int(pc.sum(mask).as_py() or 0)


def _others(rows: Any, user: str) -> Any:
    """For each row, whether it does not name the person."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    targets = rows["targets"].combine_chunks()
    whose = pc.list_parent_indices(targets).filter(pc.equal(pc.list_flatten(targets), user))
    named = pc.is_in(pa.array(range(rows.num_rows), pa.int64()), whose.cast(pa.int64()))
    for name in _NAMING:
        named = pc.or_(named, pc.equal(rows[name].combine_chunks().cast(pa.large_string()), user))
    return pc.invert(named)
