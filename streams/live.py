"""The live embedded service: follows logs, keeps position and state in one transaction, responds.

In: settings, paths, a clock. Out: everything in the store, and steps to whoever watches. A kill at
any point resumes at exactly the next line: what is not committed did not happen.
"""

import asyncio
import fcntl
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from random import Random
from typing import IO

from evidence.history import History
from evidence.settings import Capture
from evidence.store import EmbeddedStore
from incidents.mistakes import Withdrawal
from incidents.settings import NeverBlock
from intake.frames import SourceState
from records.incident import Action, Guard, Incident, Receipt
from records.stores import ExposureStore
from responders._base import Responder
from streams.approvals import by_person
from streams.beside import Beside, ended, keep_up
from streams.capture import LaterLines
from streams.clock import Clock
from streams.decider import Step
from streams.follow import Follower
from streams.lift import lift_harmful
from streams.lines import Frame
from streams.listen.inbox import Delivery, Inbox
from streams.listen.piped import Piped
from streams.listen.reception import Reception
from streams.merge import merge
from streams.pipeline import Pipeline
from streams.respond import Respond
from streams.withdraw import withdraw

POLL_S = 0.1
COMMIT_S = 1.0
"""State is written this often while a backlog is read; when caught up, after every poll."""
RESPOND_S = 0.1
PRUNE_S = 3600.0
STOP_S = 2.0
"""A person who stops the service waits no longer than this, twice: for an enforcement point, then
for what tells others."""
LOOKBACK_MS = 30 * 86_400_000
"""Exposures and lines that no incident refers to are kept this long."""
_COMMIT_BYTES = 64 << 20
_RECEIVE_BYTES = 4 << 20
"""Of what listeners brought, in one transaction: whoever sent it waits for its end."""
_LAST_STEPS = 1_000
_DEFAULT = Capture()

Watch = Callable[[Frame, Step], None]


class Busy(RuntimeError):
    """Another service writes this data directory."""


def lock(data_dir: Path) -> IO[str]:
    """Hold the data directory for one service; released when the file is closed.

    Raises:
        Busy: another process holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (data_dir / "run.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Busy(
            f"another breachline run holds {data_dir}: stop it, or give this one its own --data-dir"
        ) from error
    return file


class Outbox:
    """Puts decided actions where `Respond` finds them, in the pipeline's own transaction."""

    def __init__(self, store: EmbeddedStore, limits: Capture = _DEFAULT) -> None:
        self._store = store
        self._later = LaterLines(store, limits)

    def intend(self, actions: list[Action], now_ms: int) -> None:
        """One row an action, due at once."""
        for action in actions:
            self._store.outbox_add(action.id, now_ms)

    def withdraw(self, withdrawn: list[Withdrawal], now_ms: int) -> None:
        """What was not tried is closed, what may stand is due to be lifted at once."""
        for one in withdrawn:
            withdraw(self._store, one.action, one.why, now_ms)

    def keep(
        self, grown: list[Incident], step: Step, now_ms: int, exposures: ExposureStore
    ) -> None:
        """Lines that came after an incident's capture, each entered once."""
        self._later.enter(grown, step, now_ms, exposures)

    def keep_all(self, grown: list[Incident], now_ms: int, exposures: ExposureStore) -> None:
        """Lines that turned out to be an incident's."""
        self._later.enter_all(grown, now_ms, exposures)


