"""The bulk calls of Elasticsearch: what a body asks for, and what it is answered.

A body of action and document lines comes in, items go out; and from items, the answer that shippers
know. A document that is no access record is still an item: it becomes a counted reject later, for a
bad line must not block its shipper. It MUST NOT look into documents.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from streams.listen._filter_path import filtered

ACTIONS: Final = frozenset({"create", "index"})
_DOCUMENTED: Final = frozenset({"create", "index", "update"})
_ALL: Final = frozenset({"create", "index", "update", "delete"})
_SHARDS: Final = {"total": 1, "successful": 1, "failed": 0}


class Malformed(ValueError):
    """A body that is no bulk request; says which line, and why."""


class Item(NamedTuple):
    """One action."""

    action: str
    goal: str
    """The index or data stream that it names."""
    id: str
    """As the sender gave it; "" if it gave none."""
    document: bytes = b""
    """As sent. Empty where the action is none that adds a document."""


def items(body: bytes, default_index: str) -> list[Item]:
    """The actions of a body, in order.

    Raises:
        Malformed: the whole is to be refused, as Elasticsearch does.
    """
    found: list[Item] = []
    known: dict[bytes, tuple[str, str, str]] = {}
    lines = body.split(b"\n")
    number, last = 0, len(lines)
    while number < last:
        line = lines[number]
        number += 1
        if not line or line.isspace():
            continue
        action = known.get(line)
        if action is None:
            action = _action(line, number, default_index)
            if not action[2]:
                # Most shippers begin every document alike.
                known[line] = action
        name, index, id_ = action
        if name not in _DOCUMENTED:
            found.append(Item(name, index, id_))
            continue
        if number >= last or not (document := lines[number].strip(b"\r")):
            raise Malformed(f"the action in line {number} has no document behind it")
        number += 1
        found.append(Item(name, index, id_, document if name in ACTIONS else b""))
    if not found:
        raise Malformed("request body is required")
    return found


def _action(line: bytes, number: int, default_index: str) -> tuple[str, str, str]:
    try:
        action = orjson.loads(line)
    except ValueError:
        raise Malformed(f"Malformed action/metadata line [{number}]: it is not JSON") from None
    if not isinstance(action, dict) or len(action) != 1:
        raise Malformed(
            f"Malformed action/metadata line [{number}]: it is not an object with one action"
        )
    ((name, meta),) = action.items()
    if name not in _ALL or not isinstance(meta, dict):
        raise Malformed(
            f"Malformed action/metadata line [{number}], expected one of [create, delete, index, "
            "update] and an object"
        )
    index, id_ = meta.get("_index", default_index), meta.get("_id", "")
    if id_ is None:
        id_ = ""
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not isinstance(index, str) or not isinstance(id_, str):
        raise Malformed(f"Malformed action/metadata line [{number}]: _index and _id are texts")
    return name, index, id_


def answer(
    found: Sequence[Item], took_ms: int, number: int, filter_path: str = ""
) -> Mapping[str, Any]:
    """What Elasticsearch answers when all documents were created; `number` makes ids unique.

    What had been taken before is answered as created, too: it is, and shippers want nothing else.
    """
    errors = False
    entries: list[dict[str, Any]] = []
    for place, item in enumerate(found):
        id_ = item.id or f"{number:x}-{place:x}"
        if item.action in ACTIONS:
            result: dict[str, Any] = {
                "_index": item.goal, "_id": id_, "_version": 1, "result": "created",
                "_shards": _SHARDS, "_seq_no": place, "_primary_term": 1, "status": 201,
            }  # fmt: skip
        else:
            errors = True
            reason = f"{item.action}: lines of a log are added, never changed or removed"
            error = {"type": "illegal_argument_exception", "reason": reason}
            result = {"_index": item.goal, "_id": id_, "status": 400, "error": error}
        entries.append({item.action: result})
    whole: dict[str, Any] = {"took": took_ms, "errors": errors, "items": entries}
    return filtered(whole, filter_path) if filter_path else whole
