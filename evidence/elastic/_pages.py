"""All that a search finds in Elasticsearch, page by page over a view that stands still.

Indices, a query and an order come in, hits go out: a point in time is opened and always closed, and
`search_after` goes on where a page ended, so that nothing stops at 10,000 and nothing comes twice.
It must not take half an answer for a whole one: a shard that fails is an error.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from elastic_transport import ApiError
from elasticsearch import AsyncElasticsearch

from evidence.elastic.trouble import ERRORS

KEEP = "5m"
"""How long the view is kept from one page to the next: printing may wait for a reader."""
PAGE = 1_000
Hit = Mapping[str, Any]


async def pages(
    client: AsyncElasticsearch,
    indices: Sequence[str],
    query: Mapping[str, Any],
    sort: Sequence[Mapping[str, Any]],
    *,
    size: int = PAGE,
) -> AsyncGenerator[Sequence[Hit], None]:
    """Every hit, in pages that are not empty. MUST be closed (`aclose`) if it is left early.

    sort: Elasticsearch adds what tells equal ones apart.

    Raises:
        TimeoutError: more than KEEP went by between two pages.
        ValueError: a pattern that Elasticsearch would have to work on for too long.
        ApiError, TransportError: as the client does; `trouble.said` has the words.
    """
    view = (await client.open_point_in_time(index=list(indices), keep_alive=KEEP))["id"]
    after: list[Any] | None = None
    try:
        while True:
            try:
                answer = await client.search(
                    pit={"id": view, "keep_alive": KEEP},
                    query=query,
                    sort=list(sort),
                    size=size,
                    search_after=after,
                    track_total_hits=False,
                    allow_partial_search_results=False,
                )
            except ApiError as error:
                raise _named(error) from error
            view = answer["pit_id"]
            hits: Sequence[Hit] = answer["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            after = hits[-1]["sort"]
    finally:
        with suppress(*ERRORS):
            # It ends by itself where this cannot be said any more.
            await client.close_point_in_time(id=view)


def _named(error: ApiError) -> Exception:
    said = str(error.body)
    if "search_context_missing_exception" in said:
        return TimeoutError(
            f"searching Elasticsearch: more than {KEEP} went by between two pages: write the "
            "answer to a file, or ask for less"
        )
    if "too_complex_to_determinize" in said or "TooComplexToDeterminize" in said:
        return ValueError(
            "searching Elasticsearch: a pattern is too long for it after its first *: write fewer "
            "characters, or fewer of ? and *"
        )
    return error


def stepwise(
    begin: Callable[[], AsyncGenerator[Sequence[Hit], None]],
) -> Generator[Sequence[Hit], None, None]:
    """The same pages for who is not asynchronous, in a loop of their own that ends with them."""
    with asyncio.Runner() as runner:
        found = begin()

        async def page() -> Sequence[Hit] | None:
            return await anext(found, None)

        try:
            while (hits := runner.run(page())) is not None:
                yield hits
        finally:
            runner.run(found.aclose())
