from contextlib import suppress

import msgspec
import pytest
from msgspec.structs import replace

from evidence.settings import Capture
from intake.frames import Batch
from records.event import Actor, Exposure, RawLine
from records.finding import Finding
from records.ids import action_id
from records.incident import Action, Coverage
from responders.capture_evidence import CaptureResult
from streams.capture import (
    LOOK_BACK,
    LaterLines,
    StoreCapture,
    evidence_events,
    left_out,
    responsible,
)
from tests._events import NOON_MS, action, finding, incident

WHO, SESSION, WHERE = Actor("principal", "u-66"), Actor("session", "5e55"), Actor("ip", "192.0.2.1")


def exposure(n, actor=WHO, **changes):
    values = {
        "event": f"a1b2-{n:x}", "time_ms": NOON_MS + n, "actor": actor, "target": f"u-{n}",
        **changes,
    }  # fmt: skip
    return Exposure(**values)


def line(n):
    return RawLine(f"a1b2-{n:x}", f"digest{n}", b"line", masked=False)


RESPONSIBLE = [
    ("a principal and its address", (WHO, WHERE), [WHO]),
    ("a session and its address", (SESSION, WHERE), [SESSION]),
    ("an address alone", (WHERE,), [WHERE]),
    ("nobody", (), []),
]


@pytest.mark.parametrize(("name", "actors", "expected"), RESPONSIBLE)
def test_an_address_answers_only_where_nobody_else_does(name, actors, expected):
    assert responsible(incident(actors=actors)) == expected, name


CASES = [
    # name, exposures beside those of the finding's two events (0 and 1), evidence
    ("the finding's alone", [], [0, 1]),
    ("and what else its actor reached", [exposure(5), exposure(6)], [0, 1, 5, 6]),
    ("not what others did", [exposure(5, Actor("principal", "u-1"))], [0, 1]),
    ("not what nobody could judge", [exposure(5, verdict="undetermined")], [0, 1]),
    ("not what came after its end", [exposure(5_000)], [0, 1]),
    ("each once", [exposure(0), exposure(0, target="u-9")], [0, 1]),
]


@pytest.mark.parametrize(("name", "exposures", "expected"), CASES, ids=[c[0] for c in CASES])
def test_evidence_is_what_the_incident_rests_on(store, name, exposures, expected):
    store.put_findings([finding(evidence=("a1b2-0", "a1b2-1"))])
    store.add_exposures(exposures)
    one = incident(actors=(WHO, WHERE))
    assert sorted(evidence_events(store, one)) == [f"a1b2-{n:x}" for n in expected]


WALKS = [
    ("all of its actor's, while it went on", (), ["f1", "f2"], [0, 1, 2, 3]),
    ("those of its user agent, where it is known", ("f1",), ["f1", "f2"], [0, 1, 2]),
]


@pytest.mark.parametrize(("name", "prints", "agents", "expected"), WALKS)
def test_a_fan_out_that_nobody_is_named_in(store, name, prints, agents, expected):
    store.put_findings(
        [finding(evidence=("a1b2-0", "a1b2-1"), undetermined=True, fingerprints=prints)]
    )
    store.add_exposures(
        [
            exposure(2, WHERE, verdict="undetermined", fingerprint=agents[0]),
            exposure(3, WHERE, verdict="undetermined", fingerprint=agents[1]),
        ]
    )
    one = incident(actors=(WHERE,))
    assert sorted(evidence_events(store, one)) == [f"a1b2-{n:x}" for n in expected], name


def test_lines_are_entered_once_and_missing_ones_are_counted(store):
    store.put_findings([finding(evidence=("a1b2-0", "a1b2-1"))])
    store.put_incidents([incident(actors=(WHO,))])
    store.add_exposures([exposure(5)])
    store.add_lines([line(0), line(5)])
    capture = StoreCapture(store, lambda: NOON_MS)
    for _ in range(2):
        assert capture.capture("inc-1") == CaptureResult(kept=2, missing=1)
    entries = [(c.event, c.sha256, c.incident) for c in store.log.captured()]
    assert entries == [("a1b2-0", "digest0", "inc-1"), ("a1b2-5", "digest5", "inc-1")]


def test_an_unknown_incident_has_nothing(store):
    assert StoreCapture(store, lambda: NOON_MS).capture("inc-2") == CaptureResult(0, 0)


