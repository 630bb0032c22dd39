"""A signal stops in order, and which it was is known afterwards."""

import asyncio
import os
import signal

import pytest

from streams.stopping import when_told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_calls_stop_and_is_remembered(number):
    async def main():
        stopped = asyncio.Event()
        came = when_told(stopped.set)
        assert came == []
        os.kill(os.getpid(), number)
        await stopped.wait()
        return came

    assert asyncio.run(main()) == [number]
