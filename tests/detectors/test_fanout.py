"""What one address can make Fan hold is bounded, and its small steps are exact."""

import pytest

from detectors._fanout import MAX_GROUP, MAX_GROUPS, MAX_HELD, MAX_IDS, Fan, first_two
from detectors._state import DAY_S, Sighting
from tests.detectors._events import START_S, at

WINDOW_S = 300.0


def sighting(seconds, target="7", kinds=1):
    return Sighting.of(at(seconds).looks(target), target, kinds, discounted=False)


MEETINGS = [
    ("never seen", [], 0, True),
    ("seen within the window", [0], 300, True),
    ("seen before the window", [0], 301, False),
    ("seen a moment later, for this one came late", [30], 0, True),
    ("forgotten after a day", [0], DAY_S + 1, True),
    ("not forgotten for being seen again", [0, 40_000], DAY_S, False),
]


@pytest.mark.parametrize(
    ("before", "now", "expected"), [c[1:] for c in MEETINGS], ids=[c[0] for c in MEETINGS]
)
def test_meeting_an_id(before, now, expected):
    fan = Fan()
    for second in before:
        fan.meet("7", START_S + second, WINDOW_S)
    assert fan.meet("7", START_S + now, WINDOW_S) is expected


def test_of_one_id_the_earliest_two_seconds_are_kept_in_any_order():
    seen = [sighting(second) for second in (0, 0.5, 3, 9, 12)]
    expected = (seen[0], seen[2])
    known: tuple[Sighting, ...] = ()
    for one in (seen[3], seen[4], seen[0], seen[1], seen[2]):
        known = first_two(known, one)
    assert known == expected


def test_an_answered_sighting_is_kept_beside_a_refused_one():
    refused, answered = sighting(0), sighting(5, kinds=3)
    assert first_two((refused,), answered) == (refused, answered)


def held(fan):
    return sum(len(history) for group in fan.groups.values() for history in group.values())


@pytest.mark.parametrize(("clients", "ids"), [(1, 5000), (2000, 1), (40, 200)])
def test_bounded(clients, ids):
    fan = Fan(last_s=START_S + 60)
    for client in range(clients):
        for n in range(ids):
            fan.meet(f"{n}", START_S + n, WINDOW_S)
            fan.join(f"c{client}", sighting(50, f"{n}"), WINDOW_S, repeats=False)
    assert len(fan.ids) <= MAX_IDS
    assert len(fan.groups) <= MAX_GROUPS
    assert max(map(len, fan.groups.values())) <= MAX_GROUP
    assert fan.held == held(fan) <= MAX_HELD


def test_clients_out_of_the_window_are_let_go():
    fan = Fan(last_s=START_S)
    fan.join("old", sighting(0), WINDOW_S, repeats=False)
    fan.last_s = START_S + 1000
    fan.join("new", sighting(1000), WINDOW_S, repeats=False)
    assert list(fan.groups) == ["new"]
    assert fan.held == 1


QUIET = [
    ("nothing known", [], True),
    ("two in the quarter of an hour before", [-100, -200], True),
    ("three", [-100, -200, -300], False),
    ("three, one of which is too recent to be settled", [-61, -200, -300], True),
    ("three, one of which is long ago", [-962, -200, -300], True),
]


@pytest.mark.parametrize(("shown", "expected"), [c[1:] for c in QUIET], ids=[c[0] for c in QUIET])
def test_quiet(shown, expected):
    fan = Fan()
    for n, second in enumerate(sorted(shown)):
        fan.meet(f"{n}", START_S + second, WINDOW_S)
    assert fan.quiet(START_S, 12) is expected
