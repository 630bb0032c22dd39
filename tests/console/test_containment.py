import asyncio

import pytest

from console import containment
from console.fault import Refused, Unreachable
from evidence.store import EmbeddedStore
from records.incident import Guard
from streams.clock import HandClock
from streams.settings import Settings
from tests._events import NOON_MS, action, receipt
from tests._gateway import TOKEN, Gateway


@pytest.fixture
def gateway():
    with Gateway() as opened:
        yield opened


@pytest.fixture
def store(tmp_path):
    with EmbeddedStore.open(tmp_path / "var") as opened:
        yield opened


@pytest.fixture
def settings(gateway, monkeypatch):
    monkeypatch.setenv("GATEWAY_TOKEN", TOKEN)
    never = [{"cidr": "192.0.2.0/24", "reason": "head office"}]
    respond = {
        "gateway": {"url": gateway.url, "token_env": "GATEWAY_TOKEN"},
        "never_block": never,
    }
    intake = {"trusted_proxies": ["198.51.100.0/24"]}
    return Settings.model_validate({"respond": respond, "intake": intake})


def block(store, settings, ip="203.0.113.7", seconds=3600.0):
    clock = HandClock(NOON_MS)
    return asyncio.run(containment.block(store, settings, clock, ip, seconds, "case 17"))


def unblock(store, settings, ip="203.0.113.7"):
    clock = HandClock(NOON_MS + 60_000)
    return asyncio.run(containment.unblock(store, settings, clock, ip, "head office"))


def test_a_block_is_intended_performed_and_kept(store, settings, gateway):
    said = block(store, settings)
    assert (said.state, said.read_back, gateway.blocked) == (
        "confirmed", "present", ["203.0.113.7"]
    )  # fmt: skip
    (intent,) = store.log.actions()
    assert (intent.mode, intent.reason, intent.until_ms, intent.incident) == (
        "enforce", "case 17", NOON_MS + 3_600_000, "by-hand"
    )  # fmt: skip
    assert list(gateway.keys) == [intent.id]
    (row,) = store.outbox_all()
    assert (row.state, row.next_attempt_ms) == ("waiting", intent.until_ms)


NEVER = [
    ("192.0.2.9", "on the never-block list: 192.0.2.0/24 (head office)"),
    ("198.51.100.1", "a trusted proxy or our own address"),
    ("127.0.0.1", "a trusted proxy or our own address"),
]


@pytest.mark.parametrize(("ip", "says"), NEVER)
def test_some_guards_hold_for_people_too(store, settings, gateway, ip, says):
    with pytest.raises(Refused) as error:
        block(store, settings, ip)
    assert says in str(error.value)
    assert (list(store.log.actions()), gateway.blocked) == ([], [])


def test_without_a_gateway_nothing_is_written(store):
    for call in (block, unblock):
        with pytest.raises(Refused, match=r"set respond\.gateway\.url"):
            call(store, Settings())
    assert list(store.log.actions()) == []


def test_a_gateway_that_is_down_leaves_the_intent_waiting(store, settings, gateway):
    gateway.stop()
    with pytest.raises(Unreachable, match="cannot connect") as error:
        block(store, settings)
    assert str(error.value).endswith("(kept: `breachline run` tries it again)")
    (row,) = store.outbox_all()
    assert (row.state, row.attempts) == ("waiting", 1)
    with pytest.raises(Unreachable, match=r"unblocking 203\.0\.113\.8: cannot connect"):
        unblock(store, settings, "203.0.113.8")


def test_a_token_that_is_refused_is_not_shown(store, settings, monkeypatch):
    monkeypatch.setenv("GATEWAY_TOKEN", "synthetic-wrong")
    with pytest.raises(Unreachable) as error:
        block(store, settings)
    assert "refused the token in $GATEWAY_TOKEN" in str(error.value)
    assert "synthetic-wrong" not in str(error.value)


