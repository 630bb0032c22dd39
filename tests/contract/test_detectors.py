"""What every detector promises, whichever it is: HOUSE 3, 5, 31 and FLOW 4, 5, 7."""

import inspect
from collections import Counter
from typing import get_args, get_origin

import msgspec
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from detectors._base import WindowSettings
from detectors._state import KeyState
from detectors.engine import Engine, discover
from records.event import Signal
from records.ids import partition
from records.kinds import Key
from tests.detectors._events import at
from tests.detectors._traffic import batches, reordered, traffic

many = settings(max_examples=80, deadline=None)
MAX_VALUE = 512 * 1024
TIGHT = {
    kind.id: {"limit": limit, "window": window}
    for kind, limit, window in zip(discover(), (2, 3, 2, 3, 2, 4, 2), (70, 90) * 4, strict=False)
}
"""Settings under which many sightings stand at the edge of a window."""
configured = st.sampled_from((None, TIGHT))


def ids(engine, signals, key=None):
    """Finding ids; a fault of a detector is a failure of its test."""
    found = [finding.id for finding in engine.observe(signals, key)]
    assert engine.faults == {}
    assert len(found) == len(set(found)), "one id, two findings"
    return found


@many
@given(traffic)
def test_input_is_unchanged(signals):
    before = msgspec.msgpack.encode(signals)
    Engine().observe(signals)
    assert msgspec.msgpack.encode(signals) == before


@many
@given(st.data())
def test_any_split_into_batches_gives_the_same_findings(data):
    signals = data.draw(traffic)
    engine = Engine()
    parts = [engine.observe(batch) for batch in data.draw(batches(signals))]
    assert [finding for part in parts for finding in part] == Engine().observe(signals)


@many
@given(st.data())
def test_any_interleaving_within_the_lateness_gives_the_same_ids(data):
    signals, detect = data.draw(traffic), data.draw(configured)
    arrived = data.draw(reordered(signals))
    engine = Engine(detect)
    assert sorted(ids(engine, arrived)) == sorted(ids(Engine(detect), signals))
    assert engine.counters["late"] == 0


@many
@given(traffic, st.integers(1, 7))
def test_any_partitioning_by_key_gives_the_same_ids(signals, count):
    found = []
    for kind in Key:
        for number in range(count):
            own = [s for s in signals if s.key(kind) and partition(s.key(kind), count) == number]
            found += ids(Engine(), own, kind)
    assert sorted(found) == sorted(ids(Engine(), signals))


@many
@given(st.data())
def test_dump_and_load_at_any_point_changes_nothing(data):
    signals = data.draw(traffic)
    stored: dict[tuple[str, str], bytes] = {}
    found = []
    for batch in data.draw(batches(signals)):
        engine = Engine()
        engine.load((space, key, value) for (space, key), value in stored.items())
        found += engine.observe(batch)
        stored |= {(space, key): value for space, key, value in engine.take_dirty()}
    assert found == Engine().observe(signals)


@many
@given(st.data())
def test_a_replay_after_a_restart_repeats_nothing_and_loses_nothing(data):
    signals = data.draw(traffic)
    cut = data.draw(st.integers(0, len(signals)))
    again = data.draw(st.integers(0, cut))
    before, after = Engine(), Engine()
    found = ids(before, signals[:cut])
    after.load(before.take_dirty())
    found += ids(after, signals[again:])
    assert Counter(found) == Counter(ids(Engine(), signals))


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.id)
def test_the_traffic_makes_every_rule_fire(kind):
    """Else the properties above would hold of silence."""

    def fired(signals):
        return {(finding.rule, finding.severity) for finding in Engine().observe(signals)}

    first = settings(max_examples=3000, phases=[Phase.generate], derandomize=True, deadline=None)
    assert find(traffic.map(fired), lambda pairs: (kind.id, "high") in pairs, settings=first)


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.id)
def test_it_takes_the_names_that_every_rule_has(kind):
    own = kind.Settings(limit=7, window="90s", enabled=False, mode="approval")
    assert isinstance(own, WindowSettings)
    assert own.model_config["extra"] == "forbid"
    assert (own.limit, own.window, own.enabled, own.mode) == (7, 90.0, False, "approval")


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.id)
def test_it_says_what_it_is(kind):
    assert kind.name
    assert kind.version
    assert kind.reference.startswith("https://")
    assert isinstance(kind.key, Key)
    parts = ("Sees:", "Misses:", "False alarms:", "Runbook:", "1. ", "2. ")
    places = [(inspect.getdoc(kind) or "").index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.id)
def test_its_state_is_plain_so_that_a_shallow_copy_is_a_copy(kind):
    """Containers one deep, of values that nothing changes in place."""
    assert issubclass(kind.State, KeyState)
    for field in msgspec.structs.fields(kind.State):
        if get_origin(field.type) in (list, dict):
            for part in get_args(field.type):
                assert get_origin(part) is not list


def flood(n: int) -> Signal:
    """The n-th of a flood from one address, each with another target, agent, route and id."""
    moment = at(n / 20).agent(f"f{n % 700}").route(f"/r{n % 90}/{{owner}}")
    user = f"user-{n:08}-of-a-rather-long-name-such-as-a-mail-address@example.org"
    who = (moment, moment.session("s"), moment.user("a"))[n % 3]
    match n % 8:
        case 0:
            return who.denied(user)
        case 1:
            return who.elsewhere().read(user)
        case 2:
            return who.looks(object=user, outcome="denied", status=404)
        case 3:
            return who.claims(user)
        case 4:
            return who.mismatch(user)
        case 5:
            return who.canary(user)
        case 6:
            return who.looks(*(f"{user}{i}" for i in range(100)))
        case _:
            return who.looks(user)


def test_state_is_bounded_whatever_one_key_does():
    engine = Engine()
    ids(engine, map(flood, range(6000)))
    sizes = {(space, key): len(value) for space, key, value in engine.take_dirty()}
    assert sizes
    assert {k: v for k, v in sizes.items() if v > MAX_VALUE} == {}


def test_keys_are_bounded_and_a_foreign_one_stays():
    engine = Engine(max_keys=50)
    ids(engine, [at(0).ip("192.0.2.1").user("a").read("b")])
    ids(engine, [at(1 + i / 100).ip(f"2001:db8::{i:x}").looks("7") for i in range(500)])
    stored = {(space, key) for space, key, value in engine.take_dirty() if value}
    assert max(Counter(space for space, _ in stored).values()) <= 50
    assert ("identity_fanout", "192.0.2.1") in stored
    assert engine.counters["evicted"] > 0


def test_idle_keys_leave_in_time():
    engine = Engine()
    hour = 3600
    ids(engine, [at(i).ip(f"2001:db8::{i:x}").looks("7") for i in range(100)])
    later = (at(27 * hour + i / 50).ip(f"2001:db8:1::{i:x}").looks("7") for i in range(9000))
    ids(engine, later)
    assert engine.counters["expired"] == 101, "each address, and the /64 they are in"
