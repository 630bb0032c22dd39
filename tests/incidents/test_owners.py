import msgspec
import pytest

from incidents.owners import Answer, Leave, Owners, awaits, is_unnamed
from tests.incidents._world import T0, Store, address, foreign, principal, session

A, IP = principal("u-1"), address("198.51.100.4")
CARDS = "/cards/{object}"


def pending(actor=A, time_ms=T0, item="c-1", **changes):
    values = {
        "object": item, "route": CARDS, "basis": "ownership", "verdict": "undetermined", **changes,
    }  # fmt: skip
    return foreign(actor, time_ms, "", **values)


def answer(item="c-1", *owners, route=CARDS):
    return Answer(route, item, owners, T0, "cards.internal")


def named(target, **changes):
    changes = {"verdict": "foreign", **changes}
    return msgspec.structs.replace(pending(), target=target, **changes)


CLAIM = {"actor": session("s-1"), "principal": ""}
CASES = [
    # name, the exposure, who owns it, what it is then
    ("somebody else's", pending(), ["u-2"], [named("u-2")]),
    ("one's own", pending(), ["u-1"], []),
    ("one's own, spelled otherwise", pending(), ["U-1"], []),
    ("one's own and another's", pending(), ["u-1", "u-2"], []),
    ("of two", pending(), ["u-2", "u-3"], [named("u-2"), named("u-3")]),
    ("nobody's", pending(), [], []),
    ("of another kind of id", pending(), ["17"], [named("17", verdict="undetermined")]),
    ("a service's, which are names", pending(), ["batch"], [named("batch")]),
    ("unsure stays unsure", pending(certainty="possible"), ["u-2"],
     [named("u-2", certainty="possible")]),
    ("a claim is nobody", pending(**CLAIM), ["u-2"],
     [msgspec.structs.replace(pending(**CLAIM), target="u-2")]),
    ("nobody's, and asked by nobody", pending(**CLAIM), [],
     [msgspec.structs.replace(pending(**CLAIM), certainty="attempted", basis="")]),
    ("anonymous", pending(IP, verdict="foreign"), ["u-2"],
     [msgspec.structs.replace(pending(IP, verdict="foreign"), target="u-2")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("exposure", "owners", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_what_an_answer_makes_of_it(exposure, owners, expected):
    known = Owners(Store())
    known.take([answer("c-1", *owners)])
    assert list(known.resolved([exposure])) == expected


@pytest.mark.parametrize(
    ("time_ms", "principal_id", "provenance", "targets"),
    [
        (T0 - 1, "u-1", "gateway", ["u-2", "u-3"]),
        (T0, "u-1", "gateway", ["u-3"]),
        (T0 + 9, "u-1", "verified", ["u-3"]),
        (T0 + 10, "u-1", "gateway", ["u-2", "u-3"]),
        (T0, "u-1", "asserted", ["u-2", "u-3"]),
        (T0, "u-9", "gateway", ["u-2", "u-3"]),
    ],
)
def test_a_grant_takes_its_owner_out(time_ms, principal_id, provenance, targets):
    known = Owners(Store())
    leave = Leave("u-2", "u-1", T0, T0 + 10)
    known.take([msgspec.structs.replace(answer("c-1", "u-2", "u-3"), leaves=(leave,))])
    seen = pending(time_ms=time_ms, principal=principal_id, provenance=provenance)
    assert [e.target for e in known.resolved([seen])] == targets
    again = Owners(Store())
    again.load(known.take_dirty())
    assert list(again.resolved([seen])) == list(known.resolved([seen]))


OF_ACME = pending(principal("acme/u-1"), route=f"{CARDS}#acme", principal="acme/u-1")


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("u-1", []),
        ("u-2", [msgspec.structs.replace(OF_ACME, target="acme/u-2", verdict="foreign")]),
    ],
)
def test_owners_are_of_the_tenant_that_was_asked_for(owner, expected):
    known = Owners(Store())
    known.take([answer("c-1", owner, route=f"{CARDS}#acme")])
    assert list(known.resolved([OF_ACME])) == expected


OTHERS = [
    ("another object", pending(item="c-2")),
    ("another route", pending(route="/notes/{object}")),
    ("named already", named("u-3")),
    ("nobody is asked", pending(basis="")),
]


@pytest.mark.parametrize("exposure", [c[1] for c in OTHERS], ids=[c[0] for c in OTHERS])
def test_what_no_answer_is_about_stays(exposure):
    known = Owners(Store())
    known.take([answer("c-1", "u-2")])
    assert list(known.resolved([exposure])) == [exposure]


def test_a_store_is_seen_through_the_answers():
    store = Store()
    store.items = [pending(), pending(time_ms=T0 + 1, item="c-2"), foreign(A, T0 + 2, "v")]
    known = Owners(store)
    assert list(known.exposures_of([A], T0, T0 + 9)) == store.items
    known.take([answer("c-2", "u-2")])
    seen = list(known.exposures_of([A], T0, T0 + 9))
    assert [(e.target, e.object) for e in seen] == [("", "c-1"), ("u-2", "c-2"), ("v", "")]


def test_the_first_answer_stands_and_is_kept():
    known = Owners(Store())
    assert known.take([answer("c-1", "u-2"), answer("c-2")]) == {(CARDS, "c-1"), (CARDS, "c-2")}
    assert known.take([answer("c-1", "u-9"), answer("c-3")]) == {(CARDS, "c-3")}
    assert [known.knows((CARDS, f"c-{n}")) for n in (1, 2, 3, 4)] == [True, True, True, False]
    again = Owners(Store())
    again.load(known.take_dirty())
    assert [e.target for e in again.resolved([pending()])] == ["u-2"]
    assert (known.take_dirty(), again.take_dirty()) == ([], [])


@pytest.mark.parametrize(
    ("exposure", "waits", "unnamed"),
    [
        (pending(), True, True),
        (pending(basis=""), False, True),
        (named("u-2"), False, False),
        (pending(IP), True, False),
        (pending(IP, principal="u-1"), True, True),
        (pending(IP, verdict="foreign"), True, False),
        (foreign(A, T0, ""), False, False),
    ],
)
def test_which_have_no_owner_yet(exposure, waits, unnamed):
    assert (awaits(exposure), is_unnamed(exposure)) == (waits, unnamed)
