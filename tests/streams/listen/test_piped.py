import gzip
import os
import threading
import time

import pytest

from streams.book import SourceBook, source_id
from streams.lines import Frame
from streams.listen.piped import Piped

LINES = [b"line %d of a log\n" % number for number in range(1000)]
WHOLE = b"".join(LINES)


@pytest.fixture
def pipe():
    """A pipe: what is written to the second is read from the first."""
    reading, writing = os.pipe()
    yield reading, os.fdopen(writing, "wb", buffering=0)
    os.close(reading)


def all_frames(piped):
    """Everything to the end; bounded."""
    found: list[Frame] = []
    for _ in range(2000):
        found += piped.frames()
        if piped.finished:
            return found
        time.sleep(0.005)
    raise AssertionError("it never ended")


def read(content, book=None, positions=None):
    """The frames of content that a pipe brings in one go."""
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: write_all(writing, content))
    writer.start()
    piped = Piped(reading, book or SourceBook(), positions if positions is not None else {})
    frames = all_frames(piped)
    writer.join()
    os.close(reading)
    assert piped.problem == ""
    return frames


def write_all(descriptor, content):
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def text(frames):
    return b"".join(frame.data for frame in frames)


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (WHOLE, WHOLE),
        (gzip.compress(WHOLE, mtime=0), WHOLE),
        (WHOLE[:-1], WHOLE[:-1]),
        (b"one", b"one"),
        (b"\0\0\0" + WHOLE, WHOLE),
        (b"", b""),
    ],
    ids=["plain", "gzip", "no newline at the end", "one line", "after a hole", "nothing"],
)
def test_what_comes_through_a_pipe_is_read_as_a_file_would_be(content, data):
    frames = read(content)
    assert text(frames) == data
    assert {(frame.source, frame.name) for frame in frames} == (
        {(source_id(data), "-")} if data else set()
    )


def test_lines_are_given_out_while_the_pipe_is_open(pipe):
    reading, writing = pipe
    arrived = threading.Event()
    piped = Piped(reading, SourceBook(), {}, arrived=arrived.set)
    found = []
    for part, expected in ((b"one\ntw", b"one\n"), (b"o\n", b"two\n")):
        writing.write(part)
        assert arrived.wait(10)
        arrived.clear()
        frames = []
        for _ in range(1000):
            if frames := list(piped.frames()):
                break
            time.sleep(0.005)
        found += frames
        assert (text(frames), piped.finished) == (expected, False)
    writing.close()
    assert all_frames(piped) == []
    assert [(frame.offset, frame.end) for frame in found] == [(0, 4), (4, 8)]


def test_the_same_bytes_again_are_not_read_twice():
    book = SourceBook()
    first = read(WHOLE, book)
    positions = {first[0].source: len(WHOLE)}
    assert read(WHOLE, book, positions) == []
    more = read(WHOLE + b"more\n", book, positions)
    assert [(frame.source, frame.offset, frame.data) for frame in more] == [
        (first[0].source, len(WHOLE), b"more\n")
    ]


def test_another_log_with_the_same_first_line_is_another_source():
    book = SourceBook()
    source = read(WHOLE, book)[0].source
    other = LINES[0] + b"something else\n" * 500
    frames = read(other, book, {source: len(WHOLE)})
    assert (text(frames), source in {frame.source for frame in frames}) == (other, False)


def test_another_log_is_told_also_when_it_comes_by_lines(pipe):
    book = SourceBook()
    source = read(WHOLE, book)[0].source
    reading, writing = pipe
    piped = Piped(reading, book, {source: len(WHOLE)})
    found: list[Frame] = []
    for line in (LINES[0], LINES[1], b"something else\n"):
        writing.write(line)
        time.sleep(0.01)
        found += piped.frames()
    writing.close()
    found += all_frames(piped)
    assert text(found) == LINES[0] + LINES[1] + b"something else\n"
    assert source not in {frame.source for frame in found}


def test_a_cut_archive_gives_what_is_whole_and_a_fault():
    frames = read(gzip.compress(os.urandom(300_000).hex().encode() + b"\n" + WHOLE)[:-2000])
    assert [fault.reason for frame in frames for fault in frame.faults] == ["truncated_archive"]


def test_what_is_not_taken_is_given_out_the_next_time():
    long = b"x" * (3 << 20)
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: write_all(writing, b"a\n" + long + b"\nb\n" + WHOLE))
    writer.start()
    piped = Piped(reading, SourceBook(), {})
    found = []
    for _ in range(5000):
        for frame in piped.frames():
            found.append(frame)
            break
        if piped.finished:
            break
        time.sleep(0.002)
    writer.join()
    os.close(reading)
    assert text(found) == b"a\nb\n" + WHOLE
    assert [fault.size_bytes for frame in found for fault in frame.faults] == [len(long) + 1]


def test_a_reader_that_is_closed_lets_its_thread_end(pipe):
    reading, writing = pipe
    piped = Piped(reading, SourceBook(), {})
    piped.close()
    writing.write(WHOLE)
    writing.close()
    for _ in range(1000):
        if "stdin" not in {thread.name for thread in threading.enumerate()}:
            break
        time.sleep(0.01)
    assert "stdin" not in {thread.name for thread in threading.enumerate()}
