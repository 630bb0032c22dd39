"""Measures things beside each other: each in each round, so that a slow minute meets all of them.

Callables that return a `Run` come in; all figures are printed, and medians and ratios go out.
"""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

from benchmarks.kafka import goal, say

__all__ = ["Figures", "Measure", "Run", "Watch", "beside", "goal", "say"]


class Run(NamedTuple):
    """What was done. CPU is this process's, and told too: on a busy machine it is steadier."""

    amount: int
    seconds: float
    cpu_s: float


Measure = Callable[[int], Run]
"""Takes the number of its round, counted from 0."""


class Watch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._started, self._cpu_s = time.perf_counter(), time.process_time()

    def stop(self, amount: int) -> Run:
        """So much was done until now."""
        return Run(amount, time.perf_counter() - self._started, time.process_time() - self._cpu_s)

    @classmethod
    def over(cls, work: Callable[[], int]) -> Run:
        """What `work` did; it returns how much."""
        watch = cls()
        return watch.stop(work())


class Figures:
    """What was measured, by name."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Run]] = {}

    def rate(self, name: str) -> float:
        """The median of all rounds, a second."""
        return median(run.amount / run.seconds for run in self.runs[name])

    def seconds(self, name: str) -> float:
        """The median of all rounds."""
        return median(run.seconds for run in self.runs[name])

    def speed(self, ours: str, theirs: str) -> float:
        """How many times as fast, the median of the rounds, each by itself."""
        pairs = zip(self.runs[ours], self.runs[theirs], strict=True)
        return median(a.amount / a.seconds / (b.amount / b.seconds) for a, b in pairs)


def beside(rounds: int, measured: Mapping[str, Measure], *, in_seconds: bool = False) -> Figures:
    """Measure all in each round, in turns the first first and the last first; print each.

    in_seconds: print seconds, and not how much a second.
    """
    figures = Figures()
    for number in range(rounds):
        names = list(measured)
        for name in names if number % 2 == 0 else reversed(names):
            figures.runs.setdefault(name, []).append(measured[name](number))
    for name in measured:
        runs = figures.runs[name]
        if in_seconds:
            every = ", ".join(f"{run.seconds:.3f}" for run in runs)
            cpu_s = median(run.cpu_s for run in runs)
            say(f"  {name:<42} {figures.seconds(name):>9.3f}   ({every}; {cpu_s:.3f} of CPU)")
        else:
            every = ", ".join(f"{run.amount / run.seconds:,.0f}" for run in runs)
            by_cpu = median(run.amount / run.cpu_s for run in runs)
            say(
                f"  {name:<42} {figures.rate(name):>9,.0f}   ({every}; "
                f"{by_cpu:,.0f} a second of CPU)"
            )
    return figures
