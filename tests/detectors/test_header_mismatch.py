import pytest

from tests.detectors._events import at, judged, severities

RULE = "header_mismatch"
SESSION = at(0).session("s1")
CASES = [
    ("a claim that was denied", [at(0).user("u-1").mismatch("u-2", outcome="denied")], ["medium"]),
    ("a claim that succeeded", [at(0).user("u-1").mismatch("u-2")], ["medium", "high"]),
    (
        "near miss of high: one id again and again, denied",
        [at(i).user("u-1").mismatch("u-2", outcome="denied") for i in range(30)],
        ["medium"],
    ),
    (
        "two ids, denied",
        [at(i).user("u-1").mismatch(f"u-{i + 2}", outcome="denied") for i in range(2)],
        ["medium", "high"],
    ),
    (
        "near miss of high: two ids over a day apart",
        [at(i * 90_000).user("u-1").mismatch(f"u-{i}", outcome="denied") for i in range(2)],
        ["medium", "medium"],
    ),
    (
        "near miss: two ids against a principal that nobody vouches for",
        [at(i).session("s").user("u-1", "asserted").mismatch(f"u-{i + 2}") for i in range(2)],
        [],
    ),
    (
        "three ids against such a principal",
        [at(i).session("s").user("u-1", "asserted").mismatch(f"u-{i + 2}") for i in range(3)],
        ["medium"],
    ),
    (
        "four of a browser that another site made send weigh less than one",
        [at(i).user("u-1").elsewhere().mismatch(f"u-{i + 2}") for i in range(4)],
        [],
    ),
    ("ordinary: the header names the caller", [at(0).user("u-1").looks("u-1", claimed="u-1")], []),
    ("ordinary: no header", [at(0).user("u-1").read("u-2")], []),
]


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


def test_finding_names_the_claimed_and_the_vouched_for_principal():
    signals = [at(i * 20).user("u-1").mismatch(f"u-{3 - i}", outcome="denied") for i in range(2)]
    finding = judged(RULE, signals)[-1]
    assert str(finding.actor) == "principal:u-1"
    assert finding.principal == "u-1"
    assert finding.users == ("u-2", "u-3")
    assert finding.confidence == 0.93
    assert finding.message == (
        "u-1 claimed to be 2 other users in 20 s (limit 2 in 24 h): u-2, u-3"
    )


def test_unvouched_principal_is_not_the_actor_and_never_sure():
    signals = [at(i).session("s9").user("u-1", "unverified").mismatch(f"u-{i}") for i in range(4)]
    (finding,) = judged(RULE, signals)
    assert (str(finding.actor), finding.principal, finding.confidence) == ("session:s9", "", 0.7)
