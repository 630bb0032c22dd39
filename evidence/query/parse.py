"""Reads a query: Lucene's syntax (library luqum), over fields that are known by name and type.

Text in, a tree of `tree` out. What Lucene would take and then silently read otherwise (a missing
AND, a wildcard on a number, a misspelt field) is an error that says where, and what to write.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from evidence.query import values
from evidence.query._scan import Scanned, scan
from evidence.query.fields import field_of, known, nearest
from evidence.query.tree import (
    EVERYTHING,
    NOTHING,
    And,
    Between,
    Exists,
    Field,
    Is,
    Like,
    Network,
    Node,
    Not,
    Or,
    Within,
    Words,
)  # fmt: skip

Fields = Mapping[str, Field]


def parse(text: str, fields: Fields, now_ms: int) -> Node:
    """The tree of a query over these fields; a blank query is everything.

    Raises:
        ValueError: it cannot be read; the message says at which character, and what to write.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("reading the query: it is no UTF-8 text") from None
    if not text.strip():
        return EVERYTHING
    try:
        scanned = scan(text)
        return _Reader(text, scanned, fields, now_ms).read()
    except RecursionError:
        raise ValueError("reading the query: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"reading the query: {error}") from None


class _Reader:
    def __init__(self, typed: str, scanned: Scanned, fields: Fields, now_ms: int) -> None:
        self._typed, self._scanned = typed, scanned
        self._fields, self._now_ms = fields, now_ms

    def read(self) -> Node:
        # Here, not above: 0.3 s that commands without a query need not wait.
        from luqum.exceptions import ParseError  # type: ignore[import-untyped]  # noqa: PLC0415
        from luqum.thread import (  # type: ignore[import-untyped]  # noqa: PLC0415
            parse as parse_lucene,
        )

        try:
            tree = parse_lucene(self._scanned.text)
        except ParseError as error:
            raise ValueError(self._grammar(str(error))) from None
        return self._node(tree, None)

    def _node(self, item: object, field: Field | None) -> Node:
        """The node of an item of luqum's tree, below a field or not."""
        from luqum import tree as lucene  # type: ignore[import-untyped]  # noqa: PLC0415

        match item:
            case lucene.UnknownOperation():
                raise self._unjoined(item.children[1])
            case lucene.AndOperation():
                return And(tuple(self._node(child, field) for child in item.children))
            case lucene.OrOperation():
                return Or(tuple(self._node(child, field) for child in item.children))
            case lucene.Not() | lucene.Prohibit():
                return Not(self._node(item.a, field))
            case lucene.Group() | lucene.FieldGroup():
                return self._node(item.expr, field)
            case lucene.SearchField():
                if field is not None:
                    raise self._error(item, f"a field inside ( ) of {field.name}: close it first")
                return self._search(item)
            case lucene.Word() | lucene.Phrase() | lucene.Range() | lucene.From() | lucene.To():
                if field is not None:
                    return self._leaf(item, field)
                if isinstance(item, lucene.Word | lucene.Phrase):
                    return self._anywhere(item)
                raise self._error(item, "a range needs a field before it: @timestamp:>=now-1h")
        raise self._error(item, _REFUSED.get(type(item).__name__, "this is not understood"))

    def _search(self, item: Any) -> Node:
        """`FIELD:...`."""
        from luqum import tree as lucene  # noqa: PLC0415

        if item.name == "_exists_":
            if not isinstance(item.expr, lucene.Word | lucene.Phrase):
                raise self._error(item, "write _exists_:FIELD")
            return Exists(self._field(item.expr, _unquoted(item.expr)))
        return self._node(item.expr, self._field(item, item.name))

    def _field(self, item: Any, name: str) -> Field:
        field = field_of(self._fields, name)
        if field is None:
            raise self._error(item, f"there is no field {name!r}{_instead(name, self._fields)}")
        return field

    def _leaf(self, item: Any, field: Field) -> Node:
        """One value, pattern or range of a field."""
        from luqum import tree as lucene  # noqa: PLC0415

        try:
            match item:
                case lucene.Phrase():
                    return _exactly(field, _unquoted(item), self._now_ms)
                case lucene.Word():
                    return _word(field, item.value, self._now_ms)
                case lucene.Range():
                    low, high = _bound(item.low), _bound(item.high)
                    with_low, with_high = item.include_low, item.include_high
                case lucene.From():
                    low, high, with_low, with_high = _bound(item.a), None, item.include, True
                case _:
                    low, high, with_low, with_high = None, _bound(item.a), True, item.include
            return _range(field, low, high, (with_low, with_high), self._now_ms)
        except ValueError as error:
            raise self._error(item, f"{field.name}: {error}") from None

    def _anywhere(self, item: Any) -> Node:
        """A word or phrase without a field: in any field where people would look for it."""
        found: list[Node] = []
        for field in self._fields.values():
            if field.anywhere:
                # Not every field can have this value: a name is no address.
                with suppress(ValueError):
                    found.append(self._leaf(item, field))
        if any(isinstance(node, Exists) for node in found):
            return EVERYTHING
        if not found:
            raise self._error(item, "name a field: user.id:u-17")
        return Or(tuple(found))

    def _unjoined(self, item: Any) -> ValueError:
        word = getattr(item, "value", "")
        if word.lower() in {"and", "or", "not"}:
            return self._error(item, f"write {word.upper()} in capitals")
        if word in {"&&", "||"}:
            return self._error(item, f"write {'AND' if word == '&&' else 'OR'} for {word}")
        return self._error(
            item, "write AND or OR before this; a value that has a space needs quotes"
        )

    def _error(self, item: Any, what: str) -> ValueError:
        return ValueError(f"at character {self._scanned.place(item.pos or 0) + 1}: {what}")

    def _grammar(self, said: str) -> str:
        """The parser's own error, with the place in what was typed."""
        found = _POSITION.search(said)
        if found is None:
            return "it ends too early: something is missing after its last word"
        place = self._scanned.place(int(found[1]))
        rest = self._typed[place : place + _SHOWN]
        return f"at character {place + 1}: {rest!r} is not expected here; put values in quotes"


_POSITION = re.compile(r"at position (\d+)")
_SHOWN = 12
_REFUSED = {
    "Plus": "write AND instead of +",
    "Boost": "^ has no meaning here: put the value in quotes if it is a part of it",
    "Fuzzy": "~ has no meaning here: put the value in quotes if it is a part of it",
    "Proximity": "~ has no meaning here: a phrase is found word by word",
    "Regex": "regular expressions are not read: use * and ?",
}
_OPEN = "*"


def _instead(name: str, fields: Fields) -> str:
    if name.startswith("!"):
        return ": write NOT for !"
    if near := nearest(name, fields):
        return f": did you mean {near!r}?"
    return f": there are {known(fields)}; a value that has a colon needs quotes"


def _unquoted(item: Any) -> str:
    """The value of a word or phrase, without quotes and backslashes."""
    text = str(item.value)
    if text.startswith('"'):
        text = text[1:-1]
    return _ESCAPED.sub(r"\1", text)


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _bound(item: Any) -> str | None:
    """One end of a range; None for `*`."""
    return None if str(item.value) == _OPEN else _unquoted(item)


def _word(field: Field, written: str, now_ms: int) -> Node:
    """A value without quotes, which may be a pattern."""
    parts = values.pieces(written)
    if all(wild and text == "*" for text, wild in parts):
        return Exists(field)
    if not any(wild for _, wild in parts):
        return _exactly(field, "".join(text for text, _ in parts), now_ms)
    pattern = "".join(text if wild else _SPECIAL.sub(r"\\\g<0>", text) for text, wild in parts)
    match field.kind:
        case "keyword":
            return Like(field, pattern)
        case "text":
            return Like(field, pattern.lower())
        case kind:
            raise ValueError(f"no * or ? in {_NAMES[kind]}: {_WRITE[kind]}")


_SPECIAL = re.compile(r"[*?\\]")
_NAMES = {
    "ip": "an address", "date": "a time", "long": "a number", "float": "a number",
    "boolean": "true or false", "flattened": "this field",
}  # fmt: skip
_WRITE = {
    "ip": "write a network such as 192.0.2.0/24",
    "date": "write a day such as 2026-11-22, or [2026-11-22 TO now]",
    "long": "write a range such as [400 TO 499]",
    "float": "write a range such as >=0.9",
    "boolean": "write one of the two",
    "flattened": "write the whole value",
}


def _exactly(field: Field, text: str, now_ms: int) -> Node:
    """One whole value, as it was typed."""
    if not text:
        raise ValueError(f"an empty value: write NOT {field.name}:* for what has none")
    match field.kind:
        case "keyword" | "flattened":
            return Is(field, text)
        case "text":
            if not values.words(text):
                raise ValueError(f"{text!r} has no word in it")
            return Words(field, text)
        case "ip":
            if "/" in text:
                return Network(field, values.network(text)[0])
            return Is(field, str(values.address(text)))
        case "date":
            first, end = values.time_span(text, now_ms)
            return Between(field, first, end)
        case "long":
            return Is(field, _whole(text))
        case "float":
            return Is(field, values.decimal(text))
        case "boolean":
            return Is(field, values.truth(text))


def _whole(text: str) -> int:
    try:
        return values.whole_number(text)
    except ValueError as error:
        raise ValueError(f"{error}: write 404, or a range such as [400 TO 499]") from None


def _range(
    field: Field, low: str | None, high: str | None, inclusive: tuple[bool, bool], now_ms: int
) -> Node:
    """Values between two ends."""
    with_low, with_high = inclusive
    if "" in {low, high}:
        raise ValueError("an empty end of a range: write * for an open one")
    if low is None and high is None:
        return Exists(field)
    match field.kind:
        case "date":
            # >2026-11-22 begins after that day, <=2026-11-22 ends with it.
            spans = [values.time_span(end, now_ms) if end else None for end in (low, high)]
            first = spans[0][not with_low] if spans[0] else None
            return Between(field, first, spans[1][with_high] if spans[1] else None)
        case "long":
            return Between(
                field,
                _whole(low) + (not with_low) if low else None,
                _whole(high) + with_high if high else None,
            )
        case "ip":
            start = values.address_number(values.address(low)) + (not with_low) if low else 0
            end = values.address_number(values.address(high)) - (not with_high) if high else _LAST
            return Between(field, start, end) if 0 <= start <= end <= _LAST else NOTHING
        case "float":
            bottom, top = (None if end is None else values.decimal(end) for end in (low, high))
            return Within(field, bottom, top, with_low, with_high)
        case "keyword":
            return Within(field, low, high, with_low, with_high)
        case kind:
            raise ValueError(f"no ranges of {_NAMES.get(kind, 'a text')}: write one value")


_LAST = 2**128 - 1
