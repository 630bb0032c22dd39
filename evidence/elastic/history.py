"""An index of access logs that somebody else ships, as a history to look back through.

Filebeat and Elastic Agent write what a line said, in ECS; who answers for it, whose data it touched
and what came of it is for our intake to say, line by line, as for a log that is read from disk. So
a query means the same here as over our own segments. Nothing is written there, nothing is kept.
What an answer lacks (lines that could not be read, an end that was set) stands in `left_out`.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import msgspec
import orjson

from evidence.elastic._pages import Hit, pages, stepwise
from evidence.elastic._theirs import superset, time_field
from evidence.elastic.client import Options, connect
from evidence.query.actors import actor_query
from evidence.query.dsl import Clause
from evidence.query.match import matcher
from evidence.query.tree import Node
from evidence.rows import Row, row_document, row_of
from intake.frames import Reader, SourceState
from intake.settings import IntakeSettings
from records.event import Actor
from records.ids import digest, event_id

MOST = 1_000_000
"""Documents that one answer reads; what comes after them is left out, and said so."""
_SAMPLE = 2_000
_LARGEST_OFFSET = 2**63 - 1


class ElasticHistory:
    """Access logs in the ECS indices of these patterns: an `EventHistory`.

    reader: makes a reader of format `ecs` that has seen nothing yet, so that one question is
    answered as any other. most: documents that one answer may read.
    """

    def __init__(
        self,
        options: Options,
        patterns: Sequence[str],
        settings: IntakeSettings,
        reader: Callable[[], Reader],
        *,
        most: int = MOST,
    ) -> None:
        self._options, self._patterns = options, patterns
        self._settings, self._reader = settings, reader
        self._most = most
        self._left_out: list[str] = []

    @property
    def left_out(self) -> Sequence[str]:
        """What the last answer lacks, once it was read to its end."""
        return tuple(self._left_out)

    def look_back(
        self, actor: Actor, since_ms: int | None = None, until_ms: int | None = None
    ) -> Iterator[Row]:
        """Events that an actor answers for, since_ms <= time < until_ms, by (time, event).

        Raises: as `search`; ValueError also for an actor that a history does not know.
        """
        return self.search(actor_query(actor), since_ms=since_ms, until_ms=until_ms)

    def search(
        self,
        query: Node,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Events that fit a query over `fields.EVENTS`, since_ms <= time < until_ms, by time.

        Raises:
            ValueError: the options, or a pattern that Elasticsearch refuses.
            TimeoutError: who takes the events waits too long.
            ApiError, TransportError: as the client does; `client.said` has the words.
        """
        with closing(self._found(query, since_ms, until_ms)) as found:
            yield from islice(found, limit)

    def _found(
        self, query: Node, since_ms: int | None, until_ms: int | None
    ) -> Generator[Row, None, None]:
        self._left_out = []
        fits = matcher(query)
        read = _Reading(self._reader())
        asked = _asked(query, self._settings, since_ms, until_ms)
        with closing(stepwise(lambda: self._pages(asked, until_ms))) as found:
            read.learn(next(found, ()))
            rows = read.rows(_bounded(found, self._most, self._left_out))
            # Lines of one millisecond come as Elasticsearch has them; a line shipped twice is one.
            for time_ms, group in groupby(rows, key=itemgetter("time_ms")):
                if (since_ms is None or since_ms <= time_ms) and (
                    until_ms is None or time_ms < until_ms
                ):
                    once = {row["event"]: row for row in group}
                    yield from (once[e] for e in sorted(once) if fits(row_document(once[e])))
        self._left_out += read.lacks()

    async def _pages(
        self, asked: Clause, until_ms: int | None
    ) -> AsyncGenerator[Sequence[Hit], None]:
        """First a sample, whatever is asked for, to learn from; then all that may fit."""
        time = time_field(self._settings)
        sort = [{time: {"order": "asc", "unmapped_type": "date", "numeric_type": "date"}}]
        latest = [{time: {"order": "desc", "unmapped_type": "date", "numeric_type": "date"}}]
        everything = {"bool": {"filter": _range(time, None, until_ms)}}
        async with connect(self._options) as client:
            sample: list[Hit] = []
            async with aclosing(
                pages(client, self._patterns, everything, latest, size=_SAMPLE)
            ) as found:
                async for hits in found:
                    sample += hits
                    break
            yield sample
            async with aclosing(pages(client, self._patterns, asked, sort)) as found:
                async for hits in found:
                    yield hits


