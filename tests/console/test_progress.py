import gzip

import pytest

from console.progress import Progress, _total_bytes
from intake.frames import Batch
from streams.decider import Step
from streams.lines import Frame

FRAME = Frame("s", "a.log", 0, b"one\ntwo\n")
STEP = Step(Batch("s", lines=2), [], [], [])


def test_where_nobody_watches_it_is_silent(capsys, tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(FRAME.data)
    with Progress([str(log)]) as progress:
        progress.step(FRAME, STEP)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_counts_on_stderr(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = tmp_path / "a.log"
    log.write_bytes(FRAME.data * 2)
    with Progress([str(log)]) as progress:
        progress.step(FRAME, STEP)
        task = progress._bar.tasks[0]
        assert (task.total, task.completed, task.fields["lines"]) == (16, 8, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 lines" in err


def test_it_ends_where_reading_fails(capsys, tmp_path):
    with pytest.raises(OSError), Progress([str(tmp_path / "a.log")]) as progress:
        raise OSError
    assert not progress._bar.live.is_started


def test_the_total_is_known_only_of_plain_files(tmp_path):
    plain, packed = tmp_path / "plain.log", tmp_path / "packed.log.gz"
    plain.write_bytes(b"12345")
    packed.write_bytes(gzip.compress(b"12345"))
    cases = [
        ([plain], 5),
        ([plain, plain], 10),
        ([plain, packed], None),
        (["-"], None),
        ([tmp_path / "gone"], None),
    ]
    assert [_total_bytes([str(log) for log in logs]) for logs, _ in cases] == [
        total for _, total in cases
    ]
