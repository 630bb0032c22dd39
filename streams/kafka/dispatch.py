"""Hands a person's order to the deployment's decider, and waits for what came of it.

In: an order, settings, an environment, how long to wait. Out: a verdict, or None where nobody
answered in time: the order then stands, and is done when a worker is up. It decides nothing, and
MUST NOT send an order twice: its producer is idempotent, and one that fails is not tried again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec

from records.incident import Receipt
from streams.approvals import PERSON
from streams.kafka.orders import ORIGIN, Order, wish
from streams.kafka.replica import CONNECT_S, lost, require
from streams.kafka.settings import Kafka

_READ_MS: Final = 200
_STOP_S: Final = 1.0


class Verdict(msgspec.Struct, frozen=True):
    """What became of an order."""

    how: Literal["done", "refused", "trouble"]
    """trouble: the enforcement point did not do it, and is asked again."""
    receipt: Receipt


class Answers:
    """Receipts in, as they come after the order; a verdict once they decide."""

    def __init__(self, order: Order) -> None:
        self._order = order
        named = order.action.id if order.kind == "block" and order.action else order.target
        self._last: dict[str, Receipt | None] = {} if order.kind == "unblock" else {named: None}
        """The deciding receipt of each action that the order is about, once there is one."""
        self._begun = order.kind in {"block", "unblock"}
        """Whether what an action's receipts say can be about this order."""
        self._said: Receipt | None = None
        """The answer to the order itself."""

    def note(self, receipt: Receipt) -> None:
        """One receipt of the deployment, about whatever it is."""
        if receipt.action == self._order.id:
            self._said = receipt
        elif self._order.kind == "unblock" and _is_wish(receipt):
            if receipt.detail.endswith(wish(self._order)):
                self._last[receipt.action] = None
        elif receipt.action in self._last:
            if receipt.point == PERSON:
                self._begun = True
            # A block that was under way when it was to be lifted is confirmed after the wish.
            crossed = self._order.kind == "unblock" and receipt.state == "confirmed"
            if self._begun and not crossed and (receipt.point, receipt.state) != (PERSON, "wanted"):
                self._last[receipt.action] = receipt

    @property
    def verdict(self) -> Verdict | None:
        """None as long as an answer is missing."""
        if self._said is not None:
            return Verdict("done" if self._said.state == "confirmed" else "refused", self._said)
        receipts = [receipt for receipt in self._last.values() if receipt is not None]
        if not receipts or len(receipts) < len(self._last):
            return None
        for receipt in receipts:
            if receipt.state in {"failed", "drifted"}:
                return Verdict("trouble", receipt)
        wanted = "confirmed" if self._order.kind in {"block", "approve"} else "expired"
        for receipt in receipts:
            # Without a look at the gateway: another action still wants the effect.
            stays = self._order.kind == "unblock" and not receipt.read_back
            if receipt.state != wanted or stays:
                return Verdict("refused", receipt)
        # The first: what the others did was done by then.
        return Verdict("done", min(receipts, key=lambda receipt: receipt.at_ms))


def _is_wish(receipt: Receipt) -> bool:
    return (receipt.state, receipt.read_back) == ("wanted", "absent")


async def give(
    kafka: Kafka, environ: Mapping[str, str], order: Order, timeout_s: float
) -> Verdict | None:
    """Send an order, and wait so long for its verdict; None: it is kept, and nobody answered.

    Raises:
        ConnectionError: the brokers are down, or refuse us; with what to do.
        FileNotFoundError: no worker of the deployment ever ran.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from streams.kafka.client import connection  # noqa: PLC0415
    from streams.kafka.topics import Topics  # noqa: PLC0415

    topics = Topics(kafka.prefix)
    await require(kafka, environ, [topics.receipts], [topics.exposures])
    consumer = AIOKafkaConsumer(
        **connection(kafka, environ),
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    place = TopicPartition(topics.receipts, 0)
    try:
        try:
            async with asyncio.timeout(CONNECT_S):
                await consumer.start()
                consumer.assign([place])
                consumer.seek(place, (await consumer.end_offsets([place]))[place])
        except (KafkaError, TimeoutError) as error:
            raise lost(kafka, f"reading {place.topic}", error) from None
        await _send(kafka, environ, topics.exposures, order)
        try:
            async with asyncio.timeout(timeout_s):
                return await _answered(consumer, Answers(order))
        except (KafkaError, TimeoutError):
            return None
    finally:
        await consumer.stop()


async def tell(kafka: Kafka, environ: Mapping[str, str], order: Order) -> None:
    """Send an order that nobody waits for: the brokers have it, and the decider will enter it.

    Raises:
        As `give`.
    """
    from streams.kafka.topics import Topics  # noqa: PLC0415

    topics = Topics(kafka.prefix)
    await require(kafka, environ, [], [topics.exposures])
    await _send(kafka, environ, topics.exposures, order)


async def _send(kafka: Kafka, environ: Mapping[str, str], topic: str, order: Order) -> None:
    """Until the brokers have it.

    Raises:
        ConnectionError: they did not say so.
    """
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from streams.kafka.client import MAX_RECORD_BYTES, connection  # noqa: PLC0415
    from streams.kafka.wire import Slices, encode  # noqa: PLC0415

    producer = AIOKafkaProducer(
        **connection(kafka, environ),
        acks="all",
        enable_idempotence=True,
        max_request_size=MAX_RECORD_BYTES,
    )
    # Idle: a decider that does not know of orders yet waits for nobody because of it.
    frame, sent = encode(Slices(ORIGIN, 0, True, orders=[order])), False
    try:
        async with asyncio.timeout(CONNECT_S):
            await producer.start()
            sent = True
            await producer.send_and_wait(topic, frame, partition=0)
    except (KafkaError, TimeoutError) as error:
        fault = lost(kafka, f"writing to {topic}", error)
        if sent:
            fault = ConnectionError(f"{fault}; if the order arrived, `breachline blocks` shows it")
        raise fault from None
    finally:
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await producer.stop()


async def _answered(consumer: Any, answers: Answers) -> Verdict:
    while True:
        for records in (await consumer.getmany(timeout_ms=_READ_MS)).values():
            for record in records:
                with suppress(msgspec.DecodeError):  # what others write there answers nobody
                    answers.note(msgspec.json.decode(record.value or b"", type=Receipt))
        if (verdict := answers.verdict) is not None:
            return verdict
