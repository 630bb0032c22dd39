"""Orders from a person's machine: what is sent, and what each answer comes to."""

import pytest

from console import orders
from console.fault import Negative, Refused, Unreachable
from streams.clock import HandClock
from streams.kafka import dispatch
from streams.settings import Settings
from tests._events import NOON_MS, receipt
from tests.console._deployment import KAFKA, Decider

IP = "203.0.113.7"
SETTINGS = Settings(kafka=KAFKA)
KEPT = (
    "unblocking 203.0.113.7: no worker answered in 7 s; the order is kept, and is carried out "
    "when one is at work (`breachline blocks` shows it then)"
)
ANSWERS = [
    (None, Unreachable, KEPT),
    ("trouble", Unreachable, "cannot connect (kept: the worker tries it again)"),
    ("refused", Negative, "unblocking 203.0.113.7: refused: cannot connect"),
]


@pytest.fixture
def decider(monkeypatch):
    made = Decider()
    monkeypatch.setattr(dispatch, "give", made.give)
    return made


@pytest.mark.parametrize(("how", "error", "says"), ANSWERS)
def test_what_is_not_done_is_said(decider, how, error, says):
    decider.how, decider.receipt = how, receipt(state="failed", detail="cannot connect")
    with pytest.raises(error) as raised:
        orders.unblock(SETTINGS, HandClock(NOON_MS), IP, "ours", "ada", 7.0)
    assert str(raised.value) == says


def test_brokers_that_do_not_answer_are_said_with_what_was_to_be_done(monkeypatch):
    async def give(*_):
        raise ConnectionError("nothing listens there")

    monkeypatch.setattr(dispatch, "give", give)
    with pytest.raises(Unreachable, match=r"^blocking 203\.0\.113\.7: nothing listens there$"):
        orders.block(SETTINGS, HandClock(NOON_MS), IP, 60.0, "case 17", "ada", 7.0)


def test_each_order_has_a_name_of_its_own_and_says_who_when_and_what(decider):
    clock = HandClock(NOON_MS)
    for _ in range(2):
        action, said = orders.block(SETTINGS, clock, IP, 60.0, "case 17", "ada", 7.0)
    first, second = (order for order, _ in decider.given)
    assert (first.id != second.id, first.action, said) == (True, action, decider.receipt)
    assert (action.guard.why, action.until_ms, first.at_ms) == (
        "ada decided", NOON_MS + 60_000, NOON_MS
    )  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1.0), ("2m", 120.0), ("1h", 3600.0)])
def test_patience(text, seconds):
    assert orders.patience_of(text) == seconds


@pytest.mark.parametrize("text", ["0s", "61m", "all", "soon", ""])
def test_no_patience(text):
    with pytest.raises(Refused):
        orders.patience_of(text)


def test_indexing_again_is_ordered_of_whoever_decides(decider):
    said = orders.rebuild(SETTINGS, HandClock(NOON_MS), "ada", 7.0)
    ((order, patience_s),) = decider.given
    assert (said, order.kind, order.by, patience_s) == ("blocked it", "rebuild", "ada", 7.0)
