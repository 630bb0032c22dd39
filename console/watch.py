"""What a person watches while the service runs: alerts as they come, and one status line.

In: steps and receipts. Out: lines on stdout (text, or findings as NDJSON); the status line appears
only on a terminal.
"""

from typing import Self

from rich.status import Status

from console import report
from console.options import print_ndjson
from console.screen import Screen
from evidence.store import EmbeddedStore
from records.finding import Finding
from records.ids import iso
from records.incident import Action, Receipt
from streams.decider import Step
from streams.lines import Frame
from streams.results import finding_documents

_STYLE = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bold red"}
_INDENT = " " * 10


class Watcher:
    """Prints what each committed step found."""

    def __init__(self, store: EmbeddedStore, *, as_json: bool) -> None:
        self._store = store
        self._json = as_json
        self._console = Screen()
        self._lines = 0
        self._day = ""
        self._incidents = {one.id: one for one in store.incidents()}
        self._status: Status | None = None
        if self._console.is_terminal and not as_json:
            self._status = self._console.status("reading")

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._status is not None:
            self._status.stop()

    def step(self, frame: Frame, step: Step) -> None:
        """One frame was read and is durable."""
        self._lines += step.batch.lines
        for incident in step.incidents:
            self._incidents[incident.id] = incident
        if self._json:
            if step.findings:
                print_ndjson(finding_documents(self._store, step.findings))
        else:
            self._tell(step)
        if self._status is not None:
            live = [i for i in self._incidents.values() if i.status != "closed"]
            people = sum(incident.affected_count for incident in live)
            self._status.update(
                f"following {report.printable(frame.name)}: {self._lines:,} lines, "
                f"{report.many(len(live), 'incident')}, {report.people(people)} affected   "
                "(Ctrl-C ends)"
            )

    def receipt(self, receipt: Receipt) -> None:
        """An enforcement point answered."""
        if self._json or receipt.point == "evidence":
            return
        action = self._store.log.action(receipt.action)
        if action is not None and action.mode != "simulate":
            self._console.print(
                f"{_INDENT}{receipt.point}: {receipt.state}: {report.printable(receipt.detail)}"
            )

    def _tell(self, step: Step) -> None:
        for finding in step.findings:
            self._finding(finding)
        found = {finding.id for finding in step.findings}
        for incident in step.incidents:
            if incident.status != "closed" and not found.isdisjoint(incident.findings):
                self._console.print(
                    f"{_INDENT}[dim]{incident.severity} {incident.id}: "
                    f"{report.affected_text(incident)}[/]"
                )
        for action in step.actions:
            self._action(action)

    def _finding(self, finding: Finding) -> None:
        when, style = iso(finding.end_ms), _STYLE[finding.severity]
        if when[:10] != self._day:
            self._day = when[:10]
            self._console.print(f"[dim]{self._day} UTC[/]")
        self._console.print(
            f"{when[11:19]}  [{style}]{finding.severity:<8}[/]  {finding.rule}: "
            f"{report.printable(finding.message)}"
        )

    def _action(self, action: Action) -> None:
        if action.kind == "block_ip":
            self._console.print(f"{_INDENT}{report.printable(report.block_text([action]))}")
            if report.waits(action):
                decide = f"{report.program()} block --approve {action.id}"
                self._console.print(f"{_INDENT}[dim]{report.printable(decide)}   (or --reject)[/]")
