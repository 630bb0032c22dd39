r"""Reads the JSON that servers really write when clients put odd bytes into it.

A line in, the decoded value out. nginx without `escape=json` writes "\x22" and bare "-"; agents
send control bytes and broken UTF-8. Losing such a line would let a client hide its own requests,
so each is mended where the meaning is plain, and only then read. Slow: for lines that failed.
"""

import json
import re
from decimal import Decimal
from math import inf
from typing import Any

from intake.formats._base import clean, unreadable

# A string, or what stands for a value that is not there, or a comma too many. A string that does
# not end takes all the rest: else it would be looked for again from each of its quotes.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|:\s*+-?\s*+(?=[,}])|,\s*+(?=[}\]])', re.DOTALL)
_ESCAPE = re.compile(
    r'(?P<hex>(?:\\x[0-9A-Fa-f]{2})++)|\\["\\/bfnrt]'
    r"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9A-Fa-f]{2})|\\u[0-9A-Fa-f]{4}|(?P<bad>\\)",
    re.DOTALL,
)
_EXACT = 2.0**53
_BEGINS = ("{", "[", '"')
_SURROGATE = re.compile("[\udc80-\udcff]++")


def read(line: bytes) -> Any:
    """The JSON value of a line; integers keep all their digits.

    Raises:
        Unreadable: not_json or binary.
    """
    text = clean(line).decode("utf-8", "surrogateescape")
    if text[:1] not in _BEGINS and " " in text:
        raise unreadable(line, "not_json")
    text = _SURROGATE.sub(lambda odd: _hex(odd[0].encode("utf-8", "surrogateescape")), text)
    try:
        return json.loads(_TOKEN.sub(_mend, text), strict=False, parse_float=_number)
    except (ValueError, RecursionError):
        raise unreadable(line, "not_json") from None


def exact(line: bytes) -> Any:
    """The same of a line that is JSON as it stands: nothing in it needs mending.

    Raises:
        Unreadable: not_json, where it is too deep.
    """
    try:
        return json.loads(line.decode(), parse_float=_number)
    except (ValueError, RecursionError):
        raise unreadable(line, "not_json") from None


def _number(digits: str) -> int | float:
    """A float while it holds all digits before the point, else an integer that does."""
    value = float(digits)
    return int(Decimal(digits)) if _EXACT <= abs(value) < inf else value


def _hex(data: bytes) -> str:
    return "".join(f"\\\\x{byte:02x}" for byte in data)


def _mend(match: re.Match[str]) -> str:
    token = match[0]
    if token[0] == ":":
        return ":null"
    if token[0] == ",":
        return ""
    return _ESCAPE.sub(_mend_escape, token) if "\\" in token else token


def _mend_escape(match: re.Match[str]) -> str:
    if match["hex"]:
        data = bytes.fromhex(match["hex"].replace("\\x", ""))
        return json.dumps(data.decode("utf-8", "backslashreplace"))[1:-1]
    if match["lone"]:
        return "\\ufffd"
    return "\\\\" if match["bad"] else match[0]
