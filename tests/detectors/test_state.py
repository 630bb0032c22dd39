import msgspec
import pytest

from detectors._state import (
    EPISODE_GAP_S,
    HISTORY,
    SWEEP_KEYS,
    KeyedState,
    KeyState,
    Sighting,
    Tally,
    distinct,
    ends,
    remember,
)
from records.event import Actor
from tests.detectors._events import START_S, at

DAY = START_S // 86_400


def sighting(seconds, target="b", kinds=1, *, discounted=False):
    signal = at(seconds).user("a").read(target)
    return Sighting.of(signal, target, kinds, discounted=discounted)


def keyed(kind=Tally, *, max_keys=100, retention_s=1000.0, window_s=500.0, tracking=True):
    return KeyedState(
        kind, retention_s=retention_s, window_s=window_s, max_keys=max_keys, tracking=tracking
    )


def put(kept, key, second, *, foreign_s=0):
    state = kept.borrow(key, second)
    state.last_s, state.foreign_s = second, foreign_s
    kept.put(key, state)


ACTORS = [
    ("vouched for", at(0).user("a").session("s"), "principal:a", "gateway"),
    ("not vouched for", at(0).user("a", "asserted").session("s"), "session:s", "asserted"),
    ("nobody", at(0).ip("192.0.2.1").anonymous("verified"), "ip:192.0.2.1", "verified"),
    ("unlogged", at(0).ip("192.0.2.1"), "ip:192.0.2.1", ""),
]


@pytest.mark.parametrize(
    ("who", "actor", "provenance"), [c[1:] for c in ACTORS], ids=[c[0] for c in ACTORS]
)
def test_a_sighting_answers_for_the_same_actor_as_its_signal(who, actor, provenance):
    signal = who.read("b")
    seen = Sighting.of(signal, "b", 1, discounted=False)
    assert seen.actor == signal.actor == Actor(*actor.split(":", 1))
    assert seen.provenance == provenance


EPISODES = [
    ("one", [0, 3600, 7200], [(0, 0), (0, 0), (0, 0)]),
    ("two in a day", [0, 3601], [(0, 0), (0, 1)]),
    ("the next day begins at 0", [0, 3601, 86_400], [(0, 0), (0, 1), (1, 0)]),
    ("an earlier arrival keeps the name", [50, 0, 3650], [(0, 0), (0, 0), (0, 0)]),
]


@pytest.mark.parametrize(
    ("seconds", "expected"), [c[1:] for c in EPISODES], ids=[c[0] for c in EPISODES]
)
def test_episodes(seconds, expected):
    state, named = KeyState(), []
    for second in seconds:
        state.enter(START_S + second)
        named.append((state.day - DAY, state.ordinal))
    assert named == expected


def test_a_new_episode_may_emit_again():
    state = KeyState()
    state.enter(START_S)
    state.emitted = ["high"]
    state.enter(START_S + EPISODE_GAP_S)
    assert state.emitted == ["high"]
    state.enter(START_S + 2 * EPISODE_GAP_S + 1)
    assert state.emitted == []


A, B, C, D = (sighting(second) for second in (0, 10, 70, 71))
REMEMBERED = [
    ("the first", (), A, 0, (A,)),
    ("in order", (A,), C, 0, (A, C)),
    ("out of order", (C,), A, -100, (A, C)),
    ("the same again", (A,), A, 0, (A,)),
    ("one a second", (A,), sighting(0.4), -100, (sighting(0.4),)),
    ("only the newest of those that are settled", (A, B, C), D, 71, (D,)),
    ("what can still be overtaken is kept", (A, B, C), D, 10, (B, C, D)),
    ("of another kind", (A,), sighting(80, kinds=2), 100, (A, sighting(80, kinds=2))),
]


@pytest.mark.parametrize(
    ("known", "fresh", "settled_s", "expected"),
    [c[1:] for c in REMEMBERED],
    ids=[c[0] for c in REMEMBERED],
)
def test_remember(known, fresh, settled_s, expected):
    assert remember(known, fresh, START_S + settled_s) == expected


def test_history_is_bounded():
    known: tuple[Sighting, ...] = ()
    for kinds in range(1000):
        known = remember(known, sighting(kinds, kinds=kinds), START_S)
    assert len(known) == HISTORY
    assert known[-1].kinds == 999


def test_distinct_prefers_what_is_not_discounted_and_then_the_earliest():
    histories = [
        (sighting(0, "x"), sighting(5, "x"), sighting(6, "x")),
        (sighting(4, "y", discounted=True), sighting(9, "y")),
        (sighting(3, "z", kinds=2),),
        (sighting(8, "w", discounted=True),),
    ]
    assert distinct(histories, 1, START_S + 1, START_S + 9) == [
        sighting(5, "x"),
        sighting(8, "w", discounted=True),
        sighting(9, "y"),
    ]


