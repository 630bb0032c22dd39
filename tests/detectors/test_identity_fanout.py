import random

import pytest

from tests.detectors._events import ADDRESS, at, judged, severities

RULE = "identity_fanout"


def reads(count, every_s=1.0, who="a", **facts):
    return [at(i * every_s).user(who).read(f"u-{i}", **facts) for i in range(count)]


def denied(count, every_s=1.0):
    return [at(i * every_s).user("a").denied(f"u-{i}") for i in range(count)]


def claims(count, every_s=1.0, session="s1"):
    return [at(i * every_s).session(session).claims(f"u-{i * 7 % 100}") for i in range(count)]


def walk(count, every_s=1.0, start=1000, stride=1, **facts):
    return [at(i * every_s).looks(f"{start + i * stride}", **facts) for i in range(count)]


def scattered(count, every_s, start_s=0.0):
    return [at(start_s + i * every_s).looks(f"{i * 7919 % 100_003}") for i in range(count)]


def strangers(count, every_s):
    """Ids in no order, from an address just met, each of which another address asked for before."""
    ids = [f"{i * 7919 % 100_003}" for i in range(count)]
    return [at(n * every_s).looks(name, elsewhere=(name,)) for n, name in enumerate(ids)]


def jumbled(count, seed=1):
    chance = random.Random(seed)
    order = sorted(range(count), key=lambda i: i + chance.random() * 4)
    return [at(n / 2).looks(f"{1000 + i}") for n, i in enumerate(order)]


FOREIGN = [
    ("five got in five minutes", reads(5, 75), ["high"]),
    ("near miss: four got", reads(4), []),
    ("near miss: five in over five minutes", reads(5, 76), []),
    ("near miss: one person's data by twenty", [at(i).user(f"a{i}").read("b")
        for i in range(20)], []),
    ("ten asked for", denied(10, 33), ["high"]),
    ("near miss: nine asked for", denied(9), []),
    ("fifteen asked for in an hour", denied(15, 257), ["high"]),
    ("near miss: fifteen in over an hour", denied(15, 258), []),
    ("thirty in an hour", denied(30, 124), ["high", "critical"]),
    ("near miss of critical: 29", denied(29, 124), ["high"]),
    ("thirty at once", [at(0).user("a").read(*(f"u-{i}" for i in range(30)))],
        ["high", "critical"]),
    ("near miss: twenty-four that another site sent", [at(i).user("a").elsewhere().read(f"u-{i}")
        for i in range(24)], []),
    ("ordinary: a thousand who read their own", [at(i / 4).user(f"u-{i}").read(f"u-{i}",
        verdict="own") for i in range(1000)], []),
]  # fmt: skip

CLAIMED = [
    ("ten in one session", claims(10, 33), ["high"]),
    ("near miss: nine", claims(9), []),
    ("near miss: ten in over five minutes", claims(10, 34), []),
    ("ordinary: an office, each with a session", [at(i / 2).session(f"s{i}").claims(f"u-{i}")
        for i in range(800)], []),
]  # fmt: skip

