"""Values of JSON records as texts, numbers and request of a line, whatever types a logger gave.

Decoded values in; text, number or None for what says nothing ("", "-", null, objects) out. They
MUST raise nothing but `Unreadable`, and `Imprecise` for ids that have to be read again.
"""

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from intake.formats._base import split_request, split_url
from intake.line import Unreadable
from intake.times import parse_time

_REDACTIONS = ("redacted", "masked", "filtered", "removed", "hidden")
_AROUND = ("[{}]", "<{}>", "({})", "{{{}}}", "***{}***", "*{}*", "__{}__", "{}")
NOTHING = frozenset(
    {"", "-", "--", *("*" * n for n in range(3, 17))}
    | {
        around.format(word)
        for name in _REDACTIONS
        for around in _AROUND
        for word in (name, name.upper(), name.capitalize())
        # As a bare word, only this one is nobody's name.
        if around != "{}" or name == "redacted"
    }
)
"""What loggers write where there is nothing, or nothing that they would show."""
LONGEST_NOTHING = max(map(len, NOTHING))
STATUSES: dict[Any, int] = {str(status): status for status in range(100, 600)}
"""Statuses as loggers write most of them."""
_ABSENT = frozenset({"", "-"})
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = re.compile(r"\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
_STATUS = re.compile(r"\d{1,3}", re.ASCII)
_EXACT = 2.0**53
_LONGEST_TRACE = 200
_TRACE = re.compile(
    r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"
    # X-Cloud-Trace-Context, and as Google Cloud's own logs name it.
    r"|(?:projects/[\w.:-]{1,64}+/traces/)?([0-9a-f]{32}|[0-9a-f]{16})(?:-[0-9a-f]{16}(?:-.{1,20})?|/\d{1,20}(?:;.{0,20})?)?"
    r"|(?:(?:.{0,80};)?Root=)?(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;.{0,80})?",
    re.IGNORECASE,
)
_BARE_PATH = re.compile(r"[\w.~%-]++(?:[/?]|\Z)", re.ASCII)
"""A path without its slash (Akamai): no `*`, and no `host:port`, which CONNECT asks for."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROTOCOLS = frozenset({"HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/2", "HTTP/3.0", "HTTP/3"})


class Imprecise(Exception):
    """An id too long for the fast reader, which gave only its first digits."""


def scalar(value: Any) -> str | int | float | None:
    """A text or number; of a list the first; None for what is neither."""
    while value.__class__ is list and value:
        value = value[0]
    if value.__class__ is str:
        return None if len(value) <= LONGEST_NOTHING and value in NOTHING else value
    return value if value.__class__ in {int, float} else None


def text(value: Any) -> str | None:
    """The text of an id: whole numbers as they are written, nothing for truth values and objects.

    Raises:
        Imprecise: a float that has lost digits.
    """
    value = scalar(value)
    if value.__class__ is float:
        if not isfinite(value) or not value.is_integer():
            return None
        if abs(value) >= _EXACT:
            raise Imprecise
        value = int(value)
    return None if value is None else str(value)


def trace_id_of(value: str) -> str | None:
    """The trace id in a traceparent (W3C), b3 or X-B3-TraceId, X-Amzn-Trace-Id; or a bare one.

    Anything else is no trace id: clients write these headers too.
    """
    match = _TRACE.fullmatch(value.strip()) if len(value) <= _LONGEST_TRACE else None
    found = (match[1] or match[2] or match[3]).lower() if match else ""
    return found if found.strip("0") else None


def first_time(values: Iterable[Any]) -> int:
    """Milliseconds of the first that is a time, or of a day and a clock that stand apart.

    Raises:
        Unreadable: no_time, or bad_time if there is only what is none.
    """
    seen = False
    day = clock = ""
    for value in values:
        try:
            return parse_time(value)
        except Unreadable:
            seen = seen or scalar(value) is not None
        if value.__class__ is str:
            day = day or (value if _DAY.fullmatch(value) else "")
            clock = clock or (value if _CLOCK.fullmatch(value) else "")
    if day and clock:
        return parse_time(f"{day}T{clock}")
    raise Unreadable("bad_time" if seen else "no_time")


def status_of(value: Any) -> int:
    """An HTTP status; 0 where none is logged, or -1. Of several tries ("502, 200 : 201") the last.

    Raises:
        Unreadable: bad_status.
    """
    while value.__class__ is list and value:
        value = value[-1]
    if value.__class__ is str:
        last = value.replace(":", ",").rpartition(",")[2].strip()
        if last in _ABSENT or last == "-1":
            return 0
        digits = last if _STATUS.fullmatch(last) else value.strip().partition(" ")[0]
        value = int(digits) if _STATUS.fullmatch(digits) else 1000
    elif value.__class__ not in {int, float}:
        return 0
    if -1 <= value < 1000 and value == int(value):
        return max(int(value), 0)
    raise Unreadable("bad_status")


def last_status(value: str) -> int:
    """The status of the last try; 0 where it was none."""
    try:
        return status_of(value)
    except Unreadable:
        return 0


def first_status(values: Iterable[Any]) -> int:
    """The first that is an HTTP status: loggers write "success" under such names too.

    Raises:
        Unreadable: bad_status, if there are only such.
    """
    bad: Unreadable | None = None
    for value in values:
        try:
            if found := status_of(value):
                return found
        except Unreadable as why:
            bad = why
    if bad is not None:
        raise bad
    return 0


def is_refusal(status: int) -> bool:
    """Whether a gateway's own answer of this status refused; 404 says that it had no route."""
    return 400 <= status < 500 and status != 404


def size_of(value: Any) -> int:
    """A number of bytes; -1 where none is logged."""
    if value.__class__ is str and value.isdecimal() and len(value) <= 19:
        return int(value)
    if value.__class__ in {int, float} and 0 <= value < _EXACT:
        return int(value)
    return -1


def joined(value: Any, between: str) -> str | None:
    """All values of a header: the last proxy's may stand in a later line of it."""
    if value.__class__ is str:
        return None if value in NOTHING else value
    if value.__class__ is list:
        parts = [part for item in value if (part := text(item)) is not None]
        return between.join(parts) or None
    return text(value)


def request_of(
    target: Any, request: Any, uri: Any, query: Any, requested: bool
) -> tuple[str | None, str, str | None]:
    """(method, target, host) put together from what there is of a request.

    `requested`: there is a place for it, if an empty one.

    Raises:
        Unreadable: no_request.
    """
    if target is not None:
        return (None, *split_url(str(target)))
    if request is not None:
        return _split(str(request))
    if uri is not None:
        target, host = split_url("" if uri in NOTHING else str(uri))
        if _BARE_PATH.match(target):
            target = f"/{target}"
        if query is not None:
            target = with_query(target, query)
        return None, target, host
    if requested:
        # A request that was none (400) has an empty one.
        return None, "", None
    raise Unreadable("no_request")


def with_query(target: str, query: Any) -> str:
    """A target with the query that was logged apart from it."""
    return target if "?" in target else f"{target}?{str(query).removeprefix('?')}"


def _split(line: str) -> tuple[str, str, str | None]:
    method, _, rest = line.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if target[:1] == "/" and protocol in _PROTOCOLS and method in _METHODS and " " not in target:
        return method, target, None
    if line[0] == "/" and " " not in line:
        return "", line, None
    return split_request(line, escaped=False)
