"""What receipts say of an order; the brokers themselves are in tests/stack/test_orders.py."""

import asyncio

import pytest
from msgspec.structs import replace

from streams.kafka.dispatch import Answers, Verdict, give
from streams.kafka.orders import Order, wish
from streams.kafka.settings import Kafka
from tests._events import NOON_MS, action, receipt


def order(kind):
    intent = action("act-u" if kind == "unblock" else "act-1")
    return Order(
        id="ord-1",
        kind=kind,
        action=intent if kind in {"block", "unblock"} else None,
        target="203.0.113.7" if kind in {"block", "unblock"} else "act-1",
        by="ada",
        why="ours",
        at_ms=NOON_MS,
    )


def said(state, name="act-1", point="gateway", read_back="", detail="x", at_ms=NOON_MS):
    return receipt(name, state=state, point=point, read_back=read_back, detail=detail, at_ms=at_ms)


def wished(name, by=None):
    detail = f"to be lifted: {wish(by or order('unblock'))}"
    return said("wanted", name, read_back="absent", detail=detail)


def lifted(name, at_ms=NOON_MS, read_back="absent"):
    return said("expired", name, read_back=read_back, at_ms=at_ms)


YES, NO = said("wanted", point="person"), said("expired", point="person")
DONE, FAILED, DRIFTED = said("confirmed"), said("failed"), said("drifted")
STOPPED, OVER = said("wanted", detail="refused"), said("expired")
OWN = said("failed", "ord-1", point="person", detail="there is no such action")
HELD = said("confirmed", "ord-1", point="person", detail="hld-1")
OTHERS = [said("confirmed", "act-7"), said("failed", "ord-7", point="person")]
ASIDE = wished("act-7", replace(order("unblock"), id="ord-7"))
OVER_AT = lifted("act-1")

CASES = [
    ("nobody answered", "block", [], None),
    ("others", "block", OTHERS, None),
    ("blocked", "block", [*OTHERS, DONE], ("done", DONE)),
    ("the gateway is down", "block", [FAILED], ("trouble", FAILED)),
    ("the gateway lies", "block", [DRIFTED], ("trouble", DRIFTED)),
    ("down, and then not", "block", [FAILED, DONE], ("done", DONE)),
    ("a guard stopped it", "block", [STOPPED], ("refused", STOPPED)),
    ("over before it began", "block", [OVER], ("refused", OVER)),
    ("not taken", "block", [OWN], ("refused", OWN)),
    ("approved, not done", "approve", [YES], None),
    ("approved and done", "approve", [YES, DONE], ("done", DONE)),
    ("approved, and stopped", "approve", [YES, STOPPED], ("refused", STOPPED)),
    ("what it said before the word", "approve", [STOPPED], None),
    ("somebody else said no", "approve", [NO], ("refused", NO)),
    ("too late a yes", "approve", [OWN], ("refused", OWN)),
    ("rejected", "reject", [NO], ("done", NO)),
    ("somebody else said yes", "reject", [YES, OWN], ("refused", OWN)),
    ("to be lifted", "unblock", [wished("act-1")], None),
    ("by somebody else's order", "unblock", [ASIDE, lifted("act-7")], None),
    ("lifted", "unblock", [wished("act-1"), lifted("act-1")], ("done", lifted("act-1"))),
    ("was under way", "unblock", [wished("act-1"), DONE], None),
    ("was under way, lifted", "unblock", [wished("act-1"), DONE, OVER_AT], ("done", OVER_AT)),
    ("ended without the wish", "unblock", [lifted("act-1")], None),
    ("one of two", "unblock", [wished("act-1"), wished("act-2"), lifted("act-2")], None),
    (
        "both: the one that did it",
        "unblock",
        [wished("act-1"), wished("act-2"), lifted("act-2", 5), lifted("act-1", 6)],
        ("done", lifted("act-2", 5)),
    ),
    ("not lifted", "unblock", [wished("act-1"), FAILED], ("trouble", FAILED)),
    (
        "still wanted by another",
        "unblock",
        [wished("act-1"), wished("act-2"), lifted("act-2"), lifted("act-1", read_back="")],
        ("refused", lifted("act-1", read_back="")),
    ),
    ("an unblock that is not taken", "unblock", [OWN], ("refused", OWN)),
    ("held", "hold", [*OTHERS, HELD], ("done", HELD)),
    ("not held", "hold", [OWN], ("refused", OWN)),
    ("nobody answered to a hold", "hold", OTHERS, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "receipts", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(kind, receipts, expected):
    answers = Answers(order(kind))
    for one in receipts:
        answers.note(one)
    assert answers.verdict == (expected and Verdict(*expected))


def test_brokers_that_are_down_are_said():
    kafka = Kafka(brokers=["127.0.0.1:9"])
    with pytest.raises(ConnectionError, match=r"Kafka at 127\.0\.0\.1:9: nothing listens there"):
        asyncio.run(give(kafka, {}, order("block"), 1.0))
