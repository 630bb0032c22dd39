import asyncio
import hashlib

import msgspec
import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)

from streams.clock import HandClock
from streams.kafka import outflow
from streams.kafka.outflow import FRAME_BYTES, Outflow, Unanswered, message, producers, without
from streams.kafka.settings import Kafka, Sasl
from streams.lines import Fault, Frame
from tests.streams.kafka._broker import Broker


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(outflow, "TICK_S", 0.001)
    monkeypatch.setattr(outflow, "_RETRY_S", 0)


def frame(offset, data=b"12345678\n", source="a" * 16):
    return Frame(source, "access.log", offset, data)


class Way:
    """An outflow, what it was told to tell, and the brokers behind it."""

    def __init__(self, **settings):
        self.broker = Broker()
        self.clock = HandClock()
        self.done: list[Frame] = []
        self.said: list[str] = []
        self.out = Outflow(
            self.broker.connect, "raw", self.clock,
            acknowledged=self.done.append, say=self.said.append, **settings,
        )  # fmt: skip

    async def put(self, *frames):
        for one in frames:
            await self.out.put(one)


FAULT = Fault(40, "too_long", "ab", b"head", 900)
MESSAGES = [
    ("lines", frame(40), b"12345678\n", [("offset", b"40")]),
    ("a last line without its newline", frame(0, b"1"), b"1", [("offset", b"0")]),
    (
        "bytes that are no line",
        Frame("a" * 16, "access.log", 40, b"", (FAULT,)),
        b"",
        [
            ("offset", b"40"),
            ("faults", msgspec.msgpack.encode([[40, "too_long", "ab", b"head"]])),
        ],
    ),
]


@pytest.mark.parametrize(("name", "given", "value", "rest"), MESSAGES, ids=[c[0] for c in MESSAGES])
def test_a_frame_as_a_message(name, given, value, rest):
    headers = [("source", b"a" * 16), ("name", b"access.log"), *rest]
    assert message(given) == (value, headers)


def test_a_name_that_is_no_text_goes_as_it_is():
    named = Frame("a" * 16, "\udcff.log", 0, b"1\n")
    assert dict(message(named)[1])["name"] == b"\xff.log"


def fault(offset, body, size_bytes):
    return Fault(offset, "too_long", hashlib.sha256(body).hexdigest(), body[:4096], size_bytes)


WITHOUT = [
    ("one line", b"a\rb\n", (fault(7, b"a\rb", 4),)),
    ("two", b"a\nbc\n", (fault(7, b"a", 2), fault(9, b"bc", 3))),
    ("without a newline", b"a" * 5000, (fault(7, b"a" * 5000, 5000),)),
]


@pytest.mark.parametrize(("name", "data", "faults"), WITHOUT, ids=[c[0] for c in WITHOUT])
def test_lines_that_no_broker_takes_become_faults_of_the_same_bytes(name, data, faults):
    made = without(frame(7, data))
    assert made == Frame("a" * 16, "access.log", 7, b"", faults)
    assert made.end == frame(7, data).end


def test_the_first_frame_of_a_source_goes_alone_and_the_others_together():
    async def story():
        way = Way()
        way.broker.answers = False
        await way.put(frame(0), frame(9), frame(18), frame(0, source="b" * 16))
        assert way.broker.offsets() == [0]
        way.broker.answer()
        await way.out.tick(0)
        assert way.broker.offsets() == [0, 9, 18]
        way.broker.answers = True
        way.broker.answer()
        await way.out.drain()
        assert way.broker.offsets() == [0, 9, 18, 0]
        await way.out.close()
        assert [one.offset for one in way.done] == [0, 9, 18, 0]

    asyncio.run(story())


def test_a_frame_counts_only_after_those_before_it():
    async def story():
        way = Way()
        await way.put(frame(0), frame(0, source="b" * 16))
        await way.out.drain()
        way.done.clear()
        way.broker.answers = False
        await way.put(frame(9), frame(9, source="b" * 16), frame(18))
        way.broker.answer(1)
        way.broker.answer(2)
        await way.out.tick(0)
        assert (way.done, way.out.bytes_held) == ([], 27)
        way.broker.answer(0)
        await way.out.drain()
        assert way.done == [frame(9), frame(9, source="b" * 16), frame(18)]
        assert way.out.bytes_held == 0

    asyncio.run(story())


def test_a_full_window_holds_up_whoever_puts():
    async def story():
        way = Way(window_bytes=20)
        await way.put(frame(0))
        await way.out.drain()
        way.broker.answers = False
        await way.put(frame(9), frame(18))
        putting = asyncio.ensure_future(way.out.put(frame(27)))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not putting.done()
        assert way.out.bytes_held == 27
        way.broker.answer()
        await putting
        assert way.out.bytes_held == 0

    asyncio.run(story())


