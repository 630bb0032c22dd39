import pytest

from records.event import Actor, Exposure, RawLine
from responders.capture_evidence import CaptureResult
from streams.capture import StoreCapture, evidence_events, responsible
from tests._events import NOON_MS, finding, incident

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
