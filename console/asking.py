"""What the commands that search share: the query as typed, Elasticsearch, and how it may end.

Texts and settings come in; trees and rows go out. Faults become the ways of `fault` to end.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from console.custody import told
from console.fault import Refused, words
from evidence.query._scan import scan
from evidence.query.parse import Fields, parse
from evidence.query.tree import Node
from evidence.settings import Elasticsearch
from streams.clock import SystemClock
from streams.plain import plain
from streams.settings import Settings

QUERY_HELP = """\b
The query is Lucene's, over field names of ECS (--fields lists them):
  user.id:u-17 AND NOT source.ip:203.0.113.0/24     addresses, networks
  @timestamp:[now-1h TO now] OR event.id:fin-06*    ranges; * any run, ? one character
  user.id:(u-17 OR u-18) AND @timestamp:>=2026-11-22
  "u-17"        a word or address, in any field where one would look for it
  user.id:*     the field is there
AND goes before OR. A value with a space or bracket needs quotes.
"""

fields_flag = click.option(
    "--fields", "list_fields", is_flag=True, help="List the fields that QUERY may name, and end."
)


def print_fields(fields: Fields) -> None:
    """Each field and its type, a line each."""
    for field in fields.values():
        click.echo(f"{field.name:<46} {field.kind}")


def node_of(query: str, fields: Fields) -> Node:
    """The tree of a query, now.

    Raises:
        Refused: it cannot be read.
    """
    try:
        return parse(query, fields, SystemClock().now_ms())
    except ValueError as error:
        raise Refused(str(error)) from error


def configured(settings: Settings) -> Elasticsearch:
    """The Elasticsearch of a configuration.

    Raises:
        Refused: there is none.
    """
    if settings.elasticsearch is None:
        raise Refused(
            "no Elasticsearch is configured: add elasticsearch: {hosts: [https://host:9200]}"
        )
    return settings.elasticsearch


@contextmanager
def asking() -> Iterator[None]:
    """What hinders an answer of Elasticsearch, as the command's way to end.

    Raises:
        Unreachable: it does not answer, or cannot now.
        Negative: it answers, and refuses.
        Refused: the options or the query are no good.
    """
    # Here, not above: who asks no Elasticsearch does not wait for its client.
    from console.elastic import troubled  # noqa: PLC0415

    try:
        with troubled():
            yield
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        raise Refused(words(error)) from error


def esql(elastic: Elasticsearch, query: str) -> Iterator[Mapping[str, Any]]:
    """The rows that an ES|QL query gives, each by column.

    Raises: as `asking`; Refused also where this Elasticsearch does not speak ES|QL.
    """
    from elastic_transport import ApiError  # noqa: PLC0415

    with asking():
        try:
            answer = asyncio.run(_esql(elastic, query))
        except ApiError as error:
            if "no handler found" in str(error.body) or error.meta.status == 405:
                raise Refused(
                    "this Elasticsearch does not speak ES|QL: it is there from 8.11 on, in the "
                    "distribution of Elastic; give a QUERY instead"
                ) from error
            raise
    names = [column["name"] for column in answer["columns"]]
    return (dict(zip(names, row, strict=True)) for row in answer["values"])


async def _esql(elastic: Elasticsearch, query: str) -> Mapping[str, Any]:
    from evidence.elastic.client import connect  # noqa: PLC0415
    from streams.elastic import options_of  # noqa: PLC0415

    async with connect(options_of(elastic)) as client:
        answer: Mapping[str, Any] = (await client.esql.query(query=query, format="json")).body
        return answer


def enter(settings: Settings, from_dir: Path | None, what: str, why: str, **more: Any) -> None:
    """As `custody.told`; who has no log here, asking elsewhere, is answered all the same."""
    try:
        told(settings, from_dir, what, why, **more)
    except Refused as error:
        click.echo(f"Warning: this read is not in the log: {plain(str(error))}", err=True)


def one_of(query: str | None, **others: str | None) -> None:
    """Refuse a question that is asked in two languages at once, or not at all.

    Raises:
        UsageError: there is not exactly one.
    """
    given = [name for name, value in {"QUERY": query, **others}.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(["QUERY", *(f"--{name}" for name in others)])
        raise click.UsageError(f"Give one of {names}.")


def tell_link(
    elastic: Elasticsearch, view: str, query: str, since_ms: int | None, until_ms: int | None
) -> None:
    """Say on stderr where Kibana shows the same, if the configuration names a Kibana."""
    if elastic.kibana is None:
        return
    from evidence.elastic.links import discover_url  # noqa: PLC0415

    url = discover_url(elastic.kibana, view, scan(query).text, since_ms, until_ms)
    click.echo(f"In Kibana: {plain(url)}", err=True)
