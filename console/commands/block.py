"""`breachline block`: one address by hand, or a person's word on a block that waits for it."""

import asyncio
from pathlib import Path

import click

from console import containment
from console.options import as_json, common, print_ndjson, refusing, settings_of, timeout
from console.person import user_name
from records.ids import iso
from records.incident import Action, Receipt
from streams.clock import SystemClock
from streams.live import Busy, lock
from streams.plain import plain
from streams.sealing import open_signed
from streams.settings import Settings

_EXAMPLE = """\b
Examples:
  breachline block 203.0.113.7 --for 1h --reason 'case 17'
  breachline block --approve act-4f1c --reason 'seen in the log'
"""
_BLOCKED, _DECIDED = "blocked by hand", "by hand"


@click.command(epilog=_EXAMPLE)
@click.argument("ip", required=False)
@click.option("--for", "for_", help="How long: 15m, 1h, 24h.  [default: 1h]")
@click.option("--approve", metavar="ACTION", help="Perform a block that waits for approval.")
@click.option("--reject", metavar="ACTION", help="Never perform a block that waits for approval.")
@click.option("--by", help="Who approves or rejects.  [default: your user name]")
@click.option("--reason", help="Kept in the log.  [default: by hand]")
@timeout
@as_json
@common
def command(
    ip: str | None,
    for_: str | None,
    approve: str | None,
    reject: str | None,
    by: str | None,
    reason: str | None,
    timeout: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Block IP at the gateway now, whatever the mode. It ends by itself.

    Or decide on a block that waits for approval (mode approval, or a guard that asks):
    `breachline blocks --pending` lists them.

    The never-block list and our own proxies hold for people too.

    With Kafka configured, the deployment's workers do it: the order is kept until one is up.
    """
    if sum(given is not None for given in (ip, approve, reject)) != 1:
        raise click.UsageError("Give one of: an address, --approve ACTION, --reject ACTION.")
    if ip is not None and by is not None:
        raise click.UsageError("--by goes with --approve or --reject.")
    if ip is None and for_ is not None:
        raise click.UsageError("--for goes with an address: what waits has its own end.")
    settings = settings_of(config, data_dir)
    who = by or user_name()
    if settings.kafka is not None:
        _order(settings, ip, for_, approve, reject, who, reason, timeout, as_json=as_json)
    elif ip is not None:
        _block(settings, ip, for_ or "1h", reason or _BLOCKED, as_json=as_json)
    elif approve is not None:
        _approve(settings, approve, who, reason or _DECIDED, as_json=as_json)
    elif reject is not None:
        _reject(settings, reject, who, reason or _DECIDED, as_json=as_json)


def _order(
    settings: Settings,
    ip: str | None,
    for_: str | None,
    approve: str | None,
    reject: str | None,
    by: str,
    reason: str | None,
    timeout: str,
    *,
    as_json: bool,
) -> None:
    # Here, not above: who has no Kafka does not wait for its client.
    from console import orders  # noqa: PLC0415

    clock, patience_s = SystemClock(), orders.patience_of(timeout)
    if ip is not None:
        address, seconds = containment.address_of(ip), containment.seconds_of(for_ or "1h")
        action, receipt = orders.block(
            settings, clock, address, seconds, reason or _BLOCKED, by, patience_s
        )
    else:
        action, receipt = orders.decide(
            settings,
            clock,
            approve or reject or "",
            reason or _DECIDED,
            by,
            patience_s,
            yes=approve is not None,
        )
    if reject is not None:
        _say_rejected(action, receipt.detail, as_json=as_json)
    else:
        _say_blocked(action, receipt, as_json=as_json)


def _block(settings: Settings, ip: str, for_: str, reason: str, *, as_json: bool) -> None:
    address, seconds = containment.address_of(ip), containment.seconds_of(for_)
    containment.require_gateway(settings)
    with refusing(), open_signed(settings) as store:
        receipt = asyncio.run(
            containment.block(store, settings, SystemClock(), address, seconds, reason)
        )
        action = store.log.action(receipt.action)
    assert action is not None  # noqa: S101  it was appended before it was performed
    _say_blocked(action, receipt, as_json=as_json)
    _warn(settings, address)


def _approve(settings: Settings, action_id: str, by: str, why: str, *, as_json: bool) -> None:
    containment.require_gateway(settings)
    containment.require_store(settings)
    with refusing(), open_signed(settings) as store:
        receipt = asyncio.run(
            containment.approve(store, settings, SystemClock(), action_id, by, why)
        )
        action = store.log.action(action_id)
    assert action is not None  # noqa: S101  it was just approved
    _say_blocked(action, receipt, as_json=as_json)
    _warn(settings, action.target)


def _reject(settings: Settings, action_id: str, by: str, why: str, *, as_json: bool) -> None:
    containment.require_store(settings)
    with refusing(), open_signed(settings) as store:
        action = containment.reject(store, SystemClock().now_ms(), action_id, by, why)
    _say_rejected(action, f"rejected by {by}: {why}", as_json=as_json)


def _say_rejected(action: Action, detail: str, *, as_json: bool) -> None:
    if as_json:
        print_ndjson(
            [{"ip": action.target, "state": "expired", "detail": detail, "action": action.id}]
        )
    else:
        click.echo(plain(f"{action.target} will not be blocked by {action.id}: {detail}"))


def _say_blocked(action: Action, receipt: Receipt, *, as_json: bool) -> None:
    address = action.target
    if as_json:
        print_ndjson(
            [{"ip": address, "state": receipt.state, "detail": receipt.detail, "action": action.id}]
        )
    else:
        click.echo(f"{address} is blocked until {iso(action.until_ms)}: {plain(receipt.detail)}")


def _warn(settings: Settings, address: str) -> None:
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
