import gzip
import hashlib
import io
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streams.sources import Frame, SourceBook, problems, read_frames, source_id


def digest16(line):
    return hashlib.sha256(line).hexdigest()[:16]


def lines_of(frames):
    """(source, offset, line) of every line."""
    found = []
    for frame in frames:
        offset = frame.offset
        for line in frame.data.removesuffix(b"\n").split(b"\n") if frame.data else ():
            found.append((frame.source, offset, line))
            offset += len(line) + 1
    return found


def faults_of(frames):
    return [(fault.offset, fault.reason) for frame in frames for fault in frame.faults]


def write(path, data):
    path.write_bytes(data)
    return str(path)


LOG = b"".join(b'192.0.2.1 "GET /users/%d" 200\n' % i for i in range(5000))


# problems


def test_problems_of_paths_that_cannot_be_read(tmp_path, monkeypatch):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    good = write(tmp_path / "good.log", b"")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    os.mkfifo(tmp_path / "fifo")
    paths = [
        good,
        "-",
        str(tmp_path / "fifo"),
        str(tmp_path),
        str(tmp_path / "gone.log"),
        str(loop),
        "/dev/null",
        "a\0b",
    ]
    assert problems(paths) == [
        f"reading {tmp_path}: it is a directory; give the path of an access log",
        f"reading {tmp_path}/gone.log: no such file; give the path of an access log",
        f"reading {loop}: Too many levels of symbolic links; give the path of an access log",
        "reading /dev/null: it is not a regular file; give the path of an access log",
        "reading a\0b: embedded null byte; give the path of an access log",
    ]


def test_problems_of_a_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert problems(["-"]) == [
        "reading -: standard input is closed; give the path of an access log"
    ]


def test_a_log_is_read_without_a_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    (frame,) = read_frames(write(tmp_path / "log", b"a\n"), SourceBook())
    assert frame.data == b"a\n"


def test_problems_of_a_log_that_this_user_may_not_read(tmp_path):
    path = tmp_path / "secret.log"
    path.touch(mode=0)
    user = os.geteuid()
    try:
        if user == 0:
            # Nothing is forbidden to root.
            os.seteuid(65534)
        found = problems([str(path)])
    finally:
        os.seteuid(user)
    assert found == [f"reading {path}: permission denied; allow this user to read it"]


# frames


def test_renamed_packed_and_copied_logs_have_the_same_lines(tmp_path):
    book = SourceBook()
    paths = [
        write(tmp_path / "gateway.log", LOG),
        write(tmp_path / "renamed.txt", LOG),
        write(tmp_path / "gateway.log.1.gz", gzip.compress(LOG)),
        write(tmp_path / "gateway.log.2.zst", zstandard.compress(LOG)),
        write(tmp_path / "members", gzip.compress(LOG[:70_000]) + gzip.compress(LOG[70_000:])),
    ]
    first, *others = [lines_of(read_frames(path, book, frame_bytes=5000)) for path in paths]
    assert len(first) == 5000
    assert first[1] == (source_id(LOG), 29, b'192.0.2.1 "GET /users/1" 200')
    assert others == [first] * 4


def test_two_logs_with_the_same_first_line_are_two_sources(tmp_path):
    book = SourceBook()
    one = write(tmp_path / "one", b"start\nx\n")
    two = write(tmp_path / "two", b"start\ny\n")
    (first,) = read_frames(one, book)
    (second,) = read_frames(two, book)
    assert first.source != second.source
    assert first == Frame(digest16(b"start"), one, 0, b"start\nx\n")
    assert second == Frame(book.identify(b"start\ny\n"), two, 0, b"start\ny\n")


EDGES = [
    ("empty", b"", []),
    ("one line without its newline", b"a", [(0, b"a")]),
    ("blank lines and comments stay", b"\n#c\n\na\n", [(0, b""), (1, b"#c"), (4, b""), (5, b"a")]),
    ("BOM stays and counts", b"\xef\xbb\xbfa\nb\n", [(0, b"\xef\xbb\xbfa"), (5, b"b")]),
    ("CRLF stays", b"a\r\nb\r\n", [(0, b"a\r"), (3, b"b\r")]),
    ("binary is lines too", b"\xff\0\n\n\0", [(0, b"\xff\0"), (3, b""), (4, b"\0")]),
    ("a hole before the first line", bytes(9000) + b"a\nb", [(9000, b"a"), (9002, b"b")]),
]


@pytest.mark.parametrize(
    ("data", "expected"), [case[1:] for case in EDGES], ids=[case[0] for case in EDGES]
)
def test_lines_and_offsets(tmp_path, data, expected):
    frames = list(read_frames(write(tmp_path / "log", data), SourceBook()))
    assert [(offset, line) for _, offset, line in lines_of(frames)] == expected


