"""Documents a second into a real Elasticsearch, beside a bare loop that posts the same lines."""

import asyncio
import http.client
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks._evidence.batches import ENTRIES, as_documents, batches, write
from benchmarks._evidence.beside import Measure, Run, Watch, beside, goal, say
from evidence.elastic.bulk import Bulk, Document
from evidence.elastic.client import Options, connect
from evidence.elastic.setup import set_up
from evidence.store import EmbeddedStore
from tests.stack._elasticsearch import HOST, Elasticsearch

BARE_DOCUMENTS = (1_000, 5_000)
"""A request of the bare loops: what people begin with, and as many as `Bulk` ever sends."""
RETENTION_S = 30 * 86_400
_Send = Callable[[Sequence[Document]], Run]
_FAILED = re.compile(rb'"errors":\s*true')


def bulk(entries: int, rounds: int, home: Path) -> None:
    """`Bulk.send` beside raw `_bulk` requests, in turns on one node with the templates."""
    with Elasticsearch(home / "elasticsearch") as node:
        asyncio.run(_templates(node.url))
        measured: dict[str, _Send] = {"Bulk.send": partial(_ours, node.url)}
        for most in BARE_DOCUMENTS:
            measured[f"bare requests of {most:,}"] = partial(_bare, node.port, most)
        # Under new ids each time: what stands there already is not stored again.
        spaces = (_documents(home / f"{number}", entries, f"{number}") for number in count())
        warm_up = next(spaces)
        size = sum(len(document.lines()) for document in warm_up) / len(warm_up)
        say(
            f"documents/s: {len(warm_up):,} of {size:.0f} bytes a round, findings and entries "
            "of evidence, each time under new ids"
        )
        # The first requests make the streams, and meet a cold server.
        measured["Bulk.send"](warm_up)
        figures = beside(rounds, {name: _fresh(m, spaces) for name, m in measured.items()})
        ours, *bare = measured
        goal(
            "documents/s / the faster bare requests",
            min(figures.speed(ours, name) for name in bare),
            0.6,
        )


def _fresh(measure: _Send, spaces: Iterator[list[Document]]) -> Measure:
    return lambda _: measure(next(spaces))


async def _templates(url: str) -> None:
    async with connect(Options(hosts=(url,))) as client:
        await set_up(client, RETENTION_S)


def _documents(folder: Path, entries: int, space: str) -> list[Document]:
    with EmbeddedStore.open(folder, durable=False) as store:
        for batch in batches(entries // ENTRIES, space):
            write(store, batch)
        return as_documents(store)


def _ours(url: str, documents: Sequence[Document]) -> Run:
    return asyncio.run(_send(url, documents))


async def _send(url: str, documents: Sequence[Document]) -> Run:
    async with connect(Options(hosts=(url,))) as client:
        bulk = Bulk(client)
        watch = Watch()
        sent = await bulk.send(documents)
        run = watch.stop(sent.stored)
    if sent.stored != len(documents):
        raise RuntimeError(
            f"sending to {url}: {sent.stored} of {len(documents)} were stored, {sent.already} "
            f"stood there, {len(sent.refused)} were refused: {sent.refused[:1]} {sent.trouble}"
        )
    return run


def _bare(port: int, most: int, documents: Sequence[Document]) -> Run:
    lines = [document.lines() for document in documents]
    bodies = [b"".join(lines[start : start + most]) for start in range(0, len(lines), most)]
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.connect()
        watch = Watch()
        for body in bodies:
            connection.request(
                "POST", "/_bulk", body, headers={"Content-Type": "application/x-ndjson"}
            )
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200 or _FAILED.search(answer[:200]):
                raise RuntimeError(f"posting to port {port}: {response.status} {answer[:500]!r}")
        return watch.stop(len(documents))
    finally:
        connection.close()