def big(n, size):
    return RawLine(f"a1b2-{n:x}", f"digest{n}", b"x" * size, masked=False)


LIMITS = [
    # name, limits, kept, left out
    ("lines", Capture(max_lines=2), 2, 3),
    ("bytes", Capture(max_bytes=25), 2, 3),
    ("neither", Capture(max_lines=5, max_bytes=50), 5, 0),
]


@pytest.mark.parametrize(
    ("name", "limits", "kept", "left"), LIMITS, ids=[case[0] for case in LIMITS]
)
def test_beyond_its_limits_an_incident_keeps_no_more_and_counts(store, name, limits, kept, left):
    one = incident(actors=(WHO,))
    store.put_findings([finding(evidence=("a1b2-0",))])
    store.put_incidents([one])
    store.add_exposures([exposure(n) for n in range(1, 5)])
    store.add_lines([big(n, 10) for n in range(5)])
    for _ in range(2):
        result = StoreCapture(store, lambda: NOON_MS, limits).capture("inc-1")
        assert result == CaptureResult(kept, 0, left), name
    assert entered(store) == names(*range(kept))
    assert left_out(store, one, evidence_events(store, one)) == left


def test_long_captures_are_kept_step_by_step(store):
    count = 2_500
    store.put_findings([finding(evidence=("a1b2-0",))])
    store.put_incidents([incident(actors=(WHO,), last_seen_ms=NOON_MS + count)])
    store.add_exposures([exposure(n) for n in range(count)])
    store.add_lines([line(n) for n in range(count)])
    steps = StoreCapture(store, lambda: NOON_MS).slices("inc-1")
    assert next(steps) == CaptureResult(1_000, 0)
    assert len(entered(store)) == 1_000
    assert list(steps) == [CaptureResult(2_000, 0), CaptureResult(2_500, 0)]


@pytest.mark.parametrize(
    ("looks", "others", "waiting"),
    [(None, "", []), (False, "unknown", []), (True, "looked up", ["inc-1"])],
)
def test_who_looks_back_is_told_to(store, looks, others, waiting):
    store.put_findings([finding(evidence=("a1b2-0",))])
    store.put_incidents([incident(actors=(WHO,))])
    store.add_lines([line(0)])
    capture = StoreCapture(store, lambda: NOON_MS, looks_back=looks)
    assert capture.capture("inc-1") == CaptureResult(1, 0, others=others)
    assert [name for name, _ in store.load_state(LOOK_BACK)] == waiting


class Came(msgspec.Struct):
    """One frame's exposures, new findings and actions."""

    batch: Batch
    findings: list[Finding] = []
    actions: list[Action] = []


def entered(store, one="inc-1"):
    return sorted(captured.event for captured in store.log.captured(one))


def names(*numbers):
    return sorted(f"a1b2-{n:x}" for n in numbers)


def came(store, one, *exposures, findings=(), actions=(), later=None, lines=True):
    """An incident as it stands after a frame, and whoever enters its lines."""
    store.add_exposures(exposures)
    if lines:
        store.add_lines([line(int(exposure.event[5:], 16)) for exposure in exposures])
    store.put_findings(findings)
    frame = Came(Batch("a1b2", exposures=list(exposures)), list(findings), list(actions))
    with store.transaction():
        (later or LaterLines(store)).enter([one], frame, NOON_MS)


FIRST = finding(evidence=("a1b2-0",), actor=WHO, members=(WHO,))
CAPTURE = action(kind="capture_evidence", target="inc-1", mode="enforce")


def begun(store, **changes):
    """An incident of one line, whose capture is under way."""
    one = incident(actors=(WHO, WHERE), last_seen_ms=NOON_MS, **changes)
    came(store, one, exposure(0), findings=[FIRST], actions=[CAPTURE])
    return one


