"""What any history of access events can be asked, whoever keeps it and in whatever form.

`evidence.history.History` answers from our own segments, `evidence.elastic.history` from an index
of access logs that somebody else ships. The verdicts in the answers are ours in both.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from evidence.query.tree import Node
from evidence.rows import Row
from records.event import Actor


class EventHistory(Protocol):
    """Access events of the past."""

    def search(
        self,
        query: Node,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Events that fit a query over `fields.EVENTS`, since_ms <= time < until_ms.

        They come by (time, event), the earliest first; with a limit, so many of the earliest.
        """
        ...

    def look_back(
        self, actor: Actor, since_ms: int | None = None, until_ms: int | None = None
    ) -> Iterator[Row]:
        """Events that an actor answers for (`query.actors`), since_ms <= time < until_ms."""
        ...

    @property
    def left_out(self) -> Sequence[str]:
        """What the last answer lacks, once it was read to its end; empty where it is whole."""
        ...
