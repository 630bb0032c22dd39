"""`breachline unblock`: lift the block of one address, by hand."""

import asyncio
from pathlib import Path

import click

from console import containment
from console.options import as_json, common, print_ndjson, refusing, settings_of, timeout
from console.person import user_name
from streams.clock import SystemClock
from streams.plain import plain
from streams.sealing import open_signed
from streams.settings import Settings


@click.command(epilog="Example: breachline unblock 203.0.113.7 --reason 'head office'")
@click.argument("ip")
@click.option("--reason", default="unblocked by hand", show_default=True, help="Kept in the log.")
@timeout
@as_json
@common
def command(
    ip: str,
    reason: str,
    timeout: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Lift every block of IP at the gateway now, and say what the gateway then lists.

    With Kafka configured, the deployment's workers do it: the order is kept until one is up.
    """
    settings = settings_of(config, data_dir)
    address = containment.address_of(ip)
    detail = (
        _here(settings, address, reason)
        if settings.kafka is None
        else _ordered(settings, address, reason, timeout)
    )
    if as_json:
        print_ndjson([{"ip": address, "state": "expired", "detail": detail}])
    else:
        click.echo(f"{address} is not blocked any more: {plain(detail)}")


def _here(settings: Settings, address: str, reason: str) -> str:
    containment.require_gateway(settings)
    with refusing(), open_signed(settings) as store:
        return asyncio.run(containment.unblock(store, settings, SystemClock(), address, reason))


def _ordered(settings: Settings, address: str, reason: str, timeout: str) -> str:
    # Here, not above: who has no Kafka does not wait for its client.
    from console import orders  # noqa: PLC0415

    who, patience_s = user_name(), orders.patience_of(timeout)
    return orders.unblock(settings, SystemClock(), address, reason, who, patience_s).detail
