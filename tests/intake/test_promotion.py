from itertools import chain
from random import Random

import pytest

from intake.promotion import CELL_MS, MAX_FIELDS, MIN_PRINCIPALS, Promotion

FIELD = "/wallets/{object}"


def votes(cell, principals, own=1.0, each=5):
    """(cell, principal, own) of `each` successes a principal, the first `own` share of them own."""
    return [
        (cell, f"u-{number}", turn < own * each)
        for number in range(principals)
        for turn in range(each)
    ]


def learned(*cells):
    promotion = Promotion()
    for cell, principal, own in chain(*cells):
        promotion.note(FIELD, principal, own=own, time_ms=cell * CELL_MS)
    return promotion


def owner_from(promotion, until=30):
    """The first cell in which the field's ids are owners."""
    asked = (cell for cell in range(until) if promotion.is_owner_field(FIELD, cell * CELL_MS))
    return next(asked, None)


@pytest.mark.parametrize(
    ("name", "cells", "since"),
    [
        ("own is usual", [votes(3, 20)], 5),
        ("80 % of each", [votes(3, 20, own=0.8)], 5),
        ("near miss: 60 % of each", [votes(3, 20, own=0.6)], None),
        ("near miss: 19 people", [votes(3, MIN_PRINCIPALS - 1)], None),
        ("20 over three cells", [votes(3, 8), votes(4, 15), votes(6, 20)], 8),
        ("one attacker among many", [[*votes(3, 20), *[(3, "evil", False)] * 500]], 5),
        ("one busy user outvotes nobody", [[*votes(3, 20, own=0), *[(3, "u", True)] * 900]], None),
        ("shared objects", [votes(3, 50, own=0)], None),
        ("nobody", [], None),
    ],
)
def test_when_ids_become_owners(name, cells, since):
    assert owner_from(learned(*cells)) == since, name


def test_a_cell_is_judged_only_by_those_that_were_complete_before():
    promotion = learned(votes(3, 20))
    assert not promotion.is_owner_field(FIELD, 4 * CELL_MS + CELL_MS - 1)
    assert promotion.is_owner_field(FIELD, 5 * CELL_MS)
    # What was judged before stays so, whoever asks later.
    assert not promotion.is_owner_field(FIELD, 4 * CELL_MS)


def test_an_attack_cannot_unlearn_what_is_known():
    promotion = learned(votes(3, 20))
    assert owner_from(promotion) == 5
    for number in range(1000):
        promotion.note(FIELD, f"evil-{number}", own=False, time_ms=6 * CELL_MS)
    assert promotion.is_owner_field(FIELD, 20 * CELL_MS)


def test_what_many_use_for_others_things_is_not_asked_again():
    promotion = learned(votes(3, 600, own=0, each=1))
    assert owner_from(promotion) is None
    for cell, principal, own in votes(40, 600, each=1):
        promotion.note(FIELD, principal, own=own, time_ms=cell * CELL_MS)
    assert owner_from(promotion, until=60) is None
    near = learned(votes(3, 499, own=0, each=1))
    assert owner_from(near) is None
    for cell, principal, own in votes(40, 499, each=9):
        near.note(FIELD, principal, own=own, time_ms=cell * CELL_MS)
    assert owner_from(near, until=60) == 42


def test_order_within_a_cell_does_not_matter():
    found = [*votes(3, 30, own=0.9), *votes(4, 30, own=0.9)]
    Random(7).shuffle(found)
    assert owner_from(learned(found)) == owner_from(learned(sorted(found)))


def test_dump_and_load_at_any_point():
    cells = [votes(3, 12), votes(4, 12), votes(5, 25)]
    for cut in range(len(cells) + 1):
        before = learned(*cells[:cut])
        after = Promotion()
        after.load(iter(list(before.take_dirty())))
        assert list(before.take_dirty()) == []
        for cell, principal, own in chain(*cells[cut:]):
            after.note(FIELD, principal, own=own, time_ms=cell * CELL_MS)
        assert owner_from(after) == owner_from(learned(*cells)) == 7


def test_bounded_in_fields_and_made_up_ones_leave_first():
    promotion = learned(votes(3, 30))
    for number in range(3 * MAX_FIELDS):
        promotion.note(f"/made-up/{number}", "evil", own=True, time_ms=3 * CELL_MS)
    assert len(promotion._fields) <= MAX_FIELDS
    assert owner_from(promotion) == 5
    assert len(list(promotion.take_dirty())) <= MAX_FIELDS


def test_bounded_in_principals_and_cells():
    promotion = Promotion()
    for number in range(3000):
        promotion.note(FIELD, f"u-{number}", own=False, time_ms=0)
        promotion.note(FIELD, "u", own=False, time_ms=-number * CELL_MS)
    learning = promotion._fields[FIELD]
    assert len(learning.cells) <= 64
    assert learning.voters() <= 64 + 1000
