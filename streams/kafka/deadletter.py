"""The rejected lines of a deployment: read from its topic `deadletter`, and sent again.

In: what the intake tasks wrote there, and a filter. Out: lines, and messages on access.raw. What
was sent again is noted in the same transaction, in `deadletter` itself: a line is sent once, by
whomever and with whatever filter, unless it is asked for again. A line stands there with its
secrets masked and cut to 4 KiB, so no secret is ever replayed, and what was cut is not either.
"""

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from intake.redact import SECRET
from records.ids import digest
from streams.kafka.client import MAX_RECORD_BYTES, connection
from streams.kafka.intake import MESSAGE_BITS
from streams.kafka.journal import upto
from streams.kafka.replica import CONNECT_S, STUCK_S, lost, require
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics

KEPT_BYTES: Final = 4096
"""What intake cuts a rejected line to."""
_NOTE: Final = b"replayed"
"""The key of a record that notes what was sent again; the others' keys are ids of sources."""
_BATCH: Final = 1_000
"""Lines that are sent and noted in one transaction."""

Sent = tuple[int, int, int]
"""(offset in deadletter, partition and offset of access.raw)."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was not understood."""

    at: int
    """Its offset in the topic."""
    time_ms: int
    """When it was rejected."""
    reason: str
    source: str
    name: str
    """What to call the source to a person."""
    place: int
    """Where it stood in its source."""
    sha256: str
    """Of the bytes as logged."""
    data: bytes

    @property
    def masked(self) -> bool:
        """Whether these are not the bytes as logged."""
        return hashlib.sha256(self.data).hexdigest() != self.sha256

    @property
    def cut(self) -> bool:
        """Whether its end is missing."""
        if self.reason == "truncated_archive":
            return True
        if not self.masked:
            return False
        # Masking makes it shorter or longer, so the length alone does not tell.
        data = self.data.strip()
        return (
            self.reason == "too_long"
            or len(data) >= KEPT_BYTES
            or (data.startswith(b"{") and not data.endswith(b"}"))
        )


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are meant."""

    reason: str | None = None
    source: str | None = None
    """A source's id or name."""
    since_ms: int | None = None

    def takes(self, line: Line) -> bool:
        """Whether a line is one of them."""
        return (
            self.reason in {None, line.reason}
            and self.source in {None, line.source, line.name}
            and (self.since_ms is None or line.time_ms >= self.since_ms)
        )


class Listed(NamedTuple):
    """What `listed` found."""

    lines: list[Line]
    """The newest, oldest first."""
    found: int
    replayed: frozenset[int]
    """Offsets of those that were sent again."""


class Replayed(NamedTuple):
    """What `replay` did, or would do."""

    sent: int
    masked: int
    """So many of those were sent without what was masked."""
    cut: int
    """Left out, because their end is missing."""
    before: int
    """Left out, because they were sent before."""


class Ledger:
    """What was sent again, and what came of it: notes and lines in, which lines stand now out.

    A replayed line that was rejected again is in the topic a second time: that one stands for it.
    """

    def __init__(self, raw: str, partitions: int) -> None:
        self._numbers = {digest("kafka", raw, n, length=16): n for n in range(partitions)}
        self._sent: dict[int, tuple[int, int]] = {}
        self._places: dict[tuple[int, int], int] = {}
        self._back: set[tuple[int, int]] = set()

    def note(self, value: bytes) -> None:
        """Take in one of our notes."""
        for at, number, offset in msgspec.json.decode(value, type=list[Sent]):
            self._sent[at] = (number, offset)
            self._places[number, offset] = at

    def see(self, line: Line) -> None:
        """Take in a line."""
        if (number := self._numbers.get(line.source)) is not None:
            self._back.add((number, line.place >> MESSAGE_BITS))

    @property
    def sent(self) -> frozenset[int]:
        """Offsets of the lines that were sent again."""
        return frozenset(self._sent)

    def back(self) -> frozenset[int]:
        """Offsets of those whose replay was rejected too."""
        return frozenset(self._places[place] for place in self._back & self._places.keys())


