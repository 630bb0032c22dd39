"""How formats look whether lines are their own, each with one parser that is made once.

A format's `parser` in, what that makes for the default settings out. Detection asks about single
lines, and most of the time would go into making parsers. Not for parsers with a `memory`.
"""

from collections.abc import Callable, Container, Sequence
from functools import lru_cache

from intake.formats._base import Parser, share
from intake.line import Reason
from intake.settings import IntakeSettings


@lru_cache(maxsize=64)
def default_parser(made_by: Callable[[IntakeSettings], Parser]) -> Parser:
    """The parser for the default settings."""
    return made_by(IntakeSettings())


def marked_share(
    lines: Sequence[bytes],
    is_marked: Callable[[bytes], object],
    parser: Callable[[IntakeSettings], Parser],
    also: Container[Reason] = (),
) -> float:
    """The share of lines that carry a format's own marks and that its parser understands.

    `also`: reasons to refuse a line that say it is of this format all the same.
    """
    marked = [line for line in lines if is_marked(line)]
    if not marked:
        return 0.0
    return share(marked, default_parser(parser), also) * len(marked) / len(lines)
