"""`breachline parse`: what was understood of a log, so that anyone can check a mapping."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from console.fault import Negative, Refused
from console.options import common, print_ndjson, refusing, settings_of
from evidence.keys import CredentialDigest, load_digest_key
from intake.documents import event_document
from intake.frames import Reader, SourceState
from intake.judge import Judge
from streams.sources import SourceBook, problems, read_frames
from streams.tables import read_tables

_EXAMPLE = """\b
Examples:
  breachline parse access.log | head -3
  breachline parse access.log --rejects
"""


@click.command(epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--format", "format_", default="auto", show_default=True, help="Format of the lines.")
@click.option("--rejects", is_flag=True, help="Print the lines that were not understood instead.")
@common
def command(
    logs: tuple[str, ...],
    format_: str,
    rejects: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Print the events of LOGs as ECS NDJSON: who asked, whose data, what came of it."""
    if found := problems(logs):
        raise Refused(found)
    settings = settings_of(config, data_dir)
    with refusing():
        tables = read_tables(settings.intake)
        digest = CredentialDigest(load_digest_key(settings.data_dir, create=True))
        judge = Judge(settings.intake, settings.canaries.ids, tables, digest)
        reader = Reader(settings.intake, judge, format_)
    states: dict[str, SourceState] = {}
    counts = {"events": 0, "lines": 0}

    def documents() -> Iterator[object]:
        book = SourceBook()
        for log in logs:
            for frame in read_frames(log, book):
                state = states.setdefault(frame.source, SourceState(frame.source, frame.name))
                faults = [(f.offset, f.reason, f.sha256, f.head) for f in frame.faults]
                batch = reader.read(state, frame.offset, frame.data, faults)
                state.position = max(state.position, frame.end)
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
