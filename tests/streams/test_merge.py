from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.lines import Fault, Frame
from streams.merge import SLACK_MS, merge

SECOND = 1000


def line(name, second):
    """Eight bytes a line, so that offsets can be counted; a time of None is not understood."""
    return f"{name} {'-' if second is None else second:>5}\n".encode()


def frame(name, seconds, offset=0, faults=()):
    return Frame(name, f"{name}.log", offset, b"".join(line(name, s) for s in seconds), faults)


def times(frame):
    found = []
    for n in range(0, len(frame.data), 8):
        text = frame.data[n + 1 : n + 7].strip()
        if text != b"-":
            found.append((frame.offset + n, int(text) * SECOND))
    return found


def shown(frames):
    """(source, offset, the times of its lines) of each frame."""
    return [
        (f.source, f.offset, [f.data[n + 1 : n + 7].decode().strip() for n in
                              range(0, len(f.data), 8)])
        for f in frames
    ]  # fmt: skip


def merged(*logs):
    return list(merge([iter(log) for log in logs], times))


def test_one_log_and_none_pass_untouched_and_unread():
    def never(_frame):
        raise AssertionError

    frames = [frame("a", [5, 1]), frame("a", [2], 16)]
    assert list(merge([iter(frames)], never)) == frames
    assert list(merge([iter([]), iter(frames)], never)) == frames
    assert list(merge([], never)) == []


CASES = [
    # name, logs, what comes out
    (
        "the earlier log first, whatever the order of arguments",
        [[frame("b", [10, 11])], [frame("a", [1, 2])]],
        [("a", 0, ["1", "2"]), ("b", 0, ["10", "11"])],
    ),
    (
        "cut where the other comes first, with the offset of the rest",
        [[frame("a", [1, 2, 30])], [frame("b", [10, 20])]],
        [("a", 0, ["1", "2"]), ("b", 0, ["10", "20"]), ("a", 16, ["30"])],
    ),
    (
        "not within the slack",
        [[frame("a", [1, 2, 4])], [frame("b", [2, 3])]],
        [("a", 0, ["1", "2"]), ("b", 0, ["2", "3"]), ("a", 16, ["4"])],
    ),
    (
        "a line without a time stays with the one before it",
        [[frame("a", [1, None, 9])], [frame("b", [5])]],
        [("a", 0, ["1", "-"]), ("b", 0, ["5"]), ("a", 16, ["9"])],
    ),
    (
        "a frame without any time follows its predecessor",
        [[frame("a", [1]), frame("a", [None], 8), frame("a", [9], 16)], [frame("b", [5])]],
        [("a", 0, ["1"]), ("a", 8, ["-"]), ("b", 0, ["5"]), ("a", 16, ["9"])],
    ),
    (
        "a copy of one source follows it",
        [[frame("a", [1, 9])], [frame("a", [1, 9])], [frame("b", [5])]],
        [("a", 0, ["1"]), ("b", 0, ["5"]), ("a", 8, ["9"]), ("a", 0, ["1", "9"])],
    ),
]


def test_logs_come_by_event_time():
    for name, logs, expected in CASES:
        assert shown(merged(*logs)) == expected, name


def test_faults_stay_with_their_frame():
    fault = Fault(0, "too_long", "00", b"x", 9)
    broken = frame("a", [], 0, (fault,))
    assert merged([broken, frame("a", [9], 9)], [frame("b", [1])])[0] == broken


def test_each_frame_is_looked_through_once():
    seen = []

    def counted(frame):
        seen.append((frame.source, frame.offset))
        return times(frame)

    logs = [[frame("a", range(0, 100, 2))], [frame("b", range(1, 100, 2))]]
    pieces = list(merge([iter(log) for log in logs], counted))
    assert len(pieces) > 30
    assert seen == [("a", 0), ("b", 0)]


LOG = st.lists(st.integers(0, 60) | st.none(), max_size=12)


@given(st.lists(LOG, min_size=2, max_size=4), st.integers(1, 5))
def test_nothing_is_lost_or_repeated_and_sorted_logs_come_in_order(logs, frame_lines):
    names = "abcd"
    framed = [
        [
            frame(name, seconds[n : n + frame_lines], n * 8)
            for n in range(0, len(seconds), frame_lines)
        ]
        for name, seconds in zip(names, logs, strict=False)
    ]
    pieces = merged(*framed)
    for name, frames in zip(names, framed, strict=False):
        mine = [piece for piece in pieces if piece.source == name]
        assert b"".join(p.data for p in mine) == b"".join(f.data for f in frames)
        assert all(p.offset + len(p.data) == q.offset for p, q in pairwise(mine))
    if all(None not in log and log == sorted(log) for log in logs):
        firsts = [times(piece)[0][1] for piece in pieces]
        lasts = [times(piece)[-1][1] for piece in pieces]
        assert all(
            last <= following + SLACK_MS
            for n, last in enumerate(lasts)
            for following in firsts[n + 1 :]
        )
