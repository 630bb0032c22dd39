"""The fixtures keep their word: what a test may rely on when it uses the real Kafka."""

import asyncio
import dataclasses
import ssl

import pytest
from aiokafka.errors import KafkaError

from tests.stack._clients import consume, create_topic, login, partitions, produce

VALUES = [b"value %d" % n for n in range(100)]


def test_what_is_produced_is_consumed_in_order(kafka):
    async def story():
        await create_topic(kafka.brokers, "order")
        await produce(kafka.brokers, "order", VALUES)
        return await consume(kafka.brokers, "order", len(VALUES))

    assert asyncio.run(story()) == VALUES


def test_groups_and_partitions_work(kafka):
    async def story():
        await create_topic(kafka.brokers, "grouped", count=4)
        await produce(kafka.brokers, "grouped", VALUES)
        first = await consume(kafka.brokers, "grouped", len(VALUES), group_id="readers")
        await produce(kafka.brokers, "grouped", [b"later"])
        return first, await consume(kafka.brokers, "grouped", 1, group_id="readers")

    first, second = asyncio.run(story())
    assert (sorted(first), second) == (sorted(VALUES), [b"later"])


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_keeps_address_and_data(kafka, how):
    asyncio.run(create_topic(kafka.brokers, how))
    asyncio.run(produce(kafka.brokers, how, VALUES))
    brokers = kafka.brokers

    getattr(kafka, how)()
    assert not kafka.is_running
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(asyncio.open_connection(*brokers.split(":")))

    kafka.start()
    assert kafka.brokers == brokers
    assert asyncio.run(consume(brokers, how, len(VALUES))) == VALUES


async def until(answer, wanted):
    """The condition comes true within a bounded number of looks."""
    for _ in range(100):
        if (found := await answer()) == wanted:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"waiting for {wanted!r}, the last answer was {found!r}")


def test_acknowledged_data_outlives_its_leader(kafka_cluster):
    brokers = kafka_cluster.brokers

    async def in_sync():
        return len((await partitions(brokers, "led"))[0]["isr"])

    async def story():
        await create_topic(brokers, "led", copies=3)
        await produce(brokers, "led", VALUES[:50])
        killed = await kafka_cluster.leader("led")
        kafka_cluster.kill(killed)
        await produce(brokers, "led", VALUES[50:])
        assert await kafka_cluster.leader("led") != killed
        assert not kafka_cluster.nodes[killed].is_running
        assert await consume(brokers, "led", len(VALUES)) == VALUES
        assert await in_sync() == 2

        kafka_cluster.start()
        await until(in_sync, 3)

    asyncio.run(story())


def test_the_known_user_gets_in(secure_kafka):
    async def story():
        client = login(secure_kafka.security)
        await create_topic(secure_kafka.brokers, "closed", **client)
        await produce(secure_kafka.brokers, "closed", VALUES, **client)
        return await consume(secure_kafka.brokers, "closed", len(VALUES), **client)

    assert asyncio.run(story()) == VALUES


@pytest.mark.parametrize(
    ("changed", "broker_says"),
    [
        pytest.param({"password": "wrong"}, "invalid credentials", id="wrong password"),
        pytest.param({"user": "nobody"}, "invalid credentials", id="unknown user"),
        pytest.param({"protocol": "PLAINTEXT"}, "SSL handshake failed", id="no TLS"),
        pytest.param({"protocol": "SSL"}, "Unexpected Kafka request", id="no password"),
    ],
)
def test_others_stay_outside(secure_kafka, changed, broker_says):
    before = len(secure_kafka.process.output())
    client = login(dataclasses.replace(secure_kafka.security, **changed))
    with pytest.raises(KafkaError, match="Unable to bootstrap"):
        asyncio.run(create_topic(secure_kafka.brokers, "closed to me", **client))
    assert broker_says in secure_kafka.process.output()[before:]


def test_a_client_that_does_not_trust_the_certificate_stays_outside(secure_kafka):
    client = login(secure_kafka.security, ssl_context=ssl.create_default_context())
    with pytest.raises(KafkaError, match="Unable to bootstrap"):
        asyncio.run(create_topic(secure_kafka.brokers, "untrusted", **client))
