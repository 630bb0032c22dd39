import msgspec
import pytest

from incidents.cases import Group, may_become, open_case, slim
from tests.incidents._world import T0, finding, first_id, principal, session

A = principal("u-1")


def case_of(actor, *findings):
    case = open_case(actor, findings[0], 0)
    for each in findings:
        case.take(each)
    return case


def test_a_case_is_named_by_its_actor_and_day():
    case = case_of(A, finding(A, T0, sessions=("s",)))
    assert (case.id, case.sessions, case.opened_ms, case.start_ms) == (
        first_id(A),
        {"s": T0},
        T0,
        T0,
    )


def test_findings_are_taken_once_in_any_order():
    early, late = finding(A, T0, end_ms=T0 + 9), finding(A, T0 + 1, end_ms=T0 + 5)
    forth, back = case_of(A, early, late), case_of(A, late, early)
    assert not forth.take(early)
    for case in (forth, back):
        assert (case.opened_ms, case.start_ms, case.last_ms) == (T0 + 5, T0, T0 + 9)


SESSIONS = [
    ("the principal's own", finding(A, T0, sessions=("s",)), {"s"}),
    ("of an address with others behind it",
     finding(A, T0, members=(A, principal("u-2")), sessions=("s",)), set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("made", "expected"), [c[1:] for c in SESSIONS], ids=[c[0] for c in SESSIONS]
)
def test_whose_sessions(made, expected):
    assert set(case_of(A, made).sessions) == expected


def test_a_session_has_no_sessions_and_a_cut_one_is_not_used_again():
    assert case_of(session("s"), finding(session("s"), T0, sessions=("s",))).sessions == {}
    case = case_of(A, finding(A, T0))
    case.cut.add("s")
    assert (case.uses(["s", "t", ""], T0), case.sessions) == (["t"], {"t": T0})


def test_an_insider_is_what_the_finding_says():
    assert case_of(A, finding(A, T0, explain={"insider": True})).insider
    assert not case_of(A, finding(A, T0, explain={"insider": 1})).insider


def test_the_oldest_case_names_the_group_and_absorbing_keeps_the_most_advanced():
    one = Group(cases=[case_of(A, finding(A, T0 + 1))], awareness_ms=T0 + 1)
    two = Group(
        cases=[case_of(principal("u-2"), finding(principal("u-2"), T0))],
        awareness_ms=T0,
        status="contained",
        considered={"f"},
        captured=True,
        actions={"a": "enforce"},
        versions={"inc": 3},
    )
    one.absorb(two)
    assert one.id == first_id(principal("u-2"))
    assert (one.awareness_ms, one.status, one.captured) == (T0, "contained", True)
    assert (one.considered, one.actions, one.versions) == ({"f"}, {"a": "enforce"}, {"inc": 3})
    assert one.principals == {"u-1", "u-2"}


def test_a_group_survives_being_kept():
    group = Group(cases=[case_of(A, finding(A, T0, sessions=("s",)))], awareness_ms=T0)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(group), type=Group)
    assert msgspec.to_builtins(kept) == msgspec.to_builtins(group)


def test_slim_findings_stay_small():
    fat = finding(A, T0, users=tuple(map(str, range(10_000))), evidence=("e",) * 10_000)
    assert len(msgspec.msgpack.encode(slim(fat))) < 1000


MOVES = [
    ("open", "investigating", True),
    ("open", "closed", True),
    ("contained", "investigating", True),
    ("contained", "resolved", True),
    ("investigating", "open", False),
    ("closed", "open", False),
    ("resolved", "investigating", False),
    ("open", "open", False),
]


@pytest.mark.parametrize(("status", "to", "expected"), MOVES)
def test_moves(status, to, expected):
    assert may_become(status, to) is expected


def test_a_case_knows_the_logs_that_it_rests_on():
    case = case_of(A, finding(A, T0, evidence=("a1b2-0", "a1b2-ff")), finding(A, T0 + 1))
    assert case.sources == {"a1b2", "log"}