def _asked(
    query: Node, settings: IntakeSettings, since_ms: int | None, until_ms: int | None
) -> Clause:
    clauses = _range(time_field(settings), since_ms, until_ms)
    if (narrower := superset(query, settings)) is not None:
        clauses.append(narrower)
    return {"bool": {"filter": clauses}}


def _range(time: str, since_ms: int | None, until_ms: int | None) -> list[Clause]:
    ends = {"gte": since_ms, "lt": until_ms}
    given = {name: end for name, end in ends.items() if end is not None}
    return [{"range": {time: {**given, "format": "epoch_millis"}}}] if given else []


def _bounded(
    found: Iterator[Sequence[Hit]], most: int, left_out: list[str]
) -> Iterator[Sequence[Hit]]:
    """The pages up to a number of hits; notes when there were more."""
    taken = 0
    for hits in found:
        if taken + len(hits) > most:
            yield hits[: most - taken]
            left_out.append(
                f"{most:,} lines were read, and there are more after them: ask for a shorter time, "
                "for an address, or for a user"
            )
            return
        taken += len(hits)
        yield hits


class _Reading:
    """One answer's hits through the intake."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader
        self._sources: dict[str, SourceState] = {}
        self._rejected: Counter[str] = Counter()
        self._next = 0

    def learn(self, sample: Sequence[Hit]) -> None:
        """What ids look like here, and whether credentials are logged."""
        by_source: dict[str, list[bytes]] = {}
        for hit in sample:
            by_source.setdefault(_place(hit)[0], []).append(_line(hit))
        for name, lines in by_source.items():
            self._read.begin(self._state(name), lines)

    def rows(self, found: Iterator[Sequence[Hit]]) -> Iterator[Row]:
        """Rows of the hits that are access events, in their order."""
        for hits in found:
            for name, group in groupby(hits, key=lambda hit: _place(hit)[0]):
                yield from self._rows(name, list(group))

    def _rows(self, name: str, hits: Sequence[Hit]) -> Iterator[Row]:
        # Offsets begin anew when a log is rotated, so places only count what came.
        places = range(self._next, self._next + len(hits))
        self._next += len(hits)
        batch = self._read.read_apart(self._state(name), [_line(hit) for hit in hits], places)
        self._rejected.update(reject.reason for reject in batch.rejects)
        for event in batch.events:
            source, offset = _place(hits[event.offset - places.start])
            placed = {"id": event_id(source, offset), "source": source, "offset": offset}
            yield row_of(msgspec.structs.replace(event, **placed))

    def _state(self, name: str) -> SourceState:
        if name not in self._sources:
            self._sources[name] = SourceState(name, name)
        return self._sources[name]

    def lacks(self) -> list[str]:
        """What of it was no access event, in words."""
        if not self._rejected:
            return []
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in self._rejected.most_common())
        count = self._rejected.total()
        is_no = "document is no access event" if count == 1 else "documents are no access events"
        return [f"{count:,} {is_no} ({reasons})"]


def _line(hit: Hit) -> bytes:
    # An index may be told not to keep its documents: then nothing of them can be read.
    return orjson.dumps(hit.get("_source"))


def _place(hit: Hit) -> tuple[str, int]:
    """(source id, offset) of a line: its file's and its own, or those that its document has.

    A file is that of one agent: its fingerprint or inode tells it from the one before rotation.
    """
    source = hit.get("_source") or {}
    path, offset = _at(source, "log.file.path"), _at(source, "log.offset")
    if isinstance(path, str) and isinstance(offset, int) and 0 <= offset <= _LARGEST_OFFSET:
        names = ("agent.id", "log.file.fingerprint", "log.file.device_id", "log.file.inode")
        file = [str(_at(source, name) or "") for name in names]
        return "es" + digest("file", path, *file, length=16), offset
    return "es" + digest("index", hit["_index"], length=16), int(digest(hit["_id"], length=15), 16)


def _at(source: Any, path: str) -> Any:
    """A field of a document, whether its names are nested or dotted."""
    if path in source:
        return source[path]
    head, _, rest = path.partition(".")
    inner = source.get(head)
    return _at(inner, rest) if rest and isinstance(inner, dict) else None
