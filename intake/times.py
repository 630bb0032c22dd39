"""Any time that an access log writes, as integer milliseconds since 1970 UTC.

Text or number in; milliseconds out, fractions cut (never rounded into the next second). It MUST
NOT read a clock, and raises `Unreadable("bad_time")` for what is no time of 1990 to 2100.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from intake.line import Unreadable

_FIRST_S = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())
_END_S = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp())
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_MS_Z = {f".{ms:03d}Z": ms for ms in range(1000)}
_FRACTION = re.compile(r"(.{8,24}?:\d\d)[.,](\d{1,9})(?!\d)(.{0,20})", re.ASCII | re.DOTALL)
# Names that mean one offset only: BST, CST and IST are several, and so are refused.
_ZONES_H = {
    "Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2,
    "EEST": 3, "MSK": 3, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
    "EST": -5, "EDT": -4, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8,
    "HST": -10,
}  # fmt: skip
_NAMES = "|".join(_ZONES_H)
_OFFSET = r"[+-]\d\d:?(?:\d\d)?"
_ZONE = rf"\s?({_NAMES}|{_OFFSET})?"
_CLOCK = r"(\d\d):(\d\d):(\d\d)"
# Go's String() writes the name of the zone behind its offset.
_GO = r" (?:[A-Z]{1,5}|[+-]\d\d(?:\d\d)?)"
_ISO = re.compile(
    rf"\[?(\d{{4}})[-/](\d\d)[-/](\d\d)[T ]{_CLOCK}{_ZONE}(?:(?<=[+-]\d{{4}}){_GO})?\]?",
    re.ASCII | re.IGNORECASE,
)
_ISO_BASIC = re.compile(
    rf"(\d{{4}})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d){_ZONE}", re.ASCII | re.IGNORECASE
)
_COMMON = re.compile(
    rf"\[?(\d\d?)/([a-z]{{3}})/(\d{{4}}):{_CLOCK}{_ZONE}\]?", re.ASCII | re.IGNORECASE
)
_RFC1123 = re.compile(
    rf"(?:[a-z]{{3,9}}, )?(\d\d?)[ -]([a-z]{{3}})[ -](\d{{4}}) {_CLOCK}{_ZONE}",
    re.ASCII | re.IGNORECASE,
)
# asctime, and what date(1), Java and Ruby make of it; a syslog time that has a year.
_ASCTIME = re.compile(
    rf"\[?(?:[a-z]{{3}},? )?([a-z]{{3}}) ([ \d]?\d) (?:(\d{{4}}) )?{_CLOCK}"
    rf"(?: ({_NAMES}|{_OFFSET}))?(?: (\d{{4}}))?\]?",
    re.ASCII | re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"\d(?:\.\d{1,20})?[eE]\+?(\d{1,2})", re.ASCII)
_COMPACT = re.compile(r"((?:19|20)\d{6})(\d{6})(\d{3})?", re.ASCII)
_EPOCH = re.compile(r"(\d{1,20})(?:\.(\d{0,20}))?", re.ASCII)
_LONGEST = 80
_FINE = frozenset({27, 30})
"""Lengths of ISO times in UTC with us and with ns."""


def parse_time(value: str | float) -> int:
    """Milliseconds since 1970 UTC of a logged time.

    Takes common log format, ISO 8601, RFC 1123, asctime, what Go, Java and date(1) print, and epoch
    seconds, ms, us or ns (told apart by their size). A time without a zone is UTC.

    Raises:
        Unreadable: bad_time, also for times before 1990 or after 2100.
    """
    if value.__class__ is str:
        # The forms of nearly every line: the part up to the second repeats, and is remembered.
        if (ms := _MS_Z.get(value[19:])) is not None:
            return _second(value[:19]) * 1000 + ms
        if (len(value) == 26 and value[2] == "/") or (len(value) == 25 and value[19] in "+-"):
            return _second(value) * 1000
        if len(value) in _FINE and value[19] == "." and value[-1] == "Z":
            ns = value[20:-1]
            if ns.isdecimal() and ns.isascii():
                return _second(value[:19]) * 1000 + int(ns[:3])
        return _parse_text(value.strip()) if len(value) <= _LONGEST else _bad()
    if value.__class__ is int:
        return _epoch(int(value), "")
    if value.__class__ is float and 0 < value < 1e20:
        # A double holds today's seconds to 0.24 us: lift what should be a whole millisecond.
        return _epoch_float(float(value))
    return _bad()


def _parse_text(text: str) -> int:
    # Go's own clock may stand behind the time.
    text = text.partition(" m=")[0]
    if match := _EPOCH.fullmatch(text):
        if (plain := _COMPACT.fullmatch(text)) is not None:
            # As an epoch it would be of a far century.
            return _second(f"{plain[1]}T{plain[2]}") * 1000 + int(plain[3] or 0)
        return _epoch(int(match[1]), match[2] or "")
    if (match := _SCIENTIFIC.fullmatch(text)) is not None:
        value = Decimal(text)
        whole = int(value)
        return _epoch(whole, f"{value - whole:.20f}"[2:])
    if match := _FRACTION.fullmatch(text):
        return _second(match[1] + match[3]) * 1000 + int(match[2][:3].ljust(3, "0"))
    return _second(text) * 1000


def _epoch(whole: int, fraction: str) -> int:
    """Of a whole number of some unit, and the decimal digits after it."""
    if whole < 10**11:
        ms = whole * 1000 + int(fraction[:3].ljust(3, "0"))
    elif whole < 10**14:
        ms = whole
    elif whole < 10**17:
        ms = whole // 1000
    else:
        ms = whole // 1_000_000
    return ms if _FIRST_S * 1000 <= ms < _END_S * 1000 else _bad()


def _epoch_float(value: float) -> int:
    if value < 1e11:
        return _epoch(int(value * 1000 + 0.0005), "") if value >= _FIRST_S else _bad()
    return _epoch(int(value), "")


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    """Seconds since 1970 of a text without a fraction."""
    if match := (_ISO.fullmatch(text) or _ISO_BASIC.fullmatch(text)):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := (_COMMON.fullmatch(text) or _RFC1123.fullmatch(text)):
        year, month, day = int(match[3]), _MONTHS.get(match[2].lower(), 0), int(match[1])
    elif (match := _ASCTIME.fullmatch(text)) and (match[3] is None) != (match[8] is None):
        year, month, day = (
            int(match[3] or match[8]),
            _MONTHS.get(match[1].lower(), 0),
            int(match[2]),
        )
    else:
        return _bad()
    hour, minute, second = int(match[4]), int(match[5]), int(match[6])
    try:
        # A leap second (60) is the first of the next minute, as in POSIX time.
        start = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return _bad()
    if second > 60:
        return _bad()
    found = int(start.timestamp()) + second - _offset(match[7])
    return found if _FIRST_S <= found < _END_S else _bad()


def _offset(zone: str | None) -> int:
    """Seconds east of UTC."""
    if zone is None:
        return 0
    if zone[0] not in "+-":
        return _ZONES_H[zone.upper()] * 3600
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 18 or minutes > 59:
        return _bad()
    return (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60)


def _bad() -> int:
    raise Unreadable("bad_time")
