import pytest

from tests.detectors._events import at, judged, severities

RULE = "canary"
KNOWN = at(0).user("a")
CASES = [
    ("a known principal", [KNOWN.canary("c-1")], ["high"]),
    ("a session", [at(0).session("s").canary("c-1")], ["high"]),
    ("refused", [KNOWN.canary("c-1", outcome="denied", status=403)], ["high"]),
    ("near miss of critical: one twice", [at(i).user("a").canary("c-1") for i in range(2)],
        ["high"]),
    ("two", [at(i).user("a").canary(f"c-{i}") for i in range(2)], ["high", "critical"]),
    ("two at once", [KNOWN.canary("c-1", "c-2")], ["high", "critical"]),
    ("near miss of high: a planted link", [KNOWN.elsewhere().canary("c-1")], ["low"]),
    ("near miss of high: a crawler", [KNOWN.canary("c-1", crawler=True)], ["low"]),
    ("near miss of high: HEAD", [KNOWN.canary("c-1", method="HEAD")], ["low"]),
    ("near miss of high: nobody", [at(0).canary("c-1")], ["low"]),
    ("near miss of high: a name that anyone could write",
        [at(0).user("a", "asserted").canary("c-1")], ["low"]),
    ("near miss of critical: one of two is a planted link",
        [KNOWN.canary("c-1"), KNOWN.elsewhere().canary("c-2")], ["high", "low"]),
    ("ordinary", [KNOWN.read("u-1")], []),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


def test_finding():
    (low,) = judged(RULE, [at(0).ip("192.0.2.9").elsewhere().canary("c-1")])
    assert (low.confidence, low.users) == (0.3, ("c-1",))
    assert low.message == "192.0.2.9 asked for 1 canary id (limit 1 in 24 h): c-1"
