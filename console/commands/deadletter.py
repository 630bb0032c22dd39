"""`breachline deadletter`: the lines that a deployment on Kafka did not understand."""

import asyncio
import os
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from console.fault import Negative, Unreachable
from console.options import as_json, common, moment, print_ndjson, refusing, settings_of
from console.report import many
from console.screen import Screen
from records.ids import iso
from streams.kafka import deadletter
from streams.kafka.deadletter import Line, Replayed, Wanted
from streams.kafka.settings import Kafka
from streams.plain import plain
from streams.settings import Settings

_LIST = """\b
Examples:
  breachline deadletter list --reason no_time --since 2026-11-22T10:00:00Z
  breachline deadletter list --json | jq -r .line
"""
_REPLAY = """\b
Examples:
  breachline deadletter replay --reason unknown_format --dry-run
  breachline deadletter replay --source gateway.log --yes
"""
_LEAST = 20
"""Characters of a line that are shown, however narrow the terminal is."""
_T = TypeVar("_T")


_reason = click.option("--reason", help="Only those rejected for this reason, as `list` has it.")
_source = click.option("--source", help="Only those of this source: its name, or its id.")


@click.group(epilog="Example: breachline deadletter list")
def command() -> None:
    """List the lines that a deployment on Kafka did not understand, and send them again."""


@command.command("list", epilog=_LIST)
@_reason
@_source
@click.option("--since", callback=moment, help="Rejected from this time on (ISO 8601).")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True,
              help="The newest so many.")  # fmt: skip
@as_json
@common
def list_(
    reason: str | None,
    source: str | None,
    since: int | None,
    limit: int,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """List rejected lines, the newest last; secrets are masked in them."""
    kafka = _kafka(settings_of(config, data_dir))
    wanted = Wanted(reason=reason, source=source, since_ms=since)
    found = _asked(deadletter.listed(kafka, os.environ, wanted, limit))
    if as_json:
        print_ndjson(_document(line, found.replayed) for line in found.lines)
        return
    if found.lines:
        for row in _rows(found.lines, Screen().width):
            click.echo(row)
    more = (
        f", the newest {len(found.lines):,} of them here" if len(found.lines) < found.found else ""
    )
    sent = sum(line.at in found.replayed for line in found.lines)
    replayed = "was" if sent == 1 else "were"
    click.echo(
        f"{many(found.found, 'rejected line')}{more}; {sent:,} {replayed} replayed.", err=True
    )


@command.command(epilog=_REPLAY)
@_reason
@_source
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("--dry-run", is_flag=True, help="Only say how many lines would be sent.")
@click.option("--again", is_flag=True, help="Also those that were replayed before.")
@as_json
@common
def replay(
    reason: str | None,
    source: str | None,
    yes: bool,
    dry_run: bool,
    again: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Send rejected lines to the workers again, after the mapping was corrected and they restarted.

    Each is sent once, unless --again. Secrets were masked when the lines were kept, and are not
    replayed; lines that were cut to 4 KiB are left out. Lines much older than what is read at
    present count as late: they are judged and kept, and raise no alarm of their own.
    """
    if yes == dry_run:
        raise click.UsageError("Give one of --yes, --dry-run.")
    kafka = _kafka(settings_of(config, data_dir))
    wanted = Wanted(reason=reason, source=source)
    told = _asked(deadletter.replay(kafka, os.environ, wanted, again=again, dry=dry_run))
    if as_json:
        print_ndjson([told._asdict()])
    else:
        for sentence in _said(told, dry=dry_run):
            click.echo(sentence)
    if told.cut and not told.sent and not told.before:
        raise Negative


def _said(told: Replayed, *, dry: bool) -> list[str]:
    will = "would be replayed" if dry else "replayed"
    said = [f"{many(told.sent, 'line')} {will}."]
    if told.masked:
        said.append(f"{told.masked:,} of them without secrets, which are not kept.")
    if told.before:
        said.append(f"{many(told.before, 'line')} left out: replayed before (--again sends them).")
    if told.cut:
        said.append(
            f"{many(told.cut, 'line')} left out: cut to {deadletter.KEPT_BYTES:,} bytes, their end "
            "is only in the log itself."
        )
    return said


def _kafka(settings: Settings) -> Kafka:
    if settings.kafka is None:
        raise click.UsageError(
            "Rejected lines are on Kafka: set kafka.brokers in --config. Of a scan, they are in "
            "rejects.ndjson; of a log, `breachline parse LOG --rejects` prints them."
        )
    return settings.kafka


def _asked(call: Coroutine[Any, Any, _T]) -> _T:
    with refusing():
        try:
            return asyncio.run(call)
        except ConnectionError as error:
            raise Unreachable(str(error)) from None


def _document(line: Line, replayed: frozenset[int]) -> dict[str, object]:
    return {
        "time": iso(line.time_ms),
        "reason": line.reason,
        "source": line.source,
        "name": line.name,
        "offset": line.place,
        "sha256": line.sha256,
        "replayed": line.at in replayed,
        "cut": line.cut,
        "line": line.data.decode("utf-8", "backslashreplace"),
    }


def _rows(lines: Sequence[Line], width: int) -> Iterator[str]:
    """A heading and a row a line, as much of it as fits."""
    rows = [("time", "reason", "source", "offset", "line")]
    for line in lines:
        when = iso(line.time_ms)[:19].replace("T", " ")
        start = line.data[:width].decode("utf-8", "backslashreplace")
        rows.append((when, plain(line.reason), plain(line.name), str(line.place), plain(start)))
    when_, reason, source, offset, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    for row in rows:
        place = f"{row[0]:<{when_}}  {row[1]:<{reason}}  {row[2]:<{source}}  {row[3]:>{offset}}  "
        room = max(_LEAST, width - len(place))
        yield place + (row[4] if len(row[4]) <= room else row[4][: room - 1] + "…")
