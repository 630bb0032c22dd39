import gzip
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from streams.book import SourceBook, source_id
from streams.follow import Follower
from streams.lines import Frame
from tests._followed import Reader, append

# growth


def test_a_file_that_is_not_there_yet(reader, log):
    assert reader.drain() == []
    append(log, b"a\n")
    assert reader.drain() == [b"a"]


def test_growth(reader, log):
    append(log, b"a\nb\n")
    assert reader.follower.poll() == Frame(source_id(b"a\n"), str(log), 0, b"a\nb\n")
    assert reader.follower.poll() is None
    append(log, b"c\n")
    assert reader.follower.poll() == Frame(source_id(b"a\n"), str(log), 4, b"c\n")


def test_a_partial_line_is_held_back(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    append(log, b"c")
    assert reader.drain() == []
    append(log, b"\n")
    assert reader.drain() == [b"bc"]


def test_finish_takes_the_partial_line(reader, log):
    append(log, b"a\nb")
    assert reader.drain(finish=True) == [b"a", b"b"]
    assert reader.drain(finish=True) == []


def test_finish_takes_a_first_line_without_its_newline(reader, log):
    append(log, b"a")
    assert reader.drain() == []
    assert reader.drain(finish=True) == [b"a"]


def test_comments_wait_for_the_first_line(reader, log):
    append(log, b"#Fields: time\n")
    assert reader.drain() == []
    append(log, b"a\n")
    assert reader.drain() == [b"#Fields: time", b"a"]
    assert reader.marks == {source_id(b"a\n"): 16}


@pytest.mark.parametrize("max_bytes", [1, 7, 100])
def test_small_polls(reader, log, max_bytes):
    lines = [b"line %d" % i for i in range(50)]
    append(log, b"\n".join(lines) + b"\n")
    assert reader.drain(max_bytes) == lines


def test_lag_bytes(reader, log):
    assert reader.follower.lag_bytes() == 0
    append(log, b"a\n" * 500)
    reader.take(100)
    assert reader.follower.lag_bytes() == 900
    reader.drain()
    assert reader.follower.lag_bytes() == 0


def test_a_line_too_long_is_passed_in_bounded_memory(log):
    reader = Reader(log, max_line=1000)
    log.write_bytes(b"a\n" + b"x" * 30_000_000)
    tracemalloc.start()
    assert reader.drain() == [b"a"]
    append(log, b"y\nb\n")
    assert reader.drain() == [b"b"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reader.follower.close()
    assert [(fault.offset, fault.reason, fault.size_bytes) for fault in reader.faults] == [
        (2, "too_long", 30_000_002)
    ]
    assert peak < 8 << 20


def test_one_poll_does_not_read_a_line_without_end(reader, log):
    log.write_bytes(b"a\n" + b"x" * 1_000_000)
    reader.take(2)
    assert reader.follower.poll(1000) is None
    assert reader.follower.lag_bytes() > 900_000


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_path_that_names_an_archive_is_read_once(reader, log, pack):
    log.write_bytes(pack(b"a\nb"))
    assert reader.drain() == [b"a", b"b"]
    assert reader.drain(finish=True) == []


# rotation


def test_rename_and_create(reader, log):
    append(log, b"a\n")
    assert reader.drain() == [b"a"]
    old = log.rename(log.with_suffix(".log.1"))
    append(old, b"b\nc")
    append(log, b"d\n")
    assert reader.drain() == [b"b", b"d"]
    append(old, b"!\n")
    assert reader.drain() == [b"c!"]


def test_nothing_is_lost_between_renaming_and_creating(reader, log):
    append(log, b"a\n")
    reader.drain()
    old = log.rename(log.with_suffix(".log.1"))
    for _ in range(200):
        assert reader.drain() == []
    append(old, b"b\n")
    assert reader.drain() == [b"b"]
    append(log, b"c\n")
    assert reader.drain() == [b"c"]


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_rotated_file_is_let_go_once_quiet(log):
    before = open_files()
    reader = Reader(log, linger_polls=3)
    append(log, b"a\nb")
    reader.drain()
    old = log.rename(log.with_suffix(".log.1"))
    append(log, b"c\n")
    assert reader.drain() == [b"c"]
    append(old, b"b")
    assert [reader.drain() for _ in range(10)] == [*([[]] * 3), [b"bb"], *([[]] * 6)]
    append(old, b"late\n")
    assert reader.drain() == []
    assert open_files() == before + 1
    reader.follower.close()
    assert open_files() == before


def test_a_deleted_file_is_let_go_once_quiet(log):
    before = open_files()
    reader = Reader(log, linger_polls=3)
    append(log, b"a\nb")
    reader.drain()
    log.unlink()
    assert [reader.drain() for _ in range(10)] == [*([[]] * 3), [b"b"], *([[]] * 6)]
    assert open_files() == before


def test_deleted_and_written_again(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    with log.open("ab") as writer:
        log.unlink()
        writer.write(b"!\nc\n")
    assert reader.drain() == [b"b!", b"c"]
    append(log, b"d\n")
    assert reader.drain() == [b"d"]


def test_two_rotations_between_two_polls(reader, log):
    append(log, b"a\n")
    reader.drain()
    for number, line in ((2, b"b\n"), (1, b"c\n")):
        os.utime(log.rename(log.with_suffix(f".log.{number}")), ns=(10 - number, 10 - number))
        append(log, line)
    assert reader.drain() == [b"b", b"c"]


def test_copied_and_truncated(reader, log):
    append(log, b"a\nb\n")
    assert reader.drain() == [b"a", b"b"]
    shutil.copy(log, log.with_suffix(".log.1"))
    os.truncate(log, 0)
    assert reader.drain() == []
    append(log, b"c\n")
    assert reader.drain() == [b"c"]
    assert reader.marks == {source_id(b"a\n"): 4, source_id(b"c\n"): 2}


def test_truncated_and_longer_again_before_the_next_poll(reader, log):
    append(log, b"a\nb\n")
    assert reader.drain() == [b"a", b"b"]
    os.truncate(log, 0)
    append(log, b"c\nd\ne\n")
    assert reader.drain() == [b"c", b"d", b"e"]


def test_truncated_and_as_long_again(reader, log):
    append(log, b"a\nb\n")
    os.utime(log, ns=(1, 1))
    assert reader.drain() == [b"a", b"b"]
    log.write_bytes(b"c\nd\n")
    os.utime(log, ns=(2, 2))
    assert reader.drain() == [b"c", b"d"]


def test_truncated_and_begun_with_the_same_line(reader, log):
    append(log, b"start\na\n")
    assert reader.drain() == [b"start", b"a"]
    os.truncate(log, 0)
    append(log, b"start\n")
    assert reader.drain() == [b"start"]
    append(log, b"a\nb\n")
    assert reader.drain() == [b"a", b"b"]
    assert sorted(reader.marks.values()) == [8, 10]
    reader.restart()
    append(log, b"c\n")
    assert reader.drain() == [b"c"]


def test_truncated_under_a_server_that_does_not_append(reader, log):
    with log.open("wb", buffering=0) as server:
        server.write(b"a\nb\n")
        assert reader.drain() == [b"a", b"b"]
        for line in (b"c\n", b"d\n"):
            os.truncate(log, 0)
            assert reader.drain() == []
            server.write(line)
            frame = reader.follower.poll()
            assert frame == Frame(source_id(line), str(log), server.tell() - 2, line)
            reader.marks[frame.source] = frame.end
        server.write(b"e\n")
        reader.restart()
        assert reader.drain() == [b"e"]


def test_a_hole_of_any_size_is_passed(reader, log):
    with log.open("wb") as file:
        file.truncate(1 << 40)
        assert reader.drain() == []
        file.seek(1 << 40)
        file.write(b"a\n")
    assert reader.follower.poll() == Frame(source_id(b"a\n"), str(log), 1 << 40, b"a\n")


def test_truncated_and_renamed_before_the_next_poll(reader, log):
    append(log, b"a\n")
    reader.drain()
    log.write_bytes(b"bb\n")
    log.rename(log.with_suffix(".log.1"))
    append(log, b"c\n")
    assert reader.drain(finish=True) == [b"bb", b"c"]


def test_copied_truncated_and_renamed_before_the_next_poll(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    append(log, b"!\n")
    shutil.copy(log, log.with_suffix(".log.2"))
    log.write_bytes(b"c\n")
    log.rename(log.with_suffix(".log.1"))
    assert reader.drain(finish=True) == [b"b!", b"c"]


def test_the_partial_line_of_a_truncated_file_is_its_last(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    os.truncate(log, 0)
    append(log, b"c\n")
    assert reader.drain() == [b"b", b"c"]


def test_what_was_truncated_unread_is_read_from_its_copy(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    append(log, b"!\nc\n")
    shutil.copy(log, log.with_suffix(".log.1"))
    log.write_bytes(b"d\n")
    assert reader.drain() == [b"b!", b"c", b"d"]


def test_finish_reads_the_copy_too(reader, log):
    append(log, b"a\n")
    reader.drain()
    append(log, b"b\n")
    shutil.copy(log, log.with_suffix(".log.1"))
    os.truncate(log, 0)
    assert reader.drain(finish=True) == [b"b"]


def test_a_known_source_comes_back(reader, log):
    append(log, b"a\n")
    reader.drain()
    old = log.rename(log.with_suffix(".log.1"))
    append(log, b"x\n")
    assert reader.drain() == [b"x"]
    append(old, b"b\n")
    shutil.copy(old, log.with_suffix(".new"))
    log.with_suffix(".new").rename(log)
    assert sorted(reader.drain()) == [b"b"]
    append(log, b"c\n")
    assert reader.drain() == [b"c"]


def test_a_switched_symlink(tmp_path):
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "current"
    append(one, b"a\n")
    link.symlink_to(one)
    reader = Reader(link)
    assert reader.drain() == [b"a"]
    append(one, b"b\n")
    append(two, b"c\n")
    (tmp_path / "next").symlink_to(two)
    (tmp_path / "next").rename(link)
    assert reader.drain() == [b"b", b"c"]
    reader.follower.close()


def test_two_followers_of_logs_that_begin_alike(tmp_path):
    book = SourceBook()
    one, two = tmp_path / "one", tmp_path / "two"
    followers = [Follower(str(path), book) for path in (one, two)]
    for path in (one, two):
        append(path, b"start\n")
    first = [follower.poll() for follower in followers]
    append(one, b"a\n")
    append(two, b"b\n")
    second = [follower.poll() for follower in followers]
    for follower in followers:
        follower.close()
    name, other = source_id(b"start\n"), book.identify(b"start\nb\n")
    assert name != other
    # Alike so far, they were taken for one; then the second is told again, under its own name.
    assert first == [Frame(name, str(path), 0, b"start\n") for path in (one, two)]
    assert second == [
        Frame(name, str(one), 6, b"a\n"),
        Frame(other, str(two), 0, b"start\nb\n"),
    ]


def test_a_directory_in_the_place_of_the_log(reader, log):
    log.mkdir()
    assert reader.drain() == []
    assert reader.follower.problem == (
        f"following {log}: it is not a regular file; give a log's path"
    )
    log.rmdir()
    append(log, b"a\n")
    assert reader.drain() == [b"a"]
    assert reader.follower.problem == ""


def test_a_path_that_cannot_be_followed(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    follower = Follower(str(loop), SourceBook())
    assert follower.poll() is None
    assert follower.problem.startswith(f"following {loop}: Too many levels of symbolic links")
