"""Guesses from values which fields of unknown JSON records are the parts of an access log.

In: lines that no format understands. Out: the line of configuration that would explain them, or
nothing. It proposes; what counts is what a person then configures.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from intake.addresses import is_address
from intake.line import Unreadable
from intake.times import parse_time

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NEEDED = ("time", "client_ip", "method", "target", "status")
_DEEPEST = 6
_MOST_NAMES = 200


def guess(lines: Iterable[bytes]) -> str:
    """`intake: {fields: ...}` for records like these; "" where too little of it can be seen."""
    votes: dict[str, Counter[str]] = {field: Counter() for field in _NEEDED}
    records = 0
    for line in lines:
        try:
            record = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records += 1
            for path, value in _values(record, "", 0):
                for field in _fields(value):
                    votes[field][path] += 1
    found = {
        field: best[0][0]
        for field, counted in votes.items()
        if (best := counted.most_common(1)) and best[0][1] * 2 > records
    }
    if "target" not in found or len(found) < len(_NEEDED) - 1:
        return ""
    named = ", ".join(f"{field}: {path}" for field, path in found.items())
    return f"intake: {{fields: {{{named}}}}}    # guessed from the values: check each"


def _values(record: dict[str, Any], inside: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in list(record.items())[:_MOST_NAMES]:
        path = f"{inside}{name}"
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _values(value, f"{path}.", depth + 1)
        else:
            yield path, value


def _fields(value: object) -> Iterator[str]:
    """What a value may be."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value in range(100, 600):
            yield "status"
        elif _is_time(value):
            yield "time"
    elif isinstance(value, str):
        if value.upper() in _METHODS:
            yield "method"
        elif value.startswith("/") or value.partition(" ")[0] in _METHODS:
            yield "target"
        elif is_address(value):
            yield "client_ip"
        elif len(value) == 3 and value.isdecimal() and 100 <= int(value) < 600:
            yield "status"
        elif len(value) > 9 and _is_time(value):
            yield "time"


def _is_time(value: str | float) -> bool:
    try:
        parse_time(value)
    except Unreadable:
        return False
    return True
