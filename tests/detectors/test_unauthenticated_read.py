import pytest

from tests.detectors._events import ADDRESS, at, judged, severities

RULE = "unauthenticated_read"


def nobody(count, **facts):
    return [at(i).anonymous("verified").read(f"u-{i}", **facts) for i in range(count)]


CASES = [
    ("one", nobody(1), ["high"]),
    ("near miss of critical: nine", nobody(9), ["high"]),
    ("ten", nobody(10), ["high", "critical"]),
    ("near miss: no body", nobody(3, outcome="metadata", certainty="possible"), []),
    ("near miss: refused", [at(0).anonymous().denied("u-1")], []),
    ("near miss: a write", [at(0).anonymous().write("u-1")], []),
    ("near miss: a log without credentials", [at(i).looks(f"u-{i}") for i in range(20)], []),
    ("ordinary: somebody", [at(0).user("a").read("u-1")], []),
]


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


def test_one_page_is_not_sure_enough_to_block_its_reader_and_ten_are():
    findings = judged(RULE, nobody(10))
    assert [f.confidence for f in findings] == [0.85, 0.97]
    assert {f.ips for f in findings} == {(ADDRESS,)}
    assert {str(f.actor) for f in findings} == {f"ip:{ADDRESS}"}


def test_the_actor_is_the_session_where_there_is_one():
    (finding,) = judged(RULE, [at(0).anonymous().session("s1").read("u-1")])
    assert (str(finding.actor), finding.sessions) == ("session:s1", ("s1",))


def test_a_64_is_one_reader_where_many_of_its_addresses_read():
    signals = [at(i).ip(f"2001:db8::{i + 1:x}").anonymous().read(f"u-{i}") for i in range(10)]
    found = [(str(f.actor), f.severity, len(f.users)) for f in judged(RULE, signals)]
    each = [(f"ip:2001:db8::{i + 1:x}", "high", 1) for i in range(10)]
    net = "subnet:2001:db8::/64"
    assert found == [*each[:3], (net, "high", 3), *each[3:], (net, "critical", 10)]


def test_two_strangers_in_one_64_are_two():
    signals = [at(i).ip(f"2001:db8::{i + 1:x}").anonymous().read(f"u-{i}") for i in range(2)]
    assert [f.actor.type for f in judged(RULE, signals)] == ["ip", "ip"]
