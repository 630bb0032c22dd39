import pytest

from tests.detectors._events import at, judged, severities

RULE = "cross_user_read"


def reads(count, every_s=60, **facts):
    return [at(i * every_s).user("u-17").read(f"u-{i + 18}", **facts) for i in range(count)]


CASES = [
    ("one", reads(1), ["medium"]),
    ("near miss of high: two", reads(2), ["medium"]),
    ("three", reads(3), ["medium", "high"]),
    ("near miss of high: a third a day later", [*reads(2), *reads(1, 1)[:0],
        at(86_461).user("u-17").read("u-40")], ["medium", "medium"]),
    ("one person a hundred times", [at(i).user("a").read("b") for i in range(100)], ["medium"]),
    ("near miss of critical: nine", reads(9), ["medium", "high"]),
    ("ten", reads(10), ["medium", "high", "critical"]),
    ("three financial", reads(3, category="financial"), ["medium", "high", "critical"]),
    ("near miss of critical: two financial and one not", [*reads(2, category="financial"),
        at(200).user("u-17").read("u-40")], ["medium", "high"]),
    ("ten at once", [at(0).user("a").read(*(f"u-{i}" for i in range(10)))],
        ["medium", "high", "critical"]),
    ("a service outside of its networks", [at(0).user("batch").read("u-1",
        out_of_bounds="batch")], ["medium", "high"]),
    ("presumed by a learned owner", [at(0).user("a").read("b", certainty="presumed",
        basis="ownership")], ["medium"]),
    ("near miss: presumed by a claim", [at(0).user("a").read("b", certainty="presumed",
        basis="claimed")], []),
    ("near miss: HEAD", [at(0).user("a").read("b", certainty="possible", outcome="metadata")], []),
    ("near miss: denied", [at(0).user("a").denied("b")], []),
    ("near miss: a write", [at(0).user("a").write("b")], []),
    ("near miss: nobody", [at(0).anonymous().read("b")], []),
    ("four that another site sent", [at(i).user("a").elsewhere().read(f"u-{i}")
        for i in range(4)], []),
    ("ordinary: own data", [at(i).user("a").read("a", verdict="own") for i in range(50)], []),
    ("ordinary: not comparable", [at(i).user("a").looks(f"{i}") for i in range(5)], []),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


def test_finding_says_who_whose_and_beside_which_limit():
    signals = [
        at(i * 28_800).user("u-17").agent("f1").read(f"u-{20 - i}", status=200) for i in range(3)
    ]
    finding = judged(RULE, signals)[-1]
    assert finding.severity == "high"
    assert finding.users == ("u-18", "u-19", "u-20")
    assert finding.evidence == tuple(signal.event for signal in signals)
    assert (finding.start_ms, finding.end_ms) == (signals[0].time_ms, signals[2].time_ms)
    assert finding.message == (
        "u-17 read data of 3 other users in 16 h (limit 3 in 24 h): u-18, u-19, u-20"
    )
    assert finding.explain == {
        "targets": 3, "limit": 3, "span_s": 57_600, "window_s": 86_400.0,
        "provenance": "gateway", "cross_site": 0,
    }  # fmt: skip
    assert finding.fingerprints == ("f1",)
    assert finding.confidence == 0.93


def test_another_sites_requests_cannot_make_it_sure():
    signals = [at(i).user("a").elsewhere().read(f"u-{i}") for i in range(15)]
    findings = judged(RULE, signals)
    assert [(f.severity, f.confidence) for f in findings] == [("medium", 0.5), ("high", 0.5)]


def test_confidence_is_the_weakest_provenance():
    signals = [
        at(0).session("s").user("a", "unverified").read("u-1"),
        at(1).session("s").user("a", "asserted").read("u-2"),
        at(2).session("s").user("a", "asserted").read("u-3"),
    ]
    findings = judged(RULE, signals)
    assert [(f.severity, f.confidence) for f in findings] == [("medium", 0.7), ("high", 0.7)]
    assert str(findings[1].actor) == "session:s"


def test_limits_are_settings():
    signals = [at(i * 100).user("a").read(f"u-{i}") for i in range(6)]
    assert severities(RULE, signals, limit=2, window="150s") == ["medium", "high"]
    assert severities(RULE, signals, limit=3, window="150s") == ["medium"]
