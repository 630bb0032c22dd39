"""`breachline routes`: the routes that a log or an OpenAPI file shows, ready to paste."""

from pathlib import Path

import click

from console.fault import Negative, Refused
from console.options import as_json, common, print_ndjson, refusing, settings_of
from console.progress import Progress
from console.reading import batches, reader_of
from console.routes_report import Report
from intake.route_learning import RouteLearner
from streams.openapi import read_openapi, with_routes
from streams.sources import problems

_EXAMPLE = """\b
Examples:
  breachline routes access.log
  breachline routes access.log --openapi openapi.yaml
  breachline routes --openapi openapi.yaml > routes.yaml
"""


@click.command(epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, metavar="[LOG]...")
@click.option("--format", "format_", default="auto", show_default=True, help="Format of the lines.")
@click.option(
    "--openapi",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take routes from this file, and say which of the log are not in it.",
)
@as_json
@common
def command(
    logs: tuple[str, ...],
    format_: str,
    openapi: Path | None,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Learn from LOGs which routes there are and what their ids are; print them as configuration.

    What is printed is proposed, not in force: read it, correct whose each id is, and paste it under
    `intake` in breachline.yaml.
    """
    if not logs and openapi is None:
        raise click.UsageError("Name a LOG to learn from, or --openapi FILE, or both.")
    if found := problems(logs):
        raise Refused(found)
    settings = settings_of(config, data_dir)
    configured = frozenset(rule.match for rule in settings.intake.routes)
    proposed = []
    if openapi is not None:
        with refusing():
            proposed = read_openapi(openapi)
    with_file = settings.intake if openapi is None else with_routes(settings.intake, proposed)
    reader = reader_of(settings.model_copy(update={"intake": with_file}), format_)
    learner, lines = RouteLearner(), 0
    with Progress(logs) as progress:
        for frame, batch in batches(logs, reader):
            lines += batch.lines
            for event in batch.events:
                learner.add(event)
            progress.count(frame, batch.lines)
    report = Report(learner, configured, proposed, openapi)
    if as_json:
        print_ndjson(report.documents())
    else:
        for line in report.lines(logs):
            click.echo(line)
    if lines and not learner.events:
        raise Negative(
            f"None of {lines:,} lines was understood: see breachline parse --rejects, or name the "
            "fields under intake in breachline.yaml."
        )
