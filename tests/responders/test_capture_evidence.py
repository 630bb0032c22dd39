import asyncio

import pytest

from records.incident import Action, Guard, Receipt
from responders._base import Plan
from responders.capture_evidence import CaptureEvidence, CaptureResult

AT_MS = 1_795_341_600_000
ACTION = Action(
    id="act-1",
    kind="capture_evidence",
    target="inc-1",
    until_ms=0,
    mode="enforce",
    reason="SEV1",
    incident="inc-1",
    findings=("fin-1",),
    guard=Guard("pass", "nothing is changed"),
    decided_ms=AT_MS,
)
PLAN = Plan(
    action="act-1",
    kind="capture_evidence",
    point="evidence",
    target="inc-1",
    want="",
    doing="capturing evidence of inc-1",
)

NOTHING_MISSING = "kept 5 lines, 0 could not be read back"


class Lines:
    """Keeps what it is told to."""

    def __init__(self, result):
        self.result = result
        self.asked = []

    def slices(self, incident_id):
        self.asked.append(incident_id)
        yield CaptureResult(1, 0)
        if isinstance(self.result, OSError):
            raise self.result
        yield self.result


def test_plan_names_the_incident():
    assert CaptureEvidence(Lines(None)).plan(ACTION) == PLAN


def test_evidence_is_not_undone():
    assert CaptureEvidence(Lines(None)).undo(ACTION) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("name", "result", "state", "detail", "least_s"),
    [
        ("all", CaptureResult(37, 0), "confirmed", "kept 37 lines, 0 could not be read back", None),
        ("one", CaptureResult(1, 0), "confirmed", "kept 1 line, 0 could not be read back", None),
        ("gone", CaptureResult(5, 2), "confirmed", "kept 5 lines, 2 could not be read back", None),
        (
            "too many",
            CaptureResult(5, 2, 9),
            "confirmed",
            "kept 5 lines, 2 could not be read back, 9 left out beyond the limits of capture",
            None,
        ),
        (
            "to be looked up",
            CaptureResult(5, 2, others="looked up"),
            "confirmed",
            "kept 5 lines, 2 could not be read back; other requests of its actors are looked up",
            None,
        ),
        (
            "no history",
            CaptureResult(5, 0, others="unknown"),
            "confirmed",
            f"{NOTHING_MISSING}; other requests of its actors are unknown: no history is kept here",
            None,
        ),
        (
            "disk full",
            OSError(28, "No space left on device"),
            "failed",
            "capturing evidence of inc-1: No space left on device",
            1.0,
        ),
    ],
)
def test_perform(name, result, state, detail, least_s):
    lines = Lines(result)
    receipt = asyncio.run(CaptureEvidence(lines).perform(PLAN, AT_MS, 3))
    assert receipt == Receipt(
        action="act-1",
        state=state,
        at_ms=AT_MS,
        point="evidence",
        detail=detail,
        attempt=3,
        retry_after_s=least_s,
    )
    assert lines.asked == ["inc-1"]


def test_there_is_nothing_to_read_back():
    assert asyncio.run(CaptureEvidence(Lines(None)).read_back(PLAN, AT_MS)) == ""


def test_others_go_on_between_two_steps():
    """A long capture must not hold up a block."""
    seen: list[object] = []

    class Long:
        def slices(self, incident_id):
            for n in range(3):
                seen.append(n)
                yield CaptureResult(n, 0)

    async def both():
        async def other():
            for _ in range(3):
                seen.append("other")
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(CaptureEvidence(Long()).perform(PLAN, AT_MS, 1))
            tasks.create_task(other())

    asyncio.run(both())
    assert seen == [0, "other", 1, "other", 2, "other"]
