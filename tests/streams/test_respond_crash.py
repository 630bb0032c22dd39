"""What streams/respond.py does when it is killed, restarted, or runs twice."""

import asyncio

import pytest

from evidence.store import EmbeddedStore
from streams.clock import HandClock
from streams.respond import LEASE_MS
from tests._respond import (
    IP,
    NOW_MS,
    STORES,
    MemoryStore,
    Scripted,
    block,
    intend,
    live,
    opened,
    respond,
    step,
    told,
)


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    with opened(request.param, tmp_path / "data") as made:
        yield made


# Crashes, restarts, two loops


class CrashError(Exception):
    """The process ends here."""


def crash(receipt):
    raise CrashError


@pytest.mark.parametrize("trouble", [None, "get_404"])
def test_crash_between_effect_and_receipt_has_no_second_effect(store, gateway, trouble):
    clock = HandClock(NOW_MS)
    gateway.trouble = trouble
    intend(store, block())

    async def first_life():
        async with live(store, gateway, clock, on_receipt=crash) as responding:
            await responding.step(clock.now_ms())

    async def second_life():
        async with live(store, gateway, clock) as responding:
            wait_s = await responding.step(clock.now_ms())
            assert wait_s == LEASE_MS / 1000
            clock.advance(wait_s)
            await responding.step(clock.now_ms())

    with pytest.raises(ExceptionGroup):
        asyncio.run(first_life())
    assert (gateway.blocked, told(store)) == ([IP], [])
    asyncio.run(second_life())
    assert gateway.effects == {("block", IP): 1}
    words = f"blocked {IP}" if trouble else f"already blocked: {IP}"
    assert told(store) == [("confirmed", words)]
    assert gateway.calls["POST /admin/block-ip"] == (2 if trouble else 1)


@pytest.mark.parametrize("trouble", [None, "get_404"])
def test_crash_between_lifting_and_its_receipt(store, gateway, trouble):
    clock = HandClock(NOW_MS)
    gateway.trouble = trouble
    intend(store, block())

    async def life(on_receipt):
        async with live(store, gateway, clock, on_receipt=on_receipt) as responding:
            await responding.step(clock.now_ms())

    asyncio.run(life(lambda _: None))
    clock.advance(3600)
    with pytest.raises(ExceptionGroup):
        asyncio.run(life(crash))
    assert gateway.blocked == []
    clock.advance(LEASE_MS / 1000)
    asyncio.run(life(lambda _: None))
    words = f"lifted {IP}" if trouble else f"already lifted: {IP}"
    assert told(store)[1:] == [("expired", words)]
    assert gateway.effects == {("block", IP): 1, ("unblock", IP): 1}


def test_cancelled_while_the_gateway_works(store, gateway):
    """Ctrl-C in the middle of a call: the next life finds the effect by reading back."""
    clock = HandClock(NOW_MS)
    gateway.trouble = "slow"
    intend(store, block())

    async def first_life():
        async with live(store, gateway, clock) as responding, asyncio.TaskGroup() as group:
            task = group.create_task(responding.run())
            while not gateway.effects:  # noqa: ASYNC110  the server is a thread
                await asyncio.sleep(0.01)
            task.cancel()

    async def second_life():
        async with live(store, gateway, clock) as responding:
            await responding.step(clock.now_ms())

    asyncio.run(first_life())
    assert told(store) == []
    gateway.trouble = None
    clock.advance(LEASE_MS / 1000)
    asyncio.run(second_life())
    assert told(store) == [("confirmed", f"already blocked: {IP}")]
    assert gateway.effects == {("block", IP): 1}


def test_two_loops_over_one_store_have_one_effect_each(store, gateway):
    clock = HandClock(NOW_MS)
    actions = [block(f"act-{n}", f"203.0.113.{n}") for n in range(1, 13)]
    intend(store, *actions)

    async def scenario():
        async with live(store, gateway, clock) as one, live(store, gateway, clock) as two:
            await asyncio.gather(one.step(clock.now_ms()), two.step(clock.now_ms()))
            clock.advance(3600)
            await asyncio.gather(one.step(clock.now_ms()), two.step(clock.now_ms()))

    asyncio.run(scenario())
    assert gateway.blocked == []
    assert gateway.calls["POST /admin/block-ip"] == 12
    assert gateway.calls["POST /admin/unblock-ip"] == 12
    assert all([s for s, _ in told(store, a.id)] == ["confirmed", "expired"] for a in actions)


def test_two_processes_over_one_file(tmp_path):
    clock, responder = HandClock(NOW_MS), Scripted()
    with EmbeddedStore.open(tmp_path) as one, EmbeddedStore.open(tmp_path) as two:
        intend(one, *(block(f"act-{n}", f"203.0.113.{n}") for n in range(1, 9)))

        async def scenario():
            loops = [respond(each, responder, clock=clock) for each in (one, two)]
            await asyncio.gather(*(each.step(clock.now_ms()) for each in loops))

        asyncio.run(scenario())
        assert sorted(name for name, _, _ in responder.performed) == [
            f"act-{n}" for n in range(1, 9)
        ]


def test_a_leased_row_is_left_alone(store):
    clock, responder = HandClock(NOW_MS), Scripted()
    with store.transaction():
        store.log.append_intent(block())
        store.outbox_add("act-1", NOW_MS + LEASE_MS)
    assert step(respond(store, responder, clock=clock), clock) == LEASE_MS / 1000
    assert responder.performed == []


def test_a_store_that_cannot_append_stops_the_effect():
    class Full(MemoryStore):
        def outbox_update(self, action_id, **given):
            raise OSError(28, "No space left on device")

    store, clock, responder = Full(), HandClock(NOW_MS), Scripted()
    intend(store, block())
    with pytest.raises(ExceptionGroup):
        step(respond(store, responder, clock=clock), clock)
    assert responder.performed == []
