"""What looking at one thing came to, for `doctor` and `es check`."""

from typing import Literal

import msgspec


class Result(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "note", "wrong", "unreachable"]
    says: str
    do: str = ""
