"""`breachline parse`: what was understood of a log, so that anyone can check a mapping."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from console.fault import Negative, Refused
from console.options import common, openapi, print_ndjson, settings_of, with_openapi
from console.reading import batches, reader_of
from intake.documents import event_document
from streams.sources import problems

_EXAMPLE = """\b
Examples:
  breachline parse access.log | head -3
  breachline parse access.log --rejects
"""


@click.command(epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--format", "format_", default="auto", show_default=True, help="Format of the lines.")
@click.option("--rejects", is_flag=True, help="Print the lines that were not understood instead.")
@openapi
@common
def command(
    logs: tuple[str, ...],
    format_: str,
    rejects: bool,
    openapi: Path | None,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Print the events of LOGs as ECS NDJSON: who asked, whose data, what came of it."""
    if found := problems(logs):
        raise Refused(found)
    reader = reader_of(with_openapi(settings_of(config, data_dir), openapi), format_)
    counts = {"events": 0, "lines": 0}

    def documents() -> Iterator[object]:
        for frame, batch in batches(logs, reader):
            counts["lines"] += batch.lines - batch.duplicate
            counts["events"] += len(batch.events)
            if rejects:
                yield from map(msgspec.to_builtins, batch.rejects)
            else:
                yield from (event_document(event, frame.name) for event in batch.events)

    print_ndjson(documents())
    if counts["lines"] and not counts["events"] and not rejects:
        raise Negative(
            f"None of {counts['lines']:,} lines was understood: see breachline parse --rejects, "
            "or name the fields under intake in breachline.yaml."
        )
