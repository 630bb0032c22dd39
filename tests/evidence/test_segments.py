import os
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import evidence._segments as module
from evidence._columns import Columns, table
from evidence._segments import (
    Segment,
    SegmentWriter,
    first_name,
    merge,
    newest_ms,
    segments,
    stamp,
    tidy,
)


def names(directory) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def write(directory, events) -> Segment:
    columns = Columns()
    columns.add(events)
    with SegmentWriter(directory) as writer:
        writer.add(table(columns.take()))
        return writer.finish()


def offsets(directory) -> list[int]:
    return [
        offset
        for segment in segments(directory)
        for offset in pq.read_table(directory / segment.name)["offset"].to_pylist()
    ]


def test_name_tells_time_first_event_and_rows(tmp_path, make):
    events = [make.event(1), make.event(0), make.event(2)]
    segment = write(tmp_path / "history", events)
    assert segment.name == "20261122T120000Z-a1b2-64-3.parquet"
    assert segments(tmp_path / "history") == [segment]
    assert newest_ms(tmp_path / "history" / segment.name) == events[2].time_ms
    assert stat.S_IMODE((tmp_path / "history" / segment.name).stat().st_mode) == 0o600
    assert names(tmp_path / "history") == [segment.name]


def test_written_twice_is_there_once(tmp_path, make):
    assert write(tmp_path, make.events(0, 5)) == write(tmp_path, make.events(0, 5))
    assert offsets(tmp_path) == [0, 100, 200, 300, 400]


TIMES = [
    (0, "19700101T000000Z"),
    (-1, "19691231T235959Z"),
    (2_147_483_648_000, "20380119T031408Z"),
    (10**18, "99991231T235959Z"),
    (-(10**18), "00010101T000000Z"),
]


@pytest.mark.parametrize(("time_ms", "expected"), TIMES)
def test_stamp(time_ms, expected):
    assert stamp(time_ms) == expected


@pytest.mark.parametrize("event", ["a/b-1", "../x-1", "", "a" * 81, "é-1", "a\n-1"])
def test_event_ids_that_are_no_file_names_become_digests(event):
    assert first_name(event).isalnum()
    assert len(first_name(event)) == 20
    assert first_name(first_name(event)) == first_name(event)


def test_other_files_are_no_segments(tmp_path):
    for name in ("a.parquet", "20261122T120000Z-a-x.parquet", "segment.tmp", "x.txt"):
        (tmp_path / name).touch()
    assert segments(tmp_path) == []
    assert segments(tmp_path / "missing") == []


def test_failure_leaves_no_half_segment(tmp_path, make, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, make.events(0, 5))
    assert names(tmp_path) == []


def test_row_groups_of_many_small_tables(tmp_path, make, monkeypatch):
    monkeypatch.setattr(module, "_GROUP_ROWS", 10)
    columns = Columns()
    with SegmentWriter(tmp_path) as writer:
        for n in range(25):
            columns.add([make.event(n)])
            writer.add(table(columns.take()))
        segment = writer.finish()
    assert pq.read_metadata(tmp_path / segment.name).num_row_groups == 3
    assert offsets(tmp_path) == [n * 100 for n in range(25)]


def test_merge_keeps_rows_and_order(tmp_path, make):
    group = [write(tmp_path, make.events(n * 5, n * 5 + 5)) for n in range(3)]
    merged = merge(tmp_path, group)
    assert segments(tmp_path) == [merged]
    assert merged == Segment(group[0].time, group[0].first, 15)
    assert offsets(tmp_path) == [n * 100 for n in range(15)]
    assert names(tmp_path) == [merged.name]


class Killed(BaseException):
    pass


def closed(writer):
    writer._parquet.close()
    writer._file.close()


@pytest.mark.parametrize("step", range(9))
def test_merge_that_is_killed_doubles_and_loses_nothing(tmp_path, make, monkeypatch, step):
    group = [write(tmp_path, make.events(n * 5, n * 5 + 5)) for n in range(3)]
    steps: list[object] = []

    def killed_at(step_function):
        def call(*arguments, **keywords):
            if len(steps) == step:
                raise Killed
            steps.append(step_function)
            return step_function(*arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_at(Path.rename))
        patch.setattr(os, "fsync", killed_at(os.fsync))
        patch.setattr(Path, "unlink", killed_at(Path.unlink))
        patch.setattr(SegmentWriter, "discard", closed)  # who is killed does not tidy up
        with pytest.raises(Killed):
            merge(tmp_path, group)
    every = [n * 100 for n in range(15)]
    assert offsets(tmp_path) == every  # as a reader sees it
    tidy(tmp_path)
    assert offsets(tmp_path) == every
    assert names(tmp_path) == [s.name for s in segments(tmp_path)]
    merge(tmp_path, segments(tmp_path))
    assert offsets(tmp_path) == every


def events_of(path, column):
    with pq.ParquetFile(path) as file:
        groups = [file.read_row_group(n, [column]) for n in range(file.num_row_groups)]
    return [group[column].to_pylist() for group in groups]


def test_rows_stand_by_who_answers_for_them_then_by_time(tmp_path, make, monkeypatch):
    monkeypatch.setattr(module, "_GROUP_ROWS", 2)
    said = {"principal": "", "provenance": "", "session": ""}
    events = [
        make.event(5, **said | {"principal": "b", "provenance": "gateway"}),
        make.event(4, **said | {"principal": "z", "provenance": "asserted", "session": "a"}),
        make.event(3, **said, ip="c"),
        make.event(2, **said | {"principal": "b", "provenance": "verified", "session": "x"}),
        make.event(1, **said | {"session": "a"}),
        make.event(0, **said, ip="c"),
    ]
    segment = write(tmp_path, events)
    assert segment.first == events[0].id
    groups = events_of(tmp_path / segment.name, "offset")
    assert groups == [[100, 400], [200, 500], [0, 300]]


def test_a_merged_segment_keeps_the_name_of_its_first_row(tmp_path, make):
    group = [
        write(tmp_path, [make.event(0, principal="z"), make.event(1, principal="a")]),
        write(tmp_path, [make.event(2, principal="b"), make.event(3, principal="a")]),
    ]
    merged = merge(tmp_path, group)
    assert merged == Segment(group[0].time, make.event(0).id, 4)
    assert events_of(tmp_path / merged.name, "principal") == [["a", "a", "b", "z"]]


def test_who_is_not_in_a_row_group_is_told_from_its_bloom_filter(tmp_path, make, monkeypatch):
    import duckdb

    monkeypatch.setattr(module, "_GROUP_ROWS", 64)
    segment = write(tmp_path, [make.event(n, session=f"s{n * 2}") for n in range(256)])
    path = str(tmp_path / segment.name)
    probe = "SELECT sum(bloom_filter_excludes::INT) FROM parquet_bloom_probe(?, ?, ?)"
    with duckdb.connect() as db:
        for column, inside, absent in (
            ("session", "s8", "s9"), ("principal", "u-66", "u-67"),
            ("ip", "203.0.113.7", "203.0.113.8"),
        ):  # fmt: skip
            ((kept,),) = db.execute(probe, [path, column, inside]).fetchall()
            ((left,),) = db.execute(probe, [path, column, absent]).fetchall()
            assert kept < 4, column
            assert left > 0, column
