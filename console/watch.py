"""What a person watches while the service runs: alerts as they come, and one status line.

In: steps and receipts. Out: lines on stdout (text, or findings as NDJSON); the status line appears
only on a terminal.
"""

from collections.abc import Iterable
from typing import Self

import orjson
from rich.console import Console
from rich.status import Status

from console import report
from evidence.store import EmbeddedStore
from records.finding import Finding
from records.ids import iso
from records.incident import Action, Incident, Receipt
from streams.lines import Frame
from streams.pipeline import Step
from streams.results import finding_documents

_STYLE = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bold red"}


class Watcher:
    """Prints what each committed step found."""

    def __init__(self, store: EmbeddedStore, *, as_json: bool) -> None:
        self._store = store
        self._json = as_json
        self._console = Console(highlight=False)
        self._lines = 0
        self._incidents: dict[str, Incident] = {}
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
            self._print_json(step.findings)
        else:
            for finding in step.findings:
                self._finding(finding, step.incidents)
            for action in step.actions:
                self._action(action)
        if self._status is not None:
            live = [i for i in self._incidents.values() if i.status != "closed"]
            people = sum(incident.affected_count for incident in live)
            self._status.update(
                f"following {report.printable(frame.name)}: {self._lines:,} lines, "
                f"{len(live)} incidents, {people:,} people affected   (Ctrl-C ends)"
            )

    def receipt(self, receipt: Receipt) -> None:
        """An enforcement point answered."""
        if self._json or receipt.point == "evidence":
            return
        action = self._store.log.action(receipt.action)
        if action is not None and action.mode == "enforce":
            self._console.print(
                f"           {receipt.point}: {receipt.state}: {report.printable(receipt.detail)}",
                soft_wrap=True,
            )

    def _print_json(self, findings: Iterable[Finding]) -> None:
        for document in finding_documents(self._store, findings):
            self._console.out(orjson.dumps(document).decode(), highlight=False)

    def _finding(self, finding: Finding, incidents: Iterable[Incident]) -> None:
        style = _STYLE[finding.severity]
        self._console.print(
            f"{iso(finding.end_ms)[11:19]}  [{style}]{finding.severity:<8}[/] {finding.rule}: "
            f"{report.printable(finding.message)}",
            soft_wrap=True,
        )
        for incident in incidents:
            if finding.id in incident.findings and incident.status != "closed":
                breach = ", a breach" if incident.breach else ""
                self._console.print(
                    f"           [dim]{incident.severity} {incident.id}: "
                    f"{incident.affected_count:,} people affected{breach}[/]",
                    soft_wrap=True,
                )

    def _action(self, action: Action) -> None:
        if action.kind == "block_ip":
            self._console.print(
                f"           {report.printable(report.block_text([action]))}", soft_wrap=True
            )
