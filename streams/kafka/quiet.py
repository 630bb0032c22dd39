"""Whether a partition is idle: then nobody waits for it, and what others sent is judged without it.

So only the brokers' own word counts, said a while after the last records came. An outage is no
quiet: what is late comes after it, from each partition in its own time.
"""

from collections.abc import Callable

from aiokafka import TopicPartition

from streams.clock import Clock

IDLE_S = 1.0
"""A partition that had nothing more to read for so long holds up nobody."""
STALE_S = 1.5
"""Brokers that said nothing of a partition for so long, or took so long to answer, were away."""
RETURN_S = 3.0
"""After that, shippers come back too, each in its own time: nobody is idle until then."""

Told = Callable[[TopicPartition], tuple[int, int] | None]
"""(a partition's end, when the brokers last said so in ms UTC); None before they did."""


class Quiet:
    """What is known of one partition's silence."""

    def __init__(self, place: TopicPartition, told: Told, clock: Clock) -> None:
        self._place = place
        self._told = told
        self._clock = clock
        self._polled_s = clock.monotonic_s()
        self._away_s = float("-inf")

    def polled(self) -> None:
        """Records came, or reading begins."""
        self._polled_s = self._clock.monotonic_s()

    def answered(self, begun_s: float) -> None:
        """The brokers did what they were asked at `begun_s` of the monotonic clock."""
        if self._clock.monotonic_s() - begun_s > STALE_S:
            self.away()

    def away(self) -> None:
        """The brokers were away until now."""
        self._away_s = self._clock.monotonic_s()

    def lasts(self, position: int) -> bool:
        """Whether there has been nothing from `position` on for a while."""
        told = self._told(self._place)
        if told is None:
            return False
        end, said_ms = told
        now_s = self._clock.monotonic_s()
        said_s = now_s - (self._clock.now_ms() - said_ms) / 1000
        if now_s - said_s > STALE_S:
            self.away()
        return (
            end <= position and said_s - self._polled_s > IDLE_S and now_s - self._away_s > RETURN_S
        )
