import pytest

from incidents.guards import Guards, Situation, network_of
from incidents.population import Population
from incidents.settings import PolicySettings
from records.incident import Guard
from tests.incidents._world import HOUR, MINUTE, SECOND, T0, finding, principal

A = principal("u-1")
IP = "203.0.113.7"
ALL = ("n1", "n2", "n3", "n4")


def crowd(ip, *names, time_ms=T0 - 10 * MINUTE):
    return {(ip, name): time_ms for name in names}


def situation(**changes):
    values = {
        "target": IP,
        "findings": (finding(A, T0),),
        "principals": frozenset({"u-1"}),
        "first_foreign_ms": T0,
        "last_foreign_ms": T0,
        "now_ms": T0,
        "history_from_ms": T0 - HOUR,
    }
    return Situation(**{**values, **changes})


LISTED = {"never_block": [{"cidr": "203.0.113.0/24", "reason": "head office"}]}
UNTIL = {"never_block": [{"cidr": "203.0.113.0/24", "until": "2026-01-01"}]}
ELSEWHERE = crowd("192.0.2.1", "someone")
CASES = [
    ("all well", {}, ELSEWHERE, situation(),
     Guard("pass", "all guards passed")),
    ("never-block list", LISTED, ELSEWHERE, situation(),
     Guard("refuse", "203.0.113.7 is on the never-block list: 203.0.113.0/24 (head office)")),
    ("on the list, written as IPv6", LISTED, ELSEWHERE, situation(target="::ffff:203.0.113.7"),
     Guard("refuse",
           "::ffff:203.0.113.7 is on the never-block list: 203.0.113.0/24 (head office)")),
    ("a network that holds a listed one", LISTED, ELSEWHERE, situation(target="203.0.0.0/16"),
     Guard("refuse", "203.0.0.0/16 is on the never-block list: 203.0.113.0/24 (head office)")),
    ("a void entry", UNTIL, ELSEWHERE, situation(), Guard("pass", "all guards passed")),
    ("a trusted proxy", {}, ELSEWHERE, situation(target="10.1.2.3"),
     Guard("refuse", "10.1.2.3 is in 10.0.0.0/8: a trusted proxy or our own address")),
    ("loopback", {}, ELSEWHERE, situation(target="::1"),
     Guard("refuse", "::1 is in ::1/128: a trusted proxy or our own address")),
    ("no address", {}, ELSEWHERE, situation(target="unknown"),
     Guard("refuse", "'unknown' is no address: see which field client_ip names")),
    ("a header that a client wrote", {}, ELSEWHERE,
     situation(findings=(finding(A, T0, untrusted_ips=(IP,)),)),
     Guard("refuse", "203.0.113.7 comes from a forwarding header that no trusted proxy set: "
                     "list the proxy under intake.trusted_proxies")),
    ("three innocents", {}, crowd(IP, *ALL[:3]), situation(), Guard("pass", "all guards passed")),
    ("four innocents", {}, crowd(IP, *ALL), situation(),
     Guard("refuse", "4 innocent principals behind 203.0.113.7 in the last hour (limit 3)")),
    ("the attacker is not innocent", {}, crowd(IP, *ALL[:3], "u-1"), situation(),
     Guard("pass", "all guards passed")),
    ("who came after the attack is not", {}, crowd(IP, *ALL, time_ms=T0 + MINUTE),
     situation(now_ms=T0 + 2 * MINUTE), Guard("pass", "all guards passed")),
    ("a network has no innocents to spare", {}, crowd(IP, "n1"), situation(target="203.0.113.0/28"),
     Guard("refuse", "1 innocent principals behind 203.0.113.0/28 in the last hour (limit 0)")),
    ("a /64 counts whole", {}, crowd("2001:db8::1", "n1", "n2") | crowd("2001:db8::2", "n3", "n4"),
     situation(target="2001:db8::9"),
     Guard("refuse", "4 innocent principals behind 2001:db8::9 in the last hour (limit 3)")),
    ("a /64 may have three innocents, as one IPv4 address may", {},
     crowd("2001:db8::1", "n1", "n2") | crowd("2001:db8::2", "n3"),
     situation(target="2001:db8::/64"), Guard("pass", "all guards passed")),
    ("and no fourth", {}, crowd("2001:db8::1", "n1", "n2") | crowd("2001:db8::2", "n3", "n4"),
     situation(target="2001:db8::/64"),
     Guard("refuse", "4 innocent principals behind 2001:db8::/64 in the last hour (limit 3)")),
    ("anything wider has none to spare", {}, crowd("2001:db8::1", "n1"),
     situation(target="2001:db8::/63"),
     Guard("refuse", "1 innocent principals behind 2001:db8::/63 in the last hour (limit 0)")),
    ("one address of a /64 is listed", {"never_block": [{"cidr": "2001:db8::9/128"}]}, ELSEWHERE,
     situation(target="2001:db8::/64"),
     Guard("refuse", "2001:db8::/64 is on the never-block list: 2001:db8::9/128")),
    ("a trusted proxy is in it", {}, ELSEWHERE, situation(target="fd00:0:0:1::/64"),
     Guard("refuse", "fd00:0:0:1::/64 is in fd00:0:0:1::5/128: a trusted proxy or our own "
                     "address")),
    ("one of its addresses a client wrote itself", {}, ELSEWHERE,
     situation(target="2001:db8::/64", findings=(finding(A, T0, untrusted_ips=("2001:db8::3",)),)),
     Guard("refuse", "2001:db8::/64 comes from a forwarding header that no trusted proxy set: "
                     "list the proxy under intake.trusted_proxies")),
    ("a crowd of an address written as IPv6", {}, crowd(IP, *ALL),
     situation(target="::ffff:203.0.113.7"),
     Guard("refuse", "4 innocent principals behind ::ffff:203.0.113.7 in the last hour (limit 3)")),
    ("nobody can be counted", {}, {}, situation(),
     Guard("approve", "nobody behind 203.0.113.7 can be counted: "
                      "no vouched-for principals in the last hour")),
    ("ten minutes old", {}, ELSEWHERE, situation(last_foreign_ms=T0 - 600 * SECOND),
     Guard("pass", "all guards passed")),
    ("backlog", {}, ELSEWHERE, situation(last_foreign_ms=T0 - 601 * SECOND),
     Guard("refuse", "backlog: the last foreign event was at 2026-11-18T09:49:59.000Z, "
                     "over 10 min before now")),
    ("short history", {}, ELSEWHERE, situation(history_from_ms=T0 - 59 * MINUTE),
     Guard("approve", "only 59 min of history (needs 60): who is usual here is not known yet")),
    ("low confidence", {}, ELSEWHERE, situation(findings=(finding(A, T0, confidence=0.7),)),
     Guard("approve", "confidence 0.70 below 0.90")),
    ("confidence just below", {}, ELSEWHERE,
     situation(findings=(finding(A, T0, confidence=0.8999),)),
     Guard("approve", "confidence 0.89 below 0.90")),
    ("a rule that never blocks", {}, ELSEWHERE,
     situation(findings=(finding(A, T0, rule="anomaly"),)),
     Guard("refuse", "anomaly never blocks by itself")),
    ("a refusal goes before a doubt", LISTED, {}, situation(),
     Guard("refuse", "203.0.113.7 is on the never-block list: 203.0.113.0/24 (head office)")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "people", "given", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_guards(settings, people, given, expected):
    population = Population()
    population.observe(people)
    guards = Guards(PolicySettings(**settings), population, ["10.0.0.0/8", "fd00:0:0:1::5"])
    assert guards.judge(given) == expected


def test_network_of_a_zone_id_and_of_nonsense():
    assert str(network_of("fe80::1%eth0")) == "fe80::1/128"
    assert network_of("not an address") is None


def test_carriers():
    guards = Guards(PolicySettings(carriers=["198.51.100.0/24"]), Population())
    assert guards.is_carrier("198.51.100.9")
    assert not guards.is_carrier("203.0.113.9")
