import sys
from pathlib import Path

import pytest

from console import report
from console.screen import Screen
from evidence.store import EmbeddedStore
from records.event import Actor, RawLine
from records.incident import Guard
from streams.hints import Hint
from tests._events import NOON_MS, action, finding, incident

HOSTILE = "\x1b[31m[bold]x[/bold]:100:\u202e\n"
SHOWN = "\\x1b[31m[bold]x[/bold]:100:\\u202e\\n"
JUDGED = {"own": 1, "foreign": 2, "undetermined": 3, "no_target": 4, "allowed": 0}
SUMMARY = {
    "lines": 12_345,
    "events": 12_000,
    "rejected": {"not_json": 200, "binary": 100},
    "duplicate": 45,
    "late": 6,
    "judged": JUDGED,
    "seconds": 1.5,
    "events_per_second": 8000,
}


@pytest.fixture
def printed(capsys):
    """What a function prints on a screen."""

    def call(function, *args):
        function(Screen(), *args)
        return capsys.readouterr().out

    return call


def test_numbers_of_a_summary():
    assert report.totals_line(SUMMARY) == (
        "Read 12,345 lines: 12,000 events, 300 rejected, 45 duplicate, 6 late."
    )
    assert report.source_line(SUMMARY, "a.log (ecs)") == "a.log (ecs), in 1.5 s (8,000 events/s)"
    judged = "Judged: 1 own, 2 foreign, 3 undetermined, 4 without a target."
    assert report.judged_line(SUMMARY) == judged
    allowed = {**SUMMARY, "judged": {**JUDGED, "allowed": 1}}
    assert "2 foreign (1 of them allowed)," in report.judged_line(allowed)


def test_rejects_have_their_reasons(printed):
    assert printed(report.print_rejects, SUMMARY).startswith("Rejected: binary 100, not_json 200 (")
    assert printed(report.print_rejects, {"rejected": {}}) == ""


def test_late_events_do_not_look_like_safety(printed):
    said = printed(report.print_late, SUMMARY)
    assert said.startswith("Late: 6 events stood more than a minute after newer ones. ")
    assert "raise no alarm: sort a log by time" in said
    assert printed(report.print_late, {"late": 0}) == ""


WAITS = [
    # mode, verdict, whether a person is asked
    ("simulate", "pass", False),
    ("simulate", "approve", False),
    ("approval", "pass", True),
    ("approval", "approve", True),
    ("approval", "refuse", False),
    ("enforce", "pass", False),
    ("enforce", "approve", True),
    ("enforce", "refuse", False),
]


@pytest.mark.parametrize(("mode", "verdict", "expected"), WAITS)
def test_what_waits_for_a_person(mode, verdict, expected):
    assert report.waits(action(mode=mode, guard=Guard(verdict, "why"))) is expected


COUNTS = [(0, "0 people"), (1, "1 person"), (2, "2 people"), (1234, "1,234 people")]


@pytest.mark.parametrize(("count", "expected"), COUNTS)
def test_people_are_counted_as_people_count(count, expected):
    assert report.people(count) == expected


def test_other_plurals():
    assert [report.many(n, "incident") for n in (1, 2)] == ["1 incident", "2 incidents"]
    assert [report.many(n, "breach", "breaches") for n in (1, 2)] == ["1 breach", "2 breaches"]


def test_hints_are_text(printed):
    hint = Hint("owner", 7, f"7 events on /{HOSTILE}", f"one {HOSTILE}")
    out = printed(report.print_hints, [hint])
    assert f"! 7 events on /{SHOWN}\n" in out
    assert "add: one \\x1b[31m[bold]x[/bold]:100:\\u202e\n" in out
    assert printed(report.print_hints, []) == ""


NOTHING = [
    ({"lines": 0}, "There is no line yet, so nothing could be judged."),
    ({"lines": 7}, "No line was understood, so nothing could be judged."),
]


@pytest.mark.parametrize(("summary", "expected"), NOTHING)
def test_silence_does_not_look_like_safety(printed, summary, expected):
    assert printed(report.print_nothing, summary) == f"\n{expected}\n"


