"""The one place that reads wall time; everywhere else time is an argument.

`SystemClock` is what programs run on. `HandClock` stands still until a test moves it, and sleeps
by moving itself, so that nothing waits in a test.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the shell asks of a clock."""

    def now_ms(self) -> int:
        """Wall time, integer milliseconds since 1970 UTC; may jump when the machine's is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment, for durations; never goes backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; zero or less returns at once."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Wall time, integer milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; zero or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)


class HandClock:
    """A clock that a test moves by hand, starting at `now_ms`."""

    def __init__(self, now_ms: int = 0) -> None:
        self._start_ms = now_ms
        self._elapsed_ms = 0

    def now_ms(self) -> int:
        """The start and what has been advanced since, in milliseconds."""
        return self._start_ms + self._elapsed_ms

    def monotonic_s(self) -> float:
        """Seconds advanced since the start."""
        return self._elapsed_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Advance instead of waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`; zero or less moves nothing."""
        self._elapsed_ms += max(0, round(seconds * 1000))
