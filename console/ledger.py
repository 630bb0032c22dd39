"""The keys that sign the log, the heads that it was signed with, and its projection made anew.

In: settings, the store that answers. Out: commands below `breachline evidence`.
"""

from contextlib import ExitStack
from pathlib import Path

import click

from console.case import answering
from console.fault import Refused
from console.options import (
    as_json,
    common,
    from_dir,
    offline,
    print_ndjson,
    refusing,
    settings_of,
    timeout,
)
from console.person import user_name
from console.report import many
from evidence.checkpoint import parse
from evidence.ledger import Head
from evidence.signing import known_keys, rotate
from evidence.store import EmbeddedStore
from records.ids import digest, iso
from streams.clock import SystemClock
from streams.heads import Told, told
from streams.live import Busy, lock
from streams.plain import plain
from streams.sealing import open_signed, signer_of
from streams.settings import Settings

_NEWEST = 20


@click.group(epilog="Example: breachline evidence key show")
def key() -> None:
    """Show, make and replace the key that signs the log."""


@key.command(epilog="Example: breachline evidence key show --data-dir var")
@as_json
@common
def show(as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """Print the public keys that sign or signed this log, the newest last, one a line.

    Whoever checks a bundle needs them, from you and not from the bundle.
    """
    settings = settings_of(config, data_dir)
    with refusing():
        keys = [one for one in known_keys(settings.data_dir) if one.name == settings.ledger.origin]
    if not keys:
        raise Refused(
            f"{settings.data_dir}: {settings.ledger.origin} has no key yet: `breachline run` makes "
            "it, or `breachline evidence key create`"
        )
    if as_json:
        print_ndjson(
            {"key": one.format(), "id": one.key_id.hex(), "current": one == keys[-1]}
            for one in keys
        )
    else:
        for one in keys:
            click.echo(one.format())


@key.command(epilog="Example: breachline evidence key create --config breachline.yaml")
@common
def create(config: Path | None, data_dir: Path | None) -> None:
    """Make the key that signs the log if there is none, and print its public half.

    `run` and `scan` make it by themselves. The workers of a deployment on Kafka share one: copy
    keys/ledger.key and keys/ledger.pub to each, as keys/digest.key.
    """
    settings = settings_of(config, data_dir)
    with refusing():
        signer = signer_of(settings, create=True)
    click.echo(signer.key.format())


@key.command("rotate", epilog="Example: breachline evidence key rotate --why 'yearly'")
@click.option("--why", required=True, help="Kept in the log.")
@timeout
@common
def rotate_(why: str, timeout: str, config: Path | None, data_dir: Path | None) -> None:
    """Replace the key: a head that both sign says so, and the old private key is gone then.

    Stop `breachline run` first. Give the new public key, which is printed, to all who check.

    With Kafka configured the workers go on, and need the new key beside the old one: the first call
    makes keys/ledger.key.next here. Copy it and ledger.pub to the keys folder of every worker, and
    call this again; it takes the place of the old one here then, and may on the workers.
    """
    settings = settings_of(config, data_dir)
    click.echo(
        _rotated(settings, why) if settings.kafka is None else _ordered(settings, why, timeout)
    )


def _ordered(settings: Settings, why: str, timeout: str) -> str:
    # Here, not above: who has no Kafka does not wait for its client.
    from console import orders  # noqa: PLC0415

    patience_s = orders.patience_of(timeout)
    with (
        refusing(),
        rotate(settings.data_dir, settings.ledger.origin, key_file=settings.ledger.key_file) as (
            _,
            new,
        ),
    ):
        vkey = new.key.format()
        orders.rotate(settings, SystemClock(), vkey, why, user_name(), patience_s)
    return vkey


def _rotated(settings: Settings, why: str) -> str:
    origin, clock = settings.ledger.origin, SystemClock()
    with ExitStack() as stack, refusing():
        try:
            stack.enter_context(lock(settings.data_dir))
            old, new = stack.enter_context(
                rotate(settings.data_dir, origin, key_file=settings.ledger.key_file)
            )
        except Busy as error:
            raise Refused(f"replacing the key: {error}") from error
        except BlockingIOError:
            raise Refused(
                f"replacing the key: another breachline writes {settings.data_dir}: "
                "wait until it has ended"
            ) from None
        store = stack.enter_context(EmbeddedStore.open(settings.data_dir))
        store.ledger.sign_with(origin, [old, new])
        before, after = old.key.format(), new.key.format()
        document = {"old": before, "new": after, "by": user_name(), "why": why}
        with store.transaction():
            store.log.append(
                "key", "key-" + digest(before, after), clock.now_ms(), origin, document
            )
    return after


@click.command(epilog="Example: breachline evidence heads --json")
@click.option("--limit", type=click.IntRange(min=1), default=_NEWEST, show_default=True,
              help="The newest so many.")  # fmt: skip
@from_dir
@offline
@as_json
@common
def heads(
    limit: int,
    from_dir: Path | None,
    offline: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List the signed heads of the log, the newest last, and where each was published.

    A head that was published proves all before it, too.
    """
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        places = told(store)
        newest = list(store.ledger.heads())[-limit:]
    rows = [_row(head, places) for head in newest]
    if as_json:
        print_ndjson([*rows, *(_place(name, at) for name, at in places.items())])
        return
    for head, row in zip(newest, rows, strict=True):
        where = ", ".join(name for name, at in places.items() if at.size >= head.size)
        root = f"{row['root']}"
        click.echo(f"{head.size:>10,}  {root}  {plain(where) or 'published nowhere'}")
    for name, at in places.items():
        click.echo(f"{plain(name)}: {_standing(at)}", err=True)
    if not newest:
        click.echo("No heads yet: nothing was entered in the log.", err=True)


def _row(head: Head, places: dict[str, Told]) -> dict[str, object]:
    checkpoint, signatures = parse(head.note)
    return {
        "origin": checkpoint.origin,
        "size": head.size,
        "root": checkpoint.root.hex(),
        "keys": [one.key_id.hex() for one in signatures],
        "published": [name for name, at in places.items() if at.size >= head.size],
        "note": head.note,
    }


def _place(name: str, at: Told) -> dict[str, object]:
    return {
        "place": name,
        "size": at.size,
        "at": iso(at.at_ms) if at.at_ms else "",
        "trouble": at.trouble,
    }


def _standing(at: Told) -> str:
    last = f"told of {at.size:,} entries at {iso(at.at_ms)}" if at.size else "told of nothing yet"
    return f"{last}; {plain(at.trouble)}" if at.trouble else last


@click.command(epilog="Example: breachline evidence rebuild --yes")
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("--dry-run", is_flag=True, help="Only say how much would be indexed again.")
@timeout
@common
def rebuild(
    yes: bool, dry_run: bool, timeout: str, config: Path | None, data_dir: Path | None
) -> None:
    """Have everything indexed into Elasticsearch again, from the log's first entry.

    What stands there stays, and is not doubled: to replace it, delete the data streams
    logs-breachline.* and the indices breachline-* first, and run `breachline es setup`. What was
    set aside is tried again. `breachline run` does the indexing, now or when it is started; with
    Kafka configured the worker that decides does.
    """
    if yes == dry_run:
        raise click.UsageError("Give one of --yes, --dry-run.")
    settings = settings_of(config, data_dir)
    if settings.elasticsearch is None:
        raise Refused(
            "no Elasticsearch is configured: add elasticsearch: {hosts: [https://host:9200]}"
        )
    if dry_run:
        with answering(settings, None) as store:
            count = store.log.last_seq
        click.echo(f"{many(count, 'entry', 'entries')} would be indexed again.")
    elif settings.kafka is not None:
        # Here, not above: who has no Kafka does not wait for its client.
        from console import orders  # noqa: PLC0415

        said = orders.rebuild(settings, SystemClock(), user_name(), orders.patience_of(timeout))
        click.echo(f"{said} are indexed again.")
    else:
        with answering(settings, None):  # there is something
            pass
        # Here, not above: Elasticsearch's client takes its time to load.
        from streams.projection import begin_again  # noqa: PLC0415

        with refusing(), open_signed(settings) as store:
            count = begin_again(store)
        click.echo(f"{many(count, 'entry', 'entries')} are indexed again while `run` runs.")
