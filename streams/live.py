"""The live embedded service: follows logs, keeps position and state in one transaction, responds.

In: settings, paths, a clock. Out: everything in the store, and steps to whoever watches. A kill at
any point resumes at exactly the next line: what is not committed did not happen.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
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
from responders._base import Responder
from streams.approvals import by_person
from streams.beside import Beside, ended, keep_up
from streams.capture import LaterLines
from streams.clock import Clock
from streams.decider import Step
from streams.follow import Follower
from streams.lift import lift_harmful
from streams.lines import Frame
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

    def keep(self, grown: list[Incident], step: Step, now_ms: int) -> None:
        """Lines that came after an incident's capture, each entered once."""
        self._later.enter(grown, step, now_ms)


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
    ) -> None:
        """`event_time`: event time is now, for playing an example; else the wall clock is.

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
        self._all_read = asyncio.Event()
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

    async def follow(self, logs: Sequence[str], *, once: bool) -> None:
        """Read what is there at full speed, then go on following; `once` ends there."""
        pipeline = self._pipeline
        marks = _Marks(pipeline.sources)
        self.followers = [Follower(log, pipeline.book, marks) for log in logs]
        try:
            async with self._responding():
                frames = merge([_all(f, once=once) for f in self.followers], pipeline.times)
                while self._commit(frames):
                    await _pause(self._stopping, 0)
                    if self._stopping.is_set():
                        return
                if not once:
                    self._caught_up()
                while not (once or self._stopping.is_set()):
                    found = [frame for f in self.followers if (frame := f.poll()) is not None]
                    if found:
                        self._commit(iter(found))
                    await _pause(self._stopping, 0 if found else POLL_S)
        finally:
            for follower in self.followers:
                follower.close()

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

    def _commit(self, frames: Iterator[Frame]) -> bool:
        """Frames for up to COMMIT_S in one transaction, with the state and positions they lead to.

        False where there was none.
        """
        pipeline, store = self._pipeline, self._store
        steps: list[tuple[Frame, Step]] = []
        started_s, size_bytes = self._clock.monotonic_s(), 0
        now_ms = None if self._event_time else self._clock.now_ms()
        with store.transaction():
            for frame in frames:
                steps.append((frame, pipeline.take(frame, now_ms)))
                size_bytes += len(frame.data)
                if (
                    self._clock.monotonic_s() - started_s >= COMMIT_S
                    or size_bytes >= _COMMIT_BYTES
                    or self._stopping.is_set()
                ):
                    break
            if not steps:
                return False
            pipeline.checkpoint()
            if self._history is not None:
                self._history.stage(store)
        lift_harmful(pipeline.decider, store, self.respond, self._now_ms())
        for frame, step in steps:
            self._watch(frame, step)
        self._prune(self._now_ms())
        return True

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
