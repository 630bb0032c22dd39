from typing import Any

import pytest

from records.event import Actor, Signal
from records.kinds import Key

BASE: dict[str, Any] = {"event": "s-1", "time_ms": 0, "ip": "192.0.2.1"}


@pytest.mark.parametrize(
    ("facts", "actor"),
    [
        ({"principal": "u-1", "provenance": "verified", "session": "s"}, "principal:u-1"),
        ({"principal": "u-1", "provenance": "gateway"}, "principal:u-1"),
        # Below gateway a name is only what somebody wrote: it never answers for a request.
        ({"principal": "u-1", "provenance": "unverified", "session": "s"}, "session:s"),
        ({"principal": "u-1", "provenance": "asserted"}, "ip:192.0.2.1"),
        ({"session": "s"}, "session:s"),
        ({}, "ip:192.0.2.1"),
    ],
)
def test_who_answers_for_a_request(facts, actor):
    assert str(Signal(**BASE, **facts).actor) == actor


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (Key.ACTOR, "principal:u-1"),
        (Key.ADDRESS, "192.0.2.1"),
        (Key.SUBNET, "192.0.2.0/24"),
        (Key.PRINCIPAL, "u-1"),
        (Key.SESSION, "s"),
        (Key.FINGERPRINT, "f"),
        (Key.ROUTE, "/users/{owner}"),
    ],
)
def test_a_signal_has_a_value_for_each_key(key, value):
    signal = Signal(
        **BASE,
        subnet="192.0.2.0/24",
        principal="u-1",
        provenance="gateway",
        session="s",
        fingerprint="f",
        route="/users/{owner}",
    )
    assert signal.key(key) == value
    assert Signal(event="s-1", time_ms=0).key(key) in {"", "ip:"}


def test_actors_are_ordered_and_compared_by_value():
    assert Actor("ip", "a") == Actor("ip", "a")
    assert min(Actor("session", "a"), Actor("ip", "b")) == Actor("ip", "b")
