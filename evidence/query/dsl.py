"""A query as Elasticsearch's Query DSL, which gives the same documents as `match` does.

A tree goes in, a JSON object out. Everything stands in filters: nothing is ranked.
"""

from typing import Any

from evidence.query import values
from evidence.query.tree import (
    And,
    Between,
    Exists,
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

Clause = dict[str, Any]


def clause(node: Node) -> Clause:
    """The clause of a query."""
    match node:
        case And():
            return {"bool": {"filter": [clause(part) for part in node.parts]}}
        case Or(parts=()):
            return {"match_none": {}}
        case Or():
            return _any(node)
        case Not():
            return {"bool": {"must_not": [clause(node.part)]}}
        case _:
            return _leaf(node)


def _any(node: Or) -> Clause:
    """At least one part; many values of one field are one clause."""
    fields = {part.field.name for part in node.parts if isinstance(part, Is)}
    if len(fields) == 1 and all(isinstance(part, Is) for part in node.parts):
        found = [part.value for part in node.parts if isinstance(part, Is)]
        return {"terms": {fields.pop(): found}}
    return {"bool": {"should": [clause(part) for part in node.parts], "minimum_should_match": 1}}


def _leaf(leaf: Leaf) -> Clause:
    name = leaf.field.name
    match leaf:
        case Is():
            return {"term": {name: {"value": leaf.value}}}
        case Between() if leaf.field.kind == "ip":
            low, high = (None if n is None else values.address_of(n) for n in (leaf.low, leaf.high))
            return _range(name, gte=low, lte=high)
        case Between() if leaf.field.kind == "date":
            return _range(name, gte=leaf.low, lt=leaf.high, format="epoch_millis")
        case Between():
            return _range(name, gte=leaf.low, lt=leaf.high)
        case Within():
            low, high = ("gte" if leaf.with_low else "gt"), ("lte" if leaf.with_high else "lt")
            return _range(name, **{low: leaf.low, high: leaf.high})
        case Network():
            return {"term": {name: {"value": leaf.network}}}
        case Like():
            return {"wildcard": {name: {"value": leaf.pattern}}}
        case Words():
            return {"match_phrase": {name: {"query": leaf.text}}}
        case Exists():
            return {"exists": {"field": name}}


def _range(name: str, **ends: Any) -> Clause:
    return {"range": {name: {key: end for key, end in ends.items() if end is not None}}}
