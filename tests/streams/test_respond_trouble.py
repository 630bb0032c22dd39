"""What streams/respond.py does when the gateway fails, and when a block ends."""

import asyncio
from random import Random

import pytest

from records.incident import Guard, Receipt
from streams.clock import HandClock
from streams.respond import standing
from tests._respond import (
    HOUR_MS,
    IP,
    NOW_MS,
    PASS,
    STORES,
    MemoryStore,
    Scripted,
    block,
    intend,
    live,
    opened,
    respond,
    row,
    step,
    told,
    until,
)


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    with opened(request.param, tmp_path / "data") as made:
        yield made


# Trouble and healing

TROUBLES = [
    ("401", "the gateway refused the token in $GATEWAY_TOKEN: set it and restart (401)", 300),
    ("403", "the gateway refused the token in $GATEWAY_TOKEN: set it and restart (403)", 300),
    ("404", "no such path /admin/block-ip; check respond.gateway.block_path (404)", 300),
    ("405", "/admin/block-ip does not take POST; check respond.gateway.block_path (405)", 300),
    ("429", "the gateway asks to wait 7 s (429)", 60),
    ("500", "the gateway failed: look at its log (500)", 60),
    ("302", "the gateway redirects, which is not followed", 300),
    ("nonsense", "its answer is not", 60),
    ("wrong_json", "its answer is not", 60),
    ("not_http", "its answer broke off or is not HTTP", 60),
    ("reset", "the connection broke", 60),
    ("reset_after", "the connection broke", 60),
    ("half", "its answer broke off", 60),
    ("drift", "its list says absent", 60),
    ("get_500", "the gateway failed", 60),
    ("slow", "no answer within 0.2 s", 60),
    ("down", "cannot connect", 60),
]


@pytest.mark.parametrize(("trouble", "says", "cap_s"), TROUBLES, ids=[t[0] for t in TROUBLES])
def test_trouble_is_shown_retried_and_heals_into_one_block(store, gateway, trouble, says, cap_s):
    clock, waits = HandClock(NOW_MS), []
    intend(store, block())

    async def scenario():
        timeout = 0.2 if trouble == "slow" else 5
        async with live(store, gateway, clock, timeout=timeout) as responding:
            if trouble == "down":
                gateway.stop()
            gateway.trouble = trouble
            for attempt in range(1, 5):
                waits.append(await responding.step(clock.now_ms()))
                standing_row = row(store)
                assert says in standing_row.reason
                assert (standing_row.state, standing_row.attempts) == ("waiting", attempt)
                clock.advance(waits[-1])
                # Effects seen to be there by reading back need no more attempts.
                if trouble in {"slow", "half", "reset_after"}:
                    break
            gateway.trouble = None
            if trouble == "down":
                gateway.start()
            await until(responding, clock, lambda: gateway_has_it() and confirmed())

    def gateway_has_it():
        return gateway.blocked == [IP]

    def confirmed():
        return any(r.state == "confirmed" for r in store.log.receipts("act-1"))

    asyncio.run(scenario())
    assert gateway.effects == {("block", IP): 1}
    assert all(1 <= wait_s <= cap_s for wait_s in waits)
    least_s = {"429": 7}.get(trouble, 10 if cap_s == 300 else 1)
    assert all(wait_s >= least_s for wait_s in waits)
    states = [r.state for r in store.log.receipts("act-1")]
    assert states == ["drifted" if trouble == "drift" else "failed", "confirmed"]


def test_it_never_gives_up_while_its_time_lasts(store):
    clock, responder = HandClock(NOW_MS), Scripted(*[1.0] * 10_000)
    intend(store, block())
    responding = respond(store, responder, clock=clock)

    asyncio.run(
        until(responding, clock, lambda: clock.now_ms() >= NOW_MS + HOUR_MS - 60_000, steps=1000)
    )
    tried = [attempt for _, want, attempt in responder.performed if want == "present"]
    assert tried == list(range(1, len(tried) + 1))
    assert len(tried) > 60
    assert told(store) == [("failed", f"blocking {IP}: 1.0")]


