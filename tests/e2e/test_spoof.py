"""What a client writes itself about its address or its person harms nobody but itself.

Must hold 7: a client that writes its own `X-Forwarded-For`, a Basic user name, or an unsigned
token with somebody else's `sub` cannot get that other address or person blocked, named as the
attacker, or exempted.
"""

import base64
import json

import pytest

from tests.e2e._program import by_time, ecs, flat, nginx, scan, write

pytestmark = pytest.mark.stack

ATTACKER, OTHER, PROXY = "203.0.113.66", "198.51.100.9", "10.0.0.5"
NOBODY_TRUSTED = None
TRUSTED = "intake: {trusted_proxies: [10.0.0.0/8]}\n"
EXEMPT = (
    "intake:\n"
    "  delegates: [support-*]\n"
    "  service_accounts: [batch-reports]\n"
    "  grants: {file: grants.csv}\n"
)
WALKED = [str(number) for number in range(500, 540)]


def ordinary(line):
    """Seventy minutes of sixty people, each from their own address, and the other's household."""
    for second in range(0, 4200, 6):
        person = 1 + (second // 6) % 60
        yield second, line(second, f"198.18.1.{person}", f"/users/u-{person:03d}/profile", person)
    for second in range(0, 4200, 60):
        yield second, line(second, OTHER, "/users/u-007/profile", 7)


def spares(result, address=OTHER, person=None):
    """Nothing was decided against, or said of, the address and the person that were abused."""
    __tracebackhide__ = True
    assert result.passed == set()
    assert address not in {block["target"] for block in result.blocks}
    assert ("ip", address) not in result.actors
    assert [actor for actor in result.actors if actor[0] == "principal" and person] == []
    assert address not in {ip for finding in result.findings for ip in finding["related"]["ip"]}


def forwarded_nginx(second, ip, target, _person):
    return nginx(second, ip, target, xff="-")


@pytest.mark.parametrize(
    ("config", "peer", "xff"),
    [
        (NOBODY_TRUSTED, ATTACKER, OTHER),
        (TRUSTED, ATTACKER, OTHER),
        (TRUSTED, ATTACKER, f"{OTHER}, 10.9.9.9"),
        (TRUSTED, PROXY, f"{OTHER}, {ATTACKER}"),
        (TRUSTED, PROXY, f"{OTHER}, {ATTACKER}, 10.0.0.9"),
        (TRUSTED, PROXY, f"{OTHER}, 10.0.0.7, {ATTACKER}"),
        (TRUSTED, PROXY, rf"\x22><{OTHER}, {ATTACKER}"),
    ],
)
def test_a_forwarding_header_written_by_the_client_in_nginx_lines(tmp_path, config, peer, xff):
    """Must hold 7: X-Forwarded-For, with and without trusted proxies."""
    pairs = [*ordinary(forwarded_nginx)]
    for n, number in enumerate(WALKED):
        second = 4000 + n
        pairs.append((second, nginx(second, peer, f"/users/{number}/profile", xff=xff)))
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(pairs)), config=config)
    spares(result)
    (incident,) = result.incidents
    assert incident["actors"] == [{"type": "ip", "value": ATTACKER}]
    assert result.affected(incident) == WALKED


def vouched(second, ip, target, person, **more):
    headers = {"headers": {"x-forwarded-for": more.pop("xff")}} if "xff" in more else {}
    line = json.loads(ecs(second, ip, target, user=f"u-{person:03d}", session=f"s{person}"))
    line["http"]["request"] |= headers
    return json.dumps(line)


@pytest.mark.parametrize("config", [NOBODY_TRUSTED, TRUSTED], ids=["none trusted", "trusted"])
def test_a_forwarding_header_beside_a_vouched_for_principal(tmp_path, config):
    """Must hold 7: sure who it was, the policy blocks the address that connected, not the other."""
    pairs = [*ordinary(vouched)]
    for n in range(30):
        second, target = 4000 + n, f"/users/u-{100 + n:03d}/profile"
        pairs.append((second, vouched(second, ATTACKER, target, 66, xff=f"{OTHER}, 10.0.0.9")))
    result = scan(tmp_path, write(tmp_path / "a.ndjson", by_time(pairs)), config=config)
    assert result.passed == {ATTACKER}
    assert OTHER not in {block["target"] for block in result.blocks}
    assert ("ip", OTHER) not in result.actors


@pytest.mark.parametrize("name", ["xff", "x_forwarded_for"])
def test_a_log_with_nothing_but_the_forwarding_header(tmp_path, name):
    """Must hold 7: an address that no trusted proxy vouches for is never blocked."""

    def line(second, ip, target, person):
        document = json.loads(flat(second, "", target, user_id=f"u-{person:03d}"))
        del document["remote_addr"]
        return json.dumps(document | {name: ip, "session_id": f"s{person}"})

    pairs = [*ordinary(line)]
    for n in range(30):
        second = 4000 + n
        pairs.append((second, line(second, OTHER, f"/users/u-{100 + n:03d}/profile", 66)))
    config = "intake: {trust: {principal: gateway}}\nrespond: {mode: enforce}\n"
    result = scan(tmp_path, write(tmp_path / "a.ndjson", by_time(pairs)), config=config)
    (incident,) = result.incidents
    assert "principal:u-066" in [f"{a['type']}:{a['value']}" for a in incident["actors"]]
    assert {block["guard"]["verdict"] for block in result.blocks} == {"refuse"}
    assert all("trusted_proxies" in block["guard"]["why"] for block in result.blocks)


