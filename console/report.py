"""What a person reads after a scan or a first look: blind spots, incidents, what to do next.

In: records and counts. Out: text on a rich console. Everything that a client may have written is
escaped: a user agent must not paint the screen.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from records.ids import iso
from records.incident import Action, Incident
from streams.hints import Hint

_STYLE = {"SEV1": "bold red", "SEV2": "red", "SEV3": "yellow", "SEV4": "cyan"}
_MANY = 25


def plain(text: str) -> str:
    """Text without control characters: what a client wrote must not steer the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def printable(text: str) -> str:
    """Text for a rich console: no control characters, no markup."""
    return escape(plain(text))


def totals_line(summary: Mapping[str, object]) -> str:
    """One sentence: how much was read."""
    rejected = summary["rejected"]
    assert isinstance(rejected, dict)  # noqa: S101  our own document
    return (
        f"Read {summary['lines']:,} lines: {summary['events']:,} events, "
        f"{rejected['total']:,} rejected, {summary['duplicate']:,} duplicate, "
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
    if rejected["total"]:
        reasons = ", ".join(
            f"{reason} {count:,}" for reason, count in sorted(rejected.items()) if reason != "total"
        )
        console.print(f"Rejected: {reasons} (each with its reason in rejects.ndjson).")


def print_hints(console: Console, found: Sequence[Hint]) -> None:
    """What the log does not say, with the line that would add it."""
    if not found:
        return
    console.print("\n[bold yellow]What this log does not say[/]")
    for hint in found:
        console.print(f"  [yellow]![/] {printable(hint.says)}", soft_wrap=True)
        for line in hint.add.split("\n"):
            console.print(f"      [dim]add:[/] {escape(line)}", soft_wrap=True, highlight=False)


def print_incidents(
    console: Console, incidents: Sequence[Incident], actions: Iterable[Action]
) -> None:
    """One row an incident, the worst first."""
    if not incidents:
        console.print("\n[bold green]No incident.[/]")
        return
    by_incident: dict[str, list[Action]] = {}
    for action in actions:
        by_incident.setdefault(action.incident, []).append(action)
    breaches = sum(incident.breach for incident in incidents)
    console.print(
        f"\n[bold]{len(incidents)} incident{'s' * (len(incidents) != 1)}[/], "
        f"{breaches} of them a breach"
    )
    ordered = sorted(incidents, key=lambda i: (i.severity, -i.affected_count, i.id))
    for incident in ordered[:_MANY]:
        _print_incident(console, incident, by_incident.get(incident.id, []))
    if len(incidents) > _MANY:
        console.print(f"\nand {len(incidents) - _MANY} more: breachline incidents --json")


def _print_incident(console: Console, incident: Incident, actions: Sequence[Action]) -> None:
    people = f"{incident.affected_count:,} people affected"
    if incident.affected_upper > incident.affected_count:
        people += f" (at most {incident.affected_upper:,})"
    if not incident.affected_count and incident.attempted_count:
        people = f"nobody affected, {incident.attempted_count:,} tried"
    seen = f"{iso(incident.first_seen_ms)[:19]} to {iso(incident.last_seen_ms)[:19]}"
    console.print(
        f"\n[{_STYLE[incident.severity]}]{incident.severity}[/] [bold]{incident.id}[/]  {people}",
        soft_wrap=True,
    )
    lines = [f"{actors_text(incident)}   {', '.join(incident.rules)}", f"{seen} UTC"]
    if (blocks := block_text(actions)) != "-":
        lines.append(blocks)
    for line in lines:
        console.print(f"     {printable(line)}", soft_wrap=True)


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
            words = {"simulate": "would block {}", "approval": "asks to block {}"}
            said.setdefault(words.get(action.mode, "blocks {}"), []).append(action.target)
        elif guard.verdict == "approve":
            said.setdefault(f"asks before blocking {{}}: {guard.why}", []).append(action.target)
        else:
            said.setdefault(f"does not block {{}}: {guard.why}", []).append(action.target)
    return "; ".join(text.replace("{}", _few(targets)) for text, targets in said.items()) or "-"


def _few(values: Sequence[str]) -> str:
    shown = ", ".join(values[:2])
    return shown if len(values) <= 2 else f"{shown} and {len(values) - 2} more"


def print_next(console: Console, incidents: Sequence[Incident], where: str) -> None:
    """The commands that come next."""
    affected = [i for i in incidents if i.affected_count]
    if not incidents:
        return
    worst = min(affected or incidents, key=lambda i: (i.severity, -i.affected_count, i.id))
    console.print("\n[bold]Next[/]")
    rows = [
        (f"breachline affected {worst.id}{where}", "the people to notify, one id a line"),
        (f"breachline evidence list {worst.id}{where}", "the log lines that prove it"),
        (f"breachline explain --incident {worst.id}{where}", "why it was flagged and acted on"),
    ]
    for command, what in rows:
        console.print(f"  {command}   [dim]# {what}[/]", soft_wrap=True, highlight=False)


def log_names(formats: Mapping[str, str]) -> str:
    """Such as: access.log (nginx), b.log (ecs)."""
    parts = [
        f"{Path(name).name} ({form or 'nothing understood'})" for name, form in formats.items()
    ]
    if len(parts) > 3:
        return f"{', '.join(parts[:3])} and {len(parts) - 3} more"
    return ", ".join(parts) or "no lines"
