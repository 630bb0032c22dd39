"""A query as a condition on the history's columns, for DuckDB.

A tree goes in, SQL and its values come out: names stand in `fields.EVENTS`, and whatever a person
typed is bound, never written into the SQL. A condition is never NULL, so NOT is what it says.
"""

from collections.abc import Sequence
from typing import Any

from evidence.query import values
from evidence.query.tree import (
    And,
    Between,
    Exists,
    Field,
    Is,
    Leaf,
    Like,
    Network,
    Node,
    Not,
    Or,
    Within,
)  # fmt: skip

Condition = tuple[str, list[Any]]
"""SQL that is true or false, and the values of its question marks."""

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HEX = "[0-9a-f]{1,4}"
_V4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_V6 = f"{_HEX}(:{_HEX}){{7}}"
_SHORT = f"({_HEX}(:{_HEX})*)?::({_HEX}(:{_HEX})*)?"

MACROS = (
    # The groups of one half of an IPv6 address, each of four digits.
    """CREATE MACRO address_groups(half) AS list_transform(
      list_filter(string_split(half, ':'), lambda x: x <> ''), lambda x: lpad(x, 4, '0'))""",
    """CREATE MACRO address_joined(upper_half, lower_half) AS concat(
      array_to_string(upper_half, ''),
      repeat('0000', 8 - len(upper_half) - len(lower_half)),
      array_to_string(lower_half, ''))""",
    f"""CREATE MACRO address_key(a) AS CASE
    WHEN regexp_full_match(a, '{_V4}') THEN concat('00000000000000000000ffff', printf(
      '%02x%02x%02x%02x',
      try_cast(split_part(a, '.', 1) AS INTEGER), try_cast(split_part(a, '.', 2) AS INTEGER),
      try_cast(split_part(a, '.', 3) AS INTEGER), try_cast(split_part(a, '.', 4) AS INTEGER)))
    WHEN regexp_full_match(a, '{_V6}') THEN array_to_string(address_groups(a), '')
    WHEN regexp_full_match(a, '{_SHORT}') AND len(address_groups(a)) <= 7 THEN address_joined(
      address_groups(split_part(a, '::', 1)), address_groups(split_part(a, '::', 2)))
    ELSE '' END""",
)
"""What a connection needs before it can answer: `address_key(text)` gives an address as 32
hexadecimal digits, IPv4 as it is mapped into IPv6, and '' for what is no address."""


_FIRST_V4 = values.address_number(values.address("0.0.0.0"))  # noqa: S104  not to listen at


def condition(node: Node) -> Condition:
    """The condition of a query over `fields.EVENTS`."""
    match node:
        case And():
            return _joined(node.parts, " AND ", "true")
        case Or():
            return _joined(node.parts, " OR ", "false")
        case Not():
            sql, bound = condition(node.part)
            return f"NOT {sql}", bound
        case _:
            return _leaf(node)


def _joined(parts: Sequence[Node], word: str, empty: str) -> Condition:
    made = [condition(part) for part in parts]
    if not made:
        return empty, []
    return f"({word.join(sql for sql, _ in made)})", [v for _, bound in made for v in bound]


def _leaf(leaf: Leaf) -> Condition:
    field: Field = leaf.field
    if not field.column:
        raise ValueError(f"{field.name} is no field of the history")
    if field.many and isinstance(leaf, Is):
        return f"list_contains({field.column}, ?)", [leaf.value]
    if field.many:
        sql, bound = _test(leaf, "x")
        return f"(len(list_filter({field.column}, lambda x: {sql})) > 0)", bound
    return _test(leaf, field.column)


def _test(leaf: Leaf, column: str) -> Condition:
    """The condition of a leaf on one value."""
    field: Field = leaf.field
    match leaf:
        case Is() if leaf.value == field.absent:
            return "false", []
        case Is():
            return f"({column} = ?)", [leaf.value]
        case Between() if field.kind == "ip":
            low, high = (None if end is None else f"{end:032x}" for end in (leaf.low, leaf.high))
            sql, bound = _ends(f"address_key({column})", low, high, (">=", "<="))
            return f"({sql} AND {_present(field, column)})", bound
        case Between() if field.kind == "date":
            return _ends(column, leaf.low, leaf.high, (">=", "<"), "make_timestamp_ms(?)")
        case Between():
            sql, bound = _ends(column, leaf.low, leaf.high, (">=", "<"))
            return f"({sql} AND {_present(field, column)})", bound
        case Within():
            signs = (">=" if leaf.with_low else ">", "<=" if leaf.with_high else "<")
            sql, bound = _ends(column, leaf.low, leaf.high, signs)
            return f"({sql} AND {_present(field, column)})", bound
        case Network():
            return _network(leaf.network, column)
        case Like():
            sql, value = _like(leaf.pattern, column)
            return f"({sql} AND {_present(field, column)})", [value]
        case Exists():
            return f"({_present(field, column)})", []
    raise ValueError(f"{field.name}: the history has no texts to look for words in")


def _ends(
    column: str, low: Any, high: Any, signs: tuple[str, str], bound_as: str = "?"
) -> Condition:
    """The two ends of a range, of which one may be open."""
    ends = [(sign, end) for sign, end in zip(signs, (low, high), strict=True) if end is not None]
    sql = " AND ".join(f"{column} {sign} {bound_as}" for sign, _ in ends)
    return f"({sql or 'true'})", [end for _, end in ends]


def _present(field: Field, column: str) -> str:
    """That a row has the field."""
    match field.kind:
        case "date":
            return "true"
        case "ip":
            return f"address_key({column}) <> ''"
        case "boolean":
            return column
        case "long":
            return f"{column} <> {field.absent}"
        case _:
            return f"{column} <> ''"


def _network(network: str, column: str) -> Condition:
    _, first, last = values.network(network)
    sql, bound = _ends(f"address_key({column})", f"{first:032x}", f"{last:032x}", (">=", "<="))
    # What all of its addresses begin with is looked at first: an address_key costs much more.
    start, end = values.address_of(first), values.address_of(last)
    octets = [a for a, b in zip(start.split("."), end.split("."), strict=False) if a == b]
    if "." in start and octets:
        text = ".".join(octets) + ("." if len(octets) < 4 else "")
        return f"(starts_with({column}, ?) AND {sql})", [text, *bound]
    if ":" in start and ":" in end and not first <= _FIRST_V4 <= last:
        return f"(contains({column}, ?) AND {sql})", [":", *bound]
    return sql, bound


def _like(pattern: str, column: str) -> tuple[str, str]:
    """The condition of a pattern, and its value."""
    parts = values.pieces(pattern)
    if len(parts) == 2 and not parts[0][1] and parts[1] == ("*", True):
        return f"starts_with({column}, ?)", parts[0][0]
    wild = {"*": "%", "?": "_"}
    text = "".join(
        wild[piece] if is_wild else piece.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        for piece, is_wild in parts
    )
    return f"{column} LIKE ? ESCAPE '!'", text
