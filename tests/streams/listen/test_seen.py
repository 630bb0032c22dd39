import os

import pytest

from evidence.store import EmbeddedStore
from streams.listen.inbox import identity
from streams.listen.seen import PARTS, Seen

HOUR_MS = 3_600_000
A, B, C, D = (identity(name) for name in "abcd")


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "data") as store:
        yield store


def are_new(store, seen, identities, now_ms=0):
    with store.transaction():
        return seen.are_new(identities, now_ms)


def kept(store):
    (row,) = store.rows("counting", "SELECT count(*) FROM seen")
    return row[0]


def test_an_identity_is_new_once_in_any_order_and_also_within_one_call(store):
    seen = Seen(store)
    assert are_new(store, seen, [B, A, B]) == [True, True, False]
    assert are_new(store, seen, [C, A, D, B, C]) == [True, False, True, False, False]
    assert are_new(store, seen, []) == []


def test_a_restart_forgets_none(store):
    are_new(store, Seen(store), [A, B])
    again = Seen(store)
    assert are_new(store, again, [A, B, C]) == [False, False, True]
    assert are_new(store, Seen(store), [A, B, C, D]) == [False, False, False, True]


def test_what_is_rolled_back_was_not_seen(store):
    seen = Seen(store)
    are_new(store, seen, [A])
    found = []

    def fails():
        with store.transaction():
            found.extend(seen.are_new([A, B], 0))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert found == [False, True]
    assert are_new(store, Seen(store), [A, B]) == [False, True]


def test_thousands_are_told_from_each_other(store):
    seen = Seen(store, rows=70_000)
    first = [os.urandom(16) for _ in range(20_000)]
    more = [os.urandom(16) for _ in range(20_000)]
    assert are_new(store, seen, first) == [True] * len(first)
    mixed = [each for pair in zip(first, more, strict=True) for each in pair]
    assert are_new(store, seen, mixed) == [False, True] * len(first)
    assert are_new(store, Seen(store, rows=70_000), more) == [False] * len(more)


def test_what_is_older_than_a_day_goes_and_nothing_younger(store):
    seen = Seen(store)
    are_new(store, seen, [A], 0)
    are_new(store, seen, [B], 20 * HOUR_MS)
    assert are_new(store, seen, [A, B], 23 * HOUR_MS) == [False, False]
    are_new(store, seen, [C], 40 * HOUR_MS)
    assert are_new(store, seen, [B, A], 41 * HOUR_MS) == [False, True]


def test_the_table_is_bounded_and_the_oldest_go_first(store):
    seen = Seen(store, rows=10 * PARTS)
    names = [identity(number) for number in range(400)]
    for start in range(0, 400, 10):
        assert are_new(store, seen, names[start : start + 10]) == [True] * 10
    assert kept(store) <= 10 * (PARTS + 1)
    assert are_new(store, Seen(store, rows=10 * PARTS), names[-50:]) == [False] * 50
    assert are_new(store, seen, names[:1]) == [True]


def test_a_clock_that_goes_back_loses_nothing(store):
    seen = Seen(store)
    are_new(store, seen, [A], 10 * HOUR_MS)
    are_new(store, seen, [B], HOUR_MS)
    assert are_new(store, seen, [A, B], 2 * HOUR_MS) == [False, False]