async def listed(kafka: Kafka, environ: Mapping[str, str], wanted: Wanted, limit: int) -> Listed:
    """The newest lines of those that are wanted.

    Raises:
        ConnectionError: the brokers do not let us read; with what to do.
        FileNotFoundError: there is no such deployment.
        ValueError: password or TLS files are not where the configuration says.
    """
    topics = Topics(kafka.prefix)
    await require(kafka, environ, [topics.deadletter])
    ledger = Ledger(topics.raw, 0)
    newest: deque[Line] = deque(maxlen=limit)
    found = 0
    with _mapped(kafka, f"reading {topics.deadletter}"):
        async with _reading(kafka, environ, topics.deadletter) as (consumer, place, end):
            await _seek(consumer, place, wanted.since_ms)
            async for record in upto(consumer, place, end, STUCK_S):
                line = taken(record, ledger)
                if line is not None and wanted.takes(line):
                    found += 1
                    newest.append(line)
    return Listed(list(newest), found, ledger.sent)


async def replay(
    kafka: Kafka,
    environ: Mapping[str, str],
    wanted: Wanted,
    *,
    again: bool = False,
    dry: bool = False,
) -> Replayed:
    """Send the wanted lines to access.raw, each as a message of its own, late as it may be.

    again: also those that were sent before. dry: only count.

    Raises:
        As `listed`; ConnectionError also where the brokers go away, or another replay begins, half
            way: what was sent until then is noted, and the next call goes on.
    """
    topics = Topics(kafka.prefix)
    write = [] if dry else [topics.raw, topics.deadletter]
    counts = await require(kafka, environ, [topics.deadletter, topics.raw], write)
    with _mapped(kafka, f"replaying to {topics.raw}"):
        # The producer first: from then on nobody else's replay goes on, and what is read is true.
        async with (
            _sending(kafka, environ, dry=dry) as producer,
            _reading(kafka, environ, topics.deadletter) as (consumer, place, end),
        ):
            choice = Choice(wanted, Ledger(topics.raw, counts[topics.raw]), again=again)
            await consumer.seek_to_beginning(place)
            async for record in upto(consumer, place, end, STUCK_S):
                choice.see(record)
            told, chosen = choice.made()
            if producer is not None and chosen:
                consumer.seek(place, min(chosen))
                await _send(producer, topics, upto(consumer, place, end, STUCK_S), chosen)
    return told


class Choice:
    """Records of `deadletter` in, which of them are to be sent out."""

    def __init__(self, wanted: Wanted, ledger: Ledger, *, again: bool) -> None:
        self._wanted = wanted
        self._ledger = ledger
        self._again = again
        self._whole: list[int] = []
        self._masked: set[int] = set()
        self._cut = 0

    def see(self, record: Any) -> None:
        """Take in the next record."""
        line = taken(record, self._ledger)
        if line is None or not self._wanted.takes(line):
            return
        if line.cut:
            self._cut += 1
            return
        self._whole.append(line.at)
        if line.masked:
            self._masked.add(line.at)

    def made(self) -> tuple[Replayed, frozenset[int]]:
        """What will be done, and the offsets of the lines."""
        # One that came back is there again, as itself.
        back = self._ledger.back()
        sent = self._ledger.sent - back
        before = frozenset() if self._again else sent.intersection(self._whole)
        chosen = frozenset(self._whole) - back - before
        masked = len(self._masked & chosen)
        return Replayed(len(chosen), masked, self._cut, len(before)), chosen


async def _send(
    producer: Any, topics: Topics, records: AsyncIterator[Any], chosen: frozenset[int]
) -> None:
    batch: list[Line] = []
    async for record in records:
        if record.offset in chosen:
            batch.append(line_of(record))
            if len(batch) == _BATCH:
                await _send_batch(producer, topics, batch)
                batch = []
    if batch:
        await _send_batch(producer, topics, batch)


