"""Keeps the raw lines of an incident, so that they outlive the logs they came from.

In: an Action that names an incident. Out: a Receipt with how many lines were kept. Where lines are
found and stored is the business of what is given to the constructor; keeping a line twice MUST
store it once.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from records.incident import Action, Receipt
from records.kinds import ActionKind
from responders._base import Fault, Plan, ReadBack, failed


class CaptureResult(msgspec.Struct, frozen=True):
    """How many lines of an incident are kept, and how many could not be read back."""

    kept: int
    missing: int
    left_out: int = 0
    """Beyond the limits of one incident."""
    others: Literal["", "looked up", "unknown"] = ""
    """What becomes of other requests of its actors; unknown: there is no history here."""


_OTHERS = {
    "": "",
    "looked up": "; other requests of its actors are looked up",
    "unknown": "; other requests of its actors are unknown: no history is kept here",
}


class Capture(Protocol):
    """Finds an incident's raw lines and keeps them."""

    def slices(self, incident_id: str) -> Iterable[CaptureResult]:
        """Keep every line that can still be read, in short steps; the last result is final.

        Raises:
            OSError: the lines could not be stored, so trying again can help.
        """
        ...


class CaptureEvidence:
    """Evidence of one incident."""

    kind: ActionKind = "capture_evidence"
    point = "evidence"

    def __init__(self, store: Capture) -> None:
        self._store = store

    def plan(self, action: Action) -> Plan:
        """Keep the lines of the action's incident."""
        return Plan(
            action=action.id,
            kind=self.kind,
            point=self.point,
            target=action.incident,
            want="",
            doing=f"capturing evidence of {action.incident}",
        )

    def undo(self, action: Action) -> None:
        """Evidence has no end here: retention is the store's."""

    async def perform(self, plan: Plan, at_ms: int, attempt: int) -> Receipt:
        """Keep the lines; doing it again keeps the same ones."""
        result = CaptureResult(kept=0, missing=0)
        try:
            for result in self._store.slices(plan.target):  # noqa: B007  the last one counts
                # In between, others respond and detect.
                await asyncio.sleep(0)
        except OSError as error:
            fault = Fault(detail=error.strerror or type(error).__name__)
            return failed(plan, fault, at_ms, attempt)
        lines = "line" if result.kept == 1 else "lines"
        words = f"kept {result.kept} {lines}, {result.missing} could not be read back"
        if result.left_out:
            words += f", {result.left_out} left out beyond the limits of capture"
        return Receipt(
            action=plan.action,
            state="confirmed",
            at_ms=at_ms,
            point=self.point,
            detail=words + _OTHERS[result.others],
            attempt=attempt,
        )

    async def read_back(self, plan: Plan, at_ms: int) -> ReadBack:  # noqa: ARG002  the Protocol's
        """Nothing to ask: a capture is repeated, not looked up."""
        return ""
