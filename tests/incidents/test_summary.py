import pytest

from incidents.affected import Ledger
from incidents.cases import Fault, Group, open_case
from incidents.summary import describe, describe_fault
from records.event import Actor
from tests.incidents._world import T0, finding, foreign, principal, session

A = principal("u-1")


def described(exposures=(), *findings, actor=A):
    findings = findings or (finding(actor, T0),)
    case = open_case(actor, findings[0], 0)
    for each in findings:
        case.take(each)
    ledger = Ledger()
    for exposure in exposures:
        ledger.add(exposure)
    return describe(Group(cases=[case], awareness_ms=T0), {case.id: ledger})


def reads(count, **changes):
    return [foreign(A, T0 + n, f"v{n}", **changes) for n in range(count)]


TITLES = [
    ("one person", reads(1), "u-1 reached the data of 1 person (cross_user_read)"),
    ("several", reads(3), "u-1 reached the data of 3 people (cross_user_read)"),
    ("perhaps", reads(2, certainty="possible"),
     "u-1 may have reached the data of 2 people (cross_user_read)"),
    ("refused", reads(2, certainty="attempted"),
     "u-1 tried to reach the data of 2 people (cross_user_read)"),
    ("objects", [foreign(A, T0, "", object="o")],
     "u-1 reached 1 objects of unknown owners (cross_user_read)"),
    ("nothing", [], "u-1 is under suspicion (cross_user_read)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("exposures", "title"), [c[1:] for c in TITLES], ids=[c[0] for c in TITLES]
)
def test_titles(exposures, title):
    assert described(exposures).title == title


def test_a_session_is_shortened_in_a_title():
    actor = session("0123456789abcdef")
    title = described([], finding(actor, T0), actor=actor).title
    assert title == "session 0123456789ab is under suspicion (cross_user_read)"


OBJECTS = [
    ("an enumeration makes a breach of them", "object_enumeration", True),
    ("a canary too", "canary", True),
    ("another rule does not", "denied_burst", False),
]


@pytest.mark.parametrize(("rule", "breach"), [c[1:] for c in OBJECTS], ids=[c[0] for c in OBJECTS])
def test_objects_of_unknown_owners(rule, breach):
    incident = described([foreign(A, T0, "", object="o")], finding(A, T0, rule=rule))
    assert (incident.breach, incident.unknown_objects) == (breach, 1)


def test_an_insider():
    assert described([], finding(A, T0, explain={"insider": True})).cause == "insider"


def test_actors_are_sorted_by_type():
    made = finding(A, T0, ips=("192.0.2.2", "192.0.2.1"), sessions=("s",))
    assert described([], made).actors == (
        A, session("s"), Actor("ip", "192.0.2.1"), Actor("ip", "192.0.2.2"),
    )  # fmt: skip


def test_a_fault_names_nobody_and_leaves_nobody_out():
    groups, ledgers = [], {}
    for n in range(2):
        actor = principal(f"u-{n}")
        case = open_case(actor, finding(actor, T0 + n), 0)
        case.take(finding(actor, T0 + n))
        groups.append(Group(cases=[case], awareness_ms=T0))
        ledgers[case.id] = Ledger()
        ledgers[case.id].add(foreign(actor, T0 + n, f"u-{1 - n}"))
    fault = Fault(
        id="inc-f", rule="canary", day=0, opened_ms=T0, awareness_ms=T0 + 9, spans=[(T0, T0)]
    )
    incident = describe_fault(fault, groups, ledgers)
    assert (incident.actors, incident.actor_accounts, incident.affected_count) == ((), (), 2)
    assert (incident.awareness_ms, incident.cause, incident.severity) == (T0 + 9, "fault", "SEV1")
    assert incident.merged == tuple(sorted(ledgers))
