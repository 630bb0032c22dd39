"""What a person reads after a scan or a first look: blind spots, incidents, what to do next.

In: records and counts. Out: text on a rich console. Everything that a client may have written is
escaped: a user agent must not paint the screen.
"""

import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from evidence.store import EmbeddedStore
from records.event import RawLine
from records.ids import event_place, iso
from records.incident import Action, Incident
from streams.plain import plain

if TYPE_CHECKING:
    from streams.hints import Hint

_STYLE = {"SEV1": "bold red", "SEV2": "red", "SEV3": "yellow", "SEV4": "cyan"}
_MANY = 25
_FEW_LINES = 3
_FEW_USERS = 12


def printable(text: str) -> str:
    """Text for a rich console: no control characters, no markup."""
    return escape(plain(text))


def many(count: int, one: str, several: str = "") -> str:
    """`1 person`, `2 people`; several: the plural, if it is not `one` and an s."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def people(count: int) -> str:
    """So many people."""
    return many(count, "person", "people")


def totals_line(summary: Mapping[str, object]) -> str:
    """One sentence: how much was read."""
    rejected = summary["rejected"]
    assert isinstance(rejected, dict)  # noqa: S101  our own document
    joined = summary.get("joined", 0)
    halves = f" ({joined:,} of them the other line of an event)" if joined else ""
    return (
        f"Read {summary['lines']:,} lines: {summary['events']:,} events, "
        f"{sum(rejected.values()):,} rejected, {summary['duplicate']:,} duplicate{halves}, "
        f"{summary['late']:,} late."
    )


def source_line(summary: Mapping[str, object], names: str) -> str:
    """One sentence: what was read and how fast."""
    return f"{names}, in {summary['seconds']} s ({summary['events_per_second']:,} events/s)"


def judged_line(summary: Mapping[str, object]) -> str:
    """One sentence: what could be judged."""
    judged = summary["judged"]
    assert isinstance(judged, dict)  # noqa: S101  our own document
    allowed = f" ({judged['allowed']:,} of them allowed)" if judged["allowed"] else ""
    return (
        f"Judged: {judged['own']:,} own, {judged['foreign']:,} foreign{allowed}, "
        f"{judged['undetermined']:,} undetermined, {judged['no_target']:,} without a target."
    )


def print_rejects(console: Console, summary: Mapping[str, object]) -> None:
    """Why lines were not understood, if any were not."""
    rejected = summary["rejected"]
    assert isinstance(rejected, dict)  # noqa: S101  our own document
    if rejected:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(rejected.items()))
        console.print(f"Rejected: {reasons} (`breachline parse LOG --rejects` shows each line).")


def print_late(console: Console, summary: Mapping[str, object]) -> None:
    """What being late means, if any event was: an attack in it must not look like none."""
    late = summary["late"]
    assert isinstance(late, int)  # noqa: S101  our own document
    if late:
        console.print(
            f"[yellow]Late:[/] {many(late, 'event')} stood more than a minute after newer ones. "
            "Late events are judged and kept, but raise no alarm: sort a log by time before it is "
            "scanned."
        )


def print_hints(console: Console, found: "Sequence[Hint]") -> None:
    """What the log does not say, with the line that would add it."""
    if not found:
        return
    console.print("\n[bold yellow]What this log does not say[/]")
    for hint in found:
        console.print(f"  [yellow]![/] {printable(hint.says)}")
        for line in hint.add.split("\n"):
            console.print(f"      [dim]add:[/] {printable(line)}")


def print_nothing(console: Console, summary: Mapping[str, object]) -> None:
    """What there is to say of a log without events: not that it is safe."""
    why = "No line was understood" if summary["lines"] else "There is no line yet"
    console.print(f"\n[bold yellow]{why}, so nothing could be judged.[/]")


def print_incidents(
    console: Console, incidents: Sequence[Incident], actions: Iterable[Action]
) -> None:
    """One paragraph an incident, the worst first."""
    if not incidents:
        console.print("\n[bold green]No incident.[/]")
        return
    by_incident: dict[str, list[Action]] = {}
    for action in actions:
        by_incident.setdefault(action.incident, []).append(action)
    breaches = sum(incident.breach for incident in incidents)
    console.print(
        f"\n[bold]{many(len(incidents), 'incident')}[/], {many(breaches, 'breach', 'breaches')}"
    )
    ordered = sorted(incidents, key=_worst_first)
    for incident in ordered[:_MANY]:
        _print_incident(console, incident, by_incident.get(incident.id, []))
    if len(incidents) > _MANY:
        console.print(f"\nand {len(incidents) - _MANY} more: breachline incidents --json")


def _worst_first(incident: Incident) -> tuple[str, int, str]:
    return incident.severity, -incident.affected_count, incident.id


def worst(incidents: Sequence[Incident]) -> Incident:
    """The incident to look at first: the one with people to tell, if there is any."""
    return min([i for i in incidents if i.affected_count] or incidents, key=_worst_first)


def _print_incident(console: Console, incident: Incident, actions: Sequence[Action]) -> None:
    seen = f"{iso(incident.first_seen_ms)[:19]} to {iso(incident.last_seen_ms)[:19]}"
    console.print(
        f"\n[{_STYLE[incident.severity]}]{incident.severity}[/] [bold]{incident.id}[/]  "
        f"{affected_text(incident)}"
    )
    lines = [f"{actors_text(incident)}   {', '.join(incident.rules)}", f"{seen} UTC"]
    if (blocks := block_text(actions)) != "-":
        lines.append(blocks)
    for line in lines:
        console.print(f"     {printable(line)}")


def affected_text(incident: Incident) -> str:
    """Whose data: how many for certain, how many at most, or what was only tried."""
    count, upper = incident.affected_count, incident.affected_upper
    if count:
        text = f"{people(count)} affected" + (f" (at most {upper:,})" if upper > count else "")
    elif upper:
        text = f"at most {people(upper)} affected, nobody for certain"
    elif incident.attempted_count:
        text = f"nobody affected, {people(incident.attempted_count)} tried"
    else:
        text = "nobody affected"
    if incident.unknown_objects:
        text += f", {many(incident.unknown_objects, 'object')} of unknown owners reached"
    return text + (", a breach" if incident.breach else "")


def actors_text(incident: Incident) -> str:
    """Who it was, in a few words."""
    if not incident.actors:
        return f"nobody ({incident.cause})"
    names = [a.value if a.type != "session" else f"session {a.value[:8]}" for a in incident.actors]
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def block_text(actions: Sequence[Action]) -> str:
    """What was or would be blocked, and why not; to be escaped by who prints it."""
    said: dict[str, list[str]] = {}
    for action in actions:
        if action.kind != "block_ip":
            continue
        guard = action.guard
        if guard.verdict == "pass":
            lasts = f"for {duration(action.until_ms - action.decided_ms)}"
            text = {
                "simulate": f"would block {{}} {lasts} (mode simulate: nothing is sent)",
                "approval": f"asks to block {{}} {lasts}",
            }.get(action.mode, f"blocks {{}} {lasts}")
        elif guard.verdict == "approve":
            text = f"asks before blocking {{}}: {guard.why}"
        else:
            text = f"does not block {{}}: {guard.why}"
        targets = said.setdefault(text, [])
        if action.target not in targets:
            targets.append(action.target)
    return "; ".join(text.replace("{}", _few(targets), 1) for text, targets in said.items()) or "-"


def waits(action: Action) -> bool:
    """Whether an action, where it is performed at all, waits for a person's approval first."""
    if action.mode == "simulate" or action.guard.verdict == "refuse":
        return False
    return action.mode == "approval" or action.guard.verdict == "approve"


