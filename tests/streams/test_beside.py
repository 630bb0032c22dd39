import asyncio
import logging

import pytest

from streams import beside
from streams.beside import ended, keep_up

PATIENCE_S = 20


class Double:
    """Remembers its steps; `script` says what each returns, raises or waits for."""

    def __init__(self, *script):
        self.script = list(script)
        self.steps = []
        self.lasts = []
        self.done = asyncio.Event()

    async def step(self, now_ms):
        self.steps.append(now_ms)
        what = self.script.pop(0)
        if not self.script:
            self.done.set()
            self.script = [None]
        if isinstance(what, Exception):
            raise what
        return what

    async def last(self, now_ms):
        self.lasts.append(now_ms)


async def driven(one, *, now_ms=lambda: 7):
    ending = asyncio.Event()
    task = asyncio.ensure_future(keep_up(one, now_ms, ending))
    async with asyncio.timeout(PATIENCE_S):
        await one.done.wait()
        ending.set()
        await task


def test_it_steps_until_the_end_and_has_the_last_word():
    async def run():
        one = Double(0.0, 0.0, None)
        await driven(one)
        assert (set(one.steps), one.lasts) == ({7}, [7])
        assert len(one.steps) >= 3

    asyncio.run(run())


def test_a_fault_ends_nothing_and_shows_nothing_of_its_words(caplog, monkeypatch):
    monkeypatch.setattr(beside, "FAULT_S", 0.0)

    async def run():
        one = Double(RuntimeError("203.0.113.7 and a token"), 0.0, None)
        await driven(one)
        assert one.lasts == [7]

    with caplog.at_level(logging.ERROR, "breachline.beside"):
        asyncio.run(run())
    (said,) = caplog.messages
    assert "a fault of Breachline in Double, RuntimeError at Double.step:" in said
    assert "203.0.113.7" not in said


def test_a_fault_in_the_last_word_is_said_and_passes(caplog):
    class Late(Double):
        async def last(self, now_ms):
            raise OSError(now_ms)

    async def run():
        await driven(Late(0.0, None))

    with caplog.at_level(logging.ERROR, "breachline.beside"):
        asyncio.run(run())
    assert len(caplog.messages) == 1


def test_what_takes_too_long_at_the_end_is_cut_off():
    async def run():
        stuck = asyncio.ensure_future(asyncio.sleep(3600))
        await ended([stuck], 0.01)
        with pytest.raises(asyncio.CancelledError):
            await stuck
        await ended([], 0.01)

    asyncio.run(run())


def test_without_a_limit_the_end_waits_as_long_as_it_takes():
    async def run():
        go, done = asyncio.Event(), []

        async def work():
            await go.wait()
            done.append("all")

        task = asyncio.ensure_future(work())
        ending = asyncio.ensure_future(ended([task], None))
        await asyncio.sleep(0)
        assert done == []
        go.set()
        async with asyncio.timeout(PATIENCE_S):
            await ending
        assert done == ["all"]

    asyncio.run(run())
