"""`breachline blocks`: the state of every block at every enforcement point."""

import asyncio
from pathlib import Path

import click
import msgspec
from rich.table import Table

from console import containment, report
from console.case import opened
from console.options import as_json, common, from_dir, print_ndjson, settings_of
from console.screen import Screen
from streams.clock import SystemClock


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
    console = Screen()
    if not found:
        console.print("No block was decided.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("address", "state", "gateway now", "until (UTC)", "why"):
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(
            report.printable(row.target),
            f"{row.state} ({row.mode})",
            row.gateway,
            row.until[:19].replace("T", " "),
            report.printable(row.reason),
        )
    console.print(table, soft_wrap=False)
