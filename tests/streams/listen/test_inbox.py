import asyncio
from threading import Thread

import pytest

from streams.listen.inbox import LINE_COST_BYTES, Closed, Full, Inbox, Parcel, identity

SOURCE = "00000000000000aa"


def parcel(*lines, identities=()):
    return Parcel(SOURCE, "a.log", lines, identities)


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


def test_a_sender_is_answered_when_its_lines_are_durable():
    inbox = Inbox(10_000)

    async def main():
        sending = asyncio.ensure_future(inbox.put("http", [parcel(b"one", b"two"), parcel(b"3")]))
        await until(lambda: inbox.held_bytes)
        (delivery,) = inbox.take(1)
        before = sending.done()
        delivery.repeated = 1
        inbox.settle([delivery])
        return before, delivery.lines, await sending

    assert run(main()) == (False, 3, 1)
    assert inbox.held_bytes == 0
    assert inbox.counts() == {
        ("received", "http"): 3, ("acknowledged", "http"): 3, ("repeated", "http"): 1,
    }  # fmt: skip


def test_without_room_the_sender_is_sent_away_and_memory_does_not_grow():
    inbox = Inbox(2 * (LINE_COST_BYTES + 1))

    async def main():
        first = asyncio.ensure_future(inbox.put("http", [parcel(b"a", b"b")]))
        await until(lambda: inbox.held_bytes)
        with pytest.raises(Full):
            await inbox.put("http", [parcel(b"c")])
        dropped = inbox.offer("syslog", [parcel(b"d", b"e")])
        held = inbox.held_bytes
        # What was taken is still held: it is in memory until it is durable.
        taken = inbox.take(1)
        with pytest.raises(Full):
            await inbox.put("http", [parcel(b"c")])
        inbox.settle(taken)
        await first
        return dropped, held, inbox.offer("syslog", [parcel(b"d", b"e")])

    assert run(main()) == (False, inbox.max_bytes, True)
    assert inbox.counts()["refused", "http"] == 2
    assert inbox.counts()["dropped", "syslog"] == 2


def test_what_is_larger_than_all_room_gets_in_alone():
    inbox = Inbox(10)
    assert inbox.offer("syslog", [parcel(b"x" * 100)])
    assert not inbox.offer("syslog", [parcel(b"y")])


def test_who_can_wait_gets_in_when_there_is_room():
    inbox = Inbox(10)

    async def main():
        first = asyncio.ensure_future(inbox.put("syslog", [parcel(b"a")]))
        await until(lambda: inbox.held_bytes)
        second = asyncio.ensure_future(inbox.put("syslog", [parcel(b"b")], wait=True))
        room = asyncio.ensure_future(inbox.has_room())
        await asyncio.sleep(0)
        waited = not (second.done() or room.done())
        inbox.settle(inbox.take(1))
        await first
        await until(lambda: inbox.held_bytes)
        (delivery,) = inbox.take(1)
        inbox.settle([delivery])
        await second
        await room
        return waited, list(delivery.parcels)

    assert run(main()) == (True, [parcel(b"b")])


def test_the_oldest_comes_first_and_a_take_is_bounded():
    inbox = Inbox(10_000)
    for line in (b"a", b"b", b"c"):
        inbox.offer("syslog", [parcel(line)])
    two = inbox.take(LINE_COST_BYTES + 2)
    assert [one.parcels[0].lines for one in two] == [(b"a",), (b"b",)]
    assert [one.parcels[0].lines for one in inbox.take(1)] == [(b"c",)]
    assert inbox.take(1) == []


def test_nobody_is_told_of_what_was_not_made_durable():
    inbox = Inbox(10_000)

    async def main():
        taken = asyncio.ensure_future(inbox.put("http", [parcel(b"taken")]))
        waiting = asyncio.ensure_future(inbox.put("http", [parcel(b"waiting")]))
        await until(lambda: inbox.counts().get(("received", "http")) == 2)
        inbox.close(inbox.take(1))
        results = await asyncio.gather(taken, waiting, return_exceptions=True)
        for later in (inbox.put("http", [parcel(b"late")]), inbox.has_room()):
            with pytest.raises(Closed):
                await later
        with pytest.raises(Closed):
            inbox.offer("syslog", [parcel(b"late")])
        return [type(result) for result in results]

    assert run(main()) == [Closed, Closed]
    assert ("acknowledged", "http") not in inbox.counts()


def test_a_sender_that_has_gone_holds_up_nobody():
    inbox = Inbox(10_000)

    async def main():
        sending = asyncio.ensure_future(inbox.put("http", [parcel(b"one")]))
        await until(lambda: inbox.held_bytes)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        inbox.settle(inbox.take(1))
        waiting = asyncio.ensure_future(inbox.put("http", [parcel(b"two")]))
        await until(lambda: inbox.held_bytes)
        waiting.cancel()

    run(main())
    # Here its loop has ended altogether.
    inbox.settle(inbox.take(1))
    assert inbox.held_bytes == 0


def test_listeners_and_consumer_are_in_different_threads():
    inbox = Inbox(1 << 20)

    async def send():
        return await asyncio.gather(
            *(inbox.put("http", [parcel(b"%d" % n)], wait=True) for n in range(100))
        )

    results = []
    listeners = Thread(target=lambda: results.append(asyncio.run(send())))

    async def consume():
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        inbox.attach(lambda: loop.call_soon_threadsafe(arrived.set))
        listeners.start()
        seen = 0
        while seen < 100:
            await arrived.wait()
            arrived.clear()
            taken = inbox.take(500)
            while taken:
                seen += len(taken)
                inbox.settle(taken)
                taken = inbox.take(500)

    run(consume())
    listeners.join(10)
    assert results == [[0] * 100]


def test_an_identity_is_of_its_parts_and_nothing_else():
    assert identity(b"ab", "c", 1) == identity("ab", b"c", "1")
    assert len({identity("ab", "c"), identity("a", "bc"), identity("abc"), identity("ab", "")}) == 4
    assert len(identity("x")) == 16
