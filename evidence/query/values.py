"""Values as people write them and as documents have them: times, addresses, numbers, words.

Text in, typed values out; a ValueError says what to write instead. Here alone stands what a value
means, so that a query and a document cannot read it differently.
"""

import re
import struct
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_MAX_LONG = 10**18
_MAX_FLOAT = 3e38
_SINGLE = struct.Struct("f")
_MAPPED = 0xFFFF << 32
_MAPPED_BITS = 96
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_FIRST_MS = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH) // _MS
_END_MS = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MS
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_NOW = re.compile(r"now((?:[+-]\d{1,9}[smhdw])*)")
_STEP = re.compile(r"([+-]\d+)([smhdw])")
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,9}))?)?)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_MILLISECONDS = re.compile(r"\d{12,14}", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# The word rules of Unicode (UAX 29) as Elasticsearch's standard analyzer has them, for what we
# write: a dot, colon or apostrophe between letters joins them, a dot or comma between digits too;
# Chinese and Hiragana characters are words by themselves.
_SINGLE_WORD = "\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KATAKANA = "\u30a0-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_OTHER = rf"(?:(?![{_SINGLE_WORD}{_KATAKANA}])[\w\u0300-\u036f])"
_LETTER = rf"(?![{_SINGLE_WORD}{_KATAKANA}])[^\W\d_]"
_JOINS = rf"(?<=[^\W\d_])[.'\u2018\u2019:\u00b7](?={_LETTER})|(?<=\d)[.,;'\u2018\u2019](?=\d)"
_WORD = re.compile(rf"[{_SINGLE_WORD}]|[{_KATAKANA}]+|{_OTHER}(?:{_JOINS}|{_OTHER})*")
_LONGEST_WORD = 255


def time_span(text: str, now_ms: int) -> tuple[int, int]:
    """(first, one after the last) millisecond of a time: of a whole day, minute and so on.

    Raises:
        ValueError: it is no time.
    """
    if found := _NOW.fullmatch(text):
        at = now_ms + sum(int(n) * _UNITS_MS[unit] for n, unit in _STEP.findall(found[1]))
        if _FIRST_MS <= at < _END_MS:
            return at, at + 1
    if _MILLISECONDS.fullmatch(text):
        return int(text), int(text) + 1
    if found := _TIME.fullmatch(text):
        try:
            return _iso_span(found)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"{text!r} is no time: write 2026-11-22, 2026-11-22T10:00:00Z, now or now-1h")


def _iso_span(found: re.Match[str]) -> tuple[int, int]:
    unit_ms = 86_400_000
    text = found["day"]
    for part, size_ms in (("hour", 3_600_000), ("minute", 60_000), ("second", 1000)):
        text += (":" if part != "hour" else "T") + (found[part] or "00")
        if found[part]:
            unit_ms = size_ms
    zone = (found["zone"] or "Z").upper().replace("Z", "+00:00")
    first = (datetime.fromisoformat(text + zone) - _EPOCH) // _MS
    if found["part"]:
        first, unit_ms = first + int(found["part"][:3].ljust(3, "0")), 1
    return first, first + unit_ms


def whole_number(text: str) -> int:
    """A whole number that any store holds, of at most 18 digits.

    Raises:
        ValueError: it is none.
    """
    if not _WHOLE.fullmatch(text) or abs(int(text)) > _MAX_LONG:
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def decimal(text: str) -> float:
    """A number.

    Raises:
        ValueError: it is none.
    """
    if not _FLOAT.fullmatch(text) or abs(float(text)) > _MAX_FLOAT:
        raise ValueError(f"{text!r} is no number")
    return float(text)


def single(number: float) -> float:
    """A number as the 32 bits that Elasticsearch keeps of a `float`."""
    return float(_SINGLE.unpack(_SINGLE.pack(number))[0])


def truth(text: str) -> bool:
    """What `true` and `false` say.

    Raises:
        ValueError: it is neither.
    """
    if text not in {"true", "false"}:
        raise ValueError(f"write true or false, not {text!r}")
    return text == "true"


def address(text: str) -> IPv4Address | IPv6Address:
    """An address; one of IPv4 that is mapped into IPv6 is the IPv4 address.

    Raises:
        ValueError: it is none.
    """
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or "%" in text:
        raise ValueError(f"{text!r} is no address: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def address_number(found: IPv4Address | IPv6Address) -> int:
    """An address as 128 bits, of IPv4 as it is mapped into IPv6: the order of Elasticsearch."""
    return int(found) | (_MAPPED if isinstance(found, IPv4Address) else 0)


def address_of(number: int) -> str:
    """The text of `address_number`."""
    if number >> 32 == _MAPPED >> 32:
        return str(IPv4Address(number & 0xFFFFFFFF))
    return str(IPv6Address(number))


def network(text: str) -> tuple[str, int, int]:
    """(canonical text, first, last) of a network such as 192.0.2.0/24.

    Raises:
        ValueError: it is none.
    """
    try:
        # As Elasticsearch does, 192.0.2.7/24 is taken for 192.0.2.0/24.
        found = ip_network("" if "%" in text else text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is no network: write one such as 192.0.2.0/24 or 2001:db8::/32"
        ) from None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= _MAPPED_BITS:
        found = ip_network((mapped, found.prefixlen - _MAPPED_BITS))
    first, last = found.network_address, found.broadcast_address
    return str(found), address_number(first), address_number(last)


def words(text: str) -> list[str]:
    """The words of a text in lower case, as Elasticsearch's standard analyzer cuts them."""
    return [
        word[start : start + _LONGEST_WORD]
        for word in map(str.lower, _WORD.findall(text))
        for start in range(0, len(word), _LONGEST_WORD)
        if word.strip("_")
    ]


def pieces(pattern: str) -> list[tuple[str, bool]]:
    """A pattern as [(text, False) | ("*" or "?", True)]: what is literal and what is a wildcard."""
    found: list[tuple[str, bool]] = []
    characters = iter(pattern)
    for character in characters:
        wild = character in "*?"
        text = next(characters, "\\") if character == "\\" else character
        if not wild and found and not found[-1][1]:
            found[-1] = (found[-1][0] + text, False)
        else:
            found.append((text, wild))
    return found
