"""What actors did besides: their requests in the history, the newest first, as many as asked for.

Actors and a time come in; rows and how many there were in all go out. Counting and choosing is the
database's, so that a busy address costs no more here than a quiet one.
"""

from collections.abc import Collection
from ipaddress import IPv6Network
from typing import Any

from evidence._columns import COLUMNS
from evidence.history import History
from records.event import Actor

_TRUSTED = "provenance IN ('verified', 'gateway') AND principal <> ''"
_UPPER = 16
"""Digits of a /64 among the 32 of an address."""
_MATCHES = f"""
  time >= make_timestamp_ms(?)
  AND event NOT IN (SELECT unnest(?::VARCHAR[]))
  AND (
    ({_TRUSTED} AND principal IN (SELECT unnest(?::VARCHAR[])))
    OR (session <> '' AND session IN (SELECT unnest(?::VARCHAR[])))
    OR (NOT ({_TRUSTED}) AND session = '' AND (
      ip IN (SELECT unnest(?::VARCHAR[]))
      OR (contains(ip, ':') AND left(address_key(ip), {_UPPER}) IN (SELECT unnest(?::VARCHAR[])))
    ))
  )
"""
_NAMES = tuple("time_ms" if name == "time" else name for name in COLUMNS)
_COLUMNS = ", ".join("epoch_ms(time)" if name == "time" else f'"{name}"' for name in COLUMNS)
_KINDS = ("principal", "session", "ip")


class Requests(History):
    """The history of one directory, asked for what actors did."""

    def of(
        self, actors: Collection[Actor], since_ms: int, known: Collection[str], limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """(rows, how many match): the newest `limit`, by (time, event), without the `known` events.

        An address, or a /64, answers only for what no session and no vouched-for principal did.

        Raises:
            OSError: a segment cannot be read.
        """
        by_kind = {kind: sorted(a.value for a in actors if a.type == kind) for kind in _KINDS}
        nets = sorted(_digits(a.value) for a in actors if a.type == "subnet" and ":" in a.value)
        values = [since_ms, sorted(known), *by_kind.values(), nets]
        _, counted = self._ask(f"SELECT count(*) FROM events WHERE {_MATCHES}", values)  # noqa: S608
        ((total,),) = counted
        _, rows = self._ask(
            f"SELECT {_COLUMNS} FROM events WHERE {_MATCHES} "  # noqa: S608
            "ORDER BY events.time DESC, event DESC LIMIT ?",
            [*values, limit],
        )
        return [dict(zip(_NAMES, row, strict=True)) for row in rows][::-1], total


def _digits(net: str) -> str:
    """The upper half of the addresses of a /64, as `address_key` writes it."""
    return f"{int(IPv6Network(net)[0]):032x}"[:_UPPER]