def duration(milliseconds: int) -> str:
    """15 min, 2 h: rounded to what is said of a block."""
    minutes = round(milliseconds / 60_000)
    return f"{minutes // 60} h" if minutes and not minutes % 60 else f"{minutes} min"


def _few(values: Sequence[str]) -> str:
    shown = ", ".join(values[:2])
    return shown if len(values) <= 2 else f"{shown} and {len(values) - 2} more"


def print_case(
    console: Console, store: EmbeddedStore, incident: Incident, users: Sequence[str], why: str
) -> None:
    """The heart of one incident: whose data, which log lines prove it, and why it was acted on."""
    if users:
        shown = ", ".join(users[:_FEW_USERS])
        more = f" and {len(users) - _FEW_USERS} more" if len(users) > _FEW_USERS else ""
        console.print(f"\n[bold]Affected by {incident.id}[/]: the people to notify")
        console.print(f"  {printable(shown)}{more}")
    if why:
        console.print("\n[bold]Why it would be acted on[/]")
        console.print(f"  {printable(why)}")
    # It brings an HTTP client along, which whoever only reads incidents must not wait for.
    from streams.capture import evidence_events  # noqa: PLC0415

    events = evidence_events(store, incident)
    lines = sorted(store.lines(events[:_FEW_LINES]), key=lambda line: event_place(line.event))
    if lines:
        names = {source.id: source.name for source in store.sources()}
        console.print(f"\n[bold]Evidence[/]: {len(lines)} of {many(len(events), 'log line')}")
        for line in lines:
            _print_line(console, line, names)


def _print_line(console: Console, line: RawLine, names: Mapping[str, str]) -> None:
    source, offset = event_place(line.event)
    name = Path(names.get(source, source)).name
    console.print(f"  [dim]{printable(name)} byte {offset:,}, sha256 {line.sha256}[/]")
    console.print(f"  {printable(line.data.decode('utf-8', 'backslashreplace'))}")


def print_next(console: Console, incidents: Sequence[Incident], where: str) -> None:
    """The commands that come next; where: the options that lead to the same data."""
    if not incidents:
        return
    case, name = worst(incidents).id, program()
    console.print("\n[bold]Next[/]")
    rows = [
        (f"affected {case}{where}", "the people to notify, one id a line"),
        (f"evidence list {case}{where}", "the log lines that prove it"),
        (f"explain --incident {case}{where}", "why it was flagged and acted on"),
        (f"evidence export {case}{where} -o case.zip", "all of it in one file, for others"),
    ]
    for command, what in rows:
        console.print(f"  [dim]# {what}[/]")
        console.print(f"  {printable(f'{name} {command}')}")


def program() -> str:
    """How this person can call breachline again: it may not be on the PATH."""
    called = sys.argv[0]
    if Path(called).name != "breachline" or shutil.which("breachline"):
        return "breachline"
    return path_text(Path(called))


def path_text(path: Path) -> str:
    """A path as it can be typed here: relative if it is below, quoted if it must be."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def log_names(formats: Mapping[str, str]) -> str:
    """Such as: access.log (nginx), b.log (ecs)."""
    parts = [
        f"{Path(name).name} ({form or 'nothing understood'})" for name, form in formats.items()
    ]
    if len(parts) > 3:
        return f"{', '.join(parts[:3])} and {len(parts) - 3} more"
    return ", ".join(parts) or "no lines"
