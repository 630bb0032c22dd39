import asyncio

import pytest

from evidence.log import Approval
from evidence.store import EmbeddedStore
from records.incident import Guard, Receipt
from streams.approvals import BY_HAND, approved, by_person, decide, pending
from streams.clock import HandClock
from tests._gateway import Gateway
from tests._respond import HOUR_MS, NOW_MS, block, intend, live, respond, step

ASKS = Guard("approve", "confidence 0.71 below 0.90")
LATER_MS = NOW_MS + 60_000


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path) as opened:
        yield opened


def wait(store, *actions):
    """Intended and looked at once, so that each stands as the guards had it."""
    intend(store, *actions)
    step(respond(store), HandClock(NOW_MS))


def yes(store, action_id="act-1", now_ms=LATER_MS):
    return decide(store, action_id, now_ms, yes=True, by="ada", why="case 17")


def no(store, action_id="act-1"):
    return decide(store, action_id, LATER_MS, yes=False, by="ada", why="our own scanner")


def row(store):
    (found,) = store.outbox_all()
    return found.state, found.next_attempt_ms, found.reason


ASKED = [
    ("the guards ask", {"guard": ASKS}),
    ("the mode asks", {"mode": "approval"}),
    ("both ask", {"mode": "approval", "guard": ASKS}),
]


@pytest.mark.parametrize(("name", "given"), ASKED, ids=[c[0] for c in ASKED])
def test_a_yes_names_who_and_makes_it_due(store, name, given):
    asked = block(**given)
    wait(store, asked)
    assert pending(store, LATER_MS) == [asked]
    assert yes(store) == asked
    said = Approval(action="act-1", approved=True, by="ada", why="case 17", at_ms=LATER_MS)
    assert list(store.log.approvals()) == [said]
    assert list(store.log.receipts("act-1"))[-1] == Receipt(
        action="act-1",
        state="wanted",
        at_ms=LATER_MS,
        point="person",
        detail="approved by ada: case 17",
    )
    assert row(store) == ("waiting", LATER_MS, "approved by ada: case 17")
    assert pending(store, LATER_MS) == []


@pytest.mark.parametrize(("name", "given"), ASKED, ids=[c[0] for c in ASKED])
def test_what_was_approved_is_performed_and_ends_by_itself(store, name, given):
    wait(store, block(**given))
    yes(store)

    async def main(gateway, clock):
        asking = {"recheck": lambda action, _: action.guard}
        async with live(store, gateway, clock, **asking) as responding:
            await responding.step(clock.now_ms())
            assert gateway.blocked == ["203.0.113.7"]
            clock.advance(HOUR_MS / 1000)
            await responding.step(clock.now_ms())
            assert gateway.blocked == []

    with Gateway() as gateway:
        asyncio.run(main(gateway, HandClock(LATER_MS)))
    states = [receipt.state for receipt in store.log.receipts("act-1")]
    assert states == ["wanted", "wanted", "confirmed", "expired"]


def test_a_gateway_that_was_down_is_tried_again(store):
    wait(store, block(guard=ASKS))
    yes(store)

    async def main(gateway, clock):
        async with live(store, gateway, clock) as responding:
            gateway.stop()
            await responding.step(clock.now_ms())
        with Gateway() as again:
            clock.advance(120)
            async with live(store, again, clock) as responding:
                await responding.step(clock.now_ms())
            assert again.blocked == ["203.0.113.7"]

    with Gateway() as gateway:
        asyncio.run(main(gateway, HandClock(LATER_MS)))


def test_the_never_block_list_holds_for_what_was_approved(store):
    wait(store, block(guard=ASKS))
    yes(store)
    refused = respond(store, recheck=lambda *_: Guard("refuse", "on the never-block list"))
    step(refused, HandClock(LATER_MS))
    assert row(store)[0] == "done"
    assert "refused: on the never-block list" in row(store)[2]


def test_a_no_closes_it(store):
    wait(store, block(guard=ASKS))
    no(store)
    (said,) = store.log.approvals("act-1")
    assert (said.approved, said.by, said.why) == (False, "ada", "our own scanner")
    last = list(store.log.receipts("act-1"))[-1]
    assert (last.state, last.point, last.detail) == (
        "expired", "person", "rejected by ada: our own scanner"
    )  # fmt: skip
    assert row(store) == ("done", 0, "rejected by ada: our own scanner")
    assert not approved(store.log.receipts("act-1"))


REFUSED = [
    # name, what stands, what was said before, error, words
    ("unknown", None, None, LookupError, "approving act-1: there is no such action"),
    ("approved already", {"guard": ASKS}, yes, ValueError, "already approved by ada at 2026-11-22"),
    ("rejected already", {"guard": ASKS}, no, ValueError, "already rejected by ada at 2026-11-22"),
    ("over", {"guard": ASKS, "until_ms": LATER_MS}, None, ValueError, "its time ended at 2026-11"),
    ("refused", {"guard": Guard("refuse", "head office")}, None, ValueError, "head office"),
    ("simulated", {"mode": "simulate"}, None, ValueError, "does not wait for approval: simulate:"),
    ("decided by the guards", {}, None, ValueError, "no enforcement point is configured"),
]


@pytest.mark.parametrize(
    ("name", "given", "before", "error", "says"), REFUSED, ids=[c[0] for c in REFUSED]
)
def test_what_cannot_be_decided_is_said_and_changes_nothing(
    store, name, given, before, error, says
):
    if given is not None:
        wait(store, block(**given))
    if before:
        before(store)
    stood = list(store.log.entries()), store.outbox_all()
    with pytest.raises(error) as raised:
        yes(store)
    assert says in str(raised.value)
    assert (list(store.log.entries()), store.outbox_all()) == stood


def test_what_waits_is_listed_in_order_and_only_while_it_can_be_had(store):
    first, second = block("act-2", decided_ms=NOW_MS - 1, guard=ASKS), block(guard=ASKS)
    over = block("act-3", guard=ASKS, until_ms=LATER_MS)
    wait(store, first, second, over, block("act-4", "203.0.113.8", mode="simulate"))
    assert pending(store, LATER_MS) == [first, second]
    assert pending(store, NOW_MS) == [first, second, over]
    yes(store, "act-2")
    assert pending(store, LATER_MS) == [second]


SAID = [
    ("nothing", [], False),
    ("a person's yes", [("person", "wanted")], True),
    ("a person's no", [("person", "expired")], False),
    ("the gateway's word", [("gateway", "wanted"), ("none", "wanted")], False),
]


@pytest.mark.parametrize(("name", "said", "expected"), SAID, ids=[c[0] for c in SAID])
def test_only_a_persons_yes_counts(name, said, expected):
    receipts = [
        Receipt(action="act-1", state=state, at_ms=NOW_MS, point=point, detail="")
        for point, state in said
    ]
    assert approved(receipts) is expected


def test_whose_word_an_action_stands_on(store):
    asked, other, by_hand = (
        block(guard=ASKS),
        block(id="act-2", guard=ASKS),
        block(incident=BY_HAND),
    )
    wait(store, asked, other)
    yes(store)
    no(store, "act-2")
    assert [by_person(store, one) for one in (asked, other, by_hand)] == [True, False, True]
