"""`breachline es`: puts templates into Elasticsearch, checks it, prints what Kibana imports."""

import asyncio
from pathlib import Path

import click
import msgspec

from console.elastic import examine, troubled
from console.fault import Negative, Refused, Unreachable
from console.options import as_json, common, print_ndjson, refusing, settings_of
from evidence.elastic.client import connect
from evidence.elastic.kibana import ndjson
from evidence.elastic.roles import ROLES
from evidence.elastic.setup import Step, set_up
from evidence.settings import Elasticsearch
from streams.elastic import options_of
from streams.plain import plain
from streams.settings import Settings

_IMPORT = (
    "Kibana: breachline es kibana > breachline.ndjson, then import that file in "
    "Stack Management, Saved Objects."
)


@click.group(epilog="Example: breachline es setup --dry-run")
def command() -> None:
    """Set up Elasticsearch, check it, and print what Kibana and its security import."""


@command.command(epilog="Example: breachline es setup --dry-run --config breachline.yaml")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@as_json
@common
def setup(dry_run: bool, as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """Put the index templates where they are missing or differ; may be run again at any time.

    Exit 3 if Elasticsearch cannot be reached, 1 if it refuses or something is for a person to mend.
    """
    steps = asyncio.run(_set_up(_configured(settings_of(config, data_dir)), dry_run=dry_run))
    if as_json:
        print_ndjson(map(msgspec.to_builtins, steps))
    else:
        for step in steps:
            click.echo(plain(_line(step, dry_run=dry_run)))
            if step.do:
                click.echo(f"      {plain(step.do)}")
        click.echo(_IMPORT)
    if any(step.state == "wrong" for step in steps):
        raise Negative("")


@command.command(epilog="Example: breachline es check --config breachline.yaml")
@as_json
@common
def check(as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """Check reach, version, privileges, templates, streams, and how much is not indexed yet.

    Exit 3 if Elasticsearch cannot be reached, 1 if something else is wrong.
    """
    settings = settings_of(config, data_dir)
    _configured(settings)
    results = asyncio.run(examine(settings))
    if as_json:
        print_ndjson(map(msgspec.to_builtins, results))
    else:
        for result in results:
            mark = {"ok": "ok  ", "note": "note"}.get(result.state, "FAIL")
            click.echo(f"{mark}  {result.what}: {plain(result.says)}")
            if result.do:
                click.echo(f"      {plain(result.do)}")
    if any(result.state == "unreachable" for result in results):
        raise Unreachable("Elasticsearch could not be reached")
    if any(result.state == "wrong" for result in results):
        raise Negative("")


@command.command(epilog="Example: breachline es kibana > breachline.ndjson")
def kibana() -> None:
    """Print data views, a dashboard, searches and ES|QL queries, as Kibana imports them."""
    click.echo(ndjson(), nl=False)


@command.command(epilog="Example: breachline es roles")
def roles() -> None:
    """Print the least roles of who writes, who sets up and who reads, one a line."""
    print_ndjson({"name": name, "role": role} for name, role in ROLES.items())


def _configured(settings: Settings) -> Elasticsearch:
    if settings.elasticsearch is None:
        raise Refused(
            "no Elasticsearch is configured: add elasticsearch: {hosts: [https://host:9200]}"
        )
    return settings.elasticsearch


async def _set_up(settings: Elasticsearch, *, dry_run: bool) -> list[Step]:
    with refusing():
        client = connect(options_of(settings))
    async with client:
        with troubled():
            return await set_up(client, int(settings.retention), dry_run=dry_run)


def _line(step: Step, *, dry_run: bool) -> str:
    state: str = "FAIL" if step.state == "wrong" else step.state
    if dry_run and state in {"created", "updated"}:
        state = f"would be {state}"
    says = f": {step.says}" if step.says else ""
    return f"{state:<16}  {step.what} {step.name}{says}"
