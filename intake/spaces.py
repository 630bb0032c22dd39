"""Id spaces: what kind of id most of a field's values are, and whether two ids can be compared.

A UUID subject cannot be held against a numeric path id; an odd spelling inside one space (`017`,
`%31`, ` 18`) is the same id. In: id texts by field. Out: canonical ids and "comparable" answers.
Every expression here MUST stay linear in the id: it is the attacker's text.
"""

import re
from collections import Counter
from string import whitespace

import msgspec

_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})\}?", re.IGNORECASE
)
_BARE_UUID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_EMAIL = re.compile(r"[^@\s/]+@[^@\s/]+\.[A-Za-z]{2,}")
_PREFIXED = re.compile(r"([A-Za-z]{1,16}[-_:|.])(?=[A-Za-z]*\d)[0-9A-Za-z]+")
_GLUED = re.compile(r"([A-Za-z]{1,8})\d+")
_HEX = re.compile(r"[0-9a-f]{16,64}", re.IGNORECASE)
_INTEGER = re.compile(r"[+]?\d+")
_NUMBER_FIRST = re.compile(r"\+?0*(\d{1,18})(?:[^0-9A-Za-z].*|[A-Za-z]{1,16})", re.DOTALL)
_TRIM = whitespace + '"\0\x85\xa0\u200b\u2028\u2029\u3000\ufeff'

_SETTLED_VALUES = 50
_SETTLED_SHARE = 0.8
_MAX_VALUES = 200
_MAX_FIELDS = 2_000
_MAX_NAMES = 50_000
_LONGEST_NUMBER = 100

_PRINCIPALS = frozenset({"principal", "asserted"})
_LOOSE = frozenset({"name", "hex", ""})
"""Spaces whose ids are drawn from too many shapes for one value to tell."""


def id_space(value: str) -> str:
    """The space of one id: integer, uuid, ulid, email, hex, `prefix:u-`, or name."""
    if value.isdigit():
        return "integer"
    if match := _PREFIXED.fullmatch(value):
        return f"prefix:{match[1].lower()}"
    if _HEX.fullmatch(value):
        return "hex"
    if _UUID.fullmatch(value):
        return "uuid"
    if match := _GLUED.fullmatch(value):
        return f"prefix:{match[1].lower()}"
    if "@" in value and _EMAIL.fullmatch(value):
        return "email"
    if _ULID.fullmatch(value):
        return "ulid"
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
    if value.isascii() and value.isdigit():
        return value.lstrip("0") or "0" if value[0] == "0" else value
    value = value.strip(_TRIM)
    if _INTEGER.fullmatch(value):
        # int() reads every Unicode digit; very long ones are no ids of a database.
        return str(int(value)) if len(value) < _LONGEST_NUMBER else value
    if len(value) >= 36 and (match := _UUID.fullmatch(value)):
        # 32 bare hex digits are as often a hash: only a dashed, braced or urn form is a UUID.
        return _dashed(match[1])
    if "@" in value and _EMAIL.fullmatch(value):
        return value.lower()
    return value


def _dashed(uuid: str) -> str:
    text = uuid.replace("-", "").lower()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def spelled(value: str, space: str) -> str:
    """The id of a space that a backend reads from an odd spelling of it; else the value.

    `U-17` among `u-` ids is `u-17`; `18-bob`, `18.0` or `18abc` among integers is 18 to a database
    or a parseInt; a UUID is one with and without its dashes.
    """
    if space == "integer":
        match = _NUMBER_FIRST.fullmatch(value) if id_space(value) == "name" else None
        return match[1] if match else value
    if space.startswith("prefix:"):
        prefix = space[7:]
        head = value[: len(prefix)]
        return value.lower() if head != prefix and head.lower() == prefix else value
    if space == "uuid":
        return _dashed(value) if _BARE_UUID.fullmatch(value) else value
    if space == "hex":
        return value.replace("-", "").lower() if _UUID.fullmatch(value) else value.lower()
    return value