FAILURES = [KafkaError("x"), OutOfOrderSequenceNumber(), TopicAuthorizationFailedError("raw")]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_what_a_failed_producer_had_not_sent_goes_to_the_next_in_order(error):
    async def story():
        way = Way()
        await way.put(frame(0))
        await way.out.drain()
        way.broker.answers = False
        await way.put(frame(9), frame(18), frame(27))
        way.broker.fail(1, error)
        way.broker.answers = True
        way.broker.answer(0)
        await way.out.drain()
        assert way.broker.offsets() == [0, 9, 18, 27, 18, 27]
        assert [one.offset for one in way.done] == [0, 9, 18, 27]
        assert (way.broker.connected, way.broker.stopped) == (2, 1)
        said = f"Kafka does not answer ({error}): reading waits, and goes on when it does."
        assert way.said == [said, "Kafka answers again."]

    asyncio.run(story())


def test_a_producer_that_takes_nothing_is_thrown_away():
    async def story():
        way = Way()
        way.broker.takes = [KafkaError("closed"), None]
        await way.put(frame(0), frame(9))
        await way.out.drain()
        assert [one.offset for one in way.done] == [0, 9]
        assert way.broker.connected == 2

    asyncio.run(story())


def test_settings_that_do_not_fit_any_more_are_said_and_tried_again():
    async def story():
        way = Way()
        connect, errors = way.broker.connect, [ValueError("the password is missing")]

        def sometimes(batch_bytes):
            if errors:
                raise errors.pop()
            return connect(batch_bytes)

        way.out._connect = sometimes
        await way.put(frame(0))
        await way.out.drain()
        assert way.done == [frame(0)]
        assert way.said[0].startswith("Kafka does not answer (the password is missing): ")

    asyncio.run(story())


def test_brokers_that_are_not_there_are_tried_again_and_said_once():
    async def story():
        way = Way()
        way.broker.refuses = 5
        await way.put(frame(0))
        await way.out.drain()
        assert way.broker.connected == 6
        said = "Kafka does not answer (nothing listens there): reading waits, and goes on when it"
        assert way.said == [f"{said} does.", "Kafka answers again."]

    asyncio.run(story())


def test_what_is_too_long_for_the_brokers_becomes_a_fault_and_the_rest_follows():
    async def story():
        way = Way()
        way.broker.max_bytes = 2 * FRAME_BYTES
        await way.put(frame(0))
        await way.out.drain()
        long = frame(9, b"x" * 3 * FRAME_BYTES + b"\n")
        allowed = frame(long.end, b"y" * FRAME_BYTES + b"\n")
        after = frame(allowed.end)
        await way.put(long, allowed, after)
        await way.out.drain()
        assert way.done == [frame(0), without(long), allowed, after]
        assert way.broker.batches_bytes == [outflow.BATCH_BYTES] * 2
        # The brokers have not counted what they refused: the producer cannot go on.
        assert (way.broker.connected, way.said) == (2, [])
        assert way.out.bytes_held == 0

    asyncio.run(story())


def test_a_limit_below_an_ordinary_frame_is_said():
    async def story():
        way = Way(patience_s=100)
        way.broker.max_bytes = 8
        way.broker.on_send = lambda: way.clock.advance(4)
        await way.put(frame(0))
        with pytest.raises(Unanswered, match="MessageSizeTooLarge"):
            await way.out.drain()
        assert way.done == []

    asyncio.run(story())


def test_batches_become_smaller_until_the_brokers_take_them():
    async def story():
        way = Way()
        await way.put(frame(0))
        await way.out.drain()
        way.broker.answers = False
        await way.put(frame(9), frame(18))
        way.broker.fail(0, MessageSizeTooLargeError())
        way.broker.fail(1, OutOfOrderSequenceNumber())
        way.broker.answers = True
        await way.out.drain()
        assert way.done == [frame(0), frame(9), frame(18)]
        assert (way.broker.batches_bytes, way.said) == ([3_000_000, 1_000_000], [])

    asyncio.run(story())


def test_patience_ends_counts_from_the_last_answer_and_not_while_nothing_is_asked():
    async def story():
        way = Way(patience_s=30)
        way.clock.advance(1000)
        await way.put(frame(0))
        await way.out.drain()
        way.clock.advance(1000)
        way.broker.answers = False
        await way.out.tick(0)
        await way.put(frame(9))
        way.clock.advance(29)
        await way.out.tick(0)
        assert way.said == [
            "Kafka does not answer (no answer for 5 s): reading waits, and goes on when it does."
        ]
        way.clock.advance(1)
        with pytest.raises(Unanswered, match="no answer for 5 s"):
            await way.out.drain()
        await way.out.close()

    asyncio.run(story())


def test_whoever_stops_does_not_wait_for_ever():
    async def story():
        way = Way()
        way.broker.answers = False
        await way.put(frame(0))
        way.out.end_in(5)
        await way.out.tick(0)
        way.clock.advance(5)
        with pytest.raises(Unanswered):
            await way.out.drain()
        await way.out.close()
        assert way.out.bytes_held == 9

    asyncio.run(story())


def test_a_missing_password_is_said_before_anything_is_sent():
    kafka = Kafka(
        brokers=["127.0.0.1:9092"], sasl=Sasl(username="shipper", password_env="KAFKA_PASSWORD")
    )
    with pytest.raises(ValueError, match="password of Kafka user shipper is missing"):
        producers(kafka, {})
