"""One IPv6 client has a whole /64 of addresses: whoever takes another for each request is one.

And an address is nobody but itself: neighbours in its /64 are neither attackers nor victims.
"""

import random

import pytest

from tests.e2e._program import by_time, flat, nginx, run, scan, write

pytestmark = pytest.mark.stack

NET, BESIDE, HOME = "2001:db8:0:1", "2001:db8:0:2", "2001:db8:0:3"
WALKED = [str(number) for number in range(1000, 1200)]
VOUCHED = "intake: {trust: {principal: gateway}}\n"


def by_name(second, ip, target, person):
    """A log that names everybody who logged in."""
    return flat(second, ip, target, **({"user": person} if person else {}))


def nameless(second, ip, target, _person):
    return nginx(second, ip, target)


def ordinary(line, home=HOME):
    """Seventy minutes of sixty people, each at an address, and of a household in one /64.

    Its four devices take new addresses now and then, as such devices do.
    """
    for second in range(0, 4200, 6):
        person = str(101 + (second // 6) % 60)
        yield second, line(second, f"198.18.1.{person}", f"/users/{person}/profile", person)
    for second in range(0, 4200, 20):
        person = str(901 + (second // 20) % 4)
        ip = f"{home}::{second // 900:x}:{person}"
        yield second, line(second, ip, f"/users/{person}/profile", person)


def walk(line, address_of):
    """Two hundred people's data, one a second."""
    for n, number in enumerate(WALKED):
        yield 3900 + n, line(3900 + n, address_of(n), f"/users/{number}/profile", "")


def anywhere(n, net=NET):
    """Some address of a /64, another for each n."""
    return f"{net}:{random.Random(n).randrange(1 << 16):x}:8000:0:{n + 1:x}"


@pytest.mark.parametrize(("line", "config"), [(nameless, None), (by_name, VOUCHED)])
def test_a_walker_through_a_64_is_one_actor_and_its_victims_are_exact(tmp_path, line, config):
    pairs = [*ordinary(line), *walk(line, anywhere)]
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(pairs)), config=config)
    (incident,) = result.open
    assert incident["actors"] == [{"type": "subnet", "value": f"{NET}::/64"}]
    assert incident["title"].startswith(f"{NET}::/64 reached the data of 200 people (")
    assert (incident["cause"], incident["severity"]) == ("attack", "SEV1")
    assert result.affected(incident) == WALKED
    fanout = [one for one in result.findings if one["rule"]["id"] == "identity_fanout"]
    assert {one["breachline"]["actor"]["value"] for one in fanout} == {f"{NET}::/64"}
    assert len(fanout) == len({one["breachline"]["severity"] for one in fanout})
    assert f"{NET}::/64" in {block["target"] for block in result.blocks}
    for finding in result.findings:
        assert "/" not in finding["source"]["ip"]
        assert all(ip.startswith(f"{NET}:") for ip in finding["related"]["ip"])


@pytest.mark.parametrize(("line", "config"), [(nameless, None), (by_name, VOUCHED)])
def test_a_household_in_a_64_is_no_attack(tmp_path, line, config):
    pairs = by_time(ordinary(line))
    result = scan(tmp_path, write(tmp_path / "access.log", pairs), config=config)
    assert (result.findings, result.incidents, result.actions) == ([], [], [])


@pytest.mark.parametrize(("line", "config"), [(nameless, None), (by_name, VOUCHED)])
def test_one_address_is_itself_and_what_its_household_read_is_no_breach(tmp_path, line, config):
    attacker = f"{HOME}::bad"
    pairs = [*ordinary(line), *walk(line, lambda _: attacker)]
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(pairs)), config=config)
    (incident,) = result.open
    assert incident["actors"] == [{"type": "ip", "value": attacker}]
    assert result.affected(incident) == WALKED
    assert {block["target"] for block in result.blocks} == {attacker}


def test_two_64_side_by_side_are_two(tmp_path):
    pairs = [*ordinary(nameless), *walk(nameless, anywhere)]
    for n in range(40):
        second, ip = 3900 + n, anywhere(n, BESIDE)
        pairs.append((second, nginx(second, ip, f"/users/{5000 + n}/profile", agent="curl/8.9")))
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(pairs)))
    assert {
        incident["actors"][0]["value"]: result.affected(incident) for incident in result.open
    } == {f"{NET}::/64": WALKED, f"{BESIDE}::/64": [str(5000 + n) for n in range(40)]}


def test_ipv4_addresses_of_one_network_are_not_joined_however_they_are_written(tmp_path):
    mapped = [
        (3900 + n, nginx(3900 + n, f"::ffff:203.0.113.{n + 1}", f"/users/{number}/profile"))
        for n, number in enumerate(WALKED)
    ]
    pairs = by_time([*ordinary(nameless), *mapped])
    result = scan(tmp_path, write(tmp_path / "access.log", pairs))
    assert (result.findings, result.incidents) == ([], [])


@pytest.mark.parametrize("ip", [anywhere(7), f"{NET}::5", f"{NET}::/64", "2001:DB8:0:1::/64"])
def test_why_is_told_of_the_64_and_of_any_address_in_it(tmp_path, ip):
    pairs = by_time([*ordinary(nameless), *walk(nameless, anywhere)])
    result = scan(tmp_path, write(tmp_path / "access.log", pairs))
    (incident,) = result.open
    (answer,) = run("explain", "--ip", ip, "--from", result.folder, "--json").documents
    assert [row["id"] for row in answer["incidents"]] == [incident["id"]]
    assert [row["rule"] for row in answer["findings"]] == ["identity_fanout"]
    seen = {anywhere(7): 1, f"{NET}::5": 0}.get(ip, 200)
    assert answer["events"] == ({"undetermined proven": seen} if seen else {})
