import pytest

from console.explanation import explain, lines
from detectors.engine import discover
from evidence.store import EmbeddedStore
from records.event import Actor
from tests import _attack
from tests._events import action, finding, incident, receipt


@pytest.fixture
def found(result):
    """Explains something of the scanned attack."""

    def ask(**what):
        with EmbeddedStore.open_readonly(result) as store:
            return explain(store, result / "history", **what)

    return ask


def test_an_attacker_by_address(found, case):
    answer = found(ip=_attack.ATTACKER_IP)
    assert answer.about == "ip 203.0.113.7"
    assert answer.events == {"foreign proven": 12}
    assert sorted({row["rule"] for row in answer.findings}) == [
        "cross_user_read", "identity_fanout"
    ]  # fmt: skip
    assert [row["id"] for row in answer.incidents] == [case]
    assert {row["kind"] for row in answer.actions} == {"block_ip", "capture_evidence"}
    assert {*answer.silent_rules, "cross_user_read", "identity_fanout"} == {
        detector.id for detector in discover()
    }
    assert all(sees and "Misses" not in sees for sees in answer.silent_rules.values())


def test_by_principal_and_session(found, case):
    by_principal = found(principal=_attack.ATTACKER)
    assert [row["id"] for row in by_principal.incidents] == [case]
    assert by_principal.events == {"foreign proven": 12}
    assert found(session="no such session").findings == []


def test_an_honest_person_was_not_flagged(found):
    answer = found(principal="u-10")
    assert answer.events == {"own proven": 70}
    assert (answer.findings, answer.incidents, answer.actions) == ([], [], [])
    said = list(lines(answer))
    assert "Not flagged: no rule's limit was passed." in said
    assert "Not acted on: no action was decided." in said


def test_somebody_unknown(found):
    answer = found(ip="192.0.2.99")
    assert "No event of it is kept." in list(lines(answer))


def test_a_finding_or_an_incident_by_id_or_its_beginning(found, case):
    by_incident = found(incident=case[:8])
    assert by_incident.about == f"incident {case}"
    assert len(by_incident.findings) == 4
    one = by_incident.findings[0]["id"]
    by_finding = found(finding=one[:12])
    assert (by_finding.about, len(by_finding.findings)) == (f"finding {one}", 1)
    assert [row["id"] for row in by_finding.incidents] == [case]
    assert (by_finding.events, by_finding.silent_rules) == ({}, {})


MISSING = [
    ({"finding": "fin-zz"}, "no finding 'fin-zz': `breachline incidents` lists them"),
    ({"incident": "inc-zz"}, "no incident 'inc-zz': `breachline incidents` lists them"),
    ({"finding": "fin-"}, "begins more than one finding"),
]


@pytest.mark.parametrize(("what", "says"), MISSING)
def test_what_is_not_there(found, what, says):
    with pytest.raises(LookupError) as error:
        found(**what)
    assert says in str(error.value)


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as opened:
        opened.put_findings(
            [finding(explain={"targets": 5, "share": 0.25, "ids": list("abcdefghijkl")})]
        )
        opened.put_incidents([incident()])
        opened.log.append_intent(action())
        opened.log.append_receipt(receipt())
        yield opened


def test_numbers_actions_and_receipts_in_words(store, tmp_path):
    assert list(lines(explain(store, tmp_path / "history", finding="fin-1"))) == [
        "About finding fin-1",
        "",
        "high identity_fanout: 203.0.113.7 got data of 5 other users",
        "    confidence 0.97, 2026-11-22T12:00:00.000Z to 2026-11-22T12:00:01.000Z",
        "    targets=5, share=0.25, ids=[a b c d e f g h i j...]",
        "SEV1 inc-1: 203.0.113.7 reached the data of 5 people",
        "",
        "block_ip 203.0.113.7 (simulate): guard pass",
        "    all guards passed; identity_fanout (high): 5 other users",
        "    2026-11-22T12:00:00.000Z confirmed at gateway: blocked",
    ]


WHO = [
    ("its address", {"ip": "203.0.113.7"}, 1),
    ("a member's session", {"session": "5e55"}, 1),
    ("another address", {"ip": "203.0.113.8"}, 0),
    ("a session that is called like the address", {"session": "203.0.113.7"}, 0),
]


@pytest.mark.parametrize(("name", "who", "expected"), WHO)
def test_whose_finding_it_is(store, tmp_path, name, who, expected):
    assert finding().members == (Actor("session", "5e55"),)
    assert len(explain(store, tmp_path / "history", **who).findings) == expected, name
