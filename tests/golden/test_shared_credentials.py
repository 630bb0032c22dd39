"""What many people share is nobody's attack: an app key, an address. What one does behind it is.

Lines as a gateway writes them, through the reader and every detector; what is compared is who is
named, by which rule.
"""

import json
from datetime import UTC, datetime

import pytest

from detectors.engine import Engine
from intake.frames import Reader, SourceState
from intake.judge import Judge
from intake.ownership import Tables
from tests.intake._lines import AT, digest, settings

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
PATHS = ("profile", "orders", "wallet")
HOUSE = "203.0.113.7"


def line(at_s, ip, path, **fields):
    moment = datetime.fromtimestamp(AT / 1000 + at_s, UTC)
    return {
        "time": moment.isoformat(), "remote_addr": ip, "request": f"GET {path} HTTP/1.1",
        "status": 200, "body_bytes_sent": 512, "http_user_agent": AGENT, **fields,
    }  # fmt: skip


def address(number):
    return f"198.18.{number // 250}.{number % 250 + 1}"


def app_key(users, turns=3, **fields):
    """Each user at an address of their own, all with the same key; in no order of ids."""
    return [
        line(turn * users + n, address(n), f"/users/{(n * 7919) % users + 1000}/{PATHS[turn]}",
             http_authorization="Bearer app-key-of-the-mobile-app", **fields)
        for turn in range(turns)
        for n in range(users)
    ]  # fmt: skip


def claiming(lines):
    """The same, each client with its own id in a header as well."""
    return [{**it, "http_x_user_id": it["request"].split("/")[2]} for it in lines]


def walk(count, ip="192.0.2.66", at_s=600.0, first=2000, **fields):
    return [line(at_s + n, ip, f"/users/{first + n}/wallet", **fields) for n in range(count)]


def people(names, ip=HOUSE, turns=3, **fields):
    return [
        line(turn * 600 + n * 20, ip, f"/users/{name}/{path}", session_id=f"s-{name}",
             **{key: value.format(name) for key, value in fields.items()})
        for turn in range(turns)
        for n, name in enumerate(names)
        for path in PATHS
    ]  # fmt: skip


def rules(lines, **intake):
    """(rule, actor type, actor) of everything that is found."""
    configured = settings(**intake)
    reader = Reader(configured, Judge(configured, (), Tables(), digest), "json")
    state, engine = SourceState("s", "s"), Engine.configured({})
    lines = sorted(lines, key=lambda it: it["time"])
    data = b"".join(json.dumps(it).encode() + b"\n" for it in lines)
    batch = reader.read(state, 0, data)
    assert (len(batch.events), batch.rejects) == (len(lines), [])
    found = engine.observe(batch.signals)
    return {(it.rule, it.actor.type, it.actor.value) for it in found}, batch


GATEWAY = {"trust": {"principal": "gateway"}}
FAMILY = ("17", "18", "19", "20")
KEY = {"http_authorization": "Bearer app-key-of-the-mobile-app"}
NOBODY = [
    ("an app key of 5,000 users", app_key(5_000), {}),
    ("an app key, and each client claims to be itself", claiming(app_key(5_000)), {}),
    ("an app key, and the gateway names the users",
     [{**it, "user_id": it["request"].split("/")[2]} for it in app_key(300)], GATEWAY),
    ("a household, named by the gateway", people(FAMILY, user_id="{}"), GATEWAY),
    ("a household, named by nobody", people(FAMILY), {}),
    ("a household that claims", people(FAMILY, http_x_user_id="{}"), {}),
    ("an office of 60, named by the gateway",
     people([str(n) for n in range(100, 160)], user_id="{}"), GATEWAY),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lines", "intake"), NOBODY, ids=[case[0] for case in NOBODY])
def test_nobody_is_found(name, lines, intake):
    assert rules(lines, **intake)[0] == set(), name


def test_once_it_is_known_for_one_an_app_key_is_no_session():
    _, batch = rules(app_key(5_000))
    sessions = [event.session for event in batch.events]
    assert sessions[0] == digest("app-key-of-the-mobile-app")
    assert set(sessions[-5_000:]) == {""}


def test_who_walks_with_an_app_key_is_found_by_address_and_alone():
    found, batch = rules([*app_key(500), *walk(15, at_s=1400, **KEY)])
    assert found == {("identity_fanout", "ip", "192.0.2.66")}
    actors = {e.actor.value for e in batch.exposures if e.ip == "192.0.2.66"}
    assert actors == {"192.0.2.66"}


def test_who_reads_the_others_in_a_household_is_found_and_the_others_are_not():
    attack = [
        line(2_000 + n, HOUSE, f"/users/{name}/wallet", session_id="s-17", user_id="17")
        for n, name in enumerate(("18", "19", "20"))
    ]
    found, _ = rules([*people(FAMILY, user_id="{}"), *attack], **GATEWAY)
    assert found == {("cross_user_read", "principal", "17")}
