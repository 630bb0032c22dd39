"""`breachline explain`: why an actor was or was not flagged and acted on."""

from pathlib import Path
from typing import Any

import click
import msgspec

from console import explanation
from console.case import folder_of, opened
from console.fault import Refused
from console.options import as_json, common, from_dir, print_ndjson, settings_of
from intake.addresses import canonical_address
from streams.plain import plain

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
@as_json
@common
def command(
    ip: str | None,
    principal: str | None,
    session: str | None,
    finding: str | None,
    incident: str | None,
    from_dir: Path | None,
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
    folder = folder_of(settings, from_dir)
    with opened(settings, from_dir) as store:
        try:
            answer = explanation.explain(store, folder / "history", **given)
        except LookupError as error:
            raise Refused(str(error.args[0])) from error
    if as_json:
        print_ndjson([msgspec.to_builtins(answer)])
        return
    for line in explanation.lines(answer):
        click.echo(plain(line))
