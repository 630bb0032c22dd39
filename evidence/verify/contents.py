"""What an entry's content must be, so that it belongs to its leaf and to the columns beside it.

One entry of the log comes in, what is wrong with it goes out, as words. Shared by all that is
checked: a store's rows, and what a bundle holds.
"""

import re
from hashlib import sha256
from typing import Any

import msgspec

_LEAF = re.compile(rb'\{"at":(-?\d{1,19}),"commitment":"([0-9a-f]{64})","kind":"([a-z]+)"\}')

# Which fields of a payload hold the entry's subject and its time.
_FIELDS = {
    b"intent": ("id", "decided_ms"),
    b"receipt": ("action", "at_ms"),
    b"approval": ("action", "at_ms"),
    b"captured": ("incident", "at_ms"),
}


class Captured(msgspec.Struct, frozen=True):
    """What is read of a captured entry's payload."""

    event: str
    sha256: str
    """Of the line as logged."""
    masked: bool
    kept_sha256: str = ""
    """Of the line as kept, where that was masked."""


class Erasure(msgspec.Struct, frozen=True):
    """What is read of an erasure's payload."""

    entries: int = 0
    """How many entries lost their content."""
    numbers: list[int] | None = None
    """Which, counted from 1, where it says so."""
    events: list[str] = []
    """Events of the lines that went while entries still refer to them."""


class Leaf(msgspec.Struct, frozen=True):
    """What a leaf says."""

    at_ms: int
    commitment: bytes
    kind: bytes


def leaf_of(kind: bytes, at_ms: int, commitment: bytes) -> bytes:
    """The bytes of a leaf."""
    return b'{"at":%d,"commitment":"%b","kind":"%b"}' % (at_ms, commitment.hex().encode(), kind)


def read_leaf(leaf: bytes) -> Leaf | None:
    """What a leaf says; None if these bytes are none."""
    found = _LEAF.fullmatch(leaf)
    if not found or str(int(found[1])).encode() != found[1]:
        return None
    return Leaf(int(found[1]), bytes.fromhex(found[2].decode()), found[3])


def commitment_of(salt: bytes, entry_id: bytes, payload: bytes) -> bytes:
    """What a leaf holds of its entry."""
    return sha256(salt + entry_id + b"\n" + payload).digest()


def misplaced(entry_id: bytes, kind: bytes, at_ms: int, subject: bytes, payload: bytes) -> str:
    """How columns differ from the content that they repeat; "" if they do not."""
    names = _FIELDS.get(kind)
    if names is None:
        # It is searched by its subject, so that a changed one would hide it.
        quoted = msgspec.json.encode(subject.decode())
        # Of a key it is the name, with which its vkey begins.
        if subject in {b"", entry_id, kind} or quoted in payload or quoted[:-1] + b"+" in payload:
            return ""
        return f"its subject {subject.decode()!r} is not in its content"
    try:
        fields: dict[str, Any] = msgspec.json.decode(payload)
        found = fields[names[0]].encode(), fields[names[1]]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return "its content is not that of its kind"
    if found[0] != subject:
        return f"it is filed under {subject.decode()!r}, and is of {found[0].decode()!r}"
    if found[1] != at_ms:
        return f"its leaf has the time {at_ms}, and its content {found[1]}"
    return ""


def line_problem(captured: Captured, digest: str, masked: object, kept: str) -> str:
    """What is wrong with a kept line, "" if nothing is.

    digest and masked stand beside it; kept is the SHA-256 of its bytes here, "" if they are not.
    """
    if digest != captured.sha256:
        return "the SHA-256 beside it is not the one that was captured"
    if masked != captured.masked:
        return "whether it was masked is not what was captured"
    expected = captured.kept_sha256 if masked else captured.sha256
    if expected and kept and kept != expected:
        return "it has not the SHA-256 that was captured"
    return ""
