import gzip
import json

import pytest

from intake.ownership import Tables
from streams.clock import HandClock
from streams.results import prepare
from streams.scan import scan
from tests import _attack


@pytest.fixture
def scanned(settings, tmp_path):
    """Scans logs into tmp_path/NAME; (what came of it, the folder)."""

    def do(*logs, name="out", **given):
        out = tmp_path / name
        prepare(out)
        given = {"settings": settings, "clock": HandClock(), **given}
        mine = given.pop("settings").model_copy(update={"data_dir": tmp_path / "var"})
        clock = given.pop("clock")
        return scan([str(log) for log in logs], mine, Tables({}, {}, []), out, clock, **given), out

    return do


def contents(folder):
    """Every file of a result by name, but for the binary ones."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".ndjson", ".json", ".txt"}
    }


def test_an_attack_is_found_and_written(attack, scanned):
    result, out = scanned(attack)
    assert result.formats == {str(attack): "ecs"}
    assert (result.damaged, result.hints) == ([], [])
    summary = json.loads((out / "summary.json").read_text())
    assert summary == result.summary
    assert summary["lines"] == summary["events"] == 852
    assert summary["findings"] == {"cross_user_read": 3, "identity_fanout": 1}
    (affected,) = (out / "affected").glob("*.txt")
    assert affected.read_text().splitlines() == _attack.VICTIMS
    actions = [json.loads(line) for line in (out / "actions.ndjson").read_text().splitlines()]
    assert {a["kind"] for a in actions} == {"block_ip", "capture_evidence"}
    assert (out / "history").is_dir()


def findings_of(out):
    return (out / "findings.ndjson").read_text().splitlines()


def test_the_same_log_gives_the_same_bytes(attack, scanned):
    results = [contents(scanned(attack, name=name)[1]) for name in ("one", "two")]
    assert results[0] == results[1]
    assert len(results[0]) == 8


def test_pieces_in_any_order_give_the_findings_of_the_whole(attack, scanned, tmp_path):
    lines = attack.read_text().splitlines(keepends=True)
    (tmp_path / "late.log").write_text("".join(lines[600:]))
    with gzip.open(tmp_path / "early.log.gz", "wt") as file:
        file.write("".join(lines[:600]))
    whole, parts = (
        scanned(*logs, name=name)
        for name, logs in (
            ("whole", [attack]),
            ("parts", [tmp_path / "late.log", tmp_path / "early.log.gz"]),
        )
    )
    ids = [
        [json.loads(line)["event"]["id"] for line in findings_of(out)] for _, out in (whole, parts)
    ]
    assert sorted(ids[0]) == sorted(ids[1])
    assert parts[0].summary["events"] == 852
    assert parts[0].summary["late"] == 0


def test_a_copy_is_all_duplicates(attack, scanned, tmp_path):
    copy = tmp_path / "copy.log"
    copy.write_bytes(attack.read_bytes())
    result, _ = scanned(attack, copy)
    assert [result.summary[name] for name in ("lines", "events", "duplicate")] == [1704, 852, 852]


def test_damage_is_named_and_the_rest_is_read(attack, scanned, tmp_path):
    packed = gzip.compress(attack.read_bytes())
    broken = tmp_path / "broken.log.gz"
    broken.write_bytes(packed[: len(packed) // 2])
    result, out = scanned(broken)
    summary = result.summary
    assert len(result.damaged) == 1
    assert "broken.log.gz: truncated_archive at byte" in result.damaged[0]
    assert summary["rejected"] == {"truncated_archive": 1}
    assert summary["lines"] == summary["events"] + 1 > 100
    assert len((out / "rejects.ndjson").read_text().splitlines()) == 1


def test_a_log_of_nothing(scanned, tmp_path):
    empty = tmp_path / "empty.log"
    empty.touch()
    result, out = scanned(empty)
    assert (result.summary["lines"], result.formats) == (0, {})
    assert (out / "findings.ndjson").read_text() == ""


def test_more_frames_than_one_commit_holds(attack, scanned, monkeypatch):
    monkeypatch.setattr("streams.scan._COMMIT_FRAMES", 1)
    steps = []
    result, _ = scanned(attack, on_step=lambda frame, step: steps.append((frame.name, step)))
    assert result.summary["events"] == 852
    assert sum(len(step.batch.events) for _, step in steps) == 852


def test_a_forced_format_is_taken_at_its_word(attack, scanned):
    result, _ = scanned(attack, forced_format="nginx")
    assert sum(result.summary["rejected"].values()) == 852


def test_without_history_nothing_is_kept_for_searching(attack, scanned, settings):
    off = settings.history.model_copy(update={"enabled": False})
    result, out = scanned(attack, settings=settings.model_copy(update={"history": off}))
    assert result.summary["events"] == 852
    assert not (out / "history").exists()


def test_its_speed_is_by_the_clock_that_it_was_given(attack, scanned):
    clock = HandClock()
    result, _ = scanned(attack, clock=clock, on_step=lambda *_: clock.advance(2))
    assert (result.summary["seconds"], result.summary["events_per_second"]) == (2.0, 426)
