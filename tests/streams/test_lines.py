import hashlib
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.lines import FAULT_HEAD_BYTES, Fault, LineCutter, missing


def cut(chunks, *, max_line=1 << 20, damaged=False, offset=0):
    """(lines with their offsets, faults) that a cutter makes of the chunks."""
    cutter = LineCutter("s", "n", offset, max_line)
    frames = [frame for chunk in chunks for frame in cutter.feed(chunk)]
    frames += cutter.finish(damaged=damaged)
    return lines_of(frames), [fault for frame in frames for fault in frame.faults]


def lines_of(frames):
    found = []
    for frame in frames:
        offset = frame.offset
        for line in split(frame.data):
            found.append((offset, line))
            offset += len(line)
    return found


def split(data):
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def fault(offset, reason, data, *, newline):
    return Fault(
        offset,
        reason,
        hashlib.sha256(data).hexdigest(),
        data[:FAULT_HEAD_BYTES],
        len(data) + newline,
    )


CASES = [
    # name, chunks, max_line, damaged, lines, faults
    ("nothing", [], 9, False, [], []),
    ("whole lines", [b"a\nbb\n"], 9, False, [(0, b"a\n"), (2, b"bb\n")], []),
    ("last line open", [b"a\nbb"], 9, False, [(0, b"a\n"), (2, b"bb")], []),
    ("cut in a line", [b"a", b"b\nc", b"\n"], 9, False, [(0, b"ab\n"), (3, b"c\n")], []),
    ("just short enough", [b"abc\n"], 3, False, [(0, b"abc\n")], []),
    (
        "too long between good ones",
        [b"a\nlong\nb\n"],
        3,
        False,
        [(0, b"a\n"), (7, b"b\n")],
        [fault(2, "too_long", b"long", newline=True)],
    ),
    (
        "too long over three chunks",
        [b"a\nlo", b"ngl", b"ong\nb"],
        3,
        False,
        [(0, b"a\n"), (11, b"b")],
        [fault(2, "too_long", b"longlong", newline=True)],
    ),
    (
        "too long and last",
        [b"a\nlonger"],
        3,
        False,
        [(0, b"a\n")],
        [fault(2, "too_long", b"longer", newline=False)],
    ),
    (
        "too long with NULs",
        [b"\0\0\0\0\0\nb\n"],
        3,
        False,
        [(6, b"b\n")],
        [fault(0, "binary", b"\0\0\0\0\0", newline=True)],
    ),
    (
        "damaged in a line",
        [b"a\nbb"],
        9,
        True,
        [(0, b"a\n")],
        [fault(2, "truncated_archive", b"bb", newline=False)],
    ),
    (
        "damaged between lines",
        [b"a\n"],
        9,
        True,
        [(0, b"a\n")],
        [fault(2, "truncated_archive", b"", newline=False)],
    ),
    (
        "damaged in a line too long",
        [b"longer"],
        3,
        True,
        [],
        [fault(0, "truncated_archive", b"longer", newline=False)],
    ),
]


@pytest.mark.parametrize(
    ("chunks", "max_line", "damaged", "lines", "faults"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_cuts(chunks, max_line, damaged, lines, faults):
    assert cut(chunks, max_line=max_line, damaged=damaged) == (lines, faults)


@given(
    parts=st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\r", b"\0", b"\xff", b"ccccc"])),
    cuts=st.lists(st.integers(0, 60)),
    max_line=st.integers(1, 12),
    offset=st.integers(0, 5),
)
def test_any_chunks_give_the_same_lines_faults_and_offsets(parts, cuts, max_line, offset):
    data = b"".join(parts)
    lines, faults, at = [], [], offset
    for line in split(data):
        text = line.removesuffix(b"\n")
        if len(text) <= max_line:
            lines.append((at, line))
        else:
            reason = "binary" if b"\0" in text else "too_long"
            faults.append(fault(at, reason, text, newline=text != line))
        at += len(line)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(edges)]
    assert cut(chunks, max_line=max_line, offset=offset) == (lines, faults)


def test_frames_follow_each_other_without_a_gap():
    cutter = LineCutter("s", "n", 4, 3)
    frames = [*cutter.feed(b"a\nlong\nb"), *cutter.feed(b"\nc"), *cutter.finish()]
    assert [(frame.offset, frame.end) for frame in frames] == [(4, 6), (6, 11), (11, 13), (13, 14)]


@pytest.mark.parametrize("fed", [b"", b"a\n", b"a\nb", b"a\nlonger"])
def test_position_is_where_to_read_on(fed):
    cutter = LineCutter("s", "n", 7, 3)
    cutter.feed(fed)
    assert cutter.position == 7 + len(fed)


def test_a_line_of_any_length_needs_no_memory():
    cutter = LineCutter("s", "n")
    chunk = b"x" * (1 << 20)
    tracemalloc.start()
    for _ in range(200):
        assert cutter.feed(chunk) == []
    (last,) = cutter.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.faults[0].size_bytes == 200 << 20
    assert peak < 8 << 20


MISSING = [
    ("nothing is", 10, [], 10, []),
    ("at the beginning of a source", 10, [], 0, []),
    ("skipped", 30, [], 10, [(30, "a.log: bytes 10 to 30 never came")]),
    ("cut off", 0, [(5, "truncated_archive", "", b"")], 5, [
        (5, "a.log: the archive breaks off at byte 5"),
    ]),
    ("cut off, and known", 0, [(5, "truncated_archive", "", b"")], 6, []),
    ("too long is there", 10, [(10, "too_long", "", b"")], 10, []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "offset", "faults", "position", "expected"), MISSING)
def test_missing(name, offset, faults, position, expected):
    assert missing("a.log", offset, faults, position) == expected, name
