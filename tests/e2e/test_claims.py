"""Who a header says one is: the service may believe it, the log's owner need not.

An attacker with an account of their own sends `X-User-ID: somebody else`, behind the address of an
office whose other people send their own id.
"""

import pytest

from tests.e2e._program import by_time, ecs, flat, scan, who, write

pytestmark = pytest.mark.stack

OFFICE = "192.0.2.10"
ATTACKER, SESSION = "u-050", "a77ac4"
VICTIMS = [f"u-{n:03d}" for n in range(100, 118)]
DENIED = [f"u-{n:03d}" for n in range(120, 124)]
PATHS = ("/users/me/profile", f"/users/{ATTACKER}/profile", "/api/balance")
"""Nobody's by its path, the attacker's own by its path, and of no known route."""


def as_ecs(second, ip, target, user, session, claimed, status=200):
    return ecs(second, ip, target, user=user, session=session, claimed=claimed, status=status)


def as_json(second, ip, target, user, session, claimed, status=200):
    named = {"user_id": user, "session_id": session, "http_x_user_id": claimed}
    return flat(second, ip, target, status=status, **{k: v for k, v in named.items() if v})


def ordinary(line, *, principals=True):
    """Seventy minutes of sixty people; every third one's app sends its own id."""
    for second in range(0, 4200, 6):
        person = (second // 6) % 60
        user = f"u-{person:03d}"
        address = OFFICE if person > 40 else f"198.18.1.{1 + person}"
        claimed = user if person % 3 == 0 or not principals else ""
        target = f"/users/{user}/profile" if person % 2 else "/users/me/profile"
        yield second, line(second, address, target, user if principals else "", f"s{user}", claimed)


def attack(line, path, user=ATTACKER):
    for n, victim in enumerate(VICTIMS + DENIED):
        status = 403 if victim in DENIED else 200
        second = 4000 + n * 4
        yield second, line(second, OFFICE, path, user, SESSION, victim, status)


def config(line, honoured):
    trust = "  trust: {principal: gateway}\n" if line is as_json else ""
    header = f"  identity_headers: [{{name: X-User-ID, honoured: {honoured}}}]\n"
    return f"intake:\n{trust}{header}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("honoured", ["always", "unknown"])
@pytest.mark.parametrize("line", [as_ecs, as_json])
def test_every_victim_is_named_and_none_invented(tmp_path, line, honoured, path):
    """Must hold 2: an attack through `X-User-ID` on a service that honours it."""
    pairs = [*ordinary(line), *attack(line, path)]
    log = write(tmp_path / "access.ndjson", by_time(pairs))
    result = scan(tmp_path, log, config=config(line, honoured))
    (incident,) = result.incidents
    assert f"principal:{ATTACKER}" in who(incident)
    assert result.affected(incident) == VICTIMS
    assert (incident["breach"], incident["severity"]) == (True, "SEV1")
    assert incident["attempted_count"] == len(DENIED)
    assert {actor for actor in result.actors if actor[0] == "principal"} == {
        ("principal", ATTACKER)
    }
    assert result.passed == set(), "the office is behind that address"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("line", [as_ecs, as_json])
def test_a_header_that_the_service_ignores_makes_no_victims(tmp_path, line, path):
    """Must hold 2: with `honoured: never` a header alone says nothing."""
    pairs = [*ordinary(line), *attack(line, path)]
    log = write(tmp_path / "access.ndjson", by_time(pairs))
    result = scan(tmp_path, log, config=config(line, "never"))
    assert [incident for incident in result.incidents if incident["breach"]] == []
    assert [user for incident in result.incidents for user in result.affected(incident)] == []
    assert (result.passed, result.judged["foreign"]) == (set(), 0)


@pytest.mark.parametrize("principals", [True, False], ids=["others are named", "nobody is named"])
@pytest.mark.parametrize("path", ["/users/me/profile", "/api/balance"])
def test_one_session_that_claims_many_people(tmp_path, path, principals):
    """Must hold 2: claims in one session, where the log names no principal for it."""
    pairs = [*ordinary(as_json, principals=principals), *attack(as_json, path, user="")]
    log = write(tmp_path / "access.ndjson", by_time(pairs))
    result = scan(tmp_path, log)
    (incident,) = result.incidents
    assert incident["breach"] is True
    assert result.affected(incident) == VICTIMS
    assert {kind for kind, _ in result.actors} <= {"session", "ip"}
    assert "identity_fanout" in incident["rules"]
    assert result.passed == set()


def test_apps_that_say_who_they_are_are_no_attack(tmp_path):
    """Must hold 2: everybody's own id in the header, with and without principals."""
    for principals in (True, False):
        pairs = ordinary(as_ecs, principals=principals)
        log = write(tmp_path / "access.ndjson", by_time(pairs))
        result = scan(tmp_path, log, config=config(as_ecs, "always"))
        assert (result.findings, result.incidents, result.judged["foreign"]) == ([], [], 0)
