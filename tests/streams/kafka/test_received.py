import asyncio

import pytest

from streams.kafka.received import Received
from streams.listen.inbox import Closed, Inbox, Parcel, identity

SOURCE = "00000000000000aa"


def parcel(*lines):
    return Parcel(SOURCE, "a.log", lines, [identity(line) for line in lines])


def run(main):
    return asyncio.run(asyncio.wait_for(main, 30))


async def put(inbox, *parcels):
    sending = asyncio.ensure_future(inbox.put("http", parcels))
    await asyncio.sleep(0)
    return sending


async def settled(sending):
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return sending.done()


def test_a_sender_is_answered_when_its_last_frame_arrived_and_not_before():
    inbox = Inbox(1 << 20)
    received = Received(inbox, frame_bytes=4)

    async def main():
        first = await put(inbox, parcel(b"one", b"two"))
        second = await put(inbox, parcel(b"six"))
        frames = list(received.frames())
        seen = []
        for _ in frames:
            received.acknowledged()
            seen.append((await settled(first), await settled(second)))
        return [frame.data for frame in frames], seen

    assert run(main()) == (
        [b"one", b"two", b"six"], [(False, False), (True, False), (True, True)],
    )  # fmt: skip


def test_blank_lines_wait_for_nobody():
    inbox = Inbox(1 << 20)
    received = Received(inbox, frame_bytes=100)

    async def main():
        lines = await put(inbox, parcel(b"one"))
        blank = await put(inbox, parcel(b"", b" "))
        frames = list(received.frames())
        before = await settled(lines), await settled(blank)
        received.acknowledged()
        return len(frames), before, await settled(lines)

    assert run(main()) == (1, (False, True), True)


def test_at_the_end_nobody_is_told_of_what_did_not_arrive():
    inbox = Inbox(1 << 20)
    received = Received(inbox, frame_bytes=4)

    async def main():
        half = await put(inbox, parcel(b"one", b"two"))
        behind = await put(inbox, parcel(b"six"))
        frames = received.frames()
        next(frames)
        received.acknowledged()
        waiting = await put(inbox, parcel(b"ten"))
        received.close()
        return await asyncio.gather(half, behind, waiting, return_exceptions=True)

    assert [type(answer) for answer in run(main())] == [Closed] * 3
    with pytest.raises(Closed):
        inbox.offer("syslog", [parcel(b"late")])
