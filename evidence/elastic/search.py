"""Searches findings, incidents, actions and entries of evidence in Elasticsearch.

A query of `evidence.query` comes in, documents go out in the order of the embedded store's answer,
by (time, id). Whoever asks both gets the same documents, but for what is not indexed yet.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from itertools import islice
from typing import Any

from evidence.elastic._pages import PAGE, Hit, pages, stepwise
from evidence.elastic.client import Options, connect
from evidence.elastic.templates import ACTIONS, EVIDENCE, FINDINGS, INCIDENTS
from evidence.query.dsl import Clause, clause
from evidence.query.fields import DOCUMENTS
from evidence.query.tree import EVERYTHING, And, Between, Node

INDICES = (FINDINGS, INCIDENTS, ACTIONS, EVIDENCE)
ORDER = (
    {"@timestamp": {"order": "asc", "unmapped_type": "date"}},
    {"event.id": {"order": "asc", "unmapped_type": "keyword"}},
    {"event.dataset": {"order": "asc", "unmapped_type": "keyword"}},
)


def order_key(document: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a document is sorted by: time, id, and which of two documents of one id it is.

    Times as `records.ids.iso` writes them, which sort as what they say.
    """
    event = document["event"]
    return document["@timestamp"], event["id"], event["dataset"]


def within(query: Node, since_ms: int | None, until_ms: int | None) -> Node:
    """The query, since_ms <= time < until_ms."""
    if since_ms is None and until_ms is None:
        return query
    between = Between(DOCUMENTS["@timestamp"], since_ms, until_ms)
    return between if query == EVERYTHING else And((query, between))


def search(
    options: Options,
    query: Node,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Documents that fit a query over `fields.DOCUMENTS`, by `order_key`; at most `limit`.

    Raises:
        ValueError: the options, or a pattern that Elasticsearch refuses.
        TimeoutError: who takes the documents waits too long.
        ApiError, TransportError: as the client does; `client.said` has the words.
    """
    asked = clause(within(query, since_ms, until_ms))
    size = PAGE if limit is None else min(PAGE, limit)
    with closing(stepwise(lambda: _connected(options, INDICES, asked, size))) as found:
        yield from islice((hit["_source"] for hits in found for hit in hits), limit)


async def _connected(
    options: Options, indices: Sequence[str], asked: Clause, size: int
) -> AsyncGenerator[Sequence[Hit], None]:
    async with (
        connect(options) as client,
        aclosing(pages(client, indices, asked, ORDER, size=size)) as found,
    ):
        async for hits in found:
            yield hits