NAMELESS = [
    ("walks up, slowly", walk(12, 27), ["high"]),
    ("walks down in threes", walk(12, 1, 1000, -3), ["high"]),
    ("four workers walk together", jumbled(60), ["high"]),
    ("walks and finds a third of the ids unused", [
        at(i).looks(f"{1000 + i}", **({"outcome": "denied", "status": 404} if i % 3 else {}))
        for i in range(18)], ["high"]),
    ("walks padded ids", [at(i).looks(f"u-{95 + i:04}") for i in range(12)], ["high"]),
    ("rotates a claim that stands in for the principal", [at(i).user(f"{50 + i}", "asserted")
        .looks(f"{50 + i}", claimed=f"{50 + i}") for i in range(12)], ["high"]),
    ("near miss: eleven", walk(11), []),
    ("near miss: twelve in over five minutes", walk(12, 28), []),
    ("near miss: a walk that found nothing", walk(40, outcome="denied", status=404), []),
    ("near miss: expired tokens", walk(40, outcome="denied", status=401), []),
    ("near miss: one request for a page of neighbours",
        [at(0).looks(*(f"{n}" for n in range(100, 104)))], []),
    ("near miss: another site sends the browser", [at(i).elsewhere().looks(f"{1000 + i}")
        for i in range(40)], []),
    ("near miss: twelve user agents", [at(i).agent(f"f{i}").looks(f"{1000 + i}")
        for i in range(12)], []),
    ("near miss: twelve sessions of one user agent", [at(i).session(f"s{i}").looks(f"{1000 + i}")
        for i in range(12)], []),
    ("bursts from an address that was quiet", [at(-1000).looks("5"), *scattered(12, 1.9)],
        ["high"]),
    ("near miss: as many a little slower", [at(-1000).looks("5"), *scattered(60, 2.1)], []),
    ("near miss: from an address just met", scattered(60, 1.9), []),
    ("near miss: many at once from an address just met", scattered(200, 0.1), []),
    ("near miss: from an address that was busy", [*scattered(30, 60, -2000),
        *[at(i).looks(f"x{i * i}") for i in range(30)]], []),
    ("near miss: a batch from an address that was quiet", [at(-1000).looks("5"),
        at(0).looks(*(f"{i * 7919 % 1003}" for i in range(40)))], []),
    ("one session asks for twelve, in any order, slowly", [at(i * 27).session("s1")
        .looks(f"{i * 7919 % 1003}") for i in range(12)], ["high"]),
    ("one principal of another id space does", [at(i * 27).user("5f0c-9a")
        .looks(f"{i * 7919 % 1003}") for i in range(12)], ["high"]),
    ("near miss: eleven of one session", [at(i * 20).session("s1").looks(f"{i * 7919 % 1003}")
        for i in range(11)], []),
    ("near miss: twelve of one session on two routes", [at(i * 20).session("s1")
        .route(f"/users/{{owner}}/{i % 2}").looks(f"{i * 7919 % 1003}") for i in range(12)], []),
    ("bursts through ids that are at home elsewhere", strangers(12, 2.9), ["high"]),
    ("near miss: as many a little slower", strangers(40, 3.2), []),
    ("near miss: one of the twelve is at home here", [*strangers(11, 2.9),
        at(32).looks("4711")], []),
    ("ordinary: an office of commuters arrives", strangers(67, 4.5), []),
    ("ordinary: twenty pages of one person", [at(i).route(f"/users/{{owner}}/{i}").looks("7")
        for i in range(20)], []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("signals", "expected"),
    [case[1:] for case in (*FOREIGN, *CLAIMED, *NAMELESS)],
    ids=[case[0] for case in (*FOREIGN, *CLAIMED, *NAMELESS)],
)
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


@pytest.mark.parametrize("agents", [1, 5, 300])
@pytest.mark.parametrize(("people", "visits", "hours"), [(800, 3, 3), (800, 3, 1), (2000, 3, 1)])
@pytest.mark.parametrize("seed", range(2))
def test_an_office_behind_one_address_is_no_attack(people, visits, hours, agents, seed):
    chance = random.Random(seed)
    seats = [(f"{1000 + n}", f"f{chance.randrange(agents)}") for n in range(people)]
    morning = sorted(
        (chance.random() * hours * 3600, user, agent) for user, agent in seats * visits
    )
    assert severities(RULE, [at(t).agent(agent).looks(user) for t, user, agent in morning]) == []


def test_a_walker_in_the_office_is_found_and_the_office_is_not_named():
    chance = random.Random(4)
    office = [at(chance.random() * 3600).agent("f1").looks(f"{n}") for n in range(2000, 2800)]
    walker = [at(1800 + i).agent("f2").looks(f"{i}") for i in range(50, 90)]
    (finding,) = judged(RULE, sorted(office + walker, key=lambda signal: signal.time_ms))
    assert finding.fingerprints == ("f2",)
    assert set(finding.users) <= {f"{n}" for n in range(50, 90)}
    assert (finding.severity, finding.undetermined, finding.confidence) == ("high", True, 0.6)


def test_claims_of_one_session():
    (finding,) = judged(RULE, [*claims(9, 1, "s2"), *claims(12, 4)])
    assert finding.message == (
        f"{ADDRESS} claimed 10 user ids in 36 s over 1 session (limit 10 in 5 min): "
        "u-0, u-14, u-21, u-28, u-35 and 5 more"
    )
    assert [str(member) for member in finding.members] == ["session:s1"]
    assert (finding.sessions, finding.undetermined, finding.confidence) == (("s1",), True, 0.6)


def test_foreign_reads_name_those_behind_the_address():
    high = judged(RULE, reads(5))[0]
    assert (high.confidence, high.undetermined, str(high.actor)) == (0.93, False, f"ip:{ADDRESS}")
    assert [str(member) for member in high.members] == ["principal:a"]
    assert high.message == (
        f"{ADDRESS} got data of 5 other users in 4 s (limit 5 in 5 min): u-0, u-1, u-2, u-3, u-4"
    )


def test_many_accounts_with_a_target_each_are_not_sure_enough_to_block():
    crowd = [at(i).user(f"a{i}").read(f"u-{i}") for i in range(8)]
    assert [finding.confidence for finding in judged(RULE, crowd)] == [0.7]


def test_an_address_that_the_client_wrote_is_marked():
    signals = [at(i).ip(ADDRESS, trusted=i != 3).user("a").read(f"u-{i}") for i in range(5)]
    (finding,) = judged(RULE, signals)
    assert (finding.ips, finding.untrusted_ips) == ((ADDRESS,), (ADDRESS,))


def test_ordinary_unjudged_traffic_opens_no_episode():
    """Else an address that never sleeps would be reported once, for ever."""
    day = [at(h * 1800).looks("1") for h in range(48)]
    walks = [at(start + i).looks(f"{500 + start + i}") for start in (0, 40_000) for i in range(12)]
    found = judged(RULE, sorted(day + walks, key=lambda signal: signal.time_ms))
    assert [(f.severity, f.episode_ordinal) for f in found] == [("high", 0), ("high", 1)]


def test_other_limits_follow_the_limit():
    assert severities(RULE, reads(4), limit=8) == ["high"]
    assert severities(RULE, reads(9), limit=20) == []
    assert severities(RULE, reads(9), limit=20, proven_limit=9) == ["high"]
    assert severities(RULE, walk(12), limit=20) == []
    assert severities(RULE, walk(6), limit=5) == ["high"]
    assert severities(RULE, denied(10, 33), window="4m") == []


def test_a_second_walker_behind_the_address_is_not_lost():
    first = [at(i).agent("curl").looks(f"{500 + i}") for i in range(30)]
    second = [at(100 + i).agent("wget").looks(f"{700 + i}") for i in range(30)]
    found = judged(RULE, first + second)
    assert [(str(f.actor), f.fingerprints) for f in found] == [
        (f"ip:{ADDRESS}", ("curl",)),
        (f"ip:{ADDRESS}", ("wget",)),
    ]
    assert [str(member) for f in found for member in f.members] == [f"ip:{ADDRESS}"] * 2
    assert len({f.id for f in found}) == 2


def test_a_nameless_walker_is_a_finding_of_its_own():
    both = [at(0).user("a").denied(f"u-{i}") for i in range(10)]
    both += [at(0).anonymous().agent("").claims(f"{500 + i}") for i in range(12)]
    found = judged(RULE, both)
    assert [(f.severity, f.undetermined) for f in found] == [("high", False), ("high", True)]
    assert len({f.id for f in found}) == 2


def v6(n, net="2001:db8:0:1"):
    return f"{net}::{n + 1:x}"


WALKED = [at(i).ip(v6(i)).looks(f"{1000 + i}") for i in range(200)]
HOME = [(f"{900 + n}", v6(n)) for n in range(4)]
NETS = [
    ("one address, as ever", [at(i).ip(v6(0)).looks(f"{1000 + i}") for i in range(40)],
        [("ip", v6(0))]),
    ("walks from two hundred addresses", WALKED, [("subnet", "2001:db8:0:1::/64")]),
    ("walks twenty ids from each of ten addresses", [at(i).ip(v6(i // 20)).looks(f"{1000 + i}")
        for i in range(200)],
        [*(("ip", v6(n)) for n in range(10)), ("subnet", "2001:db8:0:1::/64")]),
    ("gets data of five from five addresses", [at(i).ip(v6(i)).anonymous().read(f"u-{i}")
        for i in range(5)], [("subnet", "2001:db8:0:1::/64")]),
    ("claims ten ids in one session from ten addresses", [at(i).ip(v6(i)).session("s1")
        .claims(f"{i * 7919 % 1003}") for i in range(10)], [("subnet", "2001:db8:0:1::/64")]),
    ("near miss: four of five from one address", [at(i).ip(v6(i // 4)).anonymous().read(f"u-{i}")
        for i in range(5)], []),
    ("near miss: eleven ids", WALKED[:11], []),
    ("near miss: each from a /64 of its own", [at(i).ip(f"2001:db8:0:{i:x}::1")
        .looks(f"{1000 + i}") for i in range(200)], []),
    ("near miss: two /64 side by side", [at(i).ip(v6(i, f"2001:db8:0:{i % 2}")).anonymous()
        .read(f"u-{i}") for i in range(8)], []),
    ("IPv4 is not joined", [at(i).ip(f"192.0.2.{i}").but(subnet="192.0.2.0/24")
        .looks(f"{1000 + i}") for i in range(200)], []),
    ("ordinary: a household, everybody their own, all day", [at(i * 60).ip(ip).looks(user)
        for i in range(600) for user, ip in [HOME[i % 4]]], []),
    ("ordinary: a household that gets new addresses every hour", [at(i * 60)
        .ip(v6(100 * (i // 60) + i % 4)).looks(f"{900 + i % 4}") for i in range(600)], []),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in NETS], ids=[c[0] for c in NETS])
def test_an_ipv6_client_has_a_64_to_itself(signals, expected):
    assert sorted((f.actor.type, f.actor.value) for f in judged(RULE, signals)) == expected


def test_what_one_ipv6_address_does_has_the_id_that_it_has_without_neighbours():
    alone = [at(i).ip(v6(0)).looks(f"{1000 + i}") for i in range(40)]
    home = [at(i + 0.5).ip(v6(1 + i % 3)).looks(f"{900 + i % 3}") for i in range(40)]
    together = sorted([*alone, *home], key=lambda signal: signal.time_ms)
    assert judged(RULE, together) == judged(RULE, alone)


@pytest.mark.parametrize("agents", [1, 5])
@pytest.mark.parametrize("seed", range(2))
def test_an_office_in_one_64_is_no_attack(agents, seed):
    chance = random.Random(seed)
    seats = [(f"{1000 + n}", v6(n), f"f{chance.randrange(agents)}") for n in range(800)]
    morning = sorted((chance.random() * 3600, *seat) for seat in seats * 3)
    signals = [at(t).agent(agent).ip(ip).looks(user) for t, user, ip, agent in morning]
    assert judged(RULE, signals) == []
