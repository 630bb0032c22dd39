"""`Live` with an inbox: what is answered is durable, and what is not durable is not answered."""

import asyncio
import os
import sys
from random import Random

import pytest

from evidence.keys import CredentialDigest
from streams.clock import HandClock
from streams.listen.inbox import Closed, Inbox, Parcel, identity
from streams.listen.reception import Reception
from streams.listen.seen import Seen
from streams.live import Live, Outbox
from tests import _attack

NOW_MS = _attack.START_MS + 71 * 60_000
SOURCE = "00000000000000aa"


def parcel(lines, *, named=True):
    lines = [each.rstrip("\n").encode() for each in lines]
    return Parcel(SOURCE, "pushed", lines, [identity(one) for one in lines] if named else ())


@pytest.fixture
def service(store, pipeline_on):
    """Makes a service on the store, with its inbox."""

    def make(max_bytes=64 << 20):
        pipeline = pipeline_on(store, performer=Outbox(store), event_time=False)
        pipeline.restore()
        inbox = Inbox(max_bytes)
        reception = Reception(pipeline, Seen(store), CredentialDigest(b"k" * 32))
        live = Live(
            pipeline, store, None, [], HandClock(NOW_MS), Random(1),
            inbox=inbox, reception=reception,
        )  # fmt: skip
        return live, inbox

    return make


def following(live, work, logs=(), *, once=False):
    """Follow while `work` runs, then stop; bounded."""

    async def main():
        task = asyncio.ensure_future(live.follow([str(log) for log in logs], once=once))
        try:
            return await asyncio.wait_for(work(), 30)
        finally:
            live.stop()
            await asyncio.wait_for(task, 30)

    return asyncio.run(main())


def test_an_answer_comes_after_the_commit_and_counts_what_was_repeated(service, store):
    live, inbox = service()
    walk = _attack.ordinary() + _attack.walk()

    async def send():
        first = await inbox.put("http", [parcel(walk)])
        known = [one.affected_count for one in store.incidents()]
        again = await inbox.put("http", [parcel(walk[-20:])])
        return first, known, again

    assert following(live, send) == (0, [12], 20)
    assert live._pipeline.tally.lines == len(walk) + 20
    assert live._pipeline.tally.duplicate == 20


def test_lines_pushed_while_a_backlog_is_read_are_not_kept_waiting_for_its_end(
    service, store, attack
):
    live, inbox = service()

    async def send():
        return await inbox.put("http", [parcel([_attack.entry(5, "u-10", "/api/v1/users/u-10/x")])])

    assert following(live, send, [attack]) == 0


def test_files_are_followed_while_lines_are_pushed(service, store, attack):
    live, inbox = service()
    entry = _attack.entry(70 * 60 + 30, "u-66", "/api/v1/wallets/u-77/transactions")

    async def send():
        for number in range(200):
            await inbox.put("http", [parcel([_attack.entry(number, "u-10", "/health")])])
            if number == 100:
                with attack.open("a") as log:
                    log.write(entry)
            if [one.affected_count for one in store.incidents()] == [13]:
                return True
        return False

    assert following(live, send, [attack])


def test_after_the_end_nothing_is_answered_as_durable(service, store):
    live, inbox = service()

    async def send():
        await inbox.put("http", [parcel([_attack.entry(1, "u-10", "/health")])])
        live.stop()
        late = asyncio.ensure_future(
            inbox.put("http", [parcel([_attack.entry(2, "u-10", "/health")])])
        )
        return await asyncio.gather(late, return_exceptions=True)

    (result,) = following(live, send)
    # Whichever came first: it was taken, and then it is there; or it was not.
    assert live._pipeline.tally.lines == (2 if result == 0 else 1)
    assert result == 0 or isinstance(result, Closed)


def test_a_commit_that_fails_is_no_answer(service, store):
    live, inbox = service()
    results: list[object] = []

    class Cut(Exception):
        pass

    def fails():
        raise Cut

    live._pipeline.checkpoint = fails

    async def main():
        sending = asyncio.ensure_future(inbox.put("http", [parcel(_attack.walk())]))
        with pytest.raises(ExceptionGroup) as error:
            await asyncio.wait_for(live.follow([], once=False), 30)
        results.extend(await asyncio.gather(sending, return_exceptions=True))
        assert error.value.subgroup(Cut)

    asyncio.run(main())
    assert [type(result) for result in results] == [Closed]
    assert (store.sources(), list(store.findings())) == ([], [])
    again, inbox = service()

    async def send():
        return await inbox.put("http", [parcel(_attack.walk())])

    # What was not kept is not known either.
    assert following(again, send) == 0


@pytest.fixture
def stdin(monkeypatch):
    """Standard input, and the other end of it."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield os.fdopen(writing, "w")


@pytest.mark.parametrize("once", [True, False])
def test_standard_input_alone_is_read_to_its_end(store, pipeline_on, stdin, attack, once):
    pipeline = pipeline_on(store, performer=Outbox(store), event_time=False)
    live = Live(pipeline, store, None, [], HandClock(NOW_MS), Random(1))

    async def main():
        task = asyncio.ensure_future(live.follow(["-"], once=once))
        await asyncio.to_thread(write_and_close, stdin, attack.read_text())
        await asyncio.wait_for(task, 30)

    asyncio.run(main())
    assert (pipeline.tally.lines, [one.affected_count for one in store.incidents()]) == (852, [12])


def write_and_close(file, text):
    with file:
        file.write(text)


def test_a_file_is_followed_beyond_the_end_of_standard_input(service, store, stdin, attack):
    live, _ = service()
    write_and_close(stdin, _attack.entry(60 * 70 + 40, "u-66", "/api/v1/wallets/u-78/x"))

    async def work():
        for _ in range(1000):
            if [one.affected_count for one in store.incidents()] == [13]:
                break
            await asyncio.sleep(0.01)
        with attack.open("a") as log:
            log.write(_attack.entry(70 * 60 + 50, "u-66", "/api/v1/wallets/u-77/x"))
        for _ in range(1000):
            if [one.affected_count for one in store.incidents()] == [14]:
                return True
            await asyncio.sleep(0.01)
        return False

    assert following(live, work, [attack, "-"])
