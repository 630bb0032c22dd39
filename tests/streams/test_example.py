import gzip
from importlib.resources import files

import pytest

from streams.example import clear, paced
from streams.lines import Fault, Frame
from streams.sources import SourceBook, read_frames

TICK_S = 0.25


def frame(seconds, offset=0, faults=()):
    return Frame("a", "a.log", offset, b"".join(b"%7d\n" % s for s in seconds), faults)


def times(frame):
    lines = [frame.data[n : n + 7] for n in range(0, len(frame.data), 8)]
    return [(frame.offset + 8 * n, int(line) * 1000) for n, line in enumerate(lines)]


CASES = [
    # name, frames, play for, pieces as their lines
    ("nothing", [], 1, []),
    ("one line", [frame([5])], 1, [[5]]),
    ("four ticks of ten seconds", [frame([0, 9, 11, 25, 40])], 1, [[0, 9], [11], [25], [40]]),
    ("all at once", [frame([7, 7, 7])], 1, [[7, 7, 7]]),
    ("a line out of order", [frame([0, 30, 12, 40])], 1, [[0], [30, 12], [40]]),
    ("two frames", [frame([0, 20]), frame([40], 16)], 1, [[0], [20], [40]]),
]


@pytest.mark.parametrize(("name", "frames", "play_s", "expected"), CASES, ids=[c[0] for c in CASES])
def test_a_log_is_cut_by_event_time(name, frames, play_s, expected):
    pieces = list(paced(iter(frames), times, play_s))
    assert [[time_ms // 1000 for _, time_ms in times(f)] for f, _ in pieces] == expected
    assert {wait_s for _, wait_s in pieces} <= {TICK_S}
    assert b"".join(f.data for f, _ in pieces) == b"".join(f.data for f in frames)


def test_frames_without_times_come_without_waiting_and_with_their_faults():
    fault = frame([], 0, (Fault(0, "too_long", "00", b"x", 9),))
    assert list(paced(iter([fault]), times, 1)) == [(fault, 0.0)]
    pieces = [f for f, _ in paced(iter([fault, frame([1], 9)]), times, 1)]
    assert pieces == [fault, frame([1], 9)]


def test_the_bundled_example_lasts_as_long_as_it_may():
    log = files("console") / "example" / "access.log.gz"

    def minutes(frame):
        start = frame.offset
        found = []
        for line in frame.data.splitlines(keepends=True):
            hour, minute, second = (int(line[at : at + 2]) for at in (26, 29, 32))
            found.append((start, ((hour * 60 + minute) * 60 + second) * 1000))
            start += len(line)
        return found

    pieces = list(paced(read_frames(str(log), SourceBook()), minutes, 10.0))
    assert b"".join(f.data for f, _ in pieces) == gzip.decompress(log.read_bytes())
    assert 9.0 <= sum(wait_s for _, wait_s in pieces) <= 11.0


def kept(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_an_earlier_play_is_removed_but_for_its_key_and_lock(tmp_path):
    clear(tmp_path)
    for name in ("breachline.db", "breachline.db-wal", "run.lock"):
        (tmp_path / name).touch()
    for name in ("history", "keys"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inside").touch()
    clear(tmp_path)
    assert kept(tmp_path) == ["keys", "keys/inside", "run.lock"]


def test_what_no_play_wrote_stops_it(tmp_path):
    (tmp_path / "breachline.db").touch()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match=r"it holds thesis\.txt, which no play wrote"):
        clear(tmp_path)
    assert kept(tmp_path) == ["breachline.db", "thesis.txt"]
