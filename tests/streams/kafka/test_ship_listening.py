"""`Shipper` with an inbox: a sender is answered when the brokers have its lines, and not before."""

import asyncio

import pytest

from streams.clock import SystemClock
from streams.kafka import outflow, ship
from streams.kafka.apart import read
from streams.kafka.ship import Checkpoint, Shipper
from streams.lines import MAX_LINE_BYTES
from streams.listen.inbox import Closed, Inbox, Parcel, identity
from tests.streams.kafka._broker import Broker

SOURCE = "00000000000000aa"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(outflow, "TICK_S", 0.001)
    monkeypatch.setattr(outflow, "_RETRY_S", 0)
    monkeypatch.setattr(ship, "POLL_S", 0.001)


def parcel(*lines):
    return Parcel(SOURCE, "pushed", lines, [identity(line) for line in lines])


def shipping(folder, broker, work, *logs, max_bytes=1 << 20):
    """What `work` found while a collector ran; bounded."""
    inbox = Inbox(max_bytes)

    async def story():
        with Checkpoint(folder / "ship", "here") as kept:
            shipper = Shipper(kept, broker.connect, "raw", SystemClock(), inbox=inbox)
            running = asyncio.ensure_future(shipper.ship([str(log) for log in logs], once=False))
            try:
                return await asyncio.wait_for(work(inbox, shipper), 30), inbox
            finally:
                shipper.stop()
                shipper._out.end_in(0.2)
                await asyncio.wait_for(running, 30)

    return asyncio.run(story())


def lines(broker):
    found = []
    for value, headers in broker.records:
        if "names" in headers:
            found += read(value, headers, 0).lines
    return found


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


def test_lines_go_out_beside_followed_files(tmp_path):
    broker = Broker()
    log = tmp_path / "a.log"
    log.write_bytes(b"first\n")

    async def work(inbox, _shipper):
        await inbox.put("http", [parcel(b"one", b"two")])
        with log.open("ab") as file:
            file.write(b"second\n")
        await until(lambda: any(value == b"second\n" for value, _ in broker.records))
        return await inbox.put("http", [parcel(b"three")])

    repeated, _ = shipping(tmp_path, broker, work, log)
    assert (repeated, lines(broker)) == (0, [b"one", b"two", b"three"])
    assert b"".join(value for value, h in broker.records if "offset" in h) == b"first\nsecond\n"


def test_the_answer_waits_for_that_of_the_brokers(tmp_path):
    broker = Broker()
    broker.answers = False

    async def work(inbox, _shipper):
        sending = asyncio.ensure_future(inbox.put("http", [parcel(b"one")]))
        await until(lambda: broker.records)
        before = sending.done()
        broker.answer()
        await sending
        return before

    assert shipping(tmp_path, broker, work)[0] is False


def test_what_was_not_acknowledged_is_not_answered_as_safe(tmp_path):
    broker = Broker()
    broker.answers = False

    async def work(inbox, shipper):
        sending = asyncio.ensure_future(inbox.put("http", [parcel(b"one")]))
        await until(lambda: broker.records)
        shipper.stop()
        shipper._out.end_in(0.05)
        return (await asyncio.gather(sending, return_exceptions=True))[0]

    answer, inbox = shipping(tmp_path, broker, work)
    assert isinstance(answer, Closed)
    assert ("acknowledged", "http") not in inbox.counts()


def test_brokers_that_are_away_fill_the_inbox_and_not_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(ship, "FRAME_BYTES", 1000)
    broker = Broker()
    broker.refuses = 1 << 30

    async def work(inbox, _shipper):
        sending = [asyncio.ensure_future(inbox.put("http", [parcel(b"x" * 500)]))]
        while inbox.counts().get(("refused", "http"), 0) < 3:
            sending.append(asyncio.ensure_future(inbox.put("http", [parcel(b"x" * 500)])))
            await asyncio.sleep(0)
        held = inbox.held_bytes
        broker.refuses = 0
        answers = await asyncio.gather(*sending, return_exceptions=True)
        return held, sum(answer == 0 for answer in answers)

    (held, taken), inbox = shipping(tmp_path, broker, work, max_bytes=10_000)
    assert held <= 10_000
    assert inbox.counts()["acknowledged", "http"] == taken == len(lines(broker)) > 0


def test_a_line_that_no_broker_takes_becomes_a_fault_with_its_name(tmp_path):
    broker = Broker()
    long = b"x" * (outflow.FRAME_BYTES + 10)
    broker.max_bytes = len(long) - 1
    too_long = b"y" * (MAX_LINE_BYTES + 1)

    async def work(inbox, _shipper):
        return await inbox.put("http", [parcel(b"one", long, too_long, b"two")])

    shipping(tmp_path, broker, work)
    faults = [headers["names"] for _, headers in broker.records if "faults" in headers]
    assert faults == [identity(long), identity(too_long)]
    kept = [read(v, h, 0).lines for v, h in broker.records if "faults" not in h]
    assert kept == [[b"one"], [b"two"]]
