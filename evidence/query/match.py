"""Holds a query against documents, with the meaning that Elasticsearch gives it.

A tree goes in, a function of one document comes out. It is what the embedded store, whose records
are kept whole, is searched with.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from evidence.query import values
from evidence.query.tree import (
    And,
    Between,
    Field,
    Is,
    Leaf,
    Like,
    Network,
    Node,
    Not,
    Or,
    Within,
    Words,
)  # fmt: skip

Document = Mapping[str, Any]
Matcher = Callable[[Document], bool]
_Test = Callable[[Any], bool]


def matcher(node: Node) -> Matcher:
    """Whether a document fits the query."""
    match node:
        case And():
            parts = [matcher(part) for part in node.parts]
            return lambda document: all(part(document) for part in parts)
        case Or():
            parts = [matcher(part) for part in node.parts]
            return lambda document: any(part(document) for part in parts)
        case Not():
            inner = matcher(node.part)
            return lambda document: not inner(document)
        case _:
            field, test = node.field, _test(node)
            return lambda document: any(map(test, _values(document, field)))


def _test(leaf: Leaf) -> _Test:
    """Whether one value fits a leaf."""
    match leaf:
        case Is():
            wanted = _typed(leaf.value, leaf.field)
            return lambda value: bool(value == wanted)
        case Between():
            low, high, last = leaf.low, leaf.high, leaf.field.kind == "ip"
            return lambda value: (
                (low is None or low <= value)
                and (high is None or value < high or (last and value == high))
            )
        case Within():
            return _within(leaf)
        case Network():
            _, first, end = values.network(leaf.network)
            return lambda value: first <= value <= end
        case Like():
            regex = _regex(leaf.pattern)
            if leaf.field.kind == "text":
                return lambda value: any(map(regex.fullmatch, values.words(value)))
            return lambda value: regex.fullmatch(value) is not None
        case Words():
            wanted_words = values.words(leaf.text)
            return lambda value: _in_a_row(wanted_words, values.words(value))
        case _:
            return lambda _: True


def _within(leaf: Within) -> _Test:
    low, high = leaf.low, leaf.high
    if leaf.field.kind == "float":
        low, high = (None if end is None else values.single(float(end)) for end in (low, high))
    with_low, with_high = leaf.with_low, leaf.with_high

    def test(value: Any) -> bool:
        above = low is None or value > low or (with_low and value == low)
        below = high is None or value < high or (with_high and value == high)
        return above and below

    return test


def _regex(pattern: str) -> re.Pattern[str]:
    """The pattern, with what stands between two `*` taken where it first fits: never tried again.

    So a pattern of a hundred `*` costs what one costs.
    """
    runs = [""]
    for text, wild in values.pieces(pattern):
        if (text, wild) == ("*", True):
            runs.append("")
        else:
            runs[-1] += "." if wild else re.escape(text)
    first, *middle, last = runs if len(runs) > 1 else (runs[0], "")
    between = "".join(f"(?>.*?{run})" for run in middle if run)
    end = f".*{last}" if len(runs) > 1 else ""
    return re.compile(f"{first}{between}{end}", re.DOTALL)


def _in_a_row(wanted: Sequence[str], found: Sequence[str]) -> bool:
    size = len(wanted)
    return any(wanted == found[at : at + size] for at in range(len(found) - size + 1))


def _values(document: Document, field: Field) -> Iterator[Any]:
    """The document's values of a field, each as its type; what is of no such type is left out."""
    if field.kind == "flattened":
        found: Iterator[Any] = _flattened(document, field)
    else:
        found = _at(document, field.name.split("."))
    for value in found:
        try:
            typed = _typed(value, field)
        except (ValueError, TypeError):
            continue
        if typed is not None:
            yield typed


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _at(item, path)
    elif not path:
        if not isinstance(value, Mapping):
            yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _flattened(document: Document, field: Field) -> Iterator[Any]:
    """Values at or below a flattened object: all, or those of one key."""
    root = field.root or field.name
    key = field.name[len(root) + 1 :]

    def leaves(value: Any, path: str) -> Iterator[Any]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from leaves(inner, f"{path}.{name}" if path else name)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from leaves(item, path)
        elif not key or path == key:
            yield value

    *parents, last = root.split(".")
    for parent in _objects(document, parents):
        yield from leaves(parent.get(last), "")


def _objects(value: Any, path: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item, path)
    elif isinstance(value, Mapping):
        if not path:
            yield value
        elif path[0] in value:
            yield from _objects(value[path[0]], path[1:])


def _typed(value: Any, field: Field) -> Any:
    """A value as the leaf compares it; None for one that Elasticsearch does not index."""
    if value is None:
        return None
    match field.kind:
        case "keyword" | "flattened" | "text":
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            if field.longest and len(text.encode("utf-16-le")) > 2 * field.longest:
                return None
            return text
        case "date":
            return value if isinstance(value, int) else values.time_span(value, 0)[0]
        case "ip":
            return values.address_number(values.address(value))
        case "long":
            return None if isinstance(value, bool) else int(value)
        case "float":
            return None if isinstance(value, bool) else values.single(float(value))
        case "boolean":
            return value if isinstance(value, bool) else values.truth(value)