def test_unblocking_lifts_and_says_so(store, settings, gateway):
    block(store, settings)
    assert unblock(store, settings) == "lifted 203.0.113.7"
    assert gateway.blocked == []
    (row,) = store.outbox_all()
    assert row.state == "done"


def test_unblocking_what_somebody_else_blocked(store, settings, gateway):
    gateway.blocked.append("203.0.113.9")
    assert unblock(store, settings, "203.0.113.9") == "lifted 203.0.113.9"
    assert gateway.blocked == []
    assert unblock(store, settings, "203.0.113.10") == "already lifted: 203.0.113.10"


ADDRESSES = [
    ("203.0.113.7", "203.0.113.7"),
    ("2001:DB8:0::7", "2001:db8::7"),
    ("::ffff:203.0.113.7", "203.0.113.7"),
]


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_one_spelling_of_an_address(text, expected):
    assert containment.address_of(text) == expected


@pytest.mark.parametrize("text", ["", "office", "203.0.113.0/24", "0.0.0.0", "fe80::1%eth0"])
def test_what_is_not_one_address_is_refused(text):
    with pytest.raises(Refused, match="give one IPv4 or IPv6 address"):
        containment.address_of(text)


SECONDS = [("15m", 900.0), ("1", 1.0), ("30d", 30 * 86_400.0)]


@pytest.mark.parametrize(("text", "expected"), SECONDS)
def test_how_long(text, expected):
    assert containment.seconds_of(text) == expected


@pytest.mark.parametrize("text", ["0", "0.5s", "31d", "999999999w", "forever", "-1h"])
def test_every_block_ends_by_itself_and_not_at_once(text):
    with pytest.raises(Refused):
        containment.seconds_of(text)


def rows(store, settings):
    return asyncio.run(containment.rows(store, settings, NOON_MS))


def test_every_block_with_what_the_gateway_lists(store, settings, gateway):
    block(store, settings, "203.0.113.7")
    block(store, settings, "203.0.113.8")
    gateway.blocked.remove("203.0.113.7")
    store.log.append_intent(action("act-cap", kind="capture_evidence"))
    found = [(row.target, row.state, row.mode, row.gateway) for row in rows(store, settings)]
    assert found == [
        ("203.0.113.8", "confirmed", "enforce", "blocked"),
        ("203.0.113.7", "confirmed", "enforce", "not blocked"),
    ]
    gateway.stop()
    assert {row.gateway for row in rows(store, settings)} == {"unknown"}
    assert {row.gateway for row in rows(store, Settings())} == {"unknown"}


STATES = [("pass", "decided"), ("approve", "asked"), ("refuse", "refused")]


@pytest.mark.parametrize(("verdict", "expected"), STATES)
def test_a_block_without_a_receipt_stands_as_the_guards_had_it(store, verdict, expected):
    store.log.append_intent(action(guard=Guard(verdict, "why")))
    (row,) = rows(store, Settings())
    assert (row.state, row.reason, row.until) == (expected, "why", "2026-11-22T13:00:00.000Z")
    store.log.append_receipt(receipt(state="failed", detail="no answer"))
    (row,) = rows(store, Settings())
    assert (row.state, row.reason) == ("failed", "no answer")


def test_only_what_waits(store, settings, gateway):
    block(store, settings, "203.0.113.9")
    asks = Guard("approve", "confidence 0.71 below 0.90")
    for name, until_ms in (("act-1", NOON_MS + 1), ("act-2", NOON_MS)):
        store.log.append_intent(action(name, mode="enforce", guard=asks, until_ms=until_ms))
        store.outbox_add(name, NOON_MS)
        store.outbox_update(name, state="approval", attempts=0, next_attempt_ms=0, reason="would")
    waits = asyncio.run(containment.rows(store, settings, NOON_MS, only_pending=True))
    assert [(row.action, row.state, row.waits) for row in waits] == [("act-1", "asked", True)]
    everything = [(row.action, row.waits) for row in rows(store, settings)]
    assert everything[:2] == [("act-2", False), ("act-1", True)]
    assert everything[2][1] is False
