"""`breachline history search`: access events by a query, in our history or in somebody else's log.

In: a query over ECS fields. Out: events as `parse` prints them, judged by our intake wherever they
were kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from console.asking import (
    QUERY_HELP,
    asking,
    configured,
    enter,
    esql,
    fields_flag,
    node_of,
    one_of,
    print_fields,
)
from console.case import folder_of, of_deployment, opened
from console.custody import why
from console.fault import Refused
from console.options import (
    as_json,
    common,
    from_dir,
    moment,
    print_ndjson,
    refusing,
    settings_of,
)
from console.report import many
from evidence.history import History
from evidence.history_protocol import EventHistory
from evidence.query.fields import EVENTS
from evidence.rows import row_document
from records.ids import iso
from streams.plain import plain
from streams.settings import Settings

_EXAMPLE = """\b
Examples:
  breachline history search 'source.ip:203.0.113.0/24 AND breachline.verdict:foreign'
  breachline history search 'url.path:/api/v1/wallets/* AND NOT user.id:u-17' --since 2026-11-22
  breachline history search '"u-18"' --limit 20 --json
  breachline history search 'user.id:u-66' --in theirs
  breachline history search --esql 'FROM logs-nginx.* | STATS n = COUNT(*) BY source.ip'
"""


@click.command(epilog=f"{QUERY_HELP}\n\n{_EXAMPLE}")
@click.argument("query", required=False)
@click.option("--since", callback=moment, help="From this time on (ISO 8601).")
@click.option("--until", callback=moment, help="Before this time.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, the earliest.")
@click.option(
    "--in",
    "place",
    type=click.Choice(["history", "theirs"]),
    help="What is asked: our own history (default), or the indices of elasticsearch.history.",
)
@click.option("--esql", "esql_query", metavar="TEXT", help="ES|QL for Elasticsearch, as it is.")
@fields_flag
@from_dir
@why
@as_json
@common
def search(
    query: str | None,
    since: int | None,
    until: int | None,
    limit: int | None,
    place: Literal["history", "theirs"] | None,
    esql_query: str | None,
    list_fields: bool,
    from_dir: Path | None,
    why: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Find access events by QUERY, in the order of time; all that match are printed."""
    if list_fields:
        print_fields(EVENTS)
        return
    one_of(query, esql=esql_query)
    settings = settings_of(config, data_dir)
    asked: dict[str, Any] = {
        "query": query, "since": since, "until": until, "limit": limit, "in": place,
        "esql": esql_query,
    }  # fmt: skip
    question = {name: value for name, value in asked.items() if value is not None}
    if esql_query is not None:
        elastic = configured(settings)
        enter(settings, from_dir, "history search", why, question=question)
        print_ndjson(esql(elastic, esql_query))
        return
    node = node_of(query or "", EVENTS)
    elsewhere = place == "theirs" or (
        place is None and of_deployment(settings, from_dir) and bool(_patterns(settings))
    )
    if elsewhere and not _patterns(settings):
        raise Refused(
            "nobody's access log is configured: add elasticsearch: {history: [logs-nginx.access-*]}"
        )
    enter(settings, from_dir, "history search", why, question=question)
    with _theirs(settings) if elsewhere else _ours(settings, from_dir) as (history, names):
        rows = history.search(node, since_ms=since, until_ms=until, limit=limit)
        if as_json:
            print_ndjson(row_document(row, names.get(row["source"], "")) for row in rows)
        else:
            count = 0
            for row in rows:
                click.echo(plain(line(row)))
                count += 1
            click.echo(f"{many(count, 'event')}.", err=True)
        for said in history.left_out:
            click.echo(f"Left out: {plain(said)}.", err=True)


def line(row: Mapping[str, Any]) -> str:
    """One event for people."""
    when, who = iso(row["time_ms"])[:19].replace("T", " "), row["principal"] or "-"
    return (
        f"{when} {row['ip']:<15} {who:<12} {row['verdict']:<12} {row['outcome']:<8} "
        f"{row['method']} {row['path']} {row['status']}"
    )


def _patterns(settings: Settings) -> Sequence[str]:
    return settings.elasticsearch.history if settings.elasticsearch is not None else ()


_Asked = tuple[EventHistory, Mapping[str, str]]
"""A history, and what to call its sources to a person."""


@contextmanager
def _ours(settings: Settings, from_dir: Path | None) -> Iterator[_Asked]:
    with (
        opened(settings, from_dir) as store,
        refusing(),
        History(folder_of(settings, from_dir) / "history") as history,
    ):
        history.load_staged(store)
        yield history, {source.id: source.name for source in store.sources()}


@contextmanager
def _theirs(settings: Settings) -> Iterator[_Asked]:
    # Here, not above: who asks our own history does not wait for a client, nor for the intake.
    from evidence.elastic.history import ElasticHistory  # noqa: PLC0415
    from evidence.keys import CredentialDigest, load_digest_key  # noqa: PLC0415
    from intake.frames import Reader  # noqa: PLC0415
    from intake.judge import Judge  # noqa: PLC0415
    from streams.elastic import options_of  # noqa: PLC0415
    from streams.tables import read_tables  # noqa: PLC0415

    elastic, intake = configured(settings), settings.intake
    with asking():
        options = options_of(elastic)
        tables = read_tables(intake)
        digest = CredentialDigest(load_digest_key(settings.data_dir, create=True))

        def reader() -> Reader:
            return Reader(intake, Judge(intake, settings.canaries.ids, tables, digest), "ecs")

        yield ElasticHistory(options, elastic.history, intake, reader), {}