AFFECTED = [
    ("some", {"affected_count": 5, "affected_upper": 5, "breach": False}, "5 people affected"),
    ("one, a breach", {"affected_count": 1, "affected_upper": 1}, "1 person affected, a breach"),
    ("perhaps more", {"affected_count": 1, "affected_upper": 9, "breach": False},
     "1 person affected (at most 9)"),
    ("perhaps", {"affected_count": 0, "affected_upper": 2, "breach": False},
     "at most 2 people affected, nobody for certain"),
    ("tried", {"affected_count": 0, "affected_upper": 0, "attempted_count": 3, "breach": False},
     "nobody affected, 3 people tried"),
    ("nothing", {"affected_count": 0, "affected_upper": 0, "breach": False}, "nobody affected"),
    ("unknown objects", {"affected_count": 0, "affected_upper": 0, "unknown_objects": 20},
     "nobody affected, 20 objects of unknown owners reached, a breach"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "expected"), AFFECTED, ids=[c[0] for c in AFFECTED])
def test_whose_data_in_words(name, changes, expected):
    assert report.affected_text(incident(**changes)) == expected


ACTORS = [
    ((), "nobody (attack)"),
    ((Actor("session", "0123456789abcdef"),), "session 01234567"),
    (tuple(Actor("ip", f"192.0.2.{n}") for n in range(5)),
     "192.0.2.0, 192.0.2.1, 192.0.2.2 and 2 more"),
]  # fmt: skip


@pytest.mark.parametrize(("actors", "expected"), ACTORS)
def test_who_in_words(actors, expected):
    assert report.actors_text(incident(actors=actors)) == expected


