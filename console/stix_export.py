"""`breachline evidence stix`: an incident as STIX 2.1, for an ISAC, a CERT or a MISP.

In: the store that answers. Out: the bundle on stdout or in a file of the owner's alone.
"""

from hashlib import sha256
from pathlib import Path

import click
import msgspec

from console.case import answering, desk_of, incident_of
from console.custody import told, why
from console.fault import Refused
from console.options import common, from_dir, offline, refusing, settings_of
from evidence.stix_terms import TLP
from incidents.documents import action_document, incident_document
from streams.clock import SystemClock
from streams.results import finding_documents

_EXAMPLE = """\b
Examples:
  breachline evidence stix inc-4f1c -o case.json --producer "Example Bank"
  breachline evidence stix inc-4f1c --tlp green --from var/scans/last
"""


@click.command(epilog=_EXAMPLE)
@click.argument("incident")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, not to stdout.",
)
@click.option(
    "--tlp",
    type=click.Choice(list(TLP)),
    default="amber",
    show_default=True,
    help="Who may be told (TLP 2.0): each object is marked with it.",
)
@click.option("--with-victims", is_flag=True, help="Name the affected users, not only count them.")
@click.option("--producer", default="", metavar="NAME", help="The organization that gives it out.")
@from_dir
@offline
@why
@common
def stix(
    incident: str,
    output: Path | None,
    tlp: str,
    with_victims: bool,
    producer: str,
    from_dir: Path | None,
    offline: bool,
    why: str,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Write INCIDENT as a STIX 2.1 bundle: attackers, indicators, measures, and counts of victims.

    No affected user is named without --with-victims. An address that the guards refused to block
    is no indicator, and of a service's fault nobody is named.
    """
    # Here, not above: the library takes a second to import.
    from evidence.stix import stix_bundle  # noqa: PLC0415

    if output is not None and not output.parent.is_dir():
        raise Refused(f"writing {output}: there is no folder {output.parent}; make it first")
    settings = settings_of(config, data_dir)
    with answering(settings, from_dir, offline=offline) as store:
        one = incident_of(store, incident)
        ids = {one.id, *one.merged}
        actions = [action for action in store.log.actions() if action.incident in ids]
        text = stix_bundle(
            incident_document(one),
            finding_documents(store, store.findings(one.findings)),
            map(action_document, actions),
            (msgspec.to_builtins(r) for a in actions for r in store.log.receipts(a.id)),
            now_ms=SystemClock().now_ms(),
            producer=producer.strip(),
            tlp=tlp,
            victims=desk_of(store, settings).impact(one.id).users if with_victims else None,
        )
    told(
        settings, from_dir, "evidence stix", why, offline=offline, incident=one.id,
        sha256=sha256(text.encode()).hexdigest(),
    )  # fmt: skip
    if output is None:
        click.echo(text, nl=False)
        return
    with refusing():
        _write(output, text)
    named = "its affected users are named in it" if with_victims else "no affected user is named"
    click.echo(f"{output}: TLP:{tlp.upper()}, {named}.")


def _write(output: Path, text: str) -> None:
    """Whole or not at all, for the owner alone."""
    temporary = output.with_name(output.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            temporary.chmod(0o600)
            file.write(text)
        temporary.rename(output)
    finally:
        temporary.unlink(missing_ok=True)
