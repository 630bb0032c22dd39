"""Several worker processes as one: started, watched, begun again when they die, stopped together.

One Python process uses one core; the partitions are shared among processes as among machines. A
child ends by itself when its parent is gone: its standard input, a pipe, comes to its end.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from streams.stopping import when_told

NUMBER: Final = "BREACHLINE_WORKER_NUMBER"
"""Which of the processes a child is, from 0; set for children alone."""
_AGAIN_S: Final = 1.0
_STOP_S: Final = 20.0

_log = logging.getLogger("breachline.worker")


async def herd(words: Sequence[str], count: int, environ: Mapping[str, str]) -> int:
    """Keep `count` processes of `words` alive until a signal comes; that signal's number.

    A child that ends with a code of its own (2, wrong configuration, say) ends all: the others
    would say the same. One that was killed is begun again.

    Raises:
        ChildProcessError: a child ended with such a code, which is its `errno`.
    """
    stopped = asyncio.Event()
    signals = when_told(stopped.set)
    codes = await asyncio.gather(*(_keep(words, n, environ, stopped) for n in range(count)))
    if not signals and any(codes):
        code = max(codes)
        raise ChildProcessError(code, f"a worker process ended with exit code {code}")
    return signals[0] if signals else 0


async def _keep(
    words: Sequence[str], number: int, environ: Mapping[str, str], stopped: asyncio.Event
) -> int:
    while True:
        child = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            env={**environ, NUMBER: str(number)},
            # Its own group: Ctrl-C at a terminal goes to the parent, who tells the children.
            start_new_session=True,
        )
        ended, told = asyncio.ensure_future(child.wait()), asyncio.ensure_future(stopped.wait())
        await asyncio.wait([ended, told], return_when="FIRST_COMPLETED")
        told.cancel()
        if stopped.is_set():
            await _end(child, ended)
            return max(child.returncode or 0, 0)
        code = ended.result()
        if code >= 0:
            stopped.set()
            return code
        _log.warning("worker process %d was killed by signal %d: begun again", number, -code)
        await asyncio.sleep(_AGAIN_S)


async def _end(child: asyncio.subprocess.Process, ended: "asyncio.Future[int]") -> None:
    if child.returncode is None:
        child.terminate()
    try:
        await asyncio.wait_for(ended, _STOP_S)
    except TimeoutError:
        child.kill()
        await child.wait()


def number(environ: Mapping[str, str]) -> int:
    """Which of several processes this is, from 0."""
    return int(environ.get(NUMBER, "0"))


def when_orphaned(stop: asyncio.Event, environ: Mapping[str, str] = os.environ) -> None:
    """In a child: set `stop` when the parent is gone. Elsewhere, nothing."""
    if NUMBER not in environ:
        return
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 1024):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, readable)
