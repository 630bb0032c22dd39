"""Whoever changes the topic is found, and the entry is named."""

import random

import pytest

from evidence.verify.store import read_heads, read_leaves
from evidence.verify.topic import TopicCheck
from tests._ledger import (
    SIZE,
    found,
    range_of,
    trust,
)


def test_nothing_is_found_where_nothing_was_done(folder):
    assert topic_report(folder, list(read_leaves(folder))).problems == []


def test_a_flipped_bit_of_a_record_of_the_topic_is_found_and_the_entry_named(folder):
    records = list(read_leaves(folder))
    rng = random.Random(5)
    for index in range(SIZE):
        for part in (0, 1):
            for place in rng.sample(range(8 * len(records[index][part])), 20):
                changed = bytearray(records[index][part])
                changed[place // 8] ^= 1 << place % 8
                record = (bytes(changed), records[index][1])
                if part:
                    record = (records[index][0], bytes(changed))
                altered = [*records[:index], record, *records[index + 1 :]]
                problems = topic_report(folder, altered).problems
                assert problems[0].index == index
                if part:
                    # Without the store, the heads alone say between which of them it is.
                    alone = topic_report(folder, altered, beside=False).problems[0]
                    assert alone.index in {index, range_of(index).start}


def topic_report(folder, records, *, beside=True, others=None):
    check = TopicCheck(
        "ledger",
        [note for _, note in read_heads(folder)],
        trust(),
        beside=read_leaves(folder) if beside else None,
        least=SIZE,
        published=others,
    )
    for record in records:
        check.add(*record)
    return check.end()


TOPICS = [
    ("a record is missing", lambda r: [*r[:6], *r[7:]], ("missing", 6)),
    ("the first is missing", lambda r: r[1:], ("missing", 0)),
    ("the end is missing", lambda r: r[:-2], ("missing", 13)),
    ("one is inserted", lambda r: [*r[:6], (b"x", r[0][1]), *r[6:]], ("inserted", 6)),
    ("one is appended", lambda r: [*r, (b"x", r[0][1])], ("inserted", 15)),
    ("two are swapped", lambda r: [*r[:6], r[7], r[6], *r[8:]], ("moved", 6)),
    ("one is moved to the end", lambda r: [*r[:6], *r[7:], r[6]], ("missing", 6)),
    ("a second says otherwise", lambda r: [*r, (r[3][0], r[4][1])], ("inserted", None)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "first"), TOPICS, ids=[c[0] for c in TOPICS])
def test_a_changed_topic_is_found_and_the_entry_named(folder, name, change, first):
    records = list(read_leaves(folder))
    assert found(topic_report(folder, change(records)))[0] == first


def test_a_record_that_is_sent_twice_is_one_entry(folder):
    records = list(read_leaves(folder))
    assert topic_report(folder, [*records[:9], *records[3:]]).intact