def test_a_last_attempt_is_not_put_off_beyond_its_time(store):
    clock, responder = HandClock(NOW_MS), Scripted(3600.0)
    intend(store, block(until_ms=NOW_MS + 90_000))
    assert step(respond(store, responder, clock=clock), clock) == 90


@pytest.mark.parametrize(
    ("least_s", "attempts", "low_s", "high_s"),
    [
        (1.0, 1, 1, 2),
        (1.0, 5, 1, 32),
        (1.0, 50, 1, 60),
        (7.0, 1, 7, 14),
        (10.0, 2, 10, 40),
        (10.0, 5000, 10, 300),
        (900.0, 3, 900, 900),
    ],
)
def test_back_off_spreads_within_its_bounds(least_s, attempts, low_s, high_s):
    responding = respond(MemoryStore())
    waits = [responding._wait_ms(least_s, attempts) / 1000 for _ in range(300)]
    assert low_s <= min(waits) <= max(waits) <= high_s
    if low_s < high_s:
        middle = (low_s + high_s) / 2
        assert min(waits) < middle < max(waits)


def test_back_off_repeats_with_its_seed():
    first, second = (respond(MemoryStore(), random=Random(7)) for _ in range(2))
    assert [first._wait_ms(1, n) for n in range(9)] == [second._wait_ms(1, n) for n in range(9)]


def test_a_bug_in_a_responder_is_fenced_off(store):
    clock, responder = HandClock(NOW_MS), Scripted(KeyError("a secret thing"))
    intend(store, block(), block("act-2", "198.51.100.9"))
    step(respond(store, responder, clock=clock), clock)
    assert responder.blocked == ["198.51.100.9"]
    words = f"blocking {IP}: a fault of Breachline, KeyError: report it"
    assert told(store) == [("failed", words)]
    assert row(store).state == "waiting"


def test_what_can_never_succeed_is_not_tried_again(store):
    clock, responder = HandClock(NOW_MS), Scripted("never")
    intend(store, block())
    assert step(respond(store, responder, clock=clock), clock) is None
    assert row(store).state == "done"


# The end of a block


@pytest.mark.parametrize("trouble", ["500", "401", "404", "429", "nonsense", "reset", "down"])
def test_lifting_is_retried_until_it_is_lifted(store, gateway, trouble):
    clock = HandClock(NOW_MS)
    intend(store, block())

    async def scenario():
        async with live(store, gateway, clock) as responding:
            clock.advance(await responding.step(clock.now_ms()))
            gateway.trouble = trouble
            if trouble == "down":
                gateway.stop()
            for _ in range(3):
                clock.advance(await responding.step(clock.now_ms()))
            assert row(store).reason.startswith(f"unblocking {IP}: ")
            assert gateway.blocked == [IP]
            gateway.trouble = None
            if trouble == "down":
                gateway.start()
            assert await responding.step(clock.now_ms()) is None

    asyncio.run(scenario())
    assert gateway.blocked == []
    assert [state for state, _ in told(store)] == ["confirmed", "failed", "expired"]


def test_an_unseen_effect_is_lifted_when_its_time_ends(store, gateway):
    """The gateway blocked and broke off; nothing was ever confirmed."""
    clock = HandClock(NOW_MS)
    intend(store, block(until_ms=NOW_MS + 1000))

    async def scenario():
        async with live(store, gateway, clock) as responding:
            gateway.trouble = "half"
            await responding.step(clock.now_ms())
            assert gateway.blocked == [IP]
            gateway.trouble = None
            clock.advance(1)
            await responding.step(clock.now_ms())

    asyncio.run(scenario())
    assert gateway.blocked == []
    assert [state for state, _ in told(store)] == ["failed", "wanted", "expired"]


