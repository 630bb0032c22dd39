"""Id spaces: what kind of id most of a field's values are, and whether two fields can be compared.

A UUID subject cannot be held against a numeric path id; an odd spelling inside one space (`017`,
`%31`, ` 18`) is the same id. In: id texts by field. Out: canonical ids and "comparable" answers.
"""

import re
from collections import Counter

import msgspec

_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})\}?", re.IGNORECASE
)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_EMAIL = re.compile(r"[^@\s/]+@[^@\s/]+\.[A-Za-z]{2,}")
_PREFIXED = re.compile(r"([A-Za-z][A-Za-z]{0,15}[-_:|.])[0-9A-Za-z]*\d[0-9A-Za-z]*")
_GLUED = re.compile(r"([A-Za-z]{1,8})\d+")
_HEX = re.compile(r"[0-9a-f]{16,64}")
_INTEGER = re.compile(r"[+]?\d+")

_SETTLED_VALUES = 50
_SETTLED_SHARE = 0.8
_MAX_FIELDS = 10_000


def id_space(value: str) -> str:
    """The space of one id: integer, uuid, ulid, email, hex, `prefix:u-`, or name."""
    if value.isdigit():
        return "integer"
    if match := _PREFIXED.fullmatch(value):
        return "uuid" if _UUID.fullmatch(value) else f"prefix:{match[1].lower()}"
    if _UUID.fullmatch(value):
        return "uuid"
    if match := _GLUED.fullmatch(value):
        return f"prefix:{match[1].lower()}"
    if "@" in value and _EMAIL.fullmatch(value):
        return "email"
    if _ULID.fullmatch(value):
        return "ulid"
    if _HEX.fullmatch(value):
        return "hex"
    return "name"


DISTINCTIVE = ("prefix:", "email")
"""Spaces that say by themselves what an id names: two `u-...` fields mean the same people."""


def is_distinctive(space: str) -> bool:
    """Whether ids of this space in two fields name the same kind of thing."""
    return space.startswith(DISTINCTIVE)


def canonical_id(value: str) -> str:
    """One spelling of an id: trimmed, integers without sign and leading zeros, UUIDs in lower case.

    Case is kept otherwise: short random ids are case-sensitive.
    """
    value = value.strip().strip('"').strip()
    if value.isascii() and value.isdigit():
        return value.lstrip("0") or "0" if value[0] == "0" else value
    if _INTEGER.fullmatch(value):
        # int() reads every Unicode digit; very long ones are no ids of a database.
        return str(int(value)) if len(value) < 100 else value
    if len(value) >= 32 and (match := _UUID.fullmatch(value)):
        text = match[1].lower()
        if "-" in text:
            return text
        # 32 bare hex digits are as often a hash: only a dashed, braced or urn form is a UUID.
        return value
    if "@" in value and _EMAIL.fullmatch(value):
        return value.lower()
    return value


class Spaces:
    """What most values of each field are. A field settles once enough values agree.

    It settles on distinct values in the order in which they come, and then stays: an attacker who
    walks odd spellings cannot move a field into another space.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._settled: dict[str, str] = {}
        self.changed = False

    def note(self, field: str, value: str) -> None:
        """Count one (preferably new) value of a field."""
        if field in self._settled:
            return
        counts = self._counts.get(field)
        if counts is None:
            if len(self._counts) >= _MAX_FIELDS:
                return
            counts = self._counts[field] = Counter()
        counts[id_space(value)] += 1
        self.changed = True
        total = counts.total()
        if total >= _SETTLED_VALUES:
            space, count = counts.most_common(1)[0]
            if count >= _SETTLED_SHARE * total:
                self._settled[field] = space
                del self._counts[field]

    def of(self, field: str) -> str:
        """The space of a field, "" while none has a majority."""
        if space := self._settled.get(field):
            return space
        counts = self._counts.get(field)
        if not counts:
            return ""
        space, count = counts.most_common(1)[0]
        return space if count * 2 > counts.total() else ""

    def comparable(self, field: str, value: str, other_field: str, other: str) -> bool:
        """Whether ids of two fields can be held against each other."""
        return (self.of(field) or id_space(value)) == (self.of(other_field) or id_space(other))

    def spelled(self, field: str, value: str) -> str:
        """`U-17` in a field of `u-` ids is `u-17`."""
        space = self.of(field)
        if space.startswith("prefix:") and not value.startswith(space[7:]):
            lowered = value.lower()
            if lowered.startswith(space[7:]):
                return lowered
        return value

    def dump(self) -> bytes:
        """State for `load`."""
        return msgspec.msgpack.encode((self._settled, self._counts))

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave."""
        self._settled, counts = msgspec.msgpack.decode(
            data, type=tuple[dict[str, str], dict[str, dict[str, int]]]
        )
        self._counts = {field: Counter(values) for field, values in counts.items()}
