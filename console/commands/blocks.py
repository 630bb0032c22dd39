"""`breachline blocks`: the state of every block at every enforcement point."""

import asyncio
from pathlib import Path

import click
import msgspec

from console import containment
from console.case import opened
from console.options import as_json, common, from_dir, print_ndjson, settings_of
from streams.clock import SystemClock
from streams.plain import plain


@click.command(epilog="Example: breachline blocks --json | jq 'select(.gateway == \"blocked\")'")
@from_dir
@as_json
@common
def command(
    from_dir: Path | None,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List every block that was decided, held against what the gateway lists now."""
    settings = settings_of(config, data_dir)
    with opened(settings, from_dir) as store:
        found = asyncio.run(containment.rows(store, settings, SystemClock().now_ms()))
    if as_json:
        print_ndjson(map(msgspec.to_builtins, found))
        return
    if not found:
        click.echo("No block was decided.")
    for row in found:
        until = f"until {row.until[:19].replace('T', ' ')} UTC"
        click.echo(
            plain(f"{row.target}  {row.state} ({row.mode})  gateway now: {row.gateway}  {until}")
        )
        click.echo(plain(f"    {row.reason}"))
