"""`breachline formats`: which log formats are understood, and how the lines of a log are."""

import textwrap
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from console.fault import Negative, Refused
from console.formats_report import MOST_LINES, Look, formats_documents
from console.options import as_json, common, print_ndjson, refusing, settings_of
from console.report import many, print_hints, printable
from console.screen import Screen
from streams.sources import SourceBook, problems, read_frames
from streams.tables import read_tables

_EXAMPLE = """\b
Examples:
  breachline formats
  breachline formats test access.log
"""
_TEST_EXAMPLE = """\b
Examples:
  breachline formats test access.log
  kubectl logs deploy/gateway | breachline formats test - --lines 1
  breachline formats test odd.log --format nginx --json
"""
_WIDTH = 96
_WRAPPED = (
    "Each may also be carried in syslog (RFC 3164, RFC 5424, rsyslog's files), in Docker's "
    "json-file, in the logs of containerd and CRI-O, or in the `message` of a shipper's JSON."
)
_BELIEF = {
    "verified": "verified by the signature of its token",
    "gateway": "your gateway vouches for it",
    "unverified": "from a token that nobody checked: compared, never named or blocked",
    "asserted": "nobody vouches for it: compared, never named or blocked",
}


@click.group(invoke_without_command=True, epilog=_EXAMPLE)
@as_json
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the log formats that are understood, and what each can say.

    Whether yours is: breachline formats test LOG
    """
    if context.invoked_subcommand is not None:
        return
    documents = list(formats_documents())
    if as_json:
        print_ndjson(documents)
        return
    console = Screen()
    for one in documents:
        console.print(f"[bold]{one['name']}[/]")
        console.print(f"  {printable(one['is'])}")
        for example in one["examples"]:
            console.print(f"  [dim]{printable(_cut(example))}[/]")
        console.print(f"  says: {', '.join(one['says'])}\n")
    console.print(textwrap.fill(_WRAPPED, _WIDTH))
    console.print("\nWhat is understood of a log: breachline formats test LOG")


@command.command(epilog=_TEST_EXAMPLE)
@click.argument("log", metavar="LOG")
@click.option("--format", "format_", default="auto", show_default=True, help="Format of the lines.")
@click.option(
    "--lines", default=3, show_default=True, type=click.IntRange(1, 1000),
    help="Show so many of the lines that are understood.",
)  # fmt: skip
@as_json
@common
def test(
    log: str,
    format_: str,
    lines: int,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Show what the first lines of LOG are understood as, field by field, and what they lack.

    Nothing is kept. Lines that are not understood are shown with the reason; of what the log cannot
    say, the line of configuration is shown that would add it.
    """
    if found := problems([log]):
        raise Refused(found)
    settings = settings_of(config, data_dir)
    with refusing():
        tables = read_tables(settings.intake)
        look = Look(settings.intake, settings.canaries.ids, tables, format_)
        for frame in read_frames(log, SourceBook()):
            look.read(frame.offset, frame.data, lines)
            if look.lines >= MOST_LINES or look.understood >= lines * 100:
                break
    hints = look.hints()
    if as_json:
        print_ndjson(look.shown)
        print_ndjson({"hint": msgspec.to_builtins(hint)} for hint in hints)
    else:
        _print(look, log)
        print_hints(Screen(), hints)
    if look.lines and not look.understood:
        raise Negative("" if as_json else "No line was understood.")


def _print(look: Look, log: str) -> None:
    console = Screen()
    console.print(f"{printable(log)}: the first {many(look.lines, 'line')}")
    for name, count in look.formats.most_common():
        console.print(f"  [green]{count:>7,}[/] {printable(name)}")
    for reason, count in look.rejected.most_common():
        console.print(f"  [yellow]{count:>7,}[/] not understood: {reason}")
    for shown in look.shown:
        console.print(f"\n[bold]line {shown['line']:,}[/] [dim]{printable(_cut(shown['text']))}[/]")
        if "rejected" in shown:
            console.print(f"  [yellow]not understood[/]: {shown['rejected']}")
            continue
        for name, value in _rows(shown):
            console.print(f"  {name:<10} {printable(value)}")


def _rows(shown: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A line's fields in words."""
    carried = f", carried in {shown['wrapper']}" if shown["wrapper"] else ""
    yield "format", f"{shown['format']}{carried}"
    yield "time", shown["time"]
    yield "client", _client(shown)
    yield "user", _user(shown)
    if shown["claimed"]:
        yield "claims", f"{shown['claimed']} (an identity header: whoever sends it writes it)"
    yield "session", "logged; kept as a keyed digest" if shown["session"] else "none"
    yield "request", f"{shown['method'] or '-'} {shown['target'] or '-'}"
    yield "route", shown["route"]
    yield "whose data", _targets(shown)
    size = "unlogged size" if shown["bytes"] < 0 else many(shown["bytes"], "byte")
    yield (
        "answer",
        f"{shown['status'] or 'no status'}, {size}: {shown['effect']}, {shown['outcome']}",
    )
    allowed = f", allowed: {shown['allowed']}" if shown["allowed"] else ""
    yield "verdict", f"{shown['verdict']}{allowed}"


def _client(shown: Mapping[str, Any]) -> str:
    if not shown["client_believed"]:
        return f"{shown['client']} (from a header that no trusted proxy set: not believed)"
    if not shown["forwarded"]:
        return f"{shown['client']} (the direct peer)"
    if shown["client"] == shown["peer"]:
        return f"{shown['client']} (the direct peer; its header says {shown['forwarded']})"
    return f"{shown['client']} (behind {shown['peer']}, whose header says {shown['forwarded']})"


def _user(shown: Mapping[str, Any]) -> str:
    if shown["principal"]:
        return f"{shown['principal']} ({_BELIEF[shown['provenance']]})"
    if shown["authentication"] == "anonymous":
        return "nobody: other lines of this log name somebody"
    return "unknown: the line does not say who asked"


def _targets(shown: Mapping[str, Any]) -> str:
    if shown["targets"]:
        basis = {"route": "by the path", "claimed": "by the claim", "owner_logged": "as logged",
                 "ownership": "by the ownership source"}.get(shown["basis"], "")  # fmt: skip
        return f"{', '.join(islice(shown['targets'], 5))} ({basis})"
    return f"of the owner of {shown['object']}, who is unknown" if shown["object"] else "nobody's"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."
