"""The places outside that this configuration has told: opened once, for any number of stores.

Settings come in; for each store what goes on beside detection goes out: the projection into
Elasticsearch, the publishing of heads. It opens and closes, and judges nothing.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import httpx

from evidence.store import EmbeddedStore
from streams.beside import Durable, Measured, at_once
from streams.clock import Clock
from streams.heads import HeadFile, Place, Publisher, Webhook
from streams.settings import Settings

if TYPE_CHECKING:
    from evidence.elastic.bulk import Document
    from streams.elastic import Elastic


class Outward:
    """Makes what tells others of a store."""

    def __init__(self, places: list[Place], elastic: "Elastic | None") -> None:
        self._places = places
        self._elastic = elastic

    def beside(
        self,
        store: EmbeddedStore,
        *,
        durable: Durable = at_once,
        on_refused: "Callable[[Document, str], None]" = lambda _document, _reason: None,
    ) -> list[Measured]:
        """What is to be driven for this store; nothing where nothing is configured."""
        made: list[Measured] = []
        if self._elastic is not None:
            from streams.projection import Projection  # noqa: PLC0415  as `opened`

            made.append(
                Projection(store, self._elastic, Random(), durable=durable, on_refused=on_refused)
            )
        if self._places:
            made.append(Publisher(store, self._places, Random(), durable=durable))
        return made


@asynccontextmanager
async def opened(
    settings: Settings, environ: Mapping[str, str], clock: Clock
) -> AsyncIterator[Outward]:
    """Until the end of the block; nothing outside is asked for it."""
    publish = settings.ledger.publish
    places: list[Place] = []
    elastic = None
    async with AsyncExitStack() as stack:
        if publish.file is not None:
            places.append(HeadFile(publish.file))
        if settings.elasticsearch is not None:
            # Here, not above: nobody without Elasticsearch waits for its client to load.
            from streams.elastic import Elastic  # noqa: PLC0415

            elastic = Elastic(settings.elasticsearch)
            stack.push_async_callback(elastic.close)
            if publish.elasticsearch:
                places.append(elastic)
        if publish.webhook is not None:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            places.append(
                Webhook(publish.webhook, publish.webhook_token_env, environ, client, clock.now_ms)
            )
        yield Outward(places, elastic)