LATER = [
    # name, how the incident stands, exposures, new findings, numbers of the lines entered
    ("its actor's next line", {"last_seen_ms": NOON_MS + 5}, [exposure(5)], [], [5]),
    ("nobody else's", {"last_seen_ms": NOON_MS + 5},
     [exposure(5), exposure(4, Actor("principal", "u-1"))], [], [5]),
    ("one of the same moment", {}, [exposure(9, time_ms=NOON_MS)], [], [9]),
    ("what nobody could judge is none", {"last_seen_ms": NOON_MS + 5},
     [exposure(5), exposure(4, verdict="undetermined")], [], [5]),
    ("the line of a new finding", {"findings": ("fin-1", "fin-2")}, [exposure(7, SESSION)],
     [finding("fin-2", evidence=("a1b2-7",))], [7]),
    ("all of an actor who joined",
     {"actors": (WHO, SESSION, WHERE), "last_seen_ms": NOON_MS + 5},
     [exposure(3, SESSION), exposure(5)], [], [3, 5]),
    ("what the look-back reaches now",
     {"coverage": Coverage(from_ms=NOON_MS - 900, complete=True), "first_seen_ms": NOON_MS - 9},
     [exposure(9, time_ms=NOON_MS - 9)], [], [0, 9]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "exposures", "found", "expected"), LATER, ids=[c[0] for c in LATER]
)
def test_later_lines_are_entered_as_they_come(store, name, changes, exposures, found, expected):
    one = replace(begun(store), version=2, **changes)
    assert entered(store) == [], "its capture has yet to enter them"
    came(store, one, *exposures, findings=found)
    assert entered(store) == names(*expected), name
    came(store, one, *exposures)
    assert entered(store) == names(*expected), "once"


def test_what_joined_before_this_frame_is_entered_too(store):
    one = begun(store)
    store.add_exposures([exposure(3, SESSION)])
    store.add_lines([line(3)])
    came(store, replace(one, actors=(WHO, SESSION), last_seen_ms=NOON_MS + 5), exposure(5))
    assert entered(store) == names(3, 5)


def test_with_a_fan_out_all_of_the_walk_becomes_evidence(store):
    one = begun(store)
    walk = [exposure(n, verdict="undetermined") for n in (2, 3)]
    came(store, replace(one, last_seen_ms=NOON_MS + 3), *walk)
    assert entered(store) == []
    fan = finding("fin-2", evidence=("a1b2-3",), undetermined=True)
    came(store, replace(one, findings=("fin-1", "fin-2"), last_seen_ms=NOON_MS + 3), findings=[fan])
    assert entered(store) == names(0, 2, 3)


def test_one_without_a_capture_of_its_own_is_entered_whole(store):
    one = incident(actors=(WHO, WHERE), last_seen_ms=NOON_MS + 5)
    store.add_lines([line(0)])
    came(store, one, exposure(5), findings=[FIRST])
    assert entered(store) == names(0, 5)


def test_first_capture_and_later_lines_enter_each_line_once(store):
    one = begun(store)
    store.put_incidents([one])
    grown = replace(one, version=2, last_seen_ms=NOON_MS + 6)
    came(store, grown, exposure(5), exposure(6))
    store.put_incidents([grown])
    assert StoreCapture(store, lambda: NOON_MS).capture("inc-1") == CaptureResult(3, 0)
    assert [captured.event for captured in store.log.captured()] == names(5, 6) + names(0)


def test_what_is_not_committed_is_not_entered_and_comes_again(store):
    one = replace(begun(store), last_seen_ms=NOON_MS + 5)
    store.add_exposures([exposure(5)])
    store.add_lines([line(5)])
    frame = Came(Batch("a1b2", exposures=[exposure(5)]))
    with suppress(KeyboardInterrupt), store.transaction():
        LaterLines(store).enter([one], frame, NOON_MS)
        raise KeyboardInterrupt
    assert entered(store) == []
    with store.transaction():
        LaterLines(store).enter([one], frame, NOON_MS)
    assert entered(store) == names(5)


def test_later_lines_beyond_the_limits_are_left_out_and_the_log_says_so_once(store):
    one = incident(actors=(WHO, WHERE), last_seen_ms=NOON_MS + 9)
    later = LaterLines(store, Capture(max_lines=2))
    came(store, one, exposure(1), findings=[FIRST], actions=[CAPTURE], later=later)
    for n in (2, 3, 4, 5):
        came(store, replace(one, version=n), exposure(n), later=later)
    assert entered(store) == names(2, 3)
    assert left_out(store, one, names(1, 2, 3, 4, 5)) == 3
    (receipt,) = store.log.receipts()
    assert (receipt.action, receipt.point, receipt.detail) == (
        action_id("capture_evidence", "inc-1", "inc-1", 0), "evidence",
        "what came after 2 lines is left out: raise capture.max_lines or capture.max_bytes",
    )  # fmt: skip
