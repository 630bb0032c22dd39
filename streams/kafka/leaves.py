"""Reads the topic `ledger` to its end, as it is committed, for whoever checks it.

Settings and an environment come in, (key, value) of each record goes out, in order. It joins no
group, commits nothing and writes nothing.
"""

from asyncio import timeout
from collections.abc import Callable, Mapping
from typing import Final

from streams.kafka.replica import CONNECT_S, lost, require
from streams.kafka.settings import Kafka

STUCK_S: Final = 10.0
"""Brokers that bring nothing new for so long are given up."""


async def read_leaves(
    kafka: Kafka,
    environ: Mapping[str, str],
    take: Callable[[bytes, bytes], None] | None = None,
    end: int | None = None,
) -> int:
    """Give `take` each record up to an offset, or to the topic's end as it is now; that offset.

    Raises:
        ConnectionError: the brokers are down, refuse us, or went away; with what to do.
        FileNotFoundError: no worker of the deployment ever ran.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from streams.kafka.client import connection  # noqa: PLC0415
    from streams.kafka.journal import upto  # noqa: PLC0415
    from streams.kafka.topics import Topics  # noqa: PLC0415

    place = TopicPartition(Topics(kafka.prefix).ledger, 0)
    await require(kafka, environ, [place.topic])
    consumer = AIOKafkaConsumer(
        **connection(kafka, environ),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        async with timeout(CONNECT_S):
            await consumer.start()
            consumer.assign([place])
            begin = (await consumer.beginning_offsets([place]))[place]
            if end is None:
                end = int((await consumer.end_offsets([place]))[place])
        if take is not None:
            consumer.seek(place, begin)
            async for record in upto(consumer, place, end, STUCK_S):
                take(record.key or b"", record.value or b"")
    except (KafkaError, TimeoutError) as error:
        raise lost(kafka, f"reading {place.topic}", error) from None
    finally:
        await consumer.stop()
    return end
