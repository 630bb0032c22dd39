"""What the tests ask of a Kafka through aiokafka: make topics, look at them, write and read."""

import asyncio
import contextlib

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.helpers import create_ssl_context

TIMEOUT_S = 30


def login(security, **other):
    """The arguments with which aiokafka's clients come in at a node that asks."""
    return {
        "security_protocol": security.protocol,
        "sasl_mechanism": security.mechanism,
        "sasl_plain_username": security.user,
        "sasl_plain_password": security.password,
        "ssl_context": create_ssl_context(cafile=str(security.ca_file)),
    } | other


@contextlib.asynccontextmanager
async def _admin(brokers, **client):
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers, **client)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def create_topic(brokers, name, count=1, copies=1, **client):
    """Make a topic with that many partitions, each on that many nodes."""
    async with _admin(brokers, **client) as admin:
        told = await admin.create_topics([NewTopic(name, count, copies)])
    (fault,) = [row[1:] for row in told.topic_errors]
    if fault[0]:
        raise RuntimeError(f"making the topic {name} at {brokers}: {fault}")


async def partitions(brokers, topic, **client):
    """The topic's partitions by number, each with `leader`, `replicas` and `isr` (node ids)."""
    async with _admin(brokers, **client) as admin:
        (told,) = await admin.describe_topics([topic])
    return {part["partition"]: part for part in told["partitions"]}


async def produce(brokers, topic, values, **client):
    """Write the values in order, each acknowledged by all replicas that are in sync."""
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers, acks="all", enable_idempotence=True,
        retry_backoff_ms=100, **client,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await producer.start()
            sent = [await producer.send(topic, value) for value in values]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def consume(brokers, topic, count, **client):
    """The values from the topic's beginning: that many, and what comes along with the last."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=brokers, auto_offset_reset="earliest", retry_backoff_ms=100,
        **client,
    )  # fmt: skip
    values: list[bytes] = []
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await consumer.start()
            while len(values) < count:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    values += [record.value for record in records]
    finally:
        await consumer.stop()
    return values
