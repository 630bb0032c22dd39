"""Custody of evidence from the command line: hold, release, who read what.

In: settings, an incident, a person and a reason. Out: entries of the log, and what stands in it.
Whoever shows evidence calls `told` first: a read that cannot be entered is said, and not refused,
because a copy without write access must still be readable.
"""

from collections.abc import Iterable, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any, Literal

import click
import msgspec

from console.case import answering, folder_of, incident_of, of_deployment
from console.erasing import erase
from console.fault import Refused, words
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
from evidence import custody
from evidence.custody import Hold, Read
from records.ids import iso
from streams.clock import SystemClock
from streams.plain import plain
from streams.results import SUMMARY
from streams.sealing import open_result, open_signed
from streams.settings import Settings

why = click.option(
    "--why", default="", metavar="TEXT", help="Why you look at it: kept in the log with your name."
)


def told(
    settings: Settings,
    from_dir: Path | None,
    what: str,
    why: str,
    *,
    offline: bool = False,
    incident: str = "",
    events: Iterable[str] = (),
    count: int = 0,
    sha256: str = "",
    question: Mapping[str, Any] | None = None,
) -> None:
    """Enter in the log that evidence is about to be shown, or with `sha256` that it was handed out.

    MUST be called with no store open. Where it cannot be entered, stderr says why.
    """
    read = Read(
        kind="export" if sha256 else "read", by=user_name(), why=why,
        at_ms=SystemClock().now_ms(), what=what, incident=incident, events=tuple(events),
        count=count, sha256=sha256, question=question or {},
    )  # fmt: skip
    try:
        if of_deployment(settings, from_dir):
            if offline:
                raise ConnectionError("the brokers are not asked with --offline")
            # Here, not above: who has no Kafka does not wait for its client.
            from console import orders  # noqa: PLC0415

            orders.tell(settings, read)
            return
        folder = folder_of(settings, from_dir)
        if folder != settings.data_dir and not (folder / SUMMARY).exists():
            # A data directory that another configuration is of: its log is not ours to write.
            settings = settings.model_copy(update={"data_dir": folder})
            if not (folder / "keys").is_dir():
                raise PermissionError(f"{folder} has no key to sign its log with")
        result = folder != settings.data_dir
        with open_result(settings, folder) if result else open_signed(settings) as store:
            custody.note(store, read)
    except (OSError, ValueError) as error:
        click.echo(f"Warning: this read is not in the log: {plain(words(error))}", err=True)


def sha256_of(file: Path) -> str:
    """Of a file that is handed out.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


needed_why = click.option(
    "--why", required=True, metavar="TEXT", help="The matter: kept in the log with your name."
)


@click.command(epilog="Example: breachline evidence hold inc-4f1c --why 'case 2026-17, police'")
@click.argument("incident")
@needed_why
@timeout
@common
def hold(incident: str, why: str, timeout: str, config: Path | None, data_dir: Path | None) -> None:
    """Keep all evidence of INCIDENT, whatever its age, until it is released.

    Until then nothing that it rests on is pruned, and nobody's data in it is erased.
    """
    settings = settings_of(config, data_dir)
    one, made = _kept(settings, incident, "hold", why, timeout)
    click.echo(f"{one} is held: {made}. End it with: breachline evidence release {one}")


@click.command(epilog="Example: breachline evidence release inc-4f1c --why 'case closed'")
@click.argument("incident")
@needed_why
@click.option("--hold", "only", default="", metavar="ID", help="Which, where several stand.")
@timeout
@common
def release(
    incident: str, why: str, only: str, timeout: str, config: Path | None, data_dir: Path | None
) -> None:
    """End the hold on INCIDENT."""
    settings = settings_of(config, data_dir)
    one, ended = _kept(settings, incident, "release", why, timeout, only)
    click.echo(f"{one} is released from {ended}.")


def _kept(
    settings: Settings,
    typed: str,
    kind: Literal["hold", "release"],
    why: str,
    timeout: str,
    only: str = "",
) -> tuple[str, str]:
    """(the incident's id, the hold's)."""
    by, clock = user_name(), SystemClock()
    if settings.kafka is not None:
        # Here, not above: who has no Kafka does not wait for its client.
        from console import orders  # noqa: PLC0415

        with answering(settings, None) as store:
            name = incident_of(store, typed).id
        patience_s = orders.patience_of(timeout)
        return name, orders.keep(settings, clock, kind, name, why, by, patience_s, only=only)
    # Here, not above: both load an HTTP client.
    from console.containment import require_store  # noqa: PLC0415
    from streams.capture import evidence_events  # noqa: PLC0415

    require_store(settings)
    with refusing(), open_signed(settings) as store:
        one, now_ms = incident_of(store, typed), clock.now_ms()
        try:
            with store.transaction():
                if kind == "hold":
                    events = evidence_events(store, one)
                    return one.id, custody.hold(store, one, events, by=by, why=why, at_ms=now_ms).id
                return one.id, custody.release(
                    store, one, by=by, why=why, at_ms=now_ms, only=only
                ).id
        except LookupError as error:
            raise Refused(str(error.args[0])) from error


@click.command(epilog="Example: breachline evidence holds --json")
@offline
@as_json
@common
def holds(offline: bool, as_json: bool, config: Path | None, data_dir: Path | None) -> None:
    """List the legal holds that stand."""
    settings = settings_of(config, data_dir)
    with answering(settings, None, offline=offline) as store:
        standing = custody.holds(store)
    if as_json:
        print_ndjson(map(_document, standing))
        return
    for one in standing:
        click.echo(plain(custody.hold_words(one)))
    click.echo(f"{many(len(standing), 'hold')}.", err=True)


@click.command(epilog="Example: breachline evidence reads inc-4f1c --json")
@click.argument("incident", required=False)
@from_dir
@offline
@as_json
@common
def reads(
    incident: str | None,
    from_dir: Path | None,
    offline: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List who read or exported evidence, when and why: of INCIDENT, or of all."""
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        one = incident_of(store, incident) if incident else None
        found = custody.reads(store, one)
    if as_json:
        print_ndjson(map(_document, found))
        return
    for read in found:
        why = f": {read.why}" if read.why else ""
        which = read.incident or ", ".join(f"{k} {v}" for k, v in sorted(read.question.items()))
        shown = f", {read.count:,} shown" if read.count else ""
        click.echo(plain(f"{iso(read.at_ms)}  {read.by}  {read.what} {which}{shown}{why}"))
    click.echo(f"{many(len(found), 'read')}.", err=True)


def _document(record: Hold | Read) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(record)
    document["at"] = iso(document.pop("at_ms"))
    return document


COMMANDS = (hold, release, holds, reads, erase)
