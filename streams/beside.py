"""What goes on beside detection, and must never hold it up: its beginning, pace, faults and end.

Something with steps comes in (a projection, a publisher); it is driven until it is told to end, and
gets its last word then. A fault of it is logged and ends nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

from prometheus_client import Metric

IDLE_S: Final = 0.5
"""Between two looks for something to do."""
FAULT_S: Final = 30.0
"""After a fault of ours, which time alone will hardly mend."""

Durable = Callable[[], Awaitable[None]]
"""Returns once what the store holds would survive this machine."""

_log = logging.getLogger("breachline.beside")


async def at_once() -> None:
    """`Durable` of the embedded store: what is committed to it is."""


class Beside(Protocol):
    """Something that works in steps of a few milliseconds, between its waits for others."""

    async def step(self, now_ms: int) -> float | None:
        """Do what is next; seconds until it is worth another call, None if nothing waits."""
        ...

    async def last(self, now_ms: int) -> None:
        """Do what can still be done before the end."""
        ...


class Measured(Beside, Protocol):
    """Such a thing that says how it stands."""

    def metrics(self, now_ms: int) -> Iterable[Metric]:
        """How it stands now, for Prometheus; labels as `streams.metrics` says."""
        ...


async def keep_up(one: Beside, now_ms: Callable[[], int], ending: asyncio.Event) -> None:
    """Step until `ending`, then have the last word; cancelling cuts both short."""
    while not ending.is_set():
        try:
            wait_s = await one.step(now_ms())
        except OSError as error:  # the store's, or the brokers', in words of ours
            wait_s = FAULT_S
            _log.warning("%s: %s", type(one).__name__, error)
        except Exception as error:  # noqa: BLE001  detection goes on without it
            wait_s = FAULT_S
            _say(one, error)
        else:
            wait_s = IDLE_S if wait_s is None else min(wait_s, IDLE_S)
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes with the event.
            async with asyncio.timeout(wait_s):
                await ending.wait()
        except TimeoutError:
            continue
    try:
        await one.last(now_ms())
    except Exception as error:  # noqa: BLE001  what else has to end must still end
        _say(one, error)


async def ended(tasks: Iterable["asyncio.Task[None]"], patience_s: float | None) -> None:
    """Wait for what was told to end, and cut off what takes longer; None waits as it takes."""
    waiting = list(tasks)
    if waiting:
        await asyncio.wait(waiting, timeout=patience_s)
    for task in waiting:
        task.cancel()


def _say(one: Beside, error: Exception) -> None:
    # Its text may quote anything, a document or a credential.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
    _log.error(
        "a fault of Breachline in %s, %s at %s: report it; it is tried again",
        type(one).__name__, type(error).__name__, where,
    )  # fmt: skip
