"""`breachline unblock`: lift the block of one address, by hand."""

import asyncio
from pathlib import Path

import click

from console import containment
from console.case import require_local
from console.options import as_json, common, print_ndjson, refusing, settings_of
from evidence.store import EmbeddedStore
from streams.clock import SystemClock
from streams.plain import plain


@click.command(epilog="Example: breachline unblock 203.0.113.7 --reason 'head office'")
@click.argument("ip")
@click.option("--reason", default="unblocked by hand", show_default=True, help="Kept in the log.")
@as_json
@common
def command(
    ip: str,
    reason: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Lift every block of IP at the gateway now, and say what the gateway then lists."""
    settings = settings_of(config, data_dir)
    address = containment.address_of(ip)
    require_local(
        settings,
        f"unblocking {address}",
        "Put the address on respond.never_block of every worker's configuration, then lift the "
        "block at the gateway itself",
    )
    containment.require_gateway(settings)
    with refusing(), EmbeddedStore.open(settings.data_dir) as store:
        detail = asyncio.run(containment.unblock(store, settings, SystemClock(), address, reason))
    if as_json:
        print_ndjson([{"ip": address, "state": "expired", "detail": detail}])
    else:
        click.echo(f"{address} is not blocked any more: {plain(detail)}")
