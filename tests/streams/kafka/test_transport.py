"""Polls: everything of a partition at once, and from where to where it reaches."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.kafka.transport import Consumer, PollSchema, Transport, _Thread
from tests.streams.kafka._tasks import PLACE, poll, record

OTHER = TopicPartition("breachline.signals", 0)


class Fetching:
    """A thread whose fetches bring what the test says; `at` is where the consumer stands."""

    def __init__(self, monkeypatch):
        self.thread = object.__new__(_Thread)
        self.thread._handed = {}
        self.at: dict[TopicPartition, int | None] = {}
        self.brings: dict[TopicPartition, list[ConsumerRecord]] = {}

        async def fetch(_thread, _consumer, *_args, **_options):
            return self.brings

        async def assigned(_thread, *_args, **_options):
            return None

        base = driver.AIOKafkaConsumerThread
        monkeypatch.setattr(base, "_fetch_records", fetch)
        monkeypatch.setattr(base, "on_partitions_assigned", assigned)
        monkeypatch.setattr(base, "seek", lambda _thread, _partition, _offset: None)

    def state(self, place):
        if place not in self.at:
            return None
        at = self.at[place]
        return SimpleNamespace(position=at, has_valid_position=at is not None)

    def fetch(self, brings):
        self.brings = {place: list(map(record, offsets)) for place, offsets in brings.items()}
        assignment = SimpleNamespace(tps=set(self.at), state_value=self.state)
        subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
        consumer = SimpleNamespace(_subscription=subscription)
        found = asyncio.run(self.thread._fetch_records(consumer, set(self.at)))
        return {
            place: [(p.start, p.end, len(p.records)) for p in ps] for place, ps in found.items()
        }


@pytest.fixture
def fetching(monkeypatch):
    return Fetching(monkeypatch)


def test_all_of_a_partition_is_one_poll(fetching):
    fetching.at = {PLACE: 0, OTHER: 5}
    found = fetching.fetch({PLACE: [0, 1, 2], OTHER: [5]})
    assert found == {PLACE: [(0, 3, 3)], OTHER: [(5, 6, 1)]}


def test_a_poll_begins_where_the_last_one_ended(fetching):
    """Between them are markers of transactions, which nobody is given."""
    fetching.at = {PLACE: 0}
    assert fetching.fetch({PLACE: [0, 1]}) == {PLACE: [(0, 2, 2)]}
    fetching.at = {PLACE: 4}
    assert fetching.fetch({PLACE: [7]}) == {PLACE: [(2, 8, 1)]}


def test_the_first_poll_begins_where_the_consumer_stood(fetching):
    fetching.at = {PLACE: 3}
    assert fetching.fetch({PLACE: [5, 6]}) == {PLACE: [(3, 7, 2)]}


def test_where_nobody_knows_it_begins_with_its_first_record(fetching):
    fetching.at = {PLACE: None}
    assert fetching.fetch({PLACE: [5, 6]}) == {PLACE: [(5, 7, 2)]}


def test_after_a_seek_it_begins_there(fetching):
    fetching.at = {PLACE: 0}
    fetching.fetch({PLACE: [0, 1, 2]})
    asyncio.run(fetching.thread.seek_here(TP(*PLACE), 1))
    assert fetching.fetch({PLACE: [2]}) == {PLACE: [(1, 3, 1)]}


def test_a_new_assignment_forgets_what_was_handed_over(fetching):
    """What was on its way is thrown away then, and must be missed."""
    fetching.at = {PLACE: 0}
    fetching.fetch({PLACE: [0, 1]})
    asyncio.run(fetching.thread.on_partitions_assigned({PLACE}))
    fetching.at = {PLACE: 9}
    assert fetching.fetch({PLACE: [9]}) == {PLACE: [(9, 10, 1)]}


def test_going_back_is_seen(fetching):
    fetching.at = {PLACE: 0}
    fetching.fetch({PLACE: [0, 1, 2]})
    assert fetching.fetch({PLACE: [1, 2]}) == {PLACE: [(1, 3, 2)]}


def test_nothing_is_no_poll(fetching):
    fetching.at = {PLACE: 0}
    assert fetching.fetch({PLACE: []}) == {}


@pytest.fixture
def consumer():
    """What the transport makes of polls, without the life of a Faust service around it."""
    made = object.__new__(Consumer)
    made.app = SimpleNamespace(consumer_generation_id=3)  # type: ignore[assignment]
    return made


def test_a_message_is_a_poll(consumer):
    one = poll(3, 4, end=5)
    message = consumer._to_message(TP(*PLACE), one)
    assert message.value is one
    assert (message.tp, message.offset) == (TP(*PLACE), 4)
    assert PollSchema().loads_value(consumer.app, message) is one


def test_nothing_is_committed_here(consumer):
    assert consumer._filter_committable_offsets({TP(*PLACE)}) == {}
    assert asyncio.run(consumer._commit({TP(*PLACE): 9})) is False


def test_what_was_aborted_is_not_read(monkeypatch):
    transport: Any = None
    made = SimpleNamespace(_isolation_level="read_uncommitted")
    monkeypatch.setattr(
        driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda _thread, _transport: made
    )
    assert object.__new__(_Thread)._create_worker_consumer(transport) is made
    assert made._isolation_level == "read_committed"


def test_it_is_the_transports_consumer():
    assert Transport.Consumer is Consumer


TOLD = [
    ("more to fetch", 5, 9, 5, 9),
    ("all handed over", 9, 9, 9, 9),
    ("a transaction's marker at the end", 9, 9, 8, 8),
    ("nothing but aborted records at the end", 9, 9, 3, 3),
    ("not read yet", None, 9, None, 9),
]


@pytest.mark.parametrize(("name", "stands", "highwater", "handed", "expected"), TOLD)
def test_the_end_of_a_partition(fetching, name, stands, highwater, handed, expected):
    state = SimpleNamespace(
        position=stands, has_valid_position=stands is not None, highwater=highwater, timestamp=77
    )
    fetching.thread._state = lambda _place: state
    if handed is not None:
        fetching.thread._handed[PLACE] = handed
    assert fetching.thread.told(PLACE) == (expected, 77), name
