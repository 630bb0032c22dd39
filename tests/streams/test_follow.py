import gzip
import os
import shutil
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.follow import Follower
from streams.sources import Frame, SourceBook, source_id


class Reader:
    """A caller: keeps the book, the marks and the lines through restarts of the follower."""

    def __init__(self, path, **settings):
        self.path = path
        self.settings = settings
        self.book = SourceBook()
        self.marks = {}
        self.lines = []
        self.faults = []
        self.follower = Follower(str(path), self.book, self.marks, **settings)

    def take(self, max_bytes=1 << 20, *, finish=False):
        """One poll; whether there was a frame."""
        frame = self.follower.poll(max_bytes, finish=finish)
        if not frame:
            return False
        assert frame.name == str(self.path)
        # No gap and no overlap: each frame begins where the last one of its source ended.
        assert frame.offset == self.marks.get(frame.source, 0)
        self.marks[frame.source] = frame.end
        self.lines += frame.data.splitlines()
        self.faults += frame.faults
        return True

    def drain(self, max_bytes=1 << 20, *, finish=False):
        """The lines that there are now."""
        before = len(self.lines)
        while self.take(max_bytes, finish=finish):
            pass
        return self.lines[before:]

    def has_begun(self):
        """Whether a line of the file that the path names now has been taken."""
        head = self.path.read_bytes() if self.path.exists() else b""
        return self.marks.get(self.book.find(head), 0) > 0

    def restart(self):
        self.follower.close()
        book = SourceBook()
        book.load(self.book.dump())
        self.book = book
        self.follower = Follower(str(self.path), book, dict(self.marks), **self.settings)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def reader(log):
    reader = Reader(log)
    yield reader
    reader.follower.close()


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def packed(path, pack=gzip.compress, suffix=".gz"):
    """Packs as gzip does: the time of the file stays, the plain one goes."""
    target = path.with_name(path.name + suffix)
    target.write_bytes(pack(path.read_bytes()))
    os.utime(target, ns=(path.stat().st_mtime_ns,) * 2)
    path.unlink()


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


# restart


def test_restart_resumes_at_the_mark(reader, log):
    append(log, b"a\nb")
    assert reader.drain() == [b"a"]
    append(log, b"!\nc\n")
    reader.restart()
    assert reader.drain() == [b"b!", b"c"]


PACKERS = [
    ("plain", lambda path: None),
    ("gzip", packed),
    ("zstd", lambda path: packed(path, zstandard.compress, ".zst")),
]


@pytest.mark.parametrize("pack", [case[1] for case in PACKERS], ids=[case[0] for case in PACKERS])
@pytest.mark.parametrize("name", ["access.log.1", "access.log-20261122", "access.log.old"])
@pytest.mark.parametrize("created", [True, False])
def test_rotated_during_a_stop(reader, log, pack, name, created):
    append(log, b"a\n")
    assert reader.drain() == [b"a"]
    append(log, b"b\n")
    pack(log.rename(log.with_name(name)))
    if created:
        append(log, b"c\n")
    reader.restart()
    assert reader.drain() == [b"b", b"c"][: 1 + created]
    reader.restart()
    assert reader.drain() == []


@pytest.mark.parametrize("pack", [case[1] for case in PACKERS], ids=[case[0] for case in PACKERS])
def test_rotated_twice_during_a_stop(reader, log, pack):
    for name, line in (
        ("access.log.3", b"old\n"),
        ("access.log.2", b"a\n"),
        ("access.log.1", b"c\n"),
    ):
        append(log, line)
        if line == b"a\n":
            assert reader.drain() == [b"a"]
            append(log, b"b\n")
        os.utime(log, ns=(ord(line[:1]), ord(line[:1])))
        if line == b"old\n":
            os.utime(log, ns=(1, 1))
        pack(log.rename(log.with_name(name)))
    append(log, b"d\n")
    reader.restart()
    assert reader.drain() == [b"b", b"c", b"d"]
    reader.restart()
    assert reader.drain() == []


def test_copied_and_truncated_during_a_stop(reader, log):
    append(log, b"a\n")
    reader.drain()
    append(log, b"b\n")
    shutil.copy(log, log.with_suffix(".log.1"))
    log.write_bytes(b"c\n")
    reader.restart()
    assert reader.drain() == [b"b", b"c"]


def test_a_server_goes_on_writing_to_the_file_rotated_during_a_stop(reader, log):
    append(log, b"a\n")
    reader.drain()
    old = log.rename(log.with_suffix(".log.1"))
    reader.restart()
    assert reader.drain() == []
    append(old, b"b\n")
    assert reader.drain() == [b"b"]


def test_a_first_start_reads_no_rotated_files(reader, log):
    append(log.with_suffix(".log.1"), b"old\n")
    append(log, b"a\n")
    assert reader.drain() == [b"a"]


# everything at once

OPERATIONS = st.sampled_from(
    "append append partial rename reopen copytruncate pack restart poll poll drain".split()
)


class Writer:
    """A server and its logrotate. Times are set by hand: the kernel's are too coarse for this."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.clock = 0
        self.rotations = 0
        self.file = path.open("ab", buffering=0)
        self.partial = b""

    def write(self, data):
        self.file.write(data)
        self.clock += 1
        os.utime(self.file.fileno(), ns=(self.clock, self.clock))

    def append(self):
        self.lines.append(self.partial + b"line %d" % len(self.lines))
        self.write(b"line %d\n" % (len(self.lines) - 1))
        self.partial = b""

    def begin_line(self):
        self.partial += b"part "
        self.write(b"part ")

    def rename(self):
        if self.path.exists():
            self.rotations += 1
            self.path.rename(f"{self.path}.{self.rotations}")

    def reopen(self):
        if not self.path.exists():
            if self.partial:
                self.append()
            self.file.close()
            self.file = self.path.open("ab", buffering=0)
            self.clock += 1
            os.utime(self.path, ns=(self.clock, self.clock))

    def copytruncate(self):
        if self.path.exists():
            self.rotations += 1
            shutil.copy2(self.path, f"{self.path}.{self.rotations}")
            os.truncate(self.path, 0)
            self.clock += 1
            os.utime(self.path, ns=(self.clock, self.clock))

    def pack(self):
        """The rotated files that nobody writes to any more."""
        if self.path.exists():
            for path in self.path.parent.glob("*.log.*[0-9]"):
                packed(path)


@settings(max_examples=300, deadline=None)
@given(operations=st.lists(OPERATIONS, max_size=40), max_bytes=st.sampled_from([1, 5, 30, 1000]))
def test_no_line_is_lost_or_repeated_whatever_happens(operations, max_bytes):
    with TemporaryDirectory() as directory:
        path = Path(directory) / "access.log"
        writer, reader = Writer(path), Reader(path, linger_polls=4)
        writer.append()
        reader.drain(max_bytes)
        for operation in operations:
            match operation:
                case "append":
                    writer.append()
                case "partial":
                    writer.begin_line()
                case "rename":
                    writer.rename()
                case "reopen":
                    writer.reopen()
                case "copytruncate":
                    if writer.partial:
                        writer.append()
                    # What has never been seen under the path cannot be known in a copy.
                    if not reader.has_begun():
                        reader.drain(max_bytes)
                    writer.copytruncate()
                case "pack":
                    writer.pack()
                case "restart":
                    reader.restart()
                case "poll":
                    reader.take(max_bytes)
                case _:
                    reader.drain(max_bytes)
        if writer.partial:
            writer.append()
        reader.drain(max_bytes, finish=True)
        reader.follower.close()
        writer.file.close()
        assert sorted(reader.lines) == sorted(writer.lines)
