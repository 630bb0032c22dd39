import pytest

from intake.comparison import Comparison
from intake.identity import Caller
from intake.signals import Judged
from intake.spaces import Spaces

ROUTE = "/users/{owner}"
UUID = "550e8400-e29b-41d4-a716-446655440000"


def comparison(people=None, principals=range(100, 160)):
    spaces = Spaces()
    for number in principals:
        spaces.note("principal", str(number))
        spaces.note(ROUTE, str(number))
    return Comparison(spaces, people or {})


def caller(principal, **fields):
    return Caller(principal, "gateway", "known", fields.pop("claimed", ""), "", False, **fields)


# name, caller, targets, claims, verdict, targets in one spelling, foreign
CASES = [
    ("own", caller("17"), ("17",), (), "own", ("17",), ()),
    ("own, oddly spelled", caller("17"), ("17abc",), (), "own", ("17",), ()),
    ("foreign", caller("17"), ("18",), (), "foreign", ("18",), ("18",)),
    ("own and foreign", caller("17"), ("17", "18-x"), (), "foreign", ("17", "18"), ("18",)),
    ("a claim of its own space", caller("17"), (UUID,), (UUID,), "undetermined", (UUID,), ()),
    ("another issuer's", caller("https://b.example#17", qualified=True), ("17", "18"), (),
     "undetermined", ("17", "18"), ()),
    ("for whom it acts", caller("40", behalf="17"), ("17",), (), "foreign", ("17",), ("17",)),
    ("for whom it acts, oddly spelled", caller("40", behalf="17"), ("17abc",), (), "foreign",
     ("17",), ("17",)),
    ("for whom it acts, and another", caller("40", behalf="17"), ("17", "18"), (), "foreign",
     ("17", "18"), ("17", "18")),
    ("an actor of another space", caller(UUID, behalf="17"), ("17",), (), "foreign", ("17",),
     ("17",)),
    ("an actor of another space, and another user", caller(UUID, behalf="17"), ("18",), (),
     "foreign", ("18",), ("18",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "who", "targets", "claims", "verdict", "spelled", "foreign"),
    CASES, ids=[case[0] for case in CASES],
)  # fmt: skip
def test_compare(name, who, targets, claims, verdict, spelled, foreign):
    judged = Judged(targets, (), "route", "own", claims=claims)
    comparison().compare(judged, who, ROUTE, "proven")
    assert (judged.verdict, judged.targets, judged.foreign) == (verdict, spelled, foreign), name


def test_ids_of_another_space_are_not_held_against_each_other():
    compared = comparison(principals=[f"550e8400-e29b-41d4-a716-4466554400{n}" for n in range(50)])
    judged = Judged(("18",), (), "route", "own")
    compared.compare(judged, caller(UUID), ROUTE, "proven")
    assert (judged.verdict, judged.targets, judged.foreign) == ("undetermined", ("18",), ())
    judged = Judged(("18",), (), "route", "own")
    compared.compare(judged, caller(UUID, behalf="17"), ROUTE, "proven")
    assert (judged.verdict, judged.foreign) == ("foreign", ("18",))


def test_a_claim_compared_with_itself_says_nothing():
    judged = Judged(("17abc",), (), "route", "own")
    who = Caller("17", "asserted", "known", "17", "", True)
    comparison().compare(judged, who, ROUTE, "proven")
    assert judged.verdict == "undetermined"


def test_the_identities_map_joins_spaces():
    compared = comparison({UUID: "p1", "17": "p1", "18": "p2"})
    judged = Judged(("p2",), (), "route", "own")
    compared.compare(judged, caller("p1"), ROUTE, "proven")
    assert judged.verdict == "foreign"
    assert compared.is_mismatch(caller("p1", claimed="p2"), "")


@pytest.mark.parametrize(
    ("name", "who", "allowed", "expected"),
    [
        ("other user", caller("17", claimed="18"), "", True),
        ("nobody", caller("17"), "", False),
        ("another space", caller("17", claimed=UUID), "", False),
        ("may act for others", caller("17", claimed="18"), "delegate", False),
        ("acts for them", caller("40", claimed="17", behalf="17"), "", False),
        ("acts for somebody else", caller("40", claimed="18", behalf="17"), "", True),
        ("another issuer's", caller("https://b.example#17", claimed="17", qualified=True), "",
         False),
    ],
)  # fmt: skip
def test_is_mismatch(name, who, allowed, expected):
    assert comparison().is_mismatch(who, allowed) is expected, name


def test_what_cannot_be_compared_is_counted_and_proposed(monkeypatch):
    monkeypatch.setattr("intake.comparison._MAX_ROUTES", 2)
    monkeypatch.setattr("intake.comparison._MAX_ISSUERS", 2)
    compared = comparison(principals=())
    for number in range(12):
        for who, outcome in (
            (caller(UUID), "proven"),
            (caller(f"https://{number % 4}.example#1", qualified=True), "denied"),
        ):
            judged = Judged(("18",), (), "route", "own")
            compared.compare(judged, who, f"/{number % 4}", outcome)
    assert compared.incomparable == {"/0": 3, "/1": 3}
    assert compared.apart == {"https://0.example": 3, "https://1.example": 3}
    assert compared.pairings.proposed() == [(UUID, "18")]
