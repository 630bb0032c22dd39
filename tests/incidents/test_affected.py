import itertools

import pytest

from incidents.affected import SAMPLE, Counts, Impact, Ledger
from records.incident import Affected, UnknownObject
from tests.incidents._world import T0, foreign, principal

A, B = principal("u-1"), principal("u-2")


def ledger(*exposures):
    folded = Ledger()
    for exposure in exposures:
        folded.add(exposure)
    return folded


def counts(**changes):
    values = {
        "affected": 0,
        "upper": 0,
        "attempted": 0,
        "unknown_objects": 0,
        "records": 0,
        "categories": (),
    }
    return Counts(**{**values, **changes})


READ = foreign(A, T0, "v1")
ONE = {"affected": 1, "upper": 1, "records": 1, "categories": ("profile",)}
COUNTS = [
    ("nothing", [], counts()),
    ("one read", [READ], counts(**ONE)),
    ("the same event twice", [READ, READ], counts(**ONE)),
    ("one event, two targets", [READ, foreign(A, T0, "v2")],
     counts(affected=2, upper=2, records=2, categories=("profile",))),
    ("one target twice", [READ, foreign(A, T0 + 1, "v1")], counts(**{**ONE, "records": 2})),
    ("presumed", [foreign(A, T0, "v1", certainty="presumed")], counts(**ONE)),
    ("possible", [foreign(A, T0, "v1", certainty="possible")], counts(upper=1)),
    ("attempted", [foreign(A, T0, "v1", certainty="attempted")], counts(attempted=1)),
    ("attempted, then read", [foreign(A, T0 - 1, "v1", certainty="attempted"), READ],
     counts(**ONE)),
    ("object of unknown owner",
     [foreign(A, T0, "", object="o1"), foreign(A, T0 + 1, "", object="o1")],
     counts(unknown_objects=1)),
    ("object refused", [foreign(A, T0, "", object="o1", certainty="attempted")], counts()),
    ("neither target nor object", [foreign(A, T0, "")], counts()),
    ("no category", [foreign(A, T0, "v1", category="")], counts(**{**ONE, "categories": ()})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("exposures", "expected"), [c[1:] for c in COUNTS], ids=[c[0] for c in COUNTS]
)
def test_counts_in_any_order(exposures, expected):
    for order in itertools.permutations(exposures):
        assert ledger(*order).counts() == expected


def test_one_row_a_person_and_one_an_object():
    folded = ledger(
        foreign(A, T0 + 3, "v1", effect="write", category="financial", event="e3"),
        foreign(A, T0 + 1, "v1", event="e1"),
        foreign(A, T0 + 9, "v1", certainty="attempted", event="e9"),
        foreign(A, T0, "", object="o1", event="e0"),
        foreign(A, T0 + 5, "", object="o1", effect="write", event="e5"),
        foreign(A, T0, "v2", certainty="possible"),
    )
    row = Affected(
        user="v1",
        certainty="proven",
        categories=("financial", "profile"),
        reads=1,
        writes=1,
        first_ms=T0 + 1,
        last_ms=T0 + 3,
        events=("e1", "e3"),
    )
    item = UnknownObject(
        object="o1", route="/users/{owner}", effect="write", first_ms=T0, events=("e0", "e5")
    )
    assert folded.impact() == Impact(("v1",), (row,), (item,))
    assert folded.users(at_least=1) == ["v1", "v2"]


def test_the_sample_is_bounded_and_the_counts_are_not():
    folded = ledger(*(foreign(A, T0 + n, "v1", event=f"e{n:03}") for n in reversed(range(100))))
    (row,) = folded.impact().rows
    assert (row.reads, row.events) == (100, tuple(f"e{n:03}" for n in range(SAMPLE)))
    assert folded.counts().records == 100


def test_own_principals_are_left_out_of_every_number():
    folded = ledger(
        foreign(A, T0, "u-2", category="financial"),
        foreign(A, T0, "v1"),
        foreign(A, T0, "u-3", certainty="attempted"),
    )
    own = frozenset({"u-2", "u-3", "u-4"})
    assert folded.counts(own) == counts(**ONE)
    assert folded.left_out(own) == ["u-2"]
    assert folded.impact(own).users == ("v1",)
    assert folded.counts().categories == ("financial", "profile")


def test_the_union_of_ledgers_is_the_ledger_of_all():
    mine = [
        foreign(A, T0 + n, f"v{n % 3}", certainty=("attempted", "possible", "proven")[n % 3])
        for n in range(9)
    ]
    theirs = [
        foreign(B, T0 - 5 + n, f"v{n % 4}", certainty=("proven", "attempted")[n % 2])
        for n in range(9)
    ]
    objects = [foreign(A, T0, "", object="o"), foreign(B, T0 - 1, "", object="o", effect="write")]
    one, two, both = (
        ledger(*mine, objects[0]),
        ledger(*theirs, objects[1]),
        ledger(*mine, *theirs, *objects),
    )
    whole = Ledger.union([one, two])
    before = one.counts(), two.counts()
    assert (whole.counts(), whole.impact()) == (both.counts(), both.impact())
    assert (whole.first_ms, whole.last_ms, whole.accesses) == (
        both.first_ms,
        both.last_ms,
        both.accesses,
    )
    assert (one.counts(), two.counts()) == before
    assert Ledger.union([one]) is one