ASK = Guard("approve", "only 0 min of history")
NO = Guard("refuse", "on the never-block list")
BLOCKS = [
    ("nothing", [], "-"),
    ("evidence only", [action(kind="capture_evidence")], "-"),
    ("simulated", [action()], "would block 203.0.113.7 for 1 h (mode simulate: nothing is sent)"),
    ("enforced, carrier", [action(mode="enforce", until_ms=NOON_MS + 900_000)],
     "blocks 203.0.113.7 for 15 min"),
    ("approval", [action(mode="approval")], "asks to block 203.0.113.7 for 1 h"),
    ("a guard asks", [action(guard=ASK)],
     "asks before blocking 203.0.113.7: only 0 min of history"),
    ("a guard refuses", [action(guard=NO)], "does not block 203.0.113.7: on the never-block list"),
    ("several, one twice", [action(target=f"192.0.2.{n % 4}", guard=NO) for n in range(6)],
     "does not block 192.0.2.0, 192.0.2.1 and 2 more: on the never-block list"),
    ("different ones", [action(guard=NO), action(target="192.0.2.9", guard=ASK)],
     ("does not block 203.0.113.7: on the never-block list; "
      "asks before blocking 192.0.2.9: only 0 min of history")),
    ("braces in a reason", [action(guard=Guard("refuse", "{} {0}"))],
     "does not block 203.0.113.7: {} {0}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "actions", "expected"), BLOCKS, ids=[c[0] for c in BLOCKS])
def test_what_was_or_would_be_blocked(name, actions, expected):
    assert report.block_text(actions) == expected


DURATIONS = [(0, "0 min"), (900_000, "15 min"), (3_600_000, "1 h"), (5_400_000, "90 min")]


@pytest.mark.parametrize(("milliseconds", "expected"), DURATIONS)
def test_how_long(milliseconds, expected):
    assert report.duration(milliseconds) == expected


def test_incidents_the_worst_first(printed):
    cases = [
        incident("inc-a", severity="SEV3", breach=False, affected_count=0, affected_upper=0),
        incident("inc-b", affected_count=2, affected_upper=2),
        incident("inc-c", affected_count=9, affected_upper=9, actors=(Actor("ip", HOSTILE),)),
    ]
    out = printed(report.print_incidents, cases, [action(incident="inc-b")])
    assert [line for line in out.splitlines() if line.startswith("SEV")] == [
        "SEV1 inc-c  9 people affected, a breach",
        "SEV1 inc-b  2 people affected, a breach",
        "SEV3 inc-a  nobody affected",
    ]
    assert out.startswith("\n3 incidents, 2 breaches\n")
    assert out.count("would block") == 1
    assert f"     {SHOWN}   identity_fanout\n" in out
    assert "2026-11-22T12:00:00 to 2026-11-22T12:00:01 UTC" in out


def test_no_incident_and_very_many(printed):
    assert printed(report.print_incidents, [], []) == "\nNo incident.\n"
    out = printed(report.print_incidents, [incident(f"inc-{n}") for n in range(40)], [])
    assert out.count("SEV1") == 25
    assert "and 15 more: breachline incidents --json" in out


def test_the_worst_is_the_one_with_people_to_tell():
    severe = incident("inc-a", affected_count=0)
    people = incident("inc-b", severity="SEV2", affected_count=1)
    assert report.worst([severe, people]) is people
    assert report.worst([severe]) is severe


def test_the_heart_of_a_case(printed, tmp_path):
    with EmbeddedStore.open(tmp_path) as store:
        store.put_source("a1b2", "/var/log/access.log", 0, b"", b"")
        events = tuple(f"a1b2-{n:x}" for n in range(5))
        store.put_findings([finding(evidence=events)])
        store.add_lines([RawLine(e, f"digest-{e}", HOSTILE.encode(), masked=False) for e in events])
        users = [f"u-{n}" for n in range(20)]
        out = printed(report.print_case, store, incident(), users, f"why {HOSTILE}")
    assert "u-10, u-11 and 8 more\n" in out
    assert f"  why {SHOWN}\n" in out
    assert "Evidence: 3 of 5 log lines\n" in out
    assert f"  access.log byte 0, sha256 digest-a1b2-0\n  {SHOWN}\n" in out


def test_a_case_without_people_or_lines_says_nothing_of_them(printed, tmp_path):
    with EmbeddedStore.open(tmp_path) as store:
        assert printed(report.print_case, store, incident(), [], "") == ""


def test_the_commands_that_come_next_can_be_typed(printed, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["breachline"])
    out = printed(report.print_next, [incident("inc-a")], " --from 'my [case] 1'")
    commands = [line.strip() for line in out.splitlines() if line.startswith("  breachline")]
    assert commands == [
        "breachline affected inc-a --from 'my [case] 1'",
        "breachline evidence list inc-a --from 'my [case] 1'",
        "breachline explain --incident inc-a --from 'my [case] 1'",
        "breachline evidence export inc-a --from 'my [case] 1' -o case.zip",
    ]
    assert printed(report.print_next, [], "") == ""


PROGRAMS = [
    ("on the PATH", "/opt/venv/bin/breachline", True, "breachline"),
    ("not on the PATH", ".venv/bin/breachline", False, ".venv/bin/breachline"),
    ("in a folder with a space", "/my venv/breachline", False, "'/my venv/breachline'"),
    ("below this folder", f"{Path.cwd()}/.venv/bin/breachline", False, ".venv/bin/breachline"),
    ("by a test", "/usr/bin/pytest", False, "breachline"),
]


@pytest.mark.parametrize(("name", "called", "found", "expected"), PROGRAMS)
def test_how_to_call_it_again(monkeypatch, name, called, found, expected):
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/breachline" if found else None)
    assert report.program() == expected, name


def test_a_path_as_it_can_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "var", tmp_path / "a b", Path("/elsewhere/var"), Path("relative")]
    assert [report.path_text(path) for path in paths] == [
        "var", "'a b'", "/elsewhere/var", "relative"
    ]  # fmt: skip


NAMES = [
    ({}, "no lines"),
    ({"/var/log/a.log": "nginx", "b.log": ""}, "a.log (nginx), b.log (nothing understood)"),
    ({f"{n}.log": "ecs" for n in range(5)}, "0.log (ecs), 1.log (ecs), 2.log (ecs) and 2 more"),
]


@pytest.mark.parametrize(("formats", "expected"), NAMES)
def test_names_of_logs(formats, expected):
    assert report.log_names(formats) == expected


def test_joined_lines_are_told_apart_from_those_read_before():
    summary = {"lines": 9, "events": 4, "rejected": {}, "duplicate": 5, "late": 0}
    plain = "Read 9 lines: 4 events, 0 rejected, 5 duplicate, 0 late."
    assert report.totals_line(summary) == plain
    joined = "5 duplicate (4 of them the other line of an event)"
    assert report.totals_line({**summary, "joined": 4}) == plain.replace("5 duplicate", joined)
