"""`breachline evidence search`: findings, incidents, actions and entries of the log, by a query.

The embedded store and Elasticsearch are asked in the same words and give the same documents: what
the store keeps is made into them here as it is for Elasticsearch, and held against the query.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

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
    tell_link,
)
from console.case import answering, of_deployment
from console.custody import why
from console.options import (
    as_json,
    common,
    from_dir,
    moment,
    offline,
    print_ndjson,
    settings_of,
)
from console.report import many
from evidence.query.fields import DOCUMENTS
from evidence.query.match import matcher
from evidence.query.tree import Node
from evidence.store import EmbeddedStore
from streams.plain import plain
from streams.settings import Settings

_Found = Mapping[str, Any]
_WHAT = "evidence search"
_EXAMPLE = """\b
Examples:
  breachline evidence search 'rule.id:canary OR breachline.severity:critical'
  breachline evidence search '"203.0.113.7"' --since 2026-11-22 --json
  breachline evidence search 'event.dataset:breachline.evidence AND event.action:read'
  breachline evidence search 'breachline.incident.breach:true' --in elasticsearch
  breachline evidence search --esql 'FROM logs-breachline.* | STATS n = COUNT(*) BY rule.id'
"""


@click.command(epilog=f"{QUERY_HELP}\n\n{_EXAMPLE}")
@click.argument("query", required=False)
@click.option("--since", callback=moment, help="From this time on (ISO 8601).")
@click.option("--until", callback=moment, help="Before this time.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many, the earliest.")
@click.option(
    "--in",
    "place",
    type=click.Choice(["store", "elasticsearch"]),
    help="What is asked (default: the store; with Kafka and Elasticsearch, Elasticsearch).",
)
@click.option("--esql", "esql_query", metavar="TEXT", help="ES|QL for Elasticsearch, as it is.")
@fields_flag
@from_dir
@offline
@why
@as_json
@common
def search(
    query: str | None,
    since: int | None,
    until: int | None,
    limit: int | None,
    place: Literal["store", "elasticsearch"] | None,
    esql_query: str | None,
    list_fields: bool,
    from_dir: Path | None,
    offline: bool,
    why: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Find findings, incidents, actions and entries of evidence by QUERY, in the order of time."""
    if list_fields:
        print_fields(DOCUMENTS)
        return
    one_of(query, esql=esql_query)
    settings = settings_of(config, data_dir)
    question: dict[str, Any] = {
        "query": query, "since": since, "until": until, "limit": limit, "esql": esql_query,
    }  # fmt: skip
    question = {name: value for name, value in question.items() if value is not None}
    if esql_query is not None:
        rows = list(esql(configured(settings), esql_query))
        enter(settings, from_dir, _WHAT, why, offline=offline, count=len(rows), question=question)
        print_ndjson(rows)
        return
    typed = query or ""
    node = node_of(typed, DOCUMENTS)
    if place is None:
        deployed = of_deployment(settings, from_dir) and settings.elasticsearch is not None
        place = "elasticsearch" if deployed and not offline else "store"
    if place == "store":
        with answering(settings, from_dir, offline=offline) as store:
            found = kept(store, node, since, until, limit)
    else:
        found = _indexed(settings, node, since, until, limit)
    enter(settings, from_dir, _WHAT, why, offline=offline, count=len(found), question=question)
    if as_json:
        print_ndjson(found)
    else:
        for document in found:
            click.echo(plain(line(document)))
        click.echo(f"{many(len(found), 'document')}.", err=True)
    if settings.elasticsearch is not None:
        tell_link(settings.elasticsearch, _view_of(found), typed, since, until)


def _view_of(found: Sequence[_Found]) -> str:
    """The data view of Kibana that most of it is in."""
    # Here, not above: who asks the store needs nothing of Elasticsearch.
    from evidence.elastic import kibana  # noqa: PLC0415

    views = {
        "breachline.finding": kibana.FINDINGS, "breachline.evidence": kibana.EVIDENCE,
        "breachline.action": kibana.ACTIONS, "breachline.incident": kibana.CASES,
    }  # fmt: skip
    most = Counter(document["event"]["dataset"] for document in found).most_common(1)
    return views.get(most[0][0], kibana.FINDINGS) if most else kibana.FINDINGS


def kept(
    store: EmbeddedStore, query: Node, since_ms: int | None, until_ms: int | None, limit: int | None
) -> list[_Found]:
    """The documents of what a store keeps that fit, by `order_key`; with a limit, the earliest."""
    # Here, not above: it loads the client of Elasticsearch.
    from evidence.elastic.search import order_key, within  # noqa: PLC0415

    fits = matcher(within(query, since_ms, until_ms))
    return sorted(filter(fits, _documents(store)), key=order_key)[:limit]


def _documents(store: EmbeddedStore) -> Iterator[_Found]:
    """Everything that is indexed of a store, each document once."""
    from streams.projection import BATCH, of_entries, of_incidents  # noqa: PLC0415

    seen: set[tuple[str, str]] = set()
    entries = store.log.entries()
    batches = iter(lambda: list(islice(entries, BATCH)), [])
    incidents = of_incidents(store, store.incident_versions())
    of_log = chain.from_iterable(of_entries(store, batch) for batch in batches)
    for part in chain(incidents, of_log):
        for document in part.documents:
            if (document.index, document.id) not in seen:
                seen.add((document.index, document.id))
                yield msgspec.json.decode(document.source)


def _indexed(
    settings: Settings, query: Node, since_ms: int | None, until_ms: int | None, limit: int | None
) -> list[_Found]:
    elastic = configured(settings)
    with asking():
        from evidence.elastic.search import search as ask  # noqa: PLC0415
        from streams.elastic import options_of  # noqa: PLC0415

        options = options_of(elastic)
        return list(ask(options, query, since_ms=since_ms, until_ms=until_ms, limit=limit))


def line(document: _Found) -> str:
    """One document for people: when, what it is, its id, and what it says."""
    event, own = document["event"], document["breachline"]
    when = document["@timestamp"][:19].replace("T", " ")
    what = event["dataset"].removeprefix("breachline.")
    severity = own.get("severity") or own.get("incident", {}).get("severity") or ""
    says = document.get("message") or " ".join(
        str(part)
        for part in (event.get("action"), own.get("incident", {}).get("id"), event.get("original"))
        if part
    )
    return f"{when} {what:<9} {severity:<8} {event['id']} {says}"