async def _send_batch(producer: Any, topics: Topics, batch: Sequence[Line]) -> None:
    """Lines and the note of them, or none of it."""
    async with producer.transaction():
        waiting = [await producer.send(topics.raw, **message(line)) for line in batch]
        await producer.flush()
        sent: list[Sent] = []
        for line, future in zip(batch, waiting, strict=True):
            told = await future
            sent.append((line.at, told.partition, told.offset))
        await producer.send(
            topics.deadletter, msgspec.json.encode(sent), key=_NOTE, partition=0,
            headers=[("replayed", str(len(sent)).encode())],
        )  # fmt: skip


def message(line: Line) -> dict[str, Any]:
    """What is sent for a line: as any other shipper would, with where it was before.

    Where a secret was masked stands "-", which logs write for nothing: the mask itself would be
    one session for all people whose lines are sent.
    """
    return {
        "value": _MASKED.sub(b"-", line.data) if line.masked else line.data,
        # The partition where `ship` keeps this source.
        "key": line.source.encode(),
        "headers": [("replayed", f"{line.source}@{line.place}".encode())],
    }


def line_of(record: Any) -> Line:
    """What intake wrote into a record."""
    headers = dict(record.headers)
    text = {name: headers.get(name, b"").decode("utf-8", "replace") for name in _HEADERS}
    return Line(
        at=record.offset, time_ms=record.timestamp, data=record.value or b"",
        place=int(text.pop("offset") or 0), **text,
    )  # fmt: skip


_MASKED: Final = re.compile(
    rb"(?:\b(?:basic|bearer|digest|negotiate|ntlm)(?: |%20|\+)+)?" + re.escape(SECRET.encode()),
    re.IGNORECASE,
)
_HEADERS: Final = ("reason", "source", "name", "offset", "sha256")


def taken(record: Any, ledger: Ledger) -> Line | None:
    """The line of a record; None for a note, and for what intake did not write."""
    if record.key == _NOTE:
        ledger.note(record.value or b"[]")
        return None
    if "reason" not in dict(record.headers):
        return None
    line = line_of(record)
    ledger.see(line)
    return line


# -- the brokers


@contextmanager
def _mapped(kafka: Kafka, doing: str) -> Iterator[None]:
    try:
        yield
    except ProducerFenced:
        raise ConnectionError(
            f"{doing}: another `deadletter replay` of this deployment began; let that one end"
        ) from None
    except (KafkaError, TimeoutError) as error:
        raise lost(kafka, doing, error) from None


@asynccontextmanager
async def _reading(
    kafka: Kafka, environ: Mapping[str, str], topic: str
) -> AsyncIterator[tuple[Any, Any, int]]:
    """(consumer, the topic's partition, its end as it is now)."""
    consumer = AIOKafkaConsumer(
        **connection(kafka, environ),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_RECORD_BYTES,
    )
    place = TopicPartition(topic, 0)
    try:
        async with asyncio.timeout(CONNECT_S):
            await consumer.start()
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
        yield consumer, place, end
    finally:
        await consumer.stop()


async def _seek(consumer: Any, place: Any, since_ms: int | None) -> None:
    found = None if since_ms is None else (await consumer.offsets_for_times({place: since_ms}))
    if found is None:
        await consumer.seek_to_beginning(place)
    elif found[place] is None:
        await consumer.seek_to_end(place)
    else:
        consumer.seek(place, found[place].offset)


@asynccontextmanager
async def _sending(kafka: Kafka, environ: Mapping[str, str], *, dry: bool) -> AsyncIterator[Any]:
    """The one producer that may replay: whoever began before is fenced off. None for a dry run."""
    if dry:
        yield None
        return
    producer = AIOKafkaProducer(
        **connection(kafka, environ),
        transactional_id=f"{kafka.prefix}deadletter",
        compression_type="zstd",
        max_request_size=MAX_RECORD_BYTES,
    )
    try:
        async with asyncio.timeout(2 * CONNECT_S):
            await producer.start()
        yield producer
    finally:
        await producer.stop()
