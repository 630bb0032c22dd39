"""The Elasticsearch of a configuration: takes documents and heads, and knows how to come in again.

Settings come in; what became of documents goes out. A key that is refused is read anew from its
file, so that a renewed one is taken up without a restart. No fault of it may raise.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from elasticsearch import AsyncElasticsearch

from evidence.elastic import documents
from evidence.elastic.bulk import Bulk, Document, Sent
from evidence.elastic.client import Options, connect, read_api_key
from evidence.elastic.templates import HEADS
from evidence.elastic.trouble import ERRORS, Trouble, said
from evidence.ledger import Head
from evidence.settings import Elasticsearch
from streams.heads import AGAIN_S, MOST_S, NotPublished, agree, origin_of

_ANEW = frozenset({"login", "permission", "tls"})
"""Troubles that another key or certificate in the same file can end."""


def options_of(settings: Elasticsearch) -> Options:
    """How to come in, with the key that its file holds now.

    Raises:
        ValueError: the file is unreadable, or holds no key.
    """
    key = settings.api_key_file
    return Options(
        hosts=tuple(settings.hosts),
        api_key="" if key is None else read_api_key(key),
        ca_file=settings.ca_file,
        client_certificate_file=settings.client_certificate_file,
        client_key_file=settings.client_key_file,
        timeout_s=settings.timeout,
    )


class Elastic:
    """A sender of documents and a place for heads; `close` it."""

    name = "elasticsearch"

    def __init__(self, settings: Elasticsearch) -> None:
        self._settings = settings
        self._client: AsyncElasticsearch | None = None
        self._stale = False
        self._bulk: Bulk | None = None
        self._one = asyncio.Lock()
        """Who finds the key stale closes the client that the other would be using."""
        self._known = False
        """Whether what stands there of the heads was looked at."""

    async def send(self, batch: Sequence[Document]) -> Sent:
        """As `Bulk.send`."""
        async with self._one:
            return await self._send(batch)

    async def _send(self, batch: Sequence[Document]) -> Sent:
        try:
            client = await self._opened()
        except ValueError as error:
            return Sent(0, 0, [], Trouble("login", str(error), retry=False), 0)
        if self._bulk is None:
            self._bulk = Bulk(client)
        sent = await self._bulk.send(batch)
        if sent.trouble is not None:
            self._stale = sent.trouble.kind in _ANEW
        return sent

    async def put(self, head: Head, at_ms: int) -> None:
        """As `streams.heads.Place.put`."""
        async with self._one:
            await self._put(head, at_ms)

    async def _put(self, head: Head, at_ms: int) -> None:
        try:
            client = await self._opened()
            await self._compare(client, head)
            sent = await Bulk(client).send([documents.head(head, at_ms)])
            trouble = sent.trouble
            if sent.refused:
                raise NotPublished(f"indexing a head: {sent.refused[0].reason}", MOST_S)
            if sent.already:
                found = await client.get(index=HEADS, id=documents.head(head, at_ms).id)
                _agree(head, found["_source"])
        except ValueError as error:
            raise NotPublished(str(error), MOST_S) from None
        except ERRORS as error:
            trouble = said(error)
        if trouble is not None:
            self._stale = self._stale or trouble.kind in _ANEW
            raise NotPublished(trouble.words, trouble.retry_after_s or AGAIN_S)

    async def _compare(self, client: AsyncElasticsearch, head: Head) -> None:
        """Once: whether more than this log holds was ever published there."""
        if self._known:
            return
        found = await client.search(
            index=HEADS,
            ignore_unavailable=True,
            size=1,
            query={"term": {"breachline.head.origin": origin_of(head)}},
            sort=[{"breachline.head.size": {"order": "desc", "unmapped_type": "long"}}],
        )
        for hit in found["hits"]["hits"]:
            _agree(head, hit["_source"])
        self._known = True

    async def _opened(self) -> AsyncElasticsearch:
        if self._client is not None and self._stale:
            await self.close()
        if self._client is None:
            self._client, self._stale = connect(options_of(self._settings)), False
        return self._client

    async def close(self) -> None:
        """Let the connections go."""
        client, self._client, self._bulk = self._client, None, None
        if client is not None:
            await client.close()


class _Kept(msgspec.Struct):
    size: int
    note: str


def _agree(head: Head, source: object) -> None:
    try:
        kept = msgspec.convert(source, dict[str, object])["breachline"]
        one = msgspec.convert(msgspec.convert(kept, dict[str, object])["head"], _Kept)
    except (msgspec.ValidationError, KeyError):
        raise NotPublished(
            f"comparing with {HEADS}: what stands there is no head", MOST_S
        ) from None
    agree(head, one.size, one.note, f"Elasticsearch ({HEADS})")
