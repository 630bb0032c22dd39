from collections.abc import Iterator

import msgspec
import pytest

from detectors._base import Detector, Level
from detectors._state import Sighting, Tally
from detectors.engine import Engine, Fault, discover
from records.event import Signal
from records.finding import Finding
from records.kinds import Key
from tests.detectors._events import at, late, only

RULES = [
    "canary",
    "cross_user_read",
    "cross_user_write",
    "denied_burst",
    "header_mismatch",
    "identity_fanout",
    "unauthenticated_read",
]
READ = at(0).user("a").read("b")


class Brittle(Detector[Tally]):
    """Adds, and breaks on the user "boom" after it has added."""

    id = "brittle"
    name = "Brittle"
    key = Key.ACTOR
    State = Tally
    window_s = 300.0

    def sees(self, signal: Signal) -> bool:
        if signal.category == "blind":
            raise LookupError("cannot see")
        return signal.verdict == "foreign"

    def observe(self, key: str, signal: Signal, state: Tally) -> Iterator[Finding]:
        state.enter(signal.time_ms // 1000)
        (target,) = signal.targets
        seen = Sighting.of(signal, target, 1, discounted=False)
        state.add(seen)
        state.emitted.append("low")
        yield self.finding(signal.actor, Level("low", 1, 300, 1), [seen], state)
        if target == "boom":
            raise ZeroDivisionError("boom")


def test_every_rule_is_discovered_under_its_file_name():
    assert [kind.id for kind in discover()] == RULES
    assert [kind.__module__ for kind in discover()] == [f"detectors.{rule}" for rule in RULES]


def test_every_rule_runs_by_default():
    assert list(Engine().keys) == RULES


def test_a_disabled_rule_is_silent():
    assert Engine({"cross_user_read": {"enabled": False}}).observe([READ]) == []


def test_findings_come_in_the_order_of_their_signals():
    found = Engine().observe([at(0).user("a").read("b"), at(1).user("c").write("d")])
    assert [(f.rule, f.severity) for f in found] == [
        ("cross_user_read", "medium"),
        ("cross_user_write", "high"),
    ]


def test_those_of_one_signal_come_in_the_order_of_the_rules():
    signals = [at(i).user("a").write(f"u-{i}") for i in range(5)]
    together = Engine().observe(signals)
    one = Engine()
    assert together == [finding for signal in signals for finding in one.observe([signal])]
    assert [f.rule for f in together].count("cross_user_write") > 1
    assert len({f.rule for f in together}) > 1


def test_the_time_that_each_rule_takes_is_measured_by_the_stopwatch_given():
    engine = Engine(detectors=[Brittle])
    engine.observe([READ])
    assert engine.seconds == {"brittle": 0.0}
    engine.stopwatch = iter([10.0, 10.25, 20.0, 21.0, 30.0]).__next__
    engine.observe([READ, READ])
    engine.observe([READ])
    engine.observe([])
    assert engine.seconds == {"brittle": 1.25}


WRONG = [
    ({"cross_user_raed": {}}, "detect: no rule cross_user_raed; rules: canary, cross_user_read"),
    ({"canary": {"limit": 0}}, "detect.canary.limit: Input should be greater than or equal to 1"),
    ({"canary": {"limt": 3}}, "detect.canary.limt: Extra inputs are not permitted"),
    ({"canary": {"window": "x"}}, "detect.canary.window: Value error, 'x' is not a duration"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError) as caught:
        Engine(settings)
    assert str(caught.value).startswith(message)


def test_the_contracts_example_is_accepted():
    Engine({"identity_fanout": {"limit": 10, "window": "5m", "enabled": True, "mode": "simulate"}})


def test_late_and_ignored_signals_reach_nobody_and_are_counted():
    engine = Engine()
    ignored = at(0).user("a").read("b", outcome="ignored")
    assert engine.observe([late(READ), ignored, ignored]) == []
    assert engine.counters == {
        "late": 1, "ignored": 2, "evicted": 0, "expired": 0, "unreadable": 0,
    }  # fmt: skip


def test_a_signal_that_a_key_has_left_over_a_minute_behind_is_late_for_it():
    engine = only("cross_user_read")
    assert len(engine.observe([at(100).user("a").read("b"), at(40).user("a").read("c")])) == 1
    assert engine.counters["late"] == 0
    engine.observe([at(39).user("a").read("d")])
    assert engine.counters["late"] == 1
    assert len(engine.observe([at(39).user("other").read("d")])) == 1


def test_only_the_rules_of_one_key():
    signals = [at(i).user("a").read(f"u-{i}") for i in range(5)]
    by_key = {key: {f.rule for f in Engine().observe(signals, key)} for key in Key}
    assert by_key == {key: set() for key in Key} | {
        Key.ACTOR: {"cross_user_read"},
        Key.ADDRESS: {"identity_fanout"},
    }


def test_a_rule_that_raises_is_fenced_alone_and_its_key_is_as_it_was():
    signals = [at(i).user("a").read(user) for i, user in enumerate(["b", "boom", "c"])]
    blind = at(9).user("a").read("d", category="blind")
    engine = Engine(detectors=[Brittle, *discover()])
    found = engine.observe([*signals, blind])
    calm = [f.id for f in Engine().observe([*signals, blind])]
    assert [f.id for f in found if f.rule != "brittle"] == calm
    assert [f.users for f in found if f.rule == "brittle"] == [("b",), ("c",)]
    message = f"judging {blind.event}: LookupError: cannot see"
    assert engine.faults == {"brittle": Fault(count=2, message=message)}
    unharmed = Engine(detectors=[Brittle])
    unharmed.observe([signals[0], signals[2]])
    mine = [item for item in engine.take_dirty() if item[0] == "brittle"]
    assert mine == unharmed.take_dirty()


def test_state_goes_out_by_space_and_comes_back():
    signals = [at(i).user("a").read(f"u-{i}") for i in range(3)]
    first, second = Engine(), Engine()
    first.observe(signals[:2])
    taken = first.take_dirty()
    assert [(space, key) for space, key, _ in taken] == [
        ("cross_user_read", "principal:a"),
        ("denied_burst", "principal:a"),
        ("identity_fanout", "203.0.113.7"),
    ]
    second.load([*taken, ("no_such_rule", "k", b"\x90")])
    assert second.observe(signals[2:]) == first.observe(signals[2:])
    assert second.keys == first.keys


def test_nothing_is_listed_for_a_caller_that_takes_no_snapshots():
    engine = Engine(tracking=False)
    engine.observe([READ])
    assert engine.take_dirty() == []


def test_keys_are_bounded_and_evictions_counted():
    engine = Engine(max_keys=100)
    engine.observe(at(i / 100).ip(f"192.0.2.{i % 200}").looks(f"{i}") for i in range(400))
    engine.take_dirty()
    assert engine.keys["identity_fanout"] == 100
    assert engine.counters["evicted"] >= 100
    assert sum(engine.evicted.values()) == engine.counters["evicted"]


def test_a_rule_of_a_later_version_is_left_out_of_a_configuration():
    engine = Engine.configured({"a_rule_to_come": {"limit": 3}, "canary": {"enabled": False}})
    assert set(engine.keys) == {kind.id for kind in discover()} - {"canary"}


def test_the_kinds_of_a_signal_are_those_under_which_it_is_looked_at():
    engine = Engine()
    read = at(3).user("u-1").read("u-7")
    assert engine.kinds(read) == {Key.ACTOR, Key.ADDRESS}
    assert engine.kinds(msgspec.structs.replace(read, late=True)) == set()
    assert engine.kinds(msgspec.structs.replace(read, outcome="ignored")) == set()


NETS = [
    ("an address", at(3).ip("2001:db8::1").looks("u-7"), {Key.ADDRESS, Key.SUBNET}),
    ("a session, by a rule of addresses", at(3).ip("2001:db8::1").session("s").looks("u-7"),
        {Key.ADDRESS, Key.SUBNET}),
    ("a session, by a rule of actors", at(3).ip("2001:db8::1").session("s").canary("u-7"),
        {Key.ACTOR}),
    ("an address, by a rule of actors", at(3).ip("2001:db8::1").canary("u-7"),
        {Key.ACTOR, Key.SUBNET}),
    ("IPv4 has no such network", at(3).but(subnet="203.0.113.0/24").canary("u-7"), {Key.ACTOR}),
    ("no address", at(3).ip("gateway:8080").looks("u-7"), {Key.ADDRESS}),
]  # fmt: skip


@pytest.mark.parametrize(("signal", "expected"), [c[1:] for c in NETS], ids=[c[0] for c in NETS])
def test_what_an_ipv6_address_answers_for_is_looked_at_by_its_64_too(signal, expected):
    assert Engine().kinds(signal) == expected


def test_nobody_can_call_themselves_what_a_64_is_kept_under():
    engine = Engine()
    engine.observe([at(0).ip("2001:db8::1").looks("u-1"), at(1).ip("2001:db8::/64").looks("u-2")])
    kept = {key for space, key, _ in engine.take_dirty() if space == "identity_fanout"}
    assert kept == {"2001:db8::1", " 2001:db8::/64", "2001:db8::/64"}
