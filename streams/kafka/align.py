"""Brings together what several partitions sent, by event time: origins' items in, in order, out.

Workers are not equally fast, and one that was killed comes back ten seconds late: without this, its
signals would reach detectors that have long gone on. An item is let go once every origin has gone
past its time. The state is small: which item of each origin is next, and what each origin had said
before the place from which everything is read again after a restart.

It MUST NOT read a clock: `now_s` is the caller's, and only tells that an origin fell silent.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

SILENT_S = 120.0
"""An origin of which nothing is heard for so long holds up the others no more: its worker is gone,
and an alarm an hour late is worse than one without its part."""


class Origin(msgspec.Struct, array_like=True):
    """How far one origin has come; what a restart needs of it."""

    place: int = 0
    """Offset of the frame in which the next item stands."""
    index: int = 0
    """Its number in that frame."""
    reached_ms: int = 0
    """The latest time of its items that were let go."""
    marks: list[tuple[int, int, bool]] = []
    """(offset, watermark in ms, idle) of its frames, from the last before the resume offset on."""


class Aligner(Generic[T]):
    """Holds items back until all origins have gone past them."""

    def __init__(
        self,
        origins: Sequence[str],
        now_s: float,
        *,
        state: Mapping[str, Origin] | None = None,
        resume: int = 0,
    ) -> None:
        """`origins` are all that there are: one that has not spoken yet is waited for.

        `state` and `resume` as another one gave them: frames are added again from there on.
        """
        state = state or {}
        names = [*origins, *(name for name in state if name not in {*origins})]
        self._origins = {name: state.get(name, Origin()) for name in names}
        self._heard_s = dict.fromkeys(self._origins, now_s)
        self._held: dict[str, deque[tuple[int, int, int, T]]] = {o: deque() for o in self._origins}
        """(latest time so far, offset, number in its frame, item) by origin."""
        self._latest_ms = {name: origin.reached_ms for name, origin in self._origins.items()}
        self._next = resume
        self.watermark_ms = 0
        """What all origins have gone past, as of the last release; it never falls."""

    @property
    def held(self) -> int:
        """How many items wait."""
        return sum(map(len, self._held.values()))

    def add(
        self,
        origin: str,
        place: int,
        items: Sequence[tuple[int, T]],
        watermark_ms: int,
        *,
        idle: bool,
        now_s: float,
    ) -> None:
        """One frame of an origin: (time in ms, item) in its order.

        `place` is the offset of the frame. `idle`: the origin had read all there was, and waits.
        """
        self._next = max(self._next, place + 1)
        self._heard_s[origin] = now_s
        known = self._origins.get(origin)
        if known is None:  # access.raw was enlarged
            known = self._origins[origin] = Origin()
            self._held[origin] = deque()
            self._latest_ms[origin] = 0
        if known.marks and place <= known.marks[-1][0]:
            return  # before the place from which it is read again
        known.marks.append((place, watermark_ms, idle))
        if place < known.place:
            return
        held, latest_ms = self._held[origin], self._latest_ms[origin]
        for index, (time_ms, item) in enumerate(items):
            if place == known.place and index < known.index:
                continue
            latest_ms = max(latest_ms, time_ms)
            held.append((latest_ms, place, index, item))
        self._latest_ms[origin] = latest_ms

    def skip(self, place: int) -> None:
        """A frame that belongs to no origin, and was taken at once."""
        self._next = max(self._next, place + 1)

    def release(self, now_s: float) -> list[T]:
        """Everything that all origins have gone past, by time."""
        upto_ms = self._upto_ms(now_s)
        found: list[tuple[int, T]] = []
        for name, held in self._held.items():
            origin = self._origins[name]
            while held and (upto_ms is None or held[0][0] <= upto_ms):
                latest_ms, place, index, item = held.popleft()
                found.append((latest_ms, item))
                origin.place, origin.index, origin.reached_ms = place, index + 1, latest_ms
        found.sort(key=_time)
        if upto_ms is None:
            marks = (o.marks[-1][1] for o in self._origins.values() if o.marks)
            upto_ms = max(marks, default=0)
        self.watermark_ms = max(self.watermark_ms, upto_ms)
        return [item for _, item in found]

    @property
    def idle(self) -> bool:
        """Whether every origin has read all there was, and nothing waits here."""
        spoken = all(origin.marks and origin.marks[-1][2] for origin in self._origins.values())
        return spoken and not self.held

    @property
    def resume(self) -> int:
        """The offset from which all must be read again to find what is held."""
        return min((held[0][1] for held in self._held.values() if held), default=self._next)

    def state(self) -> dict[str, Origin]:
        """By origin, as of `resume`: what to give a new one."""
        resume = self.resume
        for origin in self._origins.values():
            while len(origin.marks) > 1 and origin.marks[1][0] < resume:
                del origin.marks[0]
        return {
            name: Origin(
                origin.place,
                origin.index,
                origin.reached_ms,
                [mark for mark in origin.marks[:1] if mark[0] < resume],
            )
            for name, origin in self._origins.items()
        }

    def _upto_ms(self, now_s: float) -> int | None:
        """The time up to which all have come; None if nobody is waited for."""
        upto_ms: int | None = None
        for name, origin in self._origins.items():
            if now_s - self._heard_s[name] > SILENT_S:
                continue
            if not origin.marks:
                return -1
            _, watermark_ms, idle = origin.marks[-1]
            if not idle:
                upto_ms = watermark_ms if upto_ms is None else min(upto_ms, watermark_ms)
        return upto_ms


def _time(pair: tuple[int, object]) -> int:
    return pair[0]
