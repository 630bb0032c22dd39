r"""What people type, made into what the grammar of Lucene takes, with every position kept.

Paths, IPv6 addresses and times with a zone have characters that the grammar reserves: `/`, `:`,
`-`. Where they can only be part of a value they get the backslash that Lucene asks for. Nothing is
added or left out otherwise, and nothing inside quotes is touched.
"""

import re
from typing import NamedTuple

from evidence.query.values import network

LONGEST = 4_000
DEEPEST = 50
_CLOSES = {"(": ")", "[": "]}", "{": "]}"}
_VALUE_BEFORE_COLON = re.compile(r"[0-9A-Fa-f]{0,4}|\d{4}-\d\d-\d\d[Tt]\d\d")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(?:/\d+)?(?![^\s()])")
_SIGNS = "/+-'"


class Scanned(NamedTuple):
    """The text with backslashes, and for each of its characters the place in what was typed."""

    text: str
    places: list[int]

    def place(self, position: int) -> int:
        """Where a character of `text` stood in what was typed, counted from 0."""
        return self.places[min(max(position, 0), len(self.places) - 1)]


def scan(typed: str) -> Scanned:
    """The text that the grammar takes.

    Raises:
        ValueError: quotes or brackets are not closed, or it is too long or too deep.
    """
    if len(typed) > LONGEST:
        raise ValueError(f"the query has {len(typed):,} characters: at most {LONGEST:,} are read")
    return _Scanner(typed).run()


def _is_address(rest: str) -> bool:
    """Whether what comes next is an IPv6 address or network, not a field and its value."""
    found = _ADDRESS.match(rest)
    if found is None or found[0].count(":") < 2:
        return False
    try:
        network(found[0] if "/" in found[0] else f"{found[0]}/128")
    except ValueError:
        return False
    return True


class _Scanner:
    def __init__(self, typed: str) -> None:
        self.typed = typed
        self.out: list[str] = []
        self.places: list[int] = []
        self.open: list[tuple[str, int, bool]] = []
        """Brackets that are open: (which, where, whether values stand in it)."""

    def run(self) -> Scanned:
        at, value_next = 0, False
        typed = self.typed
        while at < len(typed):
            character = typed[at]
            bracket, _, inside = self.open[-1] if self.open else ("", 0, False)
            if character.isspace():
                self.take(at)
                at += 1
            elif character == '"':
                at = self.quoted(at)
                value_next = False
            elif character in "([{":
                if len(self.open) >= DEEPEST:
                    raise ValueError(f"at character {at + 1}: more than {DEEPEST} open brackets")
                self.open.append((character, at, value_next or inside or character != "("))
                self.take(at)
                at, value_next = at + 1, False
            elif character in ")]}":
                self.close(at)
                at, value_next = at + 1, False
            elif character in "<>":
                self.take(at)
                at += 1
                if at < len(typed) and typed[at] == "=":
                    self.take(at)
                    at += 1
                value_next = True
            elif character in "+-" and not value_next and bracket not in {"[", "{"}:
                self.take(at)
                at += 1
            else:
                at, value_next = self.run_of_value(at, is_value=value_next, inside=inside)
        if self.open:
            bracket, where, _ = self.open[-1]
            raise ValueError(f"at character {where + 1}: {bracket!r} is never closed")
        self.places.append(len(typed))
        return Scanned("".join(self.out), self.places)

    def take(self, at: int, *, escaped: bool = False) -> None:
        if escaped:
            self.out.append("\\")
            self.places.append(at)
        self.out.append(self.typed[at])
        self.places.append(at)

    def quoted(self, start: int) -> int:
        at = start + 1
        while at < len(self.typed) and self.typed[at] != '"':
            at += 2 if self.typed[at] == "\\" else 1
        if at >= len(self.typed):
            raise ValueError(f"at character {start + 1}: the quote is never closed")
        for place in range(start, at + 1):
            self.take(place)
        return at + 1

    def close(self, at: int) -> None:
        if not self.open or self.typed[at] not in _CLOSES[self.open[-1][0]]:
            raise ValueError(f"at character {at + 1}: {self.typed[at]!r} closes nothing")
        self.open.pop()
        self.take(at)

    def run_of_value(self, start: int, *, is_value: bool, inside: bool) -> tuple[int, bool]:
        """Characters up to a space or bracket: FIELD:VALUE, or one of the two.

        Where they end, and whether the value is still to come.
        """
        typed, at = self.typed, start
        begins = True
        while at < len(typed) and not typed[at].isspace() and typed[at] not in '()[]{}"':
            character = typed[at]
            if character == "\\" and at + 1 < len(typed):
                self.take(at)
                self.take(at + 1)
                at, begins = at + 2, False
                continue
            if character == ":" and not is_value:
                is_value = inside and _VALUE_BEFORE_COLON.fullmatch(typed[start:at]) is not None
                is_value = is_value or _is_address(typed[start:])
                if not is_value:
                    self.take(at)
                    after = typed[at + 1 : at + 2]
                    if not after or after.isspace() or after in '([{"<>':
                        return at + 1, True
                    at, is_value, begins = at + 1, True, True
                    continue
            reserved = character in "/:" or (begins and character in _SIGNS)
            self.take(at, escaped=reserved)
            at, begins = at + 1, False
        return at, False
