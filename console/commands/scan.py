"""`breachline scan`: whole logs, by event time, reported once."""

from pathlib import Path

import click

from console import report
from console.case import opened
from console.fault import Negative, Refused
from console.options import (
    as_json,
    common,
    openapi,
    print_ndjson,
    refusing,
    settings_of,
    with_openapi,
)
from console.progress import Progress
from console.screen import Screen
from evidence.store import EmbeddedStore
from intake.formats._base import discover
from records.kinds import SEVERITIES
from streams.clock import SystemClock
from streams.plain import plain
from streams.results import discard, finding_documents, prepare
from streams.scan import Scanned, scan
from streams.sources import problems
from streams.tables import read_tables

_EXAMPLE = """\b
Examples:
  breachline scan access.log
  breachline scan access.log.2.gz access.log.1 access.log --out case-17
  zcat old.gz | breachline scan - --json --fail-on high
"""


@click.command(epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--format", "format_", default="auto", show_default=True, help="Format of the lines.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the result, replaced (default: DATA_DIR/scans/last).",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Exit with 1 if there is a finding of this severity or above.",
)
@openapi
@as_json
@common
def command(
    logs: tuple[str, ...],
    format_: str,
    out: Path | None,
    fail_on: str | None,
    as_json: bool,
    openapi: Path | None,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Read whole LOGs (plain, .gz, .zst; - is stdin) and report what they show.

    Nothing is blocked. The result is written to a folder that incidents, affected, evidence and
    explain read with --from.
    """
    if found := problems(logs):
        raise Refused(found)
    settings = with_openapi(settings_of(config, data_dir), openapi)
    folder = out or settings.data_dir / "scans" / "last"

    with refusing():
        tables = read_tables(settings.intake)
        if format_ != "auto" and format_ not in discover():
            raise Refused(
                f"unknown format {format_!r}; known: auto, {', '.join(sorted(discover()))}"
            )
        prepare(folder)
    try:
        with Progress(logs) as progress:
            result = scan(
                logs,
                settings,
                tables,
                folder,
                SystemClock(),
                forced_format=format_,
                on_step=progress.step,
            )
    except BaseException:
        discard(folder)
        raise
    for damage in result.damaged:
        click.echo(f"Warning: {plain(damage)}; what was readable was read", err=True)
    with opened(settings, folder) as store:
        if as_json:
            print_ndjson(finding_documents(store, store.findings()))
        else:
            _print(result, store, folder)
        severities = {finding.severity for finding in store.findings()}
    if result.summary["lines"] and not result.summary["events"] and not _only_duplicates(result):
        raise Negative(
            "Every line was rejected: `breachline formats test LOG` shows why, and what to add."
        )
    if fail_on and severities & set(SEVERITIES[SEVERITIES.index(fail_on) :]):
        raise Negative("" if as_json else f"There is a finding of severity {fail_on} or above.")


def _only_duplicates(result: Scanned) -> bool:
    return result.summary["lines"] == result.summary["duplicate"]


def _print(result: Scanned, store: EmbeddedStore, folder: Path) -> None:
    console = Screen()
    summary = result.summary
    names = report.printable(report.log_names(result.formats))
    console.print(report.source_line(summary, names))
    console.print(report.totals_line(summary))
    console.print(report.judged_line(summary))
    report.print_rejects(console, summary)
    report.print_late(console, summary)
    report.print_hints(console, result.hints)
    incidents = [i for i in store.incidents() if i.status != "closed"]
    if summary["events"] or incidents:
        report.print_incidents(console, incidents, store.log.actions())
    else:
        report.print_nothing(console, summary)
    where = report.path_text(folder)
    report.print_next(console, incidents, f" --from {where}")
    console.print(f"\nResult: {report.printable(where)}/")
