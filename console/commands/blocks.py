"""`breachline blocks`: the state of every block at every enforcement point."""

import asyncio
from pathlib import Path

import click
import msgspec

from console import containment
from console.case import answering
from console.options import as_json, common, from_dir, offline, print_ndjson, settings_of
from console.report import path_text, program
from streams.clock import SystemClock
from streams.plain import plain

_EXAMPLE = """\b
Examples:
  breachline blocks --pending
  breachline blocks --json | jq 'select(.gateway == "blocked")'
"""


@click.command(epilog=_EXAMPLE)
@click.option("--pending", is_flag=True, help="Only those that wait for a person's approval.")
@from_dir
@offline
@as_json
@common
def command(
    pending: bool,
    from_dir: Path | None,
    offline: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List every block that was decided, held against what the gateway lists now.

    One that waits for approval is decided by `breachline block --approve ACTION` or `--reject`.
    """
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        now_ms = SystemClock().now_ms()
        found = asyncio.run(containment.rows(store, settings, now_ms, only_pending=pending))
    if as_json:
        print_ndjson(map(msgspec.to_builtins, found))
        return
    if not found:
        click.echo("No block waits for approval." if pending else "No block was decided.")
    given = (("--config", config), ("--data-dir", data_dir))
    where = "".join(f" {option} {path_text(path)}" for option, path in given if path)
    for row in found:
        state = "waits for approval" if row.waits else row.state
        until = f"until {row.until[:19].replace('T', ' ')} UTC"
        click.echo(
            plain(f"{row.target}  {state} ({row.mode})  gateway now: {row.gateway}  {until}")
        )
        click.echo(plain(f"    {row.reason}"))
        if row.waits:
            click.echo(
                plain(f"    {program()} block --approve {row.action}{where}   (or --reject)")
            )
