import pytest

from tests.detectors._events import at, judged, severities

RULE = "cross_user_write"
CASES = [
    ("one", [at(0).user("a").write("b")], ["high"]),
    ("near miss of critical: one person twice", [at(i).user("a").write("b") for i in range(2)],
        ["high"]),
    ("two", [at(i).user("a").write(f"u-{i}") for i in range(2)], ["high", "critical"]),
    ("near miss of critical: over a day apart", [at(i * 86_401).user("a").write(f"u-{i}")
        for i in range(2)], ["high", "high"]),
    ("money", [at(0).user("a").write("b", category="financial")], ["high", "critical"]),
    ("a password", [at(0).user("a").write("b", category="credential")], ["high", "critical"]),
    ("by nobody", [at(0).anonymous().write("b")], ["high"]),
    ("presumed", [at(0).user("a").write("b", certainty="presumed")], ["high"]),
    ("near miss: 202", [at(0).user("a").write("b", certainty="possible", outcome="possible")], []),
    ("near miss: denied", [at(0).user("a").denied("b", effect="write")], []),
    ("ordinary: a read", [at(0).user("a").read("b")], []),
    ("ordinary: own data", [at(0).user("a").write("a", verdict="own")], []),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


def test_finding():
    findings = judged(RULE, [at(0).user("a", "verified").write("b", category="credential")])
    assert [(f.severity, f.confidence, f.message) for f in findings] == [
        ("high", 0.93, "a changed data of 1 other user (limit 1 in 24 h): b"),
        ("critical", 0.97, "a changed money or credentials of 1 other user (limit 1 in 24 h): b"),
    ]