def test_windows_end_at_the_sighting_and_at_each_later_one():
    seen = [sighting(second) for second in (0, 10, 20, 30)]
    assert ends(START_S + 30, START_S + 30, seen) == [START_S + 30]
    assert ends(START_S + 15, START_S + 30, seen) == [START_S + s for s in (15, 20, 30)]


def test_targets_are_bounded_in_number_and_age():
    tally = Tally(last_s=START_S + 1000)
    for n in range(50):
        tally.add(sighting(900 + n, f"u-{n}"))
        tally.trim(300, 20)
    assert list(tally.sightings) == [f"u-{n}" for n in range(30, 50)]
    tally.last_s = START_S + 1310
    tally.trim(300, 20)
    assert tally.sightings.keys() == {f"u-{n}" for n in range(32, 50)}


def test_nothing_changes_until_put():
    kept = keyed()
    first = kept.borrow("k", START_S)
    first.last_s = START_S
    first.add(sighting(0))
    kept.put("k", first)
    for _ in ("at work", "at rest"):
        lent = kept.borrow("k", START_S)
        lent.add(sighting(1, "c"))
        lent.emitted.append("high")
        assert kept.borrow("k", START_S).sightings == {"b": (sighting(0),)}
        assert kept.borrow("k", START_S).emitted == []
        kept.settle()


def test_dirty_is_what_changed_since_and_loads_to_the_same():
    kept, other = keyed(), keyed()
    put(kept, "a", START_S)
    put(kept, "b", START_S + 1)
    taken = kept.take_dirty()
    assert [key for key, _ in taken] == ["a", "b"]
    assert kept.take_dirty() == []
    put(kept, "b", START_S + 2)
    later = kept.take_dirty()
    assert [key for key, _ in later] == ["b"]
    other.load([*taken, *later])
    assert list(other.items()) == list(kept.items())
    assert other.take_dirty() == []
    other.load([("a", b"")])
    assert [key for key, _ in other.items()] == ["b"]


def test_without_tracking_nothing_is_listed():
    kept = keyed(tracking=False)
    put(kept, "a", START_S)
    assert kept.take_dirty() == []
    assert len(kept) == 1


def test_idle_keys_leave_and_are_listed_as_gone():
    kept = keyed(max_keys=10**6, retention_s=1000)
    put(kept, "old", START_S)
    put(kept, "a second younger", START_S + 1)
    kept.take_dirty()
    for n in range(3 * SWEEP_KEYS):
        put(kept, f"k{n}", START_S + 1001)
    assert ("old", b"") in kept.take_dirty()
    assert (kept.expired, kept.evicted, len(kept)) == (1, 0, 3 * SWEEP_KEYS + 1)


def test_an_idle_key_is_as_good_as_gone_before_it_left():
    kept = keyed(retention_s=1000)
    put(kept, "k", START_S, foreign_s=START_S)
    assert kept.borrow("k", START_S + 1000).last_s == START_S
    assert kept.borrow("k", START_S + 1001) == Tally()


def test_one_line_from_the_future_expires_nothing():
    kept = keyed(max_keys=10**6)
    for n in range(3 * SWEEP_KEYS):
        put(kept, f"k{n}", START_S)
        if n % 1000 == 0:
            kept.settle()
            put(kept, "future", START_S + 10**8)
            kept.settle()
    assert (kept.expired, len(kept)) == (0, 3 * SWEEP_KEYS + 1)


def test_too_many_keys_push_out_the_longest_unseen_but_none_with_a_foreign_signal():
    kept = keyed(max_keys=100)
    put(kept, "foreign", START_S, foreign_s=START_S)
    put(kept, "foreign, long ago", START_S, foreign_s=START_S - 501)
    for n in range(1000):
        put(kept, f"k{n}", START_S)
        assert len(kept) <= 100 + 64
    kept.settle()
    keys = [key for key, _ in kept.items()]
    assert len(keys) == 100
    assert "foreign" in keys
    assert "foreign, long ago" not in keys
    assert "k999" in keys
    assert kept.evicted == 902


def test_a_value_of_another_version_begins_anew_and_is_counted():
    kept = keyed()
    kept.load([("k", msgspec.msgpack.encode(["not", "a", "state"]))])
    assert kept.borrow("k", START_S) == Tally()
    assert kept.unreadable == 1