def basic(second, ip, target, person):
    return nginx(second, ip, target, user=f"u-{person:03d}")


def basic_as(name):
    return lambda second, ip, target: nginx(second, ip, target, user=name)


def bearer(subject, algorithm):
    """A token that anybody can write: nobody signed it, or nobody can check the signature."""

    def segment(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    head = segment({"alg": algorithm, "typ": "JWT"})
    signature = "" if algorithm == "none" else base64.urlsafe_b64encode(b"x" * 48).decode()
    return f"Bearer {head}.{segment({'sub': subject, 'iss': 'https://id.example'})}.{signature}"


def token(second, ip, target, person):
    return flat(second, ip, target, authorization=bearer(f"u-{person:03d}", "RS256"))


def token_as(name, algorithm):
    written = bearer(name, algorithm)
    return lambda second, ip, target: flat(second, ip, target, authorization=written)


def payload_as(name):
    payload = bearer(name, "none").split(".")[1]
    return lambda second, ip, target: flat(second, ip, target, jwt_payload=payload)


WAYS = [
    (f"{way} of {name}", others, line)
    for name in ("u-007", "support-7", "batch-reports")
    for way, others, line in (
        ("Basic user", basic, basic_as(name)),
        ("alg none", token, token_as(name, "none")),
        ("alg None", token, token_as(name, "None")),
        ("signature unchecked", token, token_as(name, "RS256")),
        ("symmetric signature unchecked", token, token_as(name, "HS256")),
        ("payload alone", token, payload_as(name)),
    )
]


@pytest.mark.parametrize(("others", "line"), [w[1:] for w in WAYS], ids=[w[0] for w in WAYS])
def test_somebody_elses_name_on_a_walk_through_strangers(tmp_path, others, line):
    """Must hold 7: a Basic user or an unsigned `sub` names, blocks and exempts nobody."""
    (tmp_path / "grants.csv").write_text(
        "principal,owner,routes,from,until\nu-007,u-101,**,,\nsupport-7,u-102,**,,\n"
    )
    victims = [f"u-{number:03d}" for number in range(100, 130)]
    pairs = [*ordinary(others)]
    for n, victim in enumerate(victims):
        second = 4000 + n * 2
        pairs.append((second, line(second, ATTACKER, f"/users/{victim}/profile")))
    result = scan(tmp_path, write(tmp_path / "a.log", by_time(pairs)), config=EXEMPT)
    spares(result, person=True)
    (incident,) = result.incidents
    assert result.affected(incident) == [victim for victim in victims if victim != "u-007"]
    assert result.judged["own"] >= 1, "nobody is exempted by a name"
    assert (incident["breach"], incident["actor_accounts"]) == (True, [])
    assert ("ip", ATTACKER) in result.actors
    assert result.judged["allowed"] == 0


@pytest.mark.parametrize(
    ("others", "as_name"),
    [
        (basic, basic_as),
        (token, lambda name: token_as(name, "none")),
        (token, lambda name: token_as(name, "RS256")),
    ],
    ids=["Basic user", "alg none", "signature unchecked"],
)
def test_a_name_that_was_used_keeps_nobody_out_of_the_affected(tmp_path, others, as_name):
    """Must hold 7: whoever was read stays affected, also under a name that the attacker wrote."""
    names = ("u-007", "u-008")
    victims = [f"u-{number:03d}" for number in range(1, 31)]
    pairs = [*ordinary(others)]
    for n, victim in enumerate(victims):
        second, target = 4000 + n * 2, f"/users/{victim}/profile"
        # As u-007 it reads u-008, and the other way round.
        name = names[1] if victim == names[0] else names[0]
        pairs.append((second, as_name(name)(second, ATTACKER, target)))
    result = scan(tmp_path, write(tmp_path / "a.log", by_time(pairs)))
    spares(result, person=True)
    named = {user for incident in result.incidents for user in result.affected(incident)}
    assert named == set(victims)


@pytest.mark.parametrize(
    ("others", "line"),
    [(basic, basic_as("u-007")), (token, token_as("u-007", "none"))],
    ids=["Basic user", "alg none"],
)
def test_a_read_under_the_owners_own_name_is_own_whoever_wrote_the_name(tmp_path, others, line):
    """Below gateway a principal serves to compare, so only foreign reads name people.

    Were own reads exposures there, every attacker who wrote their true name would be a victim.
    """
    victims = [f"u-{number:03d}" for number in range(1, 31)]
    pairs = [*ordinary(others)]
    for n, victim in enumerate(victims):
        second = 4000 + n * 2
        pairs.append((second, line(second, ATTACKER, f"/users/{victim}/profile")))
    result = scan(tmp_path, write(tmp_path / "a.log", by_time(pairs)))
    (incident,) = result.incidents
    assert result.affected(incident) == [victim for victim in victims if victim != "u-007"]
    assert result.judged["own"] >= 1
