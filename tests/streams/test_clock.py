import pytest

from streams.clock import Clock, HandClock, SystemClock

YEAR_2020_MS = 1_577_836_800_000


def test_the_machines_clock_counts_milliseconds_since_1970_and_waits_only_for_positive_times():
    clock: Clock = SystemClock()
    before = clock.monotonic_s()
    clock.sleep(0)
    clock.sleep(-1)
    clock.sleep(0.001)
    assert clock.monotonic_s() - before >= 0.001
    assert isinstance(clock.now_ms(), int)
    assert clock.now_ms() > YEAR_2020_MS


@pytest.mark.parametrize(
    ("name", "seconds", "expected"),
    [
        ("a quarter of a second", [0.25], (1_250, 0.25)),
        ("steps add up", [1.0, 2.5], (4_500, 3.5)),
        ("never back", [2.0, -1.0], (3_000, 2.0)),
        ("stands still", [], (1_000, 0.0)),
    ],
)
@pytest.mark.parametrize("move", ["advance", "sleep"])
def test_a_hand_clock_moves_only_when_it_is_told_to(name, seconds, expected, move):
    clock = HandClock(1_000)
    for step in seconds:
        getattr(clock, move)(step)
    assert (clock.now_ms(), clock.monotonic_s()) == expected, name
