"""`breachline evidence erase`: a person's data on their request, and the log says that it was done.

In: settings, an id, a person and a reason. Out: what was erased, or why it must stay.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from console.case import answering
from console.fault import Negative, Refused
from console.options import (
    as_json,
    common,
    print_ndjson,
    refusing,
    settings_of,
    timeout,
)
from console.person import user_name
from evidence import erasure
from evidence.history import History
from intake.spaces import canonical_id
from records.ids import iso
from streams.clock import SystemClock
from streams.sealing import open_signed
from streams.settings import Settings
from streams.tables import read_tables

_EXAMPLE = """\b
Examples:
  breachline evidence erase u-1742 --why 'request 5 of 2026-11-20' --dry-run
  breachline evidence erase u-1742 --why 'request 5 of 2026-11-20'
"""
_KINDS = ("entries", "lines", "exposures", "records", "state", "history")


@click.command(epilog=_EXAMPLE)
@click.argument("user")
@click.option(
    "--why", required=True, metavar="TEXT", help="The request: kept in the log with your name."
)
@click.option("--dry-run", is_flag=True, help="Count what would go, and say whether it may.")
@timeout
@as_json
@common
def erase(
    user: str,
    why: str,
    dry_run: bool,
    timeout: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Erase USER (GDPR art. 17): log lines, rows of history, and what entries say of them.

    Counts stay, under a name that leads to nobody, and the log can still be verified: it keeps a
    digest of each entry, and one more entry that says what was erased, by whom and why. What a
    legal hold covers stays, and so does the evidence of an open case about USER.
    """
    settings = settings_of(config, data_dir)
    with refusing():
        person = canonical_id(user)
        person = read_tables(settings.intake).people.get(person, person)
    if settings.kafka is not None:
        done = _ordered(settings, person, why, timeout, dry_run=dry_run)
    else:
        done = _here(settings, person, why, dry_run=dry_run)
    if as_json:
        print_ndjson([done])
        return
    counts = ", ".join(f"{done[kind]} {kind}" for kind in _KINDS)
    click.echo(f"{'Would erase' if dry_run else 'Erased'}: {counts}.")
    if not dry_run:
        click.echo(
            "Not reached from here: the logs themselves, results of scans, exported bundles, "
            "backups, and what was indexed elsewhere.",
            err=True,
        )
        if settings.elasticsearch is not None:
            click.echo(
                "Elasticsearch still has what was indexed: have its streams emptied, then run "
                "`breachline es setup` and `breachline evidence rebuild --yes`.",
                err=True,
            )


def _here(settings: Settings, user: str, why: str, *, dry_run: bool) -> Mapping[str, object]:
    # Here, not above: they take time to load.
    from console.containment import require_store  # noqa: PLC0415
    from evidence._erase_segments import erase_rows, rows_naming, staged_naming  # noqa: PLC0415
    from streams.live import Busy, lock  # noqa: PLC0415

    require_store(settings)
    folder = settings.data_dir / "history"
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(settings.data_dir))
        except Busy as error:
            # It holds in memory, and would write again, what is erased here.
            raise Refused(
                f"erasing a person: `breachline run` is at work in {settings.data_dir}: stop it, "
                "erase, and start it again"
            ) from error
        with refusing():
            store = stack.enter_context(open_signed(settings))
            found = erasure.find(store, user)
            refused = erasure.refusal(store, user, found)
            if dry_run or refused:
                if refused:
                    raise Negative(f"Not erased: {refused}")
                return found.counts | {
                    "history": rows_naming(folder, user) + staged_naming(store, user)
                }
            with History(folder) as history:
                # Rows that are in no segment yet become one, so that there is one place to look.
                history.recover(store)
                history.flush()
                with store.transaction():
                    history.stage(store)
            rows = erase_rows(folder, user)
            done = erasure.erase(
                store, user, by=user_name(), why=why, at_ms=SystemClock().now_ms(), history=rows
            )
            store.scrub()
    return document(done)


def _ordered(
    settings: Settings, user: str, why: str, timeout: str, *, dry_run: bool
) -> Mapping[str, object]:
    # Here, not above: who has no Kafka does not wait for its client.
    from console import orders  # noqa: PLC0415

    with answering(settings, None) as store, refusing():
        found = erasure.find(store, user)
        refused = erasure.refusal(store, user, found)
    if refused:
        raise Negative(f"Not erased: {refused}")
    if dry_run:
        return found.counts | {"history": 0}
    said = orders.erase(
        settings, SystemClock(), user, why, user_name(), orders.patience_of(timeout)
    )
    return document(msgspec.json.decode(said, type=erasure.Erasure))


def document(done: erasure.Erasure) -> dict[str, object]:
    """An erasure as people are shown it."""
    shown: dict[str, object] = msgspec.to_builtins(done)
    shown["at"] = iso(done.at_ms)
    del shown["at_ms"]
    return shown