def is_same(one: str, other: str, space: str) -> bool:
    """Whether two ids of a space differ in nothing but how they are written."""
    if one == other:
        return True
    if one.casefold() != other.casefold():
        return False
    # aB and Ab may be two short random ids; Alice and alice are one login.
    return space != "name" or one.isalpha()


class _Values(msgspec.Struct):
    """Distinct values of a field that has not settled."""

    seen: set[str] = msgspec.field(default_factory=set)
    spaces: Counter[str] = msgspec.field(default_factory=Counter)


class Spaces:
    """What most values of each field are. A field settles once enough values agree.

    It settles on distinct values in the order in which they come, and then stays. An attacker who
    fills a field with odd values gains nothing: ids of one shape are comparable whatever else the
    field holds.
    """

    def __init__(self) -> None:
        self._values: dict[str, _Values] = {}
        self._usual: dict[str, str] = {}
        self._settled: set[str] = set()
        self._names: set[str] = set()
        self.changed = False
        self.principals = ""
        """`of("principal")`, which every object asks for."""

    def note(self, field: str, value: str) -> None:
        """Take account of one value of a field."""
        if (
            field in _PRINCIPALS
            and len(self._names) < _MAX_NAMES
            and id_space(value) == "name"
            and (name := value.casefold()) not in self._names
        ):
            self._names.add(name)
            self.changed = True
        if field in self._settled:
            return
        values = self._values.get(field)
        if values is None:
            if len(self._values) + len(self._settled) >= _MAX_FIELDS:
                return
            values = self._values[field] = _Values()
        if value in values.seen or len(values.seen) >= _MAX_VALUES:
            return
        self.changed = True
        values.seen.add(value)
        values.spaces[id_space(value)] += 1
        total = len(values.seen)
        space, count = values.spaces.most_common(1)[0]
        self._usual[field] = space if count * 2 > total else ""
        self.principals = self.of("principal")
        if total >= _SETTLED_VALUES and count >= _SETTLED_SHARE * total:
            self._settled.add(field)
            del self._values[field]

    def of(self, field: str) -> str:
        """The space of a field, "" while none has a majority."""
        usual = self._usual.get(field, "")
        if not usual and field == "principal":
            # Nobody vouches for any principal here: those that clients wrote are all there is.
            return self._usual.get("asserted", "")
        return usual

    def is_settled(self, field: str) -> bool:
        """Whether more values of this field change nothing."""
        return field in self._settled

    def is_name(self, word: str) -> bool:
        """Whether a plain word is the name of somebody who has logged in."""
        return word.casefold() in self._names

    @property
    def people_have_names(self) -> bool:
        """Whether principals are plain names, so that `/users/alice` names somebody."""
        return self.principals == "name" and not self._settled.isdisjoint(_PRINCIPALS)

    def comparable(self, principal: str, field: str, other: str) -> bool:
        """Whether an id of a field can be held against a principal."""
        asked = id_space(other)
        if asked != "name" and asked == id_space(principal):
            return True
        usual = self.principals or id_space(principal)
        if usual in _LOOSE:
            return usual == (self.of(field) or asked)
        # A service named `batch` among numbered users is compared; `export` is no number.
        return asked == usual

    def spelled(self, principal: str, field: str, value: str) -> str:
        """A field's value as principals are spelled."""
        space = self.principals or id_space(principal)
        if space == "integer" and self.of(field) not in {"", "integer"}:
            # Where ids are 7f or 7-zip, a leading number means nothing.
            return value
        return spelled(value, space)

    def dump(self) -> bytes:
        """State for `load`."""
        return msgspec.msgpack.encode(
            (
                {field: sorted(values.seen) for field, values in self._values.items()},
                {field: self._usual[field] for field in sorted(self._settled)},
                sorted(self._names),
            )
        )

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave."""
        values, settled, names = msgspec.msgpack.decode(
            data, type=tuple[dict[str, list[str]], dict[str, str], list[str]]
        )
        for known in (self._values, self._usual, self._settled, self._names):
            known.clear()
        for field, seen in values.items():
            for value in seen:
                self.note(field, value)
        self._usual.update(settled)
        self._settled.update(settled)
        self._names.update(names)
        self.principals = self.of("principal")
        self.changed = False
