"""What can be shown of the first difference between leaves and heads."""

import pytest

from evidence.verify.report import Report
from evidence.verify.trace import Mark, Trace
from evidence.verify.tree import NOTHING, Growing, leaf_hash

LEAVES = [leaf_hash(b"%d" % n) for n in range(40)]


def marks(sizes, leaves=LEAVES):
    for size in sizes:
        yield Mark(size, Growing().root_with(leaves[:size]), f"the head over {size}")


def traced(leaves, sizes, *, published=False, named=(), gaps=False):
    report, tree = Report("x", "store"), Growing()
    for index in named:
        report.add("altered", "named before", index)
    trace = Trace(report, marks(sizes), published=published)
    for hashed in leaves:
        tree.add(hashed)
        trace.keep(hashed)
        if trace.due == tree.size:
            trace.reached(tree)
    trace.end(len(leaves), gaps=gaps)
    said = [(p.what, p.index) for p in report.problems if p.says != "named before"]
    return said, trace


def swapped(i, j):
    other = list(LEAVES)
    other[i], other[j] = other[j], other[i]
    return other


X = leaf_hash(b"x")
EVERY = range(1, 41)
CASES = [
    ("as it was", LEAVES, EVERY, []),
    ("no heads", LEAVES, [], []),
    ("one for all", LEAVES, [40], []),
    ("changed", [*LEAVES[:7], X, *LEAVES[8:]], EVERY, [("altered", 7)]),
    ("changed in a range", [*LEAVES[:7], X, *LEAVES[8:]], [5, 10, 40], [("altered", 5)]),
    ("two changed, the first is told", [X, *LEAVES[1:7], X, *LEAVES[8:]], EVERY, [("altered", 0)]),
    ("one too much", [*LEAVES[:7], X, *LEAVES[7:]], [5, 20, 40], [("inserted", 7)]),
    ("three too much", [*LEAVES[:7], X, X, X, *LEAVES[7:]], [5, 20, 40], [("inserted", 7)]),
    ("one fewer", [*LEAVES[:7], *LEAVES[8:]], [5, 20, 40], [("missing", 5)]),
    ("one fewer, a head for each", [*LEAVES[:7], *LEAVES[8:]], EVERY, [("missing", 7)]),
    ("neighbours", swapped(7, 8), [5, 20, 40], [("moved", 7)]),
    ("in each other's place", swapped(7, 19), [5, 20, 40], [("moved", 7)]),
    ("from another range", swapped(7, 30), EVERY, [("moved", 7)]),
    ("cut", LEAVES[:25], [5, 20, 40], [("missing", 20)]),
    ("nothing left", [], [5, 20, 40], [("missing", 0)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "leaves", "sizes", "says"), CASES, ids=[c[0] for c in CASES])
def test_the_first_difference_is_named(name, leaves, sizes, says):
    assert traced(leaves, sizes)[0] == says


PUBLISHED = [
    ("as it was", LEAVES, [5, 20], []),
    ("changed", [*LEAVES[:7], X, *LEAVES[8:]], [5, 20], [("rewritten", 5)]),
    ("an older copy", LEAVES[:12], [5, 20], [("rolled back", 12)]),
]


@pytest.mark.parametrize(
    ("name", "leaves", "sizes", "says"), PUBLISHED, ids=[c[0] for c in PUBLISHED]
)
def test_heads_that_were_published(name, leaves, sizes, says):
    assert traced(leaves, sizes, published=True)[0] == says


def test_what_is_named_already_is_not_named_again():
    other = [*LEAVES[:7], X, *LEAVES[8:]]
    assert traced(other, [5, 20], named=[7])[0] == []
    assert traced(other, [5, 20], named=[3])[0] == [("altered", 5)]
    assert traced(LEAVES[:12], [5, 20], named=[6])[0] == []


def test_behind_a_gap_no_head_is_expected_to_fit():
    assert traced(LEAVES[:12], [5, 20], gaps=True)[0] == []


ODD = [
    ("over nothing", [0, 5, 20], []),
    ("out of order", [5, 20, 10, 40], [("forged head", None), ("altered", 20)]),
]


@pytest.mark.parametrize(("name", "sizes", "says"), ODD, ids=[c[0] for c in ODD])
def test_a_head_that_cannot_be_reached_hides_none_behind_it(name, sizes, says):
    other = [*LEAVES[:30], X, *LEAVES[31:]]
    found, trace = traced(other, sizes)
    assert (sorted(found, key=str), trace.count) == (sorted(says, key=str), len(sizes))


def test_a_head_over_nothing_has_the_root_of_nothing():
    report = Report("x", "store")
    Trace(report, iter([Mark(0, NOTHING, "right"), Mark(0, X, "wrong")]))
    assert [p.says for p in report.problems] == ["wrong is over nothing, or out of order"]


def test_a_range_of_any_length_costs_no_more_memory():
    other = [leaf_hash(b"%d" % n) for n in range(9000)]
    right = list(marks([9000], [X, *other[1:]]))
    report, tree = Report("x", "store"), Growing()
    trace = Trace(report, iter(right))
    for hashed in other:
        tree.add(hashed)
        trace.keep(hashed)
        if trace.due == tree.size:
            trace.reached(tree)
    trace.end(9000, gaps=False)
    assert [(p.what, p.index) for p in report.problems] == [("altered", 0)]
    assert len(trace._range) < 5000
