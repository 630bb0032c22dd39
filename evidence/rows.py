"""One event of the history in its three forms: the record, the row that is kept, the ECS document.

Rows are what searches give, columns by name with `time_ms` for the time. A row lacks what is kept
nowhere (authentication, basis, whether the address is trusted), and so does its document.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from evidence._columns import COLUMNS
from intake.documents import event_document
from records.event import AccessEvent

Row = dict[str, Any]
"""The history's columns in their order, with integer `time_ms` for `time`."""

_FIELDS = {"event": "id", "time": "time_ms"}
_NOT_KEPT = {"ip_trusted": True, "authentication": "unlogged", "basis": "", "cross_site": False}


def row_of(event: AccessEvent) -> Row:
    """The row of an event."""
    row = {
        "time_ms" if name == "time" else name: getattr(event, _FIELDS.get(name, name))
        for name in COLUMNS
    }
    return row | {"targets": list(event.targets)}


def row_document(row: Mapping[str, Any], source_name: str = "") -> dict[str, Any]:
    """A row in ECS, as `intake.documents` writes events; what is not kept is absent.

    source_name: what to call the source to a person; "" leaves it out.
    """
    known = {name: value for name, value in row.items() if name != "event"}
    fields = {**known, **_NOT_KEPT, "id": row["event"], "targets": tuple(row["targets"])}
    document = event_document(msgspec.convert(fields, AccessEvent), source_name)
    for name in ("authentication", "address_trusted"):
        document["breachline"].pop(name, None)
    said: dict[str, Any] = _without_blanks(document)
    return said


def _without_blanks(value: Any) -> Any:
    """A request that was none has no method: its column is "", which is no value of a field."""
    if not isinstance(value, dict):
        return value
    inner = {name: _without_blanks(item) for name, item in value.items()}
    return {name: item for name, item in inner.items() if item not in ("", {})}
