import json

import pytest

from console.watch import Watcher
from evidence.store import EmbeddedStore
from intake.frames import Batch
from records.incident import Guard
from streams.decider import Step
from streams.lines import Frame
from tests._events import NOON_MS, action, finding, incident, receipt

FRAME = Frame("a1b2", "access[1].log", 0, b"line\n")
HOSTILE = "\x1b[31m[bold]x[/]"


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        yield opened


def step(findings=(), incidents=(), actions=(), lines=1):
    return Step(Batch("a1b2", lines=lines), list(findings), list(incidents), list(actions))


def test_a_finding_its_incident_and_what_is_done(store, capsys):
    with Watcher(store, as_json=False) as watcher:
        watcher.step(FRAME, step())
        watcher.step(FRAME, step([finding()], [incident()], [action()]))
        next_day = finding("fin-2", end_ms=NOON_MS + 86_400_000, message=HOSTILE)
        closed = incident("inc-2", findings=("fin-2",), status="closed")
        other = incident("inc-3", findings=("fin-9",))
        watcher.step(FRAME, step([next_day], [closed, other], [action(kind="capture_evidence")]))
    assert capsys.readouterr().out == (
        "2026-11-22 UTC\n"
        "12:00:01  high      identity_fanout: 203.0.113.7 got data of 5 other users\n"
        "          SEV1 inc-1: 5 people affected, a breach\n"
        "          would block 203.0.113.7 for 1 h (mode simulate: nothing is sent)\n"
        "2026-11-23 UTC\n"
        "12:00:00  high      identity_fanout: \\x1b[31m[bold]x[/]\n"
    )


def test_an_incident_of_several_findings_is_said_once(store, capsys):
    both = incident(findings=("fin-1", "fin-2"))
    with Watcher(store, as_json=False) as watcher:
        watcher.step(FRAME, step([finding(), finding("fin-2")], [both]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["2026-11-22", "12:00:01", "12:00:01", "SEV1"]


RECEIPTS = [
    ("of the gateway", "enforce", receipt(detail="blocked [it]"),
     "          gateway: confirmed: blocked [it]\n"),
    ("approved", "approval", receipt(point="person", state="wanted", detail="approved by ada: ok"),
     "          person: wanted: approved by ada: ok\n"),
    ("simulated", "simulate", receipt(), ""),
    ("of evidence", "enforce", receipt(point="evidence"), ""),
    ("of an unknown action", "enforce", receipt("act-9"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "mode", "given", "expected"), RECEIPTS)
def test_what_an_enforcement_point_answered(store, capsys, name, mode, given, expected):
    store.log.append_intent(action(mode=mode))
    with Watcher(store, as_json=False) as watcher:
        watcher.receipt(given)
    assert capsys.readouterr().out == expected, name


def test_what_waits_comes_with_the_command_that_approves_it(store, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["breachline"])
    asked = action(mode="enforce", guard=Guard("approve", "confidence 0.71 below 0.90"))
    with Watcher(store, as_json=False) as watcher:
        watcher.step(FRAME, step(actions=[asked]))
    assert capsys.readouterr().out == (
        "          asks before blocking 203.0.113.7: confidence 0.71 below 0.90\n"
        "          breachline block --approve act-1   (or --reject)\n"
    )


def test_as_json_only_findings_are_printed(store, capsys):
    store.put_source("a1b2", "access.log", 0, b"", b"")
    with Watcher(store, as_json=True) as watcher:
        watcher.step(FRAME, step([finding(), finding("fin-2")], [incident()], [action()]))
        watcher.step(FRAME, step([], [incident()]))
        watcher.receipt(receipt())
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["event"]["id"] for row in rows] == ["fin-1", "fin-2"]


def test_on_a_terminal_one_line_says_how_it_stands(store, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    store.put_incidents([incident("inc-0", affected_count=2)])
    with Watcher(store, as_json=False) as watcher:
        watcher.step(FRAME, step([finding()], [incident()], lines=1500))
        status = watcher._status
        assert status is not None
        assert str(status.status) == (
            "following access[1].log: 1,500 lines, 2 incidents, 7 people affected   (Ctrl-C ends)"
        )
    assert "access[1].log: 1,500 lines" in capsys.readouterr().out
