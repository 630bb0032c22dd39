"""`breachline block`: one address, by hand."""

import asyncio
from pathlib import Path

import click

from console import containment
from console.options import as_json, common, print_ndjson, refusing, settings_of
from evidence.store import EmbeddedStore
from records.ids import iso
from streams.clock import SystemClock
from streams.live import Busy, lock
from streams.plain import plain


@click.command(epilog="Example: breachline block 203.0.113.7 --for 1h --reason 'case 17'")
@click.argument("ip")
@click.option("--for", "for_", default="1h", show_default=True, help="How long: 15m, 1h, 24h.")
@click.option("--reason", default="blocked by hand", show_default=True, help="Kept in the log.")
@as_json
@common
def command(
    ip: str,
    for_: str,
    reason: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Block IP at the gateway now, whatever the mode. It ends by itself.

    The never-block list and our own proxies hold for people too.
    """
    settings = settings_of(config, data_dir)
    address, seconds = containment.address_of(ip), containment.seconds_of(for_)
    containment.require_gateway(settings)
    with refusing(), EmbeddedStore.open(settings.data_dir) as store:
        receipt = asyncio.run(
            containment.block(store, settings, SystemClock(), address, seconds, reason)
        )
        action = store.log.action(receipt.action)
    assert action is not None  # noqa: S101  it was appended before it was performed
    if as_json:
        print_ndjson(
            [{"ip": address, "state": receipt.state, "detail": receipt.detail, "action": action.id}]
        )
    else:
        click.echo(f"{address} is blocked until {iso(action.until_ms)}: {plain(receipt.detail)}")
    if not _served(settings.data_dir):
        click.echo(
            "Warning: no `breachline run` works on this data directory, and only it lifts the "
            "block in time; else: breachline unblock " + address,
            err=True,
        )


def _served(data_dir: Path) -> bool:
    try:
        with lock(data_dir):
            return False
    except Busy:
        return True
