"""When a partition counts as idle: never on a guess, never in an outage."""

import pytest
from aiokafka import TopicPartition

from streams.clock import HandClock
from streams.kafka.quiet import IDLE_S, RETURN_S, STALE_S, Quiet

PLACE = TopicPartition("breachline.access.raw", 2)
POSITION = 7


class Brokers:
    """Say an end again and again, until they fall silent."""

    def __init__(self, clock):
        self.end: int | None = POSITION
        self._clock = clock
        self._silent_ms: int | None = None

    def fall_silent(self):
        self._silent_ms = self._clock.now_ms()

    def come_back(self):
        self._silent_ms = None

    def told(self, place):
        assert place == PLACE
        said_ms = self._clock.now_ms() if self._silent_ms is None else self._silent_ms
        return None if self.end is None else (self.end, said_ms)


@pytest.fixture
def clock():
    return HandClock(1_800_000_000_000)


@pytest.fixture
def brokers(clock):
    return Brokers(clock)


@pytest.fixture
def quiet(clock, brokers):
    return Quiet(PLACE, brokers.told, clock)


ENDS = [
    ("nothing is known of the end", None, 2 * IDLE_S, False),
    ("there is more to read", POSITION + 1, 2 * IDLE_S, False),
    ("all was read just now", POSITION, IDLE_S / 2, False),
    ("all was read a while ago", POSITION, 2 * IDLE_S, True),
]


@pytest.mark.parametrize(("name", "end", "after_s", "expected"), ENDS, ids=[e[0] for e in ENDS])
def test_the_end_and_the_last_records(quiet, brokers, clock, name, end, after_s, expected):
    clock.advance(10 * IDLE_S)
    quiet.polled()
    brokers.end = end
    clock.advance(after_s)
    assert quiet.lasts(POSITION) is expected


def test_a_word_from_before_it_could_be_idle_does_not_count(quiet, brokers, clock):
    clock.advance(IDLE_S / 2)
    brokers.fall_silent()
    clock.advance(STALE_S - 0.1)
    assert quiet.lasts(POSITION) is False


def test_who_was_cut_off_waits_for_the_shippers_to_come_back(quiet, brokers, clock):
    clock.advance(2 * IDLE_S)
    assert quiet.lasts(POSITION)
    brokers.fall_silent()
    clock.advance(STALE_S + 0.1)
    assert not quiet.lasts(POSITION)
    brokers.come_back()
    clock.advance(RETURN_S - 0.1)
    assert not quiet.lasts(POSITION)
    clock.advance(0.2)
    assert quiet.lasts(POSITION)


WORK = [("at once", 0, True), ("in time", STALE_S, True), ("late", STALE_S + 0.1, False)]


@pytest.mark.parametrize(("name", "took_s", "expected"), WORK, ids=[w[0] for w in WORK])
def test_brokers_that_answer_late_were_away(quiet, clock, name, took_s, expected):
    clock.advance(2 * IDLE_S)
    begun_s = clock.monotonic_s()
    clock.advance(took_s)
    quiet.answered(begun_s)
    assert quiet.lasts(POSITION) is expected
    clock.advance(RETURN_S + 0.1)
    assert quiet.lasts(POSITION)