def test_an_unseen_effect_is_lifted_when_the_address_is_now_protected(store):
    clock, responder = HandClock(NOW_MS), Scripted(1.0, 1.0)
    responder.blocked.append(IP)  # the failed attempt had its effect
    guards = [PASS, Guard("refuse", "head office")]
    intend(store, block())
    responding = respond(store, responder, clock=clock, recheck=lambda *_: guards.pop(0))
    asyncio.run(until(responding, clock, lambda: row(store).state == "done"))
    assert responder.blocked == []
    assert responder.performed == [
        ("act-1", "present", 1),
        ("act-1", "absent", 2),
        ("act-1", "absent", 3),
    ]
    assert [state for state, _ in told(store)] == ["failed", "wanted", "failed", "expired"]


def test_an_address_that_another_action_still_wants_stays_blocked(store, gateway):
    clock = HandClock(NOW_MS)
    later = block("act-2", until_ms=NOW_MS + 2 * HOUR_MS, decided_ms=NOW_MS + HOUR_MS)
    intend(store, block(), later)

    async def scenario():
        async with live(store, gateway, clock) as responding:
            await responding.step(clock.now_ms())
            clock.advance(3600)
            await responding.step(clock.now_ms())
            assert gateway.blocked == [IP]
            clock.advance(3600)
            await responding.step(clock.now_ms())

    asyncio.run(scenario())
    words = "still wanted: act-2 holds it until 2026-11-22T12:00:00.000Z"
    assert told(store) == [("confirmed", f"blocked {IP}"), ("expired", words)]
    assert told(store, "act-2") == [
        ("confirmed", f"already blocked: {IP}"),
        ("expired", f"lifted {IP}"),
    ]
    assert gateway.effects == {("block", IP): 1, ("unblock", IP): 1}


def test_lifting_by_hand(store):
    clock, responder = HandClock(NOW_MS), Scripted()
    intend(store, block(), block("act-2"), block("act-3", "198.51.100.9"))
    responding = respond(store, responder, clock=clock)
    step(responding, clock)
    assert responding.lift(IP, clock.now_ms(), "a customer called") == ["act-1", "act-2"]
    assert told(store)[-1] == ("wanted", "to be lifted: a customer called")
    step(responding, clock)
    assert responder.blocked == ["198.51.100.9"]
    assert told(store)[-1] == ("expired", f"unblocking {IP}")
    assert [row(store, f"act-{n}").state for n in (1, 2, 3)] == ["done", "done", "waiting"]
    assert responding.lift(IP, clock.now_ms(), "again") == []


def test_lifting_by_hand_what_is_being_blocked(store):
    clock, responder = HandClock(NOW_MS), Scripted()
    intend(store, block())
    responding = respond(store, responder, clock=clock)

    async def scenario():
        responder.hold = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(responding.step(clock.now_ms()))
            while not responder.performed:  # noqa: ASYNC110  there is no event to wait for
                await asyncio.sleep(0)
            assert responding.lift(IP, clock.now_ms(), "a customer called") == ["act-1"]
            responder.hold.set()
        assert responder.blocked == [IP]
        await responding.step(clock.now_ms())

    asyncio.run(scenario())
    assert responder.blocked == []
    assert row(store).state == "done"


@pytest.mark.parametrize(
    ("receipts", "expected"),
    [
        ([], "none"),
        ([("failed", ""), ("drifted", "absent")], "none"),
        ([("wanted", "")], "none"),
        ([("failed", ""), ("confirmed", "present")], "there"),
        ([("confirmed", "present"), ("failed", "")], "there"),
        ([("confirmed", "present"), ("wanted", "absent"), ("failed", "")], "ending"),
        ([("confirmed", "present"), ("expired", "absent")], "none"),
    ],
)
def test_standing(receipts, expected):
    told_so = [
        Receipt(
            action="act-1", state=state, at_ms=0, point="gateway", detail="", read_back=read_back
        )
        for state, read_back in receipts
    ]
    assert standing(told_so) == expected
