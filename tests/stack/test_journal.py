"""A task's journal on the real Kafka: one owner, all of a commit or nothing, nothing twice."""

import asyncio
import secrets

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka import journal as module
from streams.kafka.journal import Journal
from streams.kafka.wire import Output
from tests.stack._clients import TIMEOUT_S, create_topic


class World:
    """Topics of one test's own, and journals of one task over them."""

    def __init__(self, kafka):
        name = secrets.token_hex(4)
        self.brokers = kafka.brokers
        self.state, self.out = f"{name}.state", f"{name}.out"
        self.raw = TopicPartition(f"{name}.raw", 1)
        self.name = f"{name}.intake-1"
        self.open: list[Journal] = []

    async def __aenter__(self):
        await create_topic(self.brokers, self.state, 2)
        await create_topic(self.brokers, self.out)
        await create_topic(self.brokers, self.raw.topic, 2)
        return self

    async def __aexit__(self, *_):
        for one in self.open:
            await one.end()

    def journal(self):
        connection = {"bootstrap_servers": self.brokers, "retry_backoff_ms": 100}
        made = Journal(connection, self.name, self.state, 1, self.name)
        self.open.append(made)
        return made

    async def began(self):
        """(a journal, what it began with)."""
        one = self.journal()
        async with asyncio.timeout(TIMEOUT_S):
            return one, await one.begin()

    async def commit(self, one, words, position, *, base=False):
        """State and outputs of the same words."""
        outputs = [Output(self.out, word, b"key", 0, (("n", b"1"),)) for word in words]
        async with asyncio.timeout(TIMEOUT_S):
            await one.commit(outputs, words, self.raw, position, base=base)

    async def read(self, topic, number=0):
        """Every record that a reader of what is committed sees."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.brokers, isolation_level="read_committed",
            auto_offset_reset="earliest", enable_auto_commit=False,
        )  # fmt: skip
        place = TopicPartition(topic, number)
        found = []
        await consumer.start()
        try:
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            end = (await consumer.end_offsets([place]))[place]
            async with asyncio.timeout(TIMEOUT_S):
                while await consumer.position(place) < end:
                    found += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
        finally:
            await consumer.stop()
        return found

    async def sent(self):
        return [record.value for record in await self.read(self.out)]

    async def position(self):
        """Where the group reads on."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.brokers, group_id=self.name, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign([self.raw])
            return await consumer.committed(self.raw)
        finally:
            await consumer.stop()


def on(kafka, test):
    async def main():
        async with World(kafka) as world:
            await test(world)

    asyncio.run(main())


def test_a_commit_is_outputs_state_and_position(kafka):
    async def test(world):
        one, before = await world.began()
        assert before == []
        await world.commit(one, [b"a", b"b"], 7)
        await world.commit(one, [b"c"], 9)
        (first, *_) = await world.read(world.out)
        assert (first.key, first.value, first.headers) == (b"key", b"a", (("n", b"1"),))
        assert await world.sent() == [b"a", b"b", b"c"]
        assert await world.position() == 9
        await one.end()
        _, known = await world.began()
        assert known == [b"a", b"b", b"c"]
        assert await world.read(world.state, 0) == [], "the other task's partition"

    on(kafka, test)


def test_the_new_owner_fences_the_old_one_off(kafka):
    async def test(world):
        old, _ = await world.began()
        await world.commit(old, [b"a"], 1)
        new, known = await world.began()
        assert known == [b"a"]
        with pytest.raises(KafkaError):
            await world.commit(old, [b"zombie"], 2)
        await world.commit(new, [b"b"], 3)
        # aiokafka asserts that a producer that was fenced off is not asked again.
        with pytest.raises((KafkaError, AssertionError)):
            await world.commit(old, [b"zombie again"], 4)
        assert await world.sent() == [b"a", b"b"]
        assert await world.position() == 3
        _, known = await world.began()
        assert known == [b"a", b"b"]

    on(kafka, test)


def test_what_stopped_in_the_middle_of_a_transaction_did_not_happen(kafka):
    """Its process is gone without a word: nobody ends the transaction but the next owner."""

    async def test(world):
        old, _ = await world.began()
        await world.commit(old, [b"a"], 1)
        producer = old._producer
        await producer.begin_transaction()
        for topic, number in ((world.out, 0), (world.state, 1)):
            await (await producer.send(topic, b"half", partition=number))
        await producer.send_offsets_to_transaction({world.raw: 99}, world.name)
        assert await world.sent() == [b"a"], "not to be seen while it is open"
        new, known = await world.began()
        assert known == [b"a"]
        assert await world.sent() == [b"a"]
        assert await world.position() == 1
        await world.commit(new, [b"b"], 2)
        assert await world.sent() == [b"a", b"b"]
        with pytest.raises(KafkaError):
            await producer.commit_transaction()
        assert await world.position() == 2

    on(kafka, test)


def test_a_base_takes_the_place_of_what_was_before(kafka):
    async def test(world):
        one, _ = await world.began()
        await world.commit(one, [b"a", b"b"], 1)
        await world.commit(one, [b"base 1", b"base 2"], 2, base=True)
        await world.commit(one, [b"c"], 3)
        await one.end()
        two, known = await world.began()
        assert known == [b"base 1", b"base 2", b"c"], "before it was forgotten"
        await world.commit(two, [b"base 3"], 4, base=True)
        await two.forget()
        await world.commit(two, [b"d"], 5)
        kept = [record.value for record in await world.read(world.state, 1)]
        assert kept == [b"base 3", b"d"]
        await two.end()
        _, known = await world.began()
        assert known == [b"base 3", b"d"]

    on(kafka, test)


def test_a_base_that_was_aborted_takes_nobodys_place(kafka):
    async def test(world):
        old, _ = await world.began()
        await world.commit(old, [b"a"], 1)
        producer = old._producer
        await producer.begin_transaction()
        await (await producer.send(world.state, b"half", key=b"base", partition=1))
        new, known = await world.began()
        assert known == [b"a"]
        await world.commit(new, [b"b"], 2)
        _, known = await world.began()
        assert known == [b"a", b"b"]

    on(kafka, test)


def test_a_base_is_wanted_when_much_has_changed_since_the_last(kafka, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_BASE_BYTES", 1_000)

    async def test(world):
        one, _ = await world.began()
        assert not one.wants_base
        await world.commit(one, [b"x" * 600], 1)
        assert not one.wants_base
        await world.commit(one, [b"x" * 600], 2)
        assert one.wants_base
        await world.commit(one, [b"y" * 800], 3, base=True)
        assert not one.wants_base
        await world.commit(one, [b"x" * 1_500], 4)
        assert not one.wants_base, "less than twice the base"
        await world.commit(one, [b"x" * 200], 5)
        assert one.wants_base
        two, _ = await world.began()
        assert two.wants_base, "whoever takes it over knows as much"

    on(kafka, test)


def test_nothing_but_a_position_can_be_committed(kafka):
    async def test(world):
        one, _ = await world.began()
        await world.commit(one, [], 5)
        assert await world.position() == 5
        assert await world.read(world.state, 1) == []

    on(kafka, test)


def test_a_message_that_is_too_large_keeps_nothing_of_its_commit(kafka):
    async def test(world):
        one, _ = await world.began()
        await world.commit(one, [b"a"], 1)
        with pytest.raises(KafkaError):
            await world.commit(one, [b"small", b"x" * (5 << 20)], 2)
        _, known = await world.began()
        assert known == [b"a"]
        assert await world.sent() == [b"a"]
        assert await world.position() == 1

    on(kafka, test)