def test_logs_that_begin_with_a_hole_are_told_apart_by_what_follows(tmp_path):
    book = SourceBook()
    logs = [(9000, b"a\n"), (9000, b"b\n"), (3_000_000, b"c\n"), (0, b"a\n")]
    frames = [
        frame
        for number, (hole, line) in enumerate(logs)
        for frame in read_frames(write(tmp_path / str(number), bytes(hole) + line), book)
    ]
    assert [(frame.source, frame.offset, frame.data) for frame in frames] == [
        (source_id(line), hole, line) for hole, line in logs
    ]


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_nothing_but_nuls_is_one_fault(tmp_path, size):
    frames = list(read_frames(write(tmp_path / "log", bytes(size)), SourceBook()))
    (fault,) = [fault for frame in frames for fault in frame.faults]
    assert (fault.offset, fault.reason, fault.size_bytes) == (0, "binary", size)
    assert fault.sha256 == hashlib.sha256(bytes(size)).hexdigest()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("mark", [29, 4096 + 29, 100_000])
def test_resumes_at_a_mark(tmp_path, pack, mark):
    mark = LOG.rindex(b"\n", 0, mark) + 1
    path = write(tmp_path / "log", pack(LOG))
    everything = lines_of(read_frames(path, SourceBook()))
    frames = read_frames(path, SourceBook(), start={source_id(LOG): mark}, frame_bytes=4096)
    assert lines_of(frames) == [line for line in everything if line[1] >= mark]


@pytest.mark.parametrize("past", [0, 1000])
@pytest.mark.parametrize("stored", [LOG, gzip.compress(LOG)[:-9]], ids=["plain", "damaged"])
def test_a_mark_at_the_end_or_past_it_gives_nothing(tmp_path, stored, past):
    path = write(tmp_path / "log", stored)
    assert list(read_frames(path, SourceBook(), start={source_id(LOG): len(LOG) + past})) == []


def test_a_truncated_archive_keeps_its_good_lines(tmp_path):
    stored = gzip.compress(LOG)
    path = write(tmp_path / "log.gz", stored[: len(stored) // 2])
    frames = list(read_frames(path, SourceBook(), frame_bytes=5000))
    good = lines_of(frames)
    assert len(good) > 1000
    assert good == lines_of(read_frames(write(tmp_path / "log", LOG), SourceBook()))[: len(good)]
    (last,) = frames[-1].faults
    assert (last.reason, last.offset) == ("truncated_archive", good[-1][1] + len(good[-1][2]) + 1)
    assert LOG[last.offset :].startswith(last.head)


def test_an_archive_without_any_good_byte_is_one_fault(tmp_path):
    path = write(tmp_path / "log.gz", gzip.compress(LOG)[:5])
    assert faults_of(read_frames(path, SourceBook())) == [(0, "truncated_archive")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_line_of_50_mb_is_passed_in_bounded_memory(tmp_path, pack):
    long = b"x" * 50_000_000
    path = write(tmp_path / "log", pack(b"a\n" + long + b"\nb\n"))
    sha256 = hashlib.sha256(long).hexdigest()
    del long
    tracemalloc.start()
    frames = list(read_frames(path, SourceBook()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [line for _, _, line in lines_of(frames)] == [b"a", b"b"]
    (fault,) = [fault for frame in frames for fault in frame.faults]
    assert (fault.offset, fault.reason, fault.sha256) == (2, "too_long", sha256)
    assert fault.head == b"x" * 4096
    assert frames[-1].offset == 50_000_003
    assert peak < 16 << 20


def test_reading_needs_the_memory_of_a_few_frames(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        for _ in range(500):
            file.write(LOG)
    tracemalloc.start()
    total = sum(len(frame.data) for frame in read_frames(str(path), SourceBook()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 500 * len(LOG)
    assert peak < 8 << 20


@given(
    data=st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r", b"\0", b"\xff", b"#"])).map(b"".join),
    frame_bytes=st.integers(1, 50),
    max_line=st.integers(1, 20),
)
def test_any_frame_size_gives_the_same_lines(tmp_path_factory, data, frame_bytes, max_line):
    path = write(tmp_path_factory.mktemp("any") / "log", b"x" + data * 200)
    whole = list(read_frames(path, SourceBook(), max_line=max_line))
    cut = list(read_frames(path, SourceBook(), frame_bytes=frame_bytes, max_line=max_line))
    assert lines_of(cut) == lines_of(whole)
    assert faults_of(cut) == faults_of(whole)
    ends = [0, *(frame.end for frame in cut)]
    assert ends == [*(frame.offset for frame in cut), 1 + len(data) * 200]


@pytest.mark.stack
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_standard_input(tmp_path, pack):
    script = (
        "import sys; from streams.sources import *\n"
        "for frame in read_frames('-', SourceBook(), frame_bytes=4096):\n"
        "    assert frame.name == '-'\n"
        "    print(frame.source, frame.offset, len(frame.data))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pack(LOG),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    frames = read_frames(write(tmp_path / "log", LOG), SourceBook(), frame_bytes=4096)
    expected = [f"{frame.source} {frame.offset} {len(frame.data)}" for frame in frames]
    assert done.stdout.decode().splitlines() == expected
