import pytest

from incidents.faults import Recent, counts_as, limit_of, spans
from tests.incidents._world import MINUTE, SECOND, T0, address, finding, net, principal, session

MANY = [(n * SECOND, f"a{n}") for n in range(21)]
SPANS = [
    ("nobody", [], []),
    ("twenty", MANY[:20], []),
    ("twenty-one", MANY, [(0, 20 * SECOND, 20 * SECOND)]),
    ("one actor often", [(n, "a") for n in range(100)], []),
    ("exactly the window", [*MANY[:20], (5 * MINUTE, "last")], [(0, 5 * MINUTE, 5 * MINUTE)]),
    ("just beyond", [*MANY[:20], (5 * MINUTE + 1, "last")], []),
    (
        "a second one later",
        [*MANY, *((3_600_000 + t, who) for t, who in MANY)],
        [(0, 20 * SECOND, 20 * SECOND), (3_600_000, 3_620_000, 3_620_000)],
    ),
    ("goes on", [(n * SECOND, f"a{n}") for n in range(400)], [(0, 399 * SECOND, 20 * SECOND)]),
]


@pytest.mark.parametrize(("entries", "expected"), [c[1:] for c in SPANS], ids=[c[0] for c in SPANS])
def test_spans(entries, expected):
    assert spans(entries) == expected


LIMITS = [
    ("nobody is known", 0, 20),
    ("a small log: one percent is too few to tell", 100, 20),
    ("still too few", 999, 20),
    ("one percent is ten", 1_000, 10),
    ("one percent is fifteen", 1_599, 15),
    ("one percent is twenty", 2_000, 20),
    ("a big one: never more than twenty", 1_000_000, 20),
]


@pytest.mark.parametrize(
    ("active", "expected"), [c[1:] for c in LIMITS], ids=[c[0] for c in LIMITS]
)
def test_one_percent_of_the_active_counts_where_it_is_enough_to_tell(active, expected):
    assert limit_of(active) == expected


def test_a_lower_limit_finds_a_fault_sooner():
    assert spans(MANY[:12], 11) == [(0, 11 * SECOND, 11 * SECOND)]
    assert spans(MANY[:12], 12) == []


A, S, IP = principal("u-1"), session("5e55"), address("203.0.113.7")
COUNTS_AS = [
    ("a principal as itself", finding(A, T0), A, "principal:u-1"),
    ("a session as its address", finding(S, T0), S, "ip:203.0.113.7"),
    ("a session of no address as itself", finding(S, T0, ips=()), S, "session:5e55"),
    ("an address as itself", finding(IP, T0), IP, "ip:203.0.113.7"),
    ("members of an address as it", finding(IP, T0, members=(A, S)), A, "ip:203.0.113.7"),
]


@pytest.mark.parametrize(
    ("made", "member", "expected"), [c[1:] for c in COUNTS_AS], ids=[c[0] for c in COUNTS_AS]
)
def test_counts_as(made, member, expected):
    assert counts_as(made, str(member)) == expected


def test_recent_forgets():
    recent = Recent()
    recent.note(finding(A, T0), str(A), "inc-1")
    recent.note(finding(A, T0 + 14 * MINUTE), str(A), "inc-1")
    recent.forget(T0 + 16 * MINUTE)
    assert recent.of("cross_user_read", T0) == [(T0 + 14 * MINUTE, "principal:u-1", "inc-1")]
    recent.forget(T0 + 60 * MINUTE)
    assert recent.of("cross_user_read", T0) == []


NET = "subnet:2001:db8::/64"
V6 = address("2001:db8::1")
COUNTED = [
    ("an IPv6 address is its /64", finding(V6, T0), NET),
    ("a /64 is itself", finding(net("2001:db8::/64"), T0), NET),
    ("a session is the /64 of its address", finding(session("s"), T0, ips=("2001:db8::2",)), NET),
    ("several behind an address", finding(V6, T0, members=(session("s"), session("t"))), NET),
    ("an IPv4 address is itself", finding(address("192.0.2.1"), T0), "ip:192.0.2.1"),
]


@pytest.mark.parametrize(
    ("made", "expected"), [c[1:] for c in COUNTED], ids=[c[0] for c in COUNTED]
)
def test_throwing_away_an_address_with_every_request_is_no_outage(made, expected):
    assert counts_as(made, str(made.members[0])) == expected
