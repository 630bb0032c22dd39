"""Measures things beside each other: each in each round, so that a slow minute meets all of them.

Callables that return a figure come in; all are printed, and their medians and ratios go out.
"""

from collections.abc import Callable, Mapping
from statistics import median

from benchmarks.kafka import goal, say

__all__ = ["Figures", "beside", "goal", "say"]


class Figures:
    """What was measured, by name."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def of(self, name: str) -> float:
        """The median of all rounds."""
        return median(self.seen[name])

    def ratio(self, ours: str, theirs: str) -> float:
        """The median of the ratios, each round by itself."""
        return median(a / b for a, b in zip(self.seen[ours], self.seen[theirs], strict=True))


def beside(
    rounds: int, measured: Mapping[str, Callable[[int], float]], decimals: int = 0
) -> Figures:
    """Measure all in each round, in turns the first first and the last first.

    A callable takes the number of its round, and returns what it did a second, or its seconds.
    """
    figures = Figures()
    for number in range(rounds):
        names = list(measured)
        for name in names if number % 2 == 0 else reversed(names):
            figures.seen.setdefault(name, []).append(measured[name](number))
    for name in measured:
        every = ", ".join(f"{one:,.{decimals}f}" for one in figures.seen[name])
        say(f"  {name:<46} {figures.of(name):>11,.{decimals}f}   ({every})")
    return figures
