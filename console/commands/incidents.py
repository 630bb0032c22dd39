"""`breachline incidents`: list them, or show one."""

from pathlib import Path

import click
from rich.table import Table

from console import report
from console.case import answering, incident_of
from console.options import as_json, common, from_dir, offline, print_ndjson, settings_of
from console.screen import Screen
from evidence.store import EmbeddedStore
from incidents.clocks import clocks
from incidents.documents import incident_document
from records.ids import iso
from records.incident import Coverage, Incident

_EXAMPLE = """\b
Examples:
  breachline incidents
  breachline incidents inc-4f1c --from var/scans/last
  breachline incidents --json | jq 'select(.breach)'
"""


@click.command(epilog=_EXAMPLE)
@click.argument("incident", required=False)
@from_dir
@offline
@as_json
@common
def command(
    incident: str | None,
    from_dir: Path | None,
    offline: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List the incidents, or show INCIDENT (an id or its beginning)."""
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        if incident is not None:
            one = incident_of(store, incident)
            if as_json:
                print_ndjson([incident_document(one)])
            else:
                _show(Screen(), store, one)
            return
        every = list(store.incidents())
        if as_json:
            print_ndjson(map(incident_document, every))
        else:
            report.print_incidents(Screen(), every, store.log.actions())


def lacks(coverage: Coverage) -> str:
    """What the logs of an incident lack, in words."""
    if coverage.complete:
        return "complete"
    found = []
    if coverage.late:
        found.append(f"{report.many(coverage.late, 'line')} came too late for the rules")
    if coverage.rejected:
        found.append(f"{report.many(coverage.rejected, 'line')} could not be read")
    found += coverage.gaps
    return "incomplete: " + ("; ".join(found) or "it may begin before what is kept")


def _show(console: Screen, store: EmbeddedStore, incident: Incident) -> None:
    due = clocks(incident.awareness_ms)["authority_deadline"]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    coverage = incident.coverage
    accounts = ", ".join(f"{a.id} ({a.relation})" for a in incident.actor_accounts)
    affected = (
        f"{report.people(incident.affected_count)} for certain, "
        f"at most {incident.affected_upper:,}; {incident.attempted_count:,} more were tried"
    )
    categories = ", ".join(incident.categories) or "no category"
    rows = [
        ("incident", f"{incident.id} (version {incident.version})"),
        ("title", report.printable(incident.title)),
        ("severity", incident.severity + (", a breach" if incident.breach else "")),
        ("status", f"{incident.status}, cause {incident.cause}"),
        ("seen", f"{iso(incident.first_seen_ms)} to {iso(incident.last_seen_ms)}"),
        ("actors", report.printable(", ".join(map(str, incident.actors)) or "none")),
        ("affected", affected),
        ("records", f"{incident.records_count:,} accesses; {report.printable(categories)}"),
        ("unknown", f"{incident.unknown_objects:,} objects whose owner nobody could name"),
        ("left out", report.printable(accounts) or "nobody"),
        ("rests on", f"logs from {iso(coverage.from_ms)}, {report.printable(lacks(coverage))}"),
        ("authority", f"to be told by {due} if this is a breach (GDPR art. 33)"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    console.print(table, soft_wrap=False)
    console.print("\n[bold]Findings[/]")
    for finding in store.findings(incident.findings):
        console.print(
            f"  {finding.severity:<8} {finding.rule}: {report.printable(finding.message)} "
            f"[dim](confidence {finding.confidence:.2f}, {finding.id[:12]})[/]"
        )
    actions = [action for action in store.log.actions() if action.incident == incident.id]
    console.print("\n[bold]Actions[/]")
    for action in actions:
        receipts = list(store.log.receipts(action.id))
        last = f"; {receipts[-1].state}: {receipts[-1].detail}" if receipts else ""
        said = f"{action.kind} {action.target} ({action.mode}) "
        console.print(
            f"  {report.printable(f'{said}{action.guard.verdict}: {action.guard.why}{last}')}"
        )
