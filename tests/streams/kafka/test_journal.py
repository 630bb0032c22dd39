"""Values in records, and back; the journal itself is in tests/stack/test_journal.py."""

import pytest

from streams.kafka.journal import RECORD_BYTES, cut, parts, whole

PART = 2 << 20
SIZES = [
    ("nothing", 0, 1),
    ("small", 10, 1),
    ("one part exactly", PART, 1),
    ("a byte more", PART + 1, 2),
    ("far too large for a message", 3 * PART + 5, 4),
]


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(("name", "size", "count"), SIZES)
def test_a_value_of_any_size_comes_back(name, size, count, base):
    value = bytes(n % 251 for n in range(size))
    records = [*parts(b"before", base=base), *parts(value, base=base)]
    assert len(records) == 1 + count, name
    assert {key.rstrip(b"+") for key, _ in records} == {b"base" if base else b"delta"}
    assert max(len(piece) for _, piece in records) <= PART
    assert whole(records) == [b"before", value]


def test_items_are_put_together_and_none_is_cut():
    items = [b"x" * size for size in (10, RECORD_BYTES, 10, RECORD_BYTES - 20, 5)]
    groups = cut(items)
    assert [item for group in groups for item in group] == items
    assert [len(group) for group in groups] == [1, 1, 3]
    assert cut([]) == []
