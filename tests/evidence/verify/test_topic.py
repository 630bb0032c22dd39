"""What the check of a topic says; whoever changes one is in tests/contract/test_tamper_topic.py."""

import pytest

from evidence.checkpoint import Checkpoint, note
from evidence.verify.contents import leaf_of
from evidence.verify.topic import TopicCheck
from evidence.verify.trace import Mark
from evidence.verify.tree import Growing, leaf_hash
from tests._ledger import ORIGIN, key, signer, trust

RECORDS = [(b"rd-%d" % n, leaf_of(b"read", n, bytes([n]) * 32)) for n in range(10)]


def root(size):
    return Growing().root_with(leaf_hash(leaf) for _, leaf in RECORDS[:size])


def head(size, *, by=1, origin=ORIGIN):
    return note(Checkpoint(origin, size, root(size)), [signer(by)])


def checked(records, heads, **more):
    check = TopicCheck("t.ledger", heads, trust(), **more)
    for record in records:
        check.add(*record)
    return check.end()


def said(report):
    return [(problem.what, problem.index) for problem in report.problems]


def test_a_topic_as_it_was_written():
    report = checked(RECORDS, [head(4), head(10)], beside=RECORDS, least=10)
    assert report.document() == {
        "target": "t.ledger",
        "kind": "topic",
        "intact": True,
        "entries": 10,
        "heads": 2,
        "published_heads": 0,
        "signed_by": [str(key())],
        "problems": [],
        "problem_count": 0,
        "unproven": [],
    }


def test_what_is_not_shown_is_said():
    report = checked(RECORDS, [head(4)])
    assert report.problems == []
    assert report.unproven == [
        "the ids of the entries: only a store or a bundle shows them",
        "entries from 4 on: no head here is over them",
    ]


BESIDE = [
    ("the topic is behind a store that moved on", RECORDS[:8], RECORDS, 8, []),
    ("the topic has lost what the store had", RECORDS[:8], RECORDS, 9, [("missing", 8)]),
    ("the topic has more", RECORDS, RECORDS[:8], 8, [("inserted", 8)]),
    ("another leaf", RECORDS, [*RECORDS[:3], (b"rd-3", b"x"), *RECORDS[4:]], 10, [("altered", 3)]),
    ("another id", RECORDS, [*RECORDS[:3], (b"rd-x", b"x"), *RECORDS[4:]], 10, [("moved", 3)]),
    ("the last is another", RECORDS, [*RECORDS[:9], (b"rd-x", b"x")], 10, [("moved", 9)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "topic", "store", "least", "says"), BESIDE, ids=[
    c[0] for c in BESIDE
])  # fmt: skip
def test_the_topic_beside_the_store(name, topic, store, least, says):
    assert said(checked(topic, [head(8)], beside=store, least=least)) == says


HEADS = [
    ("none", [], {}, [("missing", None)]),
    ("no note", ["x", head(10)], {}, [("forged head", None)]),
    ("by another", [head(4, by=101), head(10)], {}, [("unknown key", None)]),
    ("of two logs", [head(4), head(10, origin=f"{ORIGIN}/x")], {}, [("forged head", None)]),
    ("of another log", [head(10, origin="x/y")], {}, [("forged head", None), ("missing", None)]),
    ("published", [head(4)], {"published": [Mark(6, root(6), "p")]}, []),
    ("published, another", [head(4)], {"published": [Mark(6, root(5), "p")]}, [("rewritten", 0)]),
    ("published, longer", [head(4)], {"published": [Mark(16, root(5), "p")]},
     [("rolled back", 10)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "heads", "more", "says"), HEADS, ids=[c[0] for c in HEADS])
def test_heads_of_a_topic(name, heads, more, says):
    assert said(checked(RECORDS, heads, **more)) == says


def test_a_key_that_is_only_known_is_named():
    known = trust(1)
    known.known.update(trust(2).known)
    check = TopicCheck("t.ledger", [head(10, by=2)], known)
    for record in RECORDS:
        check.add(*record)
    assert said(check.end()) == [("unknown key", None)]
