"""`breachline block`: one address by hand, or a person's word on a block that waits for it."""

import asyncio
from pathlib import Path

import click

from console import containment
from console.case import require_local
from console.options import as_json, common, print_ndjson, refusing, settings_of
from evidence.store import EmbeddedStore
from records.ids import iso
from records.incident import Action, Receipt
from streams.clock import SystemClock
from streams.live import Busy, lock
from streams.plain import plain
from streams.settings import Settings

_EXAMPLE = """\b
Examples:
  breachline block 203.0.113.7 --for 1h --reason 'case 17'
  breachline block --approve act-4f1c --reason 'seen in the log'
"""


@click.command(epilog=_EXAMPLE)
@click.argument("ip", required=False)
@click.option("--for", "for_", help="How long: 15m, 1h, 24h.  [default: 1h]")
@click.option("--approve", metavar="ACTION", help="Perform a block that waits for approval.")
@click.option("--reject", metavar="ACTION", help="Never perform a block that waits for approval.")
@click.option("--by", help="Who approves or rejects.  [default: your user name]")
@click.option("--reason", help="Kept in the log.  [default: by hand]")
@as_json
@common
def command(
    ip: str | None,
    for_: str | None,
    approve: str | None,
    reject: str | None,
    by: str | None,
    reason: str | None,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Block IP at the gateway now, whatever the mode. It ends by itself.

    Or decide on a block that waits for approval (mode approval, or a guard that asks):
    `breachline blocks --pending` lists them.

    The never-block list and our own proxies hold for people too.
    """
    if sum(given is not None for given in (ip, approve, reject)) != 1:
        raise click.UsageError("Give one of: an address, --approve ACTION, --reject ACTION.")
    if ip is not None and by is not None:
        raise click.UsageError("--by goes with --approve or --reject.")
    if ip is None and for_ is not None:
        raise click.UsageError("--for goes with an address: what waits has its own end.")
    settings = settings_of(config, data_dir)
    require_local(
        settings,
        f"blocking {ip}" if ip else f"deciding on {approve or reject}",
        "Block it at the gateway itself and lift it there in time; what waits for approval is "
        "never done without it",
    )
    who = by or containment.user_name()
    if ip is not None:
        _block(settings, ip, for_ or "1h", reason or "blocked by hand", as_json=as_json)
    elif approve is not None:
        _approve(settings, approve, who, reason or "by hand", as_json=as_json)
    elif reject is not None:
        _reject(settings, reject, who, reason or "by hand", as_json=as_json)


def _block(settings: Settings, ip: str, for_: str, reason: str, *, as_json: bool) -> None:
    address, seconds = containment.address_of(ip), containment.seconds_of(for_)
    containment.require_gateway(settings)
    with refusing(), EmbeddedStore.open(settings.data_dir) as store:
        receipt = asyncio.run(
            containment.block(store, settings, SystemClock(), address, seconds, reason)
        )
        action = store.log.action(receipt.action)
    assert action is not None  # noqa: S101  it was appended before it was performed
    _say_blocked(settings, action, receipt, as_json=as_json)


def _approve(settings: Settings, action_id: str, by: str, why: str, *, as_json: bool) -> None:
    containment.require_gateway(settings)
    containment.require_store(settings)
    with refusing(), EmbeddedStore.open(settings.data_dir) as store:
        receipt = asyncio.run(
            containment.approve(store, settings, SystemClock(), action_id, by, why)
        )
        action = store.log.action(action_id)
    assert action is not None  # noqa: S101  it was just approved
    _say_blocked(settings, action, receipt, as_json=as_json)


def _reject(settings: Settings, action_id: str, by: str, why: str, *, as_json: bool) -> None:
    containment.require_store(settings)
    with refusing(), EmbeddedStore.open(settings.data_dir) as store:
        action = containment.reject(store, SystemClock().now_ms(), action_id, by, why)
    detail = f"rejected by {by}: {why}"
    if as_json:
        print_ndjson(
            [{"ip": action.target, "state": "expired", "detail": detail, "action": action.id}]
        )
    else:
        click.echo(plain(f"{action.target} will not be blocked by {action.id}: {detail}"))


def _say_blocked(settings: Settings, action: Action, receipt: Receipt, *, as_json: bool) -> None:
    address = action.target
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
