"""What Ctrl-C and SIGTERM do to a program that is at work: it stops in order, and knows why."""

import asyncio
import signal
from collections.abc import Callable


def when_told(stop: Callable[[], None]) -> list[int]:
    """Call `stop` at SIGINT and SIGTERM from now on; the list holds those that came, in order.

    MUST be called in the running loop.
    """
    came: list[int] = []

    def told(number: int) -> None:
        came.append(number)
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told, number)
    return came
