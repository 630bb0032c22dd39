"""`breachline simulate`: a labelled synthetic access log, and the truth about it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click

from console.options import as_json, print_ndjson, refusing
from console.simulate import KINDS, simulate
from console.simulate.lines import Format
from console.simulate.world import Ids, Principals

_EXAMPLE = f"""\b
Examples:
  breachline simulate --out world --lines 100000
  breachline simulate --out honest --attackers 0 --format nginx --principals none
  breachline scan world/access.log --config world/breachline.yaml

\b
Kinds of attack: {", ".join(KINDS)}
"""


def _start(_context: click.Context, _option: click.Parameter, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no time: write 2026-11-22T09:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command(epilog=_EXAMPLE)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write; an earlier simulation there is replaced.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--users", default=5000, show_default=True, help="People with accounts.")
@click.option("--hours", default=1.0, show_default=True, help="How much time the log covers.")
@click.option("--lines", type=int, help="Lines in all (default: 50 a second).")
@click.option("--attackers", default=10, show_default=True, help="0 for an honest log.")
@click.option("--attack", "attacks", multiple=True, help="Kind of attack, may be repeated.")
@click.option("--office-users", default=800, show_default=True, help="People behind one address.")
@click.option(
    "--format",
    "format_",
    default="ecs",
    show_default=True,
    type=click.Choice(get_args(Format)),
    help="Format of the lines.",
)
@click.option(
    "--principals",
    default="gateway",
    show_default=True,
    type=click.Choice(get_args(Principals)),
    help="Who the log says was asking.",
)
@click.option(
    "--ids",
    default="prefix",
    show_default=True,
    type=click.Choice(get_args(Ids)),
    help="What user ids look like.",
)
@click.option(
    "--start",
    default="2026-11-22T09:00:00Z",
    show_default=True,
    callback=_start,
    help="Time of the first line.",
)
@as_json
def command(
    out: Path,
    seed: int,
    users: int,
    hours: float,
    lines: int | None,
    attackers: int,
    attacks: tuple[str, ...],
    office_users: int,
    format_: Format,
    principals: Principals,
    ids: Ids,
    start: datetime,
    as_json: bool,
) -> None:
    """Write an access log with ordinary traffic and attacks, and the truth about both."""
    with refusing():
        truth = simulate(
            out,
            seed=seed,
            start=start,
            users=users,
            hours=hours,
            lines=lines,
            attackers=attackers,
            attacks=attacks or None,
            office_users=office_users,
            format=format_,
            principals=principals,
            ids=ids,
        )
    if as_json:
        print_ndjson([{"log": str(truth.log), "lines": truth.lines, "victims": truth.victims}])
        return
    click.echo(f"{truth.log}: {truth.lines:,} lines, {len(truth.attackers)} attackers.")
    click.echo(f"The truth: {out}/truth.json and {out}/affected/ATTACKER.txt")
    click.echo(f"Try: breachline scan {truth.log} --config {out}/breachline.yaml")
