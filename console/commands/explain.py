"""`breachline explain`: why an actor was or was not flagged and acted on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from console import explanation
from console.case import answering, of_deployment
from console.fault import Refused
from console.options import as_json, common, from_dir, offline, print_ndjson, settings_of
from evidence.settings import Elasticsearch
from evidence.store import EmbeddedStore
from incidents.gather import FOREVER_MS
from intake.addresses import canonical_address
from records.event import Actor
from records.kinds import ActorType
from streams.plain import plain

_ACTORS: Final[Mapping[str, ActorType]] = {
    "ip": "ip", "principal": "principal", "session": "session"
}  # fmt: skip
_EXAMPLE = """\b
Examples:
  breachline explain --ip 203.0.113.7
  breachline explain --finding fin-3b9c
  breachline explain --principal u-17 --from var/scans/last
"""


@click.command(epilog=_EXAMPLE)
@click.option("--ip", help="An address.")
@click.option("--principal", help="A principal.")
@click.option("--session", help="A session digest, as findings give it.")
@click.option("--finding", help="A finding's id or its beginning.")
@click.option("--incident", help="An incident's id or its beginning.")
@from_dir
@offline
@as_json
@common
def command(
    ip: str | None,
    principal: str | None,
    session: str | None,
    finding: str | None,
    incident: str | None,
    from_dir: Path | None,
    offline: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Say what was seen of an actor, which limits it passed or not, and what was decided."""
    asked: dict[str, Any] = {
        "ip": canonical_address(ip or ""), "principal": principal, "session": session,
        "finding": finding, "incident": incident,
    }  # fmt: skip
    given = {name: value for name, value in asked.items() if value}
    if len(given) != 1:
        raise click.UsageError("Give one of --ip, --principal, --session, --finding, --incident.")
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        try:
            answer = explanation.explain(store, store.path / "history", **given)
        except LookupError as error:
            raise Refused(str(error.args[0])) from error
        if of_deployment(settings, from_dir) and answer.silent_rules:
            answer = msgspec.structs.replace(answer, events=_exposed(store, answer, given))
    if as_json:
        print_ndjson([msgspec.to_builtins(answer)])
        return
    for line in explanation.lines(answer):
        click.echo(plain(line))
    if settings.elasticsearch is not None and settings.elasticsearch.kibana and answer.findings:
        _tell_links(settings.elasticsearch, [one["id"] for one in answer.findings])


def _tell_links(elastic: Elasticsearch, findings: Sequence[str]) -> None:
    """Where Kibana shows these findings."""
    # Here, not above: who has no Kibana does not wait for what makes its links.
    from console.asking import tell_link  # noqa: PLC0415
    from evidence.elastic.kibana import FINDINGS  # noqa: PLC0415

    query = " OR ".join(f"event.id:{name}" for name in findings[:_MOST_LINKED])
    tell_link(elastic, FINDINGS, query, None, None)


_MOST_LINKED = 50
"""Findings in one link: browsers cut longer ones."""


def _exposed(
    store: EmbeddedStore, answer: explanation.Explanation, given: Mapping[str, str]
) -> dict[str, int]:
    """The actor's events, of those that a deployment keeps: accesses to others' data."""
    ((kind, value),) = given.items()
    actors = {Actor(_ACTORS[kind], value)}
    incidents = (store.incident(row["id"]) for row in answer.incidents)
    actors |= {actor for one in incidents if one is not None for actor in one.actors}
    found = store.exposures_of(actors, -FOREVER_MS, FOREVER_MS)
    told = {x.event: f"{x.verdict} {x.certainty}" for x in found if getattr(x, kind) == value}
    return dict(Counter(told.values()).most_common())
