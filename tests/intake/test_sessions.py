import pytest

from intake.sessions import SHARED_ADDRESSES, Sessions


def uses(session="s", addresses=30, users=lambda address, turn: f"u-{address}", turns=3):
    return [
        (session, f"192.0.2.{address}", users(address, turn))
        for turn in range(turns)
        for address in range(addresses)
    ]


@pytest.mark.parametrize(
    ("name", "requests", "shared"),
    [
        ("an app key", uses(), True),
        ("near miss: 20 addresses", uses(addresses=SHARED_ADDRESSES), False),
        ("one address", uses(addresses=1, turns=99), False),
        ("a roaming user", uses(users=lambda *_: "u-1"), False),
        ("one attacker over many addresses", uses(users=lambda a, t: f"u-{a}-{t}"), False),
        ("each address once", uses(turns=1), False),
    ],
)
def test_shared_sessions(name, requests, shared):
    used = Sessions()
    for request in requests:
        used.is_shared(*request)
    assert used.is_shared(*requests[0]) is shared, name


def test_sessions_survive_a_restart():
    requests = uses()
    for cut in (0, 10, 45, len(requests)):
        before, after = Sessions(), Sessions()
        for request in requests[:cut]:
            before.is_shared(*request)
        after.load(iter(before.take_dirty()))
        assert before.take_dirty() == []
        for request in requests[cut:]:
            after.is_shared(*request)
        assert after.is_shared(*requests[0])


def test_bounded(monkeypatch):
    monkeypatch.setattr("intake.sessions._MAX_SESSIONS", 10)
    used = Sessions()
    for number in range(100):
        for address in range(100):
            used.is_shared(f"s{number}", f"192.0.2.{address}", "u")
    assert len(used._sessions) <= 10
    assert len(used.take_dirty()) <= 10
    assert max(len(use.by_address) for use in used._sessions.values()) <= 64
