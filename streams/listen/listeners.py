"""All listeners of one process, in one thread with a loop of its own.

Listeners come in; whoever reads is told when one cannot begin, or fails later. A thread of their
own, because reading blocks its loop for up to a second, and UDP that nobody reads is lost. It MUST
NOT end the program by a fault of one sender.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Final, Protocol

CLOSE_S: Final = 3.0
"""Whoever stops the program waits no longer than this for answers that are under way."""

_log = logging.getLogger("breachline.listen")


class Listener(Protocol):
    """One thing that is listened to. All its calls come in the listeners' loop."""

    @property
    def says(self) -> str:
        """What a person reads: "HTTP on 127.0.0.1:8088"; once started, with the true port."""
        ...

    async def start(self) -> None:
        """Listens from here on.

        Raises:
            OSError, ValueError: it cannot, and why, with what to do.
        """
        ...

    async def stop(self) -> None:
        """Accepts no more, and returns when what was accepted is answered or given up.

        The inbox is closed by then or soon: whoever waits for it is told.
        """
        ...


class Listeners:
    """Starts all of them or none, and stops them."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.all = tuple(listeners)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._started: list[Listener] = []

    def start(self) -> None:
        """Listens, from when this returns.

        Raises:
            ValueError: one of them cannot, in words for a person; then none does.
        """
        ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="listeners", daemon=True
        )
        self._thread.start()
        self._loop = ready.result()
        try:
            asyncio.run_coroutine_threadsafe(self._start_all(), self._loop).result()
        except (OSError, ValueError) as error:
            self.close()
            raise ValueError(str(error)) from error

    def stop_accepting(self) -> None:
        """Tells all to end, and does not wait: what they accepted may still be answered."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has ended
                asyncio.run_coroutine_threadsafe(self._stop_all(), loop)

    def close(self) -> None:
        """Ends all, and waits a little for the answers that are under way."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop_all(), loop).result(CLOSE_S)
        loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(CLOSE_S)

    @property
    def says(self) -> list[str]:
        """What each of them says of itself."""
        return [one.says for one in self.all]

    async def _start_all(self) -> None:
        for one in self.all:
            await one.start()
            self._started.append(one)

    async def _stop_all(self) -> None:
        started, self._started = self._started, []
        results = await asyncio.gather(*(one.stop() for one in started), return_exceptions=True)
        for one, result in zip(started, results, strict=True):
            if isinstance(result, Exception):
                _log.error("ending %s: %s", one.says, type(result).__name__)

    async def _serve(self, ready: "Future[asyncio.AbstractEventLoop]") -> None:
        """The thread's whole life; what is under way at its end is cut off."""
        self._ending = asyncio.Event()
        ready.set_result(asyncio.get_running_loop())
        await self._ending.wait()