class Live:
    """Reads, commits and responds until stopped, or once to the logs' ends."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: EmbeddedStore,
        history: History | None,
        responders: Iterable[Responder],
        clock: Clock,
        random: Random,
        *,
        watch: Watch = lambda _frame, _step: None,
        on_receipt: Callable[[Receipt], None] = lambda _receipt: None,
        caught_up: Callable[[], None] = lambda: None,
        beside: Sequence[Beside] = (),
        never_block: Callable[[], Sequence[NeverBlock] | None] = lambda: None,
        event_time: bool = False,
        inbox: Inbox | None = None,
        reception: Reception | None = None,
    ) -> None:
        """`event_time`: event time is now, for playing an example; else the wall clock is.

        `inbox` and `reception`: what listeners bring, and how it is taken.

        `never_block` gives the list as the configuration has it now, None where it is unchanged.
        `caught_up` is called once, when what was there has been read and following begins.
        `beside` is driven for as long as this reads and responds; each has its last word in turn,
        so that what one enters those after it can tell.
        """
        self._pipeline = pipeline
        self._store = store
        self._history = history
        self._clock = clock
        self._watch = watch
        self._caught_up = caught_up
        self._event_time = event_time
        self._never_block = never_block
        self._beside = beside
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        """Something came that nobody had to look for, or it is the end."""
        self._all_read = asyncio.Event()
        self._inbox, self._reception = inbox, reception
        self._read_s = clock.monotonic_s()
        """When something was last read."""
        self._taken: list[Delivery] = []
        """From the inbox, and not yet durable."""
        self._prune_at_s = clock.monotonic_s() + PRUNE_S
        self.respond = Respond(
            store,
            responders,
            recheck=self._recheck,
            clock=clock,
            random=random,
            on_receipt=on_receipt,
        )
        self.followers: list[Follower] = []

    def _recheck(self, action: Action, now_ms: int) -> Guard:
        """The guards at the moment of performing, with the never-block list read anew."""
        if (entries := self._never_block()) is not None:
            self._pipeline.decider.relist(entries, now_ms)
        desk = self._pipeline.desk
        return desk.recheck(action, now_ms, by_person=by_person(self._store, action))

    def stop(self) -> None:
        """Finish the frame at hand, commit, and return from `follow`."""
        self._stopping.set()
        self._woken.set()

    async def follow(self, logs: Sequence[str], *, once: bool) -> None:
        """Read what is there at full speed, then go on following; `once` ends there.

        "-" is standard input, which is read to its end; alone, it is the end.
        """
        pipeline = self._pipeline
        marks = _Marks(pipeline.sources)
        wake = self._wake_from_anywhere()
        files = [log for log in logs if log != "-"]
        self.followers = [Follower(log, pipeline.book, marks) for log in files]
        piped = None
        if "-" in logs:
            piped = Piped(sys.stdin.fileno(), pipeline.book, marks, arrived=wake)
        if self._inbox is not None:
            self._inbox.attach(wake)
        ends = once or not (files or self._inbox is not None)
        try:
            async with self._responding():
                try:
                    await self._read(piped, once=once, ends=ends)
                finally:
                    # Now, not when all is answered: who waits is to send to another, or later.
                    self._close_inbox()
        finally:
            if piped is not None:
                piped.close()
            for follower in self.followers:
                follower.close()
        if piped is not None and piped.problem:
            raise OSError(piped.problem)

    async def _read(self, piped: Piped | None, *, once: bool, ends: bool) -> None:
        frames = merge([_all(f, once=once) for f in self.followers], self._pipeline.times)
        while self._commit(frames):
            await _pause(self._stopping, 0)
            if self._stopping.is_set():
                return
        if not ends:
            self._caught_up()
        elif piped is None:
            self._settle_all()
        while not (self._stopping.is_set() or (ends and (piped is None or piped.finished))):
            # One at a time: what is polled and not taken would be lost.
            found = (frame for f in self.followers if (frame := f.poll(finish=once)) is not None)
            busy = self._commit(chain(found, piped.frames() if piped is not None else ()))
            waits = self._inbox is not None and not self._inbox.is_empty
            await _pause(self._woken, 0 if busy or waits else POLL_S)
            self._woken.clear()
        if ends and piped is not None and piped.finished:
            self._settle_all()

    def _settle_all(self) -> None:
        """Judge what waited for its other half in vain: no log has more lines."""
        while self._commit(iter(()), settles=True):
            pass

    def _wake_from_anywhere(self) -> Callable[[], object]:
        """Has `_read` look at once; may be called in any thread, and after the end."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._woken.set)

        return wake

    def _close_inbox(self) -> None:
        if self._inbox is not None:
            self._inbox.close(self._taken)

    async def play(self, frames: Iterable[tuple[Frame, float]]) -> None:
        """Frames, each with the seconds to wait after it: an example that unfolds."""
        async with self._responding():
            for frame, wait_s in frames:
                if self._stopping.is_set():
                    return
                self._commit(iter([frame]))
                await _pause(self._stopping, wait_s)

    @asynccontextmanager
    async def _responding(self) -> AsyncIterator[None]:
        """Respond beside reading: a gateway that does not answer must not hold up the logs."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._respond_always())
            endings = [asyncio.Event() for _ in self._beside]
            beside = [
                tasks.create_task(keep_up(one, self._clock.now_ms, over))
                for one, over in zip(self._beside, endings, strict=True)
            ]
            yield
            self._all_read.set()
            # What is cut off here is in the store: the next run reads back before it repeats.
            await ended([task], self._patience_s)
            for other, over in zip(beside, endings, strict=True):
                # One after the other: what one of them enters, those after it tell.
                over.set()
                await ended([other], self._patience_s)

    @property
    def _patience_s(self) -> float | None:
        return STOP_S if self._stopping.is_set() else None

    async def _respond_always(self) -> None:
        while not self._all_read.is_set():
            wait_s = await self.respond.step(self._now_ms())
            await _pause(self._all_read, RESPOND_S if wait_s is None else min(RESPOND_S, wait_s))
        # What was decided last still gets its first attempt.
        for _ in range(_LAST_STEPS):
            wait_s = await self.respond.step(self._now_ms())
            if wait_s is None or wait_s >= RESPOND_S:
                return
            await asyncio.sleep(wait_s)

    def _commit(self, frames: Iterator[Frame], *, settles: bool = False) -> bool:
        """Frames for up to COMMIT_S in one transaction, with the state and positions they lead to.

        With them goes some of what listeners brought, whose senders are told when it is durable.
        False where there was no frame. `settles`: lines that wait for their other half are judged,
        as when nothing has come for so long that event time does not move any more.
        """
        pipeline, store = self._pipeline, self._store
        steps: list[tuple[Frame, Step]] = []
        started_s, size_bytes = self._clock.monotonic_s(), 0
        now_ms = None if self._event_time else self._clock.now_ms()
        first = next(frames, None)
        if self._inbox is not None:
            self._taken = self._inbox.take(_RECEIVE_BYTES)
        idle = first is None and not self._taken
        if not idle:
            self._read_s = started_s
        settles = settles or started_s - self._read_s >= pipeline.patience_s
        if idle and not (settles and pipeline.waiting):
            return False
        with store.transaction():
            if self._taken and self._reception is not None:
                steps += self._reception.take(self._taken, self._clock.now_ms())
            for frame in chain([first] if first is not None else (), frames):
                steps.append((frame, pipeline.take(frame, now_ms)))
                size_bytes += len(frame.data)
                if (
                    self._clock.monotonic_s() - started_s >= COMMIT_S
                    or size_bytes >= _COMMIT_BYTES
                    or self._stopping.is_set()
                ):
                    break
            if idle and (step := pipeline.settle(now_ms)) is not None:
                source = pipeline.sources[step.batch.source]
                steps.append((Frame(source.id, source.name, source.position, b""), step))
            pipeline.checkpoint()
            if self._history is not None:
                self._history.stage(store)
        if self._inbox is not None:
            self._inbox.settle(self._taken)
            self._taken = []
        lift_harmful(pipeline.decider, store, self.respond, self._now_ms())
        for frame, step in steps:
            self._watch(frame, step)
        self._prune(self._now_ms())
        return first is not None or idle

    def _now_ms(self) -> int:
        return self._pipeline.watermark_ms if self._event_time else self._clock.now_ms()

    def _prune(self, now_ms: int) -> None:
        """Forget, once an hour, what is older than the look-back and no incident refers to."""
        if self._clock.monotonic_s() < self._prune_at_s:
            return
        self._prune_at_s = self._clock.monotonic_s() + PRUNE_S
        with self._store.transaction():
            self._store.prune(now_ms, LOOKBACK_MS)
        if self._history is not None:
            self._history.prune(now_ms)


class _Marks(Mapping[str, int]):
    """Source id -> where to go on now: a file can move from one followed path to another."""

    def __init__(self, sources: Mapping[str, SourceState]) -> None:
        self._sources = sources

    def __getitem__(self, source: str) -> int:
        return self._sources[source].position

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


async def _pause(until: asyncio.Event, seconds: float) -> None:
    try:
        # Not wait_for: in Python 3.11 it loses a cancellation that comes with the event.
        async with asyncio.timeout(max(seconds, 0.001)):
            await until.wait()
    except TimeoutError:
        return


def _all(follower: Follower, *, once: bool) -> Iterator[Frame]:
    while (frame := follower.poll(finish=once)) is not None:
        yield frame
