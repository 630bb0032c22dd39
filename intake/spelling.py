"""Odd spellings of paths and ids, read as a backend reads them: decoded, folded, resolved.

Text as logged in, one spelling of it out. What is written here is the attacker's: everything is
linear in it, raises nothing, and is the same when done twice. Where servers differ, the reading is
the one under which a foreign id is seen.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

_ODD = re.compile(r"[%;\\\x00?#]|//|/\.|[. ](?:/|\Z)|[^\x00-\x7f]")
"""Nothing else in a path can be spelled in two ways."""
_ENCODED = re.compile(r"%(?:[0-9A-Fa-f]{2}|u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})")
_ENCODED_BYTES = re.compile(_ENCODED.pattern.encode())
_WIDE = re.compile(rb"%u(?![Dd][89A-Fa-f])([0-9A-Fa-f]{4})")
_OVERLONG = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}"
)
_LATIN = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
"""Bytes that are no UTF-8, as `surrogateescape` has them, to the characters of Latin-1."""
_ROUNDS = 4
_CUT = re.compile(r"[\0;?#]")
_MATRIX = re.compile(r";([^/;=&]{1,64}=[^/;&]*)")
_ID = re.compile(r"(?=[\w.@:|~+-]*[0-9])[\w.@:|~+-]+", re.ASCII)
_LONGEST_FOLDED = 256
"""Sorting the accents of one letter takes time that grows with their square."""


def canonical_path(path: str) -> str:
    """The path as a backend sees it: decoded, `/` only, no `;params`, `//`, `.`, `..`.

    A segment ends at a NUL, a decoded `?` or `#`; dots and spaces behind it are nothing to Windows.
    """
    if _ODD.search(path) is None:
        return path
    path = decoded(path).replace("\\", "/")
    kept: list[str] = []
    for part in map(_segment, path.split("/")):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in {"", "."}:
            kept.append(part)
    first = "/" if path.startswith("/") else ""
    return first + "/".join(kept) + ("/" if path.endswith("/") and kept else "")


def _segment(part: str) -> str:
    part = part.lstrip("\0")
    if found := _CUT.search(part):
        part = part[: found.start()]
    if bare := part.rstrip(". "):
        return plain_id(bare).rstrip(". ")
    return part.rstrip(" ")


def matrix_query(path: str) -> str:
    """The `;name=value` parameters of a path, as a query; "" without any."""
    if ";" not in path and "%3" not in path:
        return ""
    return "&".join(_MATRIX.findall(decoded(path)))


def decoded(text: str) -> str:
    """The text without any layer of percent-encoding.

    One layer of servers decodes once, two decode twice. Overlong UTF-8 and `%uNNNN` are read too;
    bytes that are no UTF-8 are Latin-1.
    """
    while _ENCODED.search(text):
        data = text.encode("utf-8", "surrogatepass")
        for _ in range(_ROUNDS):
            data = _WIDE.sub(_wide, unquote_to_bytes(data))
            if _ENCODED_BYTES.search(data) is None:
                break
        else:
            data = _unwound(data)
        # What is decoded here may be a `%` again; each time that takes twice as many bytes.
        data = _OVERLONG.sub(_shortest, data)
        text = data.decode("utf-8", "surrogateescape").translate(_LATIN)
    return text


def _unwound(data: bytes) -> bytes:
    """All layers in one pass: whatever a layer gives may complete the code before it."""
    out = bytearray()
    for byte in data:
        out.append(byte)
        for length in (3, 6):
            code = bytes(out[-length:])
            if _ENCODED_BYTES.fullmatch(code):
                del out[-length:]
                out += unquote_to_bytes(code) if length == 3 else _WIDE.sub(_wide, code)
    return bytes(out)


def _wide(match: re.Match[bytes]) -> bytes:
    return chr(int(match[1], 16)).encode()


def _shortest(match: re.Match[bytes]) -> bytes:
    first, *rest = match[0]
    value = first & (0x1F, 0x0F, 0x07)[len(rest) - 1]
    for byte in rest:
        value = value << 6 | byte & 0x3F
    return chr(value).encode("utf-8", "surrogatepass")


def plain_id(text: str) -> str:
    """The id that full-width letters or digits of another script write; other texts as they are.

    Names stay: two people may be called `Fiona` in two scripts.
    """
    if text.isascii() or len(text) > _LONGEST_FOLDED:
        return text
    folded = "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in unicodedata.normalize("NFKC", text)
    )
    return folded if _ID.fullmatch(folded) else text
