"""Durations as people write them: 30s, 5m, 1h, 7d, or a number of seconds."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*")


def parse_duration_s(value: object) -> object:
    """Seconds of "5m"; anything that is not such a text is returned for pydantic to judge.

    Raises:
        ValueError: a text that is no duration.
    """
    if not isinstance(value, str):
        return value
    if not (match := _DURATION.fullmatch(value)):
        raise ValueError(f"{value!r} is not a duration: write 30s, 5m, 1h, 7d or seconds")
    return float(match[1]) * _UNITS_S[match[2]]


Seconds = Annotated[float, BeforeValidator(parse_duration_s)]
"""A pydantic field that takes 5m, 1h or seconds, and holds seconds."""
