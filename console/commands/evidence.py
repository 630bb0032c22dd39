"""`breachline evidence`: the log lines that prove an incident: list, show, export, verify."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from console.case import answering, desk_of, incident_of
from console.custody import COMMANDS, sha256_of, told, why
from console.evidence_search import search
from console.fault import Refused
from console.ledger import heads, key, rebuild
from console.options import as_json, common, from_dir, offline, print_ndjson, refusing, settings_of
from console.report import many, path_text
from console.stix_export import stix
from console.verifying import sealing, verify
from evidence import bundle
from evidence.log import Captured
from evidence.store import EmbeddedStore
from incidents.documents import (
    affected_document,
    incident_document,
    object_document,
)
from records.event import RawLine
from records.ids import event_place
from streams.capture import evidence_events, left_out, other_requests
from streams.clock import SystemClock
from streams.plain import plain
from streams.results import finding_documents


@click.group(epilog="Example: breachline evidence list inc-4f1c --from var/scans/last")
def command() -> None:
    """List, show, export and verify evidence."""


@command.command("list", epilog="Example: breachline evidence list inc-4f1c")
@click.argument("incident")
@from_dir
@offline
@why
@click.option("--others", "besides", is_flag=True, help="What its actors did besides, instead.")
@as_json
@common
def list_(
    incident: str,
    besides: bool,
    from_dir: Path | None,
    offline: bool,
    why: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List the log lines behind INCIDENT: event, place, and SHA-256 of the line as logged."""
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        one = incident_of(store, incident)
        events = evidence_events(store, one)
        more = other_requests(store, one)
        documents = _others(store, more) if besides else _lines(store, events)
        beyond = 0 if besides else left_out(store, one, events)
    told(
        settings, from_dir, "evidence list --others" if besides else "evidence list", why,
        offline=offline, incident=one.id, count=len(documents),
    )  # fmt: skip
    if as_json:
        print_ndjson(documents)
        return
    for document in documents:
        click.echo(plain(_row(document)))
    gone = 0 if besides else len(events) - len(documents)
    missing = f", {gone:,} more are no longer kept" if gone else ""
    click.echo(f"{many(len(documents), 'line')}{missing}.", err=True)
    if beyond:
        words = f"{beyond:,} of them are beyond the limits of capture, and not in the log"
        click.echo(f"{words}: raise capture.max_lines or capture.max_bytes.", err=True)
    if more and not besides:
        click.echo(f"And {len(more):,} other requests of its actors: add --others.", err=True)
    if documents:
        given = [("--from", from_dir), ("--config", config), ("--data-dir", data_dir)]
        place = "".join(f" {option} {path_text(path)}" for option, path in given if path)
        click.echo(f"Show one: breachline evidence show {documents[0]['event']}{place}", err=True)


@command.command(epilog="Example: breachline evidence show 1f0c9a3b5d7e2468-27f9")
@click.argument("event")
@from_dir
@offline
@why
@as_json
@common
def show(
    event: str,
    from_dir: Path | None,
    offline: bool,
    why: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Show one kept log line: EVENT is an event id of a finding's evidence."""
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        line = next(store.lines([event]), None)
        if line is None:
            raise Refused(
                f"no line is kept for event {event!r}: `breachline evidence list` has them"
            )
        document = _document(line, _names(store))
    told(settings, from_dir, "evidence show", why, offline=offline, events=[event], count=1)
    if as_json:
        print_ndjson([document])
    else:
        for name, value in document.items():
            click.echo(f"{name:<8} {plain(str(value))}")


@command.command(epilog="Example: breachline evidence export inc-4f1c -o case.zip")
@click.argument("incident")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--redact", is_flag=True, help="Without raw lines and affected people; it still verifies."
)
@from_dir
@offline
@why
@common
def export(
    incident: str,
    output: Path,
    redact: bool,
    from_dir: Path | None,
    offline: bool,
    why: str,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Write everything about INCIDENT to one bundle: with proofs, and a signed manifest."""
    if not output.parent.is_dir():
        raise Refused(f"writing {output}: there is no folder {output.parent}; make it first")
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store, refusing():
        one = incident_of(store, incident)
        impact = desk_of(store, settings).impact(one.id)
        events = evidence_events(store, one)
        manifest = bundle.export(
            store,
            one.id,
            output,
            SystemClock().now_ms(),
            incident=incident_document(one),
            findings=finding_documents(store, store.findings(one.findings)),
            affected=[affected_document(row) for row in impact.rows],
            objects=map(object_document, impact.objects),
            events=events,
            beyond_limits=left_out(store, one, events),
            redact=redact,
            **sealing(settings, store),
        )
    with refusing():
        told(
            settings, from_dir, "evidence export", why, offline=offline, incident=one.id,
            count=len(events), sha256=sha256_of(output),
        )  # fmt: skip
    click.echo(f"{output}: {len(manifest['files'])} files, {len(events):,} lines of evidence.")
    click.echo(f"Check it anywhere: breachline evidence verify {output}")


command.add_command(search)
command.add_command(stix)
command.add_command(verify)
for _one in (heads, key, rebuild):
    command.add_command(_one)
for _one in COMMANDS:
    command.add_command(_one)


def _names(store: EmbeddedStore) -> dict[str, str]:
    return {source.id: source.name for source in store.sources()}


def _lines(store: EmbeddedStore, events: Iterable[str]) -> list[dict[str, object]]:
    names = _names(store)
    kept = sorted(store.lines(events), key=lambda line: event_place(line.event))
    return [_document(line, names) for line in kept]


def _others(store: EmbeddedStore, kept: Sequence[Captured]) -> list[dict[str, object]]:
    names, lines = _names(store), {one.event: one for one in store.lines(c.event for c in kept)}
    documents = []
    for one in kept:
        if (line := lines.get(one.event)) is not None:
            documents.append(_document(line, names))
            continue
        source, offset = event_place(one.event)
        place = {"event": one.event, "source": names.get(source, source), "offset": offset}
        # Its line could not be read again: what was understood of it stands in its place.
        documents.append({**place, "sha256": "", "masked": True, "columns": one.columns})
    return documents


def _document(line: RawLine, names: dict[str, str]) -> dict[str, object]:
    source, offset = event_place(line.event)
    return {
        "event": line.event,
        "source": names.get(source, source),
        "offset": offset,
        "sha256": line.sha256,
        "masked": line.masked,
        "line": line.data.decode("utf-8", "backslashreplace"),
    }


def _row(document: Mapping[str, object]) -> str:
    place = f"{document['source']}:{document['offset']}"
    return f"{document['event']}  {place}  sha256 {document['sha256']}"
