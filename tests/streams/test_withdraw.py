import pytest

from streams.clock import HandClock
from streams.withdraw import withdraw
from tests._events import action, receipt
from tests._respond import IP, NOW_MS, Scripted, block, respond, step

WHY = "inc-1 is part of inc-9, a suspected fault: nobody is blocked for it"


def intended(store, *actions):
    with store.transaction():
        for one in actions:
            store.log.append_intent(one)
            store.outbox_add(one.id, NOW_MS)


def taken_back(store, name="act-1"):
    with store.transaction():
        return withdraw(store, name, WHY, NOW_MS)


def last(store, name="act-1"):
    told = list(store.log.receipts(name))[-1]
    return (told.state, told.read_back, told.detail)


STANDS = [
    # name, attempts, state, receipts, (taken back, last word, row's state)
    ("never tried", 0, "waiting", [], ("expired", "", f"withdrawn: {WHY}"), "done"),
    ("waits for a person", 0, "approval", [("wanted", "")],
     ("expired", "", f"withdrawn: {WHY}"), "done"),
    ("tried, not known to stand", 1, "waiting", [],
     ("wanted", "absent", f"to be lifted: {WHY}"), "waiting"),
    ("stands", 0, "waiting", [("confirmed", "present")],
     ("wanted", "absent", f"to be lifted: {WHY}"), "waiting"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "attempts", "state", "said", "word", "then"), STANDS, ids=[c[0] for c in STANDS]
)
def test_what_is_taken_back(store, name, attempts, state, said, word, then):
    intended(store, action())
    with store.transaction():
        for mark, back in said:
            store.log.append_receipt(receipt(state=mark, read_back=back, detail="before"))
        store.outbox_update(
            "act-1", state=state, attempts=attempts, next_attempt_ms=NOW_MS + 9, reason=""
        )
    assert taken_back(store), name
    assert last(store) == word
    row = store.outbox_row("act-1")
    assert (row.state, row.reason) == (then, word[2])
    assert row.next_attempt_ms <= NOW_MS
    assert not taken_back(store), "once is enough"


def test_what_is_done_or_unknown_is_left_alone(store):
    intended(store, action())
    with store.transaction():
        store.outbox_update("act-1", state="done", attempts=1, next_attempt_ms=0, reason="")
    assert not taken_back(store)
    assert not taken_back(store, "act-2")
    assert list(store.log.receipts()) == []


def test_a_block_that_stands_is_lifted_and_one_that_does_not_is_never_performed(store):
    gateway, clock = Scripted(), HandClock(NOW_MS)
    intended(store, block("act-1"), block("act-2", "203.0.113.9"))
    with store.transaction():
        store.outbox_update(
            "act-2", state="waiting", attempts=0, next_attempt_ms=NOW_MS + 1, reason=""
        )
    responding = respond(store, gateway, clock=clock)
    step(responding, clock)
    assert gateway.blocked == [IP]
    assert (taken_back(store), taken_back(store, "act-2")) == (True, True)
    clock.advance(1)
    step(responding, clock)
    assert gateway.blocked == []
    assert [last(store, name)[0] for name in ("act-1", "act-2")] == ["expired", "expired"]
    assert [row.state for row in store.outbox_all()] == ["done", "done"]
    assert {name for name, *_ in gateway.performed} == {"act-1"}


def test_what_another_action_wants_stays(store):
    gateway, clock = Scripted(), HandClock(NOW_MS)
    intended(store, block("act-1"), block("act-2"))
    responding = respond(store, gateway, clock=clock)
    step(responding, clock)
    taken_back(store)
    step(responding, clock)
    assert gateway.blocked == [IP]
    assert last(store)[0] == "expired"
