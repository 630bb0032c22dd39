"""`breachline affected`: the people whose data an incident touched."""

from pathlib import Path

import click

from console.case import answering, desk_of, incident_of
from console.custody import told, why
from console.options import as_json, common, from_dir, offline, print_ndjson, settings_of
from evidence.people import id_lines
from incidents.documents import affected_document, object_document

_EXAMPLE = """\b
Examples:
  breachline affected inc-4f1c > to-notify.txt
  breachline affected inc-4f1c --json --from var/scans/last
"""


@click.command(epilog=_EXAMPLE)
@click.argument("incident")
@click.option("--objects", is_flag=True, help="Objects whose owner nobody could name, instead.")
@from_dir
@offline
@why
@as_json
@common
def command(
    incident: str,
    objects: bool,
    from_dir: Path | None,
    offline: bool,
    why: str,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Print the ids of the users affected by INCIDENT, one a line, sorted, unique.

    An id that has a line break or a control character stands as a JSON string, in quotation marks.

    Affected: their data was read or changed, proven or presumed. With --json, what of it, when,
    and in which events.
    """
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        one = incident_of(store, incident)
        impact = desk_of(store, settings).impact(one.id)
    count = len(impact.objects if objects else impact.rows if as_json else impact.users)
    told(settings, from_dir, "affected", why, offline=offline, incident=one.id, count=count)
    if objects:
        print_ndjson(map(object_document, impact.objects))
    elif as_json:
        print_ndjson(map(affected_document, impact.rows))
    else:
        click.echo("".join(f"{line}\n" for line in id_lines(impact.users)), nl=False)
