"""Frames in, acknowledged frames on one topic out: the half of `ship` that faces the brokers.

It MUST NOT let a frame of a source reach the topic before those that precede it, nor hold more than
its window unacknowledged: brokers that are away stop whoever puts, not the memory.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final, Protocol

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from streams.clock import Clock
from streams.kafka import apart
from streams.kafka.client import MAX_RECORD_BYTES, connection
from streams.kafka.reach import Trouble, reach
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, ensure
from streams.lines import FAULT_HEAD_BYTES, Fault, Frame

FRAME_BYTES: Final = 256 << 10
WINDOW_BYTES: Final = 32 << 20
BATCH_BYTES: Final = 3_000_000
"""Before compression. Topics of ours take it whatever it holds. Compressed it is mostly below 1 MiB
too, Kafka's own limit; where it is not, batches become smaller."""
LINGER_MS: Final = 50
TICK_S: Final = 0.1
_RETRY_S: Final = 0.5
_OPEN_S: Final = 40.0
"""New topics may take 30 s to show."""
_CALL_S: Final = 5.0
_STOP_S: Final = 1.0
"""For a producer that has nothing to send, or nobody to send it to."""
_SILENT_S: Final = 5.0
"""Without an acknowledgement for so long, the brokers count as away."""


class Unanswered(Exception):
    """The brokers did not acknowledge in the time that there was."""


def message(frame: Frame) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of a frame on access.raw."""
    if isinstance(frame, apart.Apart):
        return apart.message(frame)
    headers = [
        ("source", frame.source.encode()),
        ("name", frame.name.encode("utf-8", "surrogateescape")),
        ("offset", b"%d" % frame.offset),
    ]
    if frame.faults:
        faults = [[f.offset, f.reason, f.sha256, f.head] for f in frame.faults]
        headers.append(("faults", msgspec.msgpack.encode(faults)))
    return frame.data, headers


def without(frame: Frame) -> Frame:
    """The same stretch of a source as faults: lines that no broker takes."""
    if isinstance(frame, apart.Apart):
        return apart.without(frame)
    faults, at, end = [], frame.offset, frame.end
    # Not by splitlines: a carriage return ends no line here.
    for line in frame.data.removesuffix(b"\n").split(b"\n"):
        size_bytes = min(len(line) + 1, end - at)
        digest = hashlib.sha256(line).hexdigest()
        faults.append(Fault(at, "too_long", digest, line[:FAULT_HEAD_BYTES], size_bytes))
        at += size_bytes
    return Frame(frame.source, frame.name, frame.offset, b"", tuple(faults))


class Producer(Protocol):
    """What we use of aiokafka's idempotent producer."""

    async def start(self) -> None:
        """Connects; OSError, KafkaError or ValueError says why it cannot."""

    async def stop(self) -> None:
        """Sends what it has, and disconnects."""

    async def send(
        self,
        topic: str,
        value: Any | None = None,
        key: Any | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> asyncio.Future[Any]:
        """Takes a record; the future is of its acknowledgement."""
        ...


Connect = Callable[[int], Producer]
"""Makes a producer of batches of so many bytes before compression."""


def producers(kafka: Kafka, env: Mapping[str, str]) -> Connect:
    """Makes producers for access.raw of a deployment.

    Raises:
        ValueError: the password or a file of `tls` is not where the configuration says.
    """
    # Its words are for its authors: what is the matter is said by `reach` and `Outflow`.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    connection(kafka, env)
    return lambda batch_bytes: _Producer(kafka, env, batch_bytes)


class _Producer(AIOKafkaProducer):  # type: ignore[misc]
    """Starts if the topic is there or can be made, and says what is wrong if not."""

    def __init__(self, kafka: Kafka, env: Mapping[str, str], batch_bytes: int) -> None:
        self._kafka = kafka
        self._env = env
        super().__init__(
            **connection(kafka, env),
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=LINGER_MS,
            max_batch_size=batch_bytes,
            max_request_size=MAX_RECORD_BYTES,
        )

    async def start(self) -> None:
        topics = Topics(self._kafka.prefix)
        found = await reach(self._kafka, self._env, [topics.raw])
        if isinstance(found, Trouble):
            raise found.error()
        if not found.topics[topics.raw].partitions:
            await ensure(self._kafka, topics, self._env)
        await super().start()


class Outflow:
    """Frames to one topic, in order; told of each as it is acknowledged, in the same order.

    A producer that fails is thrown away, and what it had not acknowledged goes to the next one.
    """

    def __init__(
        self,
        connect: Connect,
        topic: str,
        clock: Clock,
        *,
        acknowledged: Callable[[Frame], None],
        say: Callable[[str], None],
        patience_s: float | None = None,
        window_bytes: int = WINDOW_BYTES,
        key_of: Callable[[Frame], str] = attrgetter("source"),
    ) -> None:
        """`patience_s`: give up after so long without an acknowledgement; None is never.

        `key_of`: frames of one key go to one partition.
        """
        self._connect = connect
        self._topic = topic
        self._clock = clock
        self._acknowledged = acknowledged
        self._say = say
        self._patience_s = patience_s
        self._window_bytes = window_bytes
        self._key_of = key_of
        self._batch_bytes = BATCH_BYTES
        self._end_s: float | None = None
        self._opening: asyncio.Timeout | None = None
        self._producer: Producer | None = None
        self._waiting: deque[Frame] = deque()
        self._flying: deque[tuple[Frame, asyncio.Future[Any]]] = deque()
        self._bytes = 0
        self._proven: set[str] = set()
        """Sources of which this producer has had a frame acknowledged."""
        self._alive_s = clock.monotonic_s()
        self._away = ""

    @property
    def bytes_held(self) -> int:
        """Not yet acknowledged."""
        return self._bytes

    @property
    def is_empty(self) -> bool:
        """Whether all was acknowledged."""
        return not (self._waiting or self._flying)

    def end_in(self, seconds: float) -> None:
        """After that, nothing is waited for any more."""
        self._end_s = self._clock.monotonic_s() + seconds
        if self._opening is not None:
            self._opening.reschedule(asyncio.get_running_loop().time() + seconds)

    async def put(self, frame: Frame) -> None:
        """Takes a frame; returns when there is room for another.

        Raises:
            Unanswered: there was none in the time that there is.
        """
        if self.is_empty:
            self._alive_s = self._clock.monotonic_s()
        self._waiting.append(frame)
        self._bytes += _size(frame)
        await self.tick(0)
        while self._bytes >= self._window_bytes:
            await self.tick(TICK_S)

    async def drain(self) -> None:
        """Until everything is acknowledged.

        Raises:
            Unanswered: it was not in the time that there is.
        """
        while not self.is_empty:
            await self.tick(TICK_S)

    async def tick(self, seconds: float) -> None:
        """Waits for the next acknowledgement, not longer, then moves on what can move.

        Raises:
            Unanswered: nothing has moved in the time that there is.
        """
        if seconds and self._flying:
            await asyncio.wait([self._flying[0][1]], timeout=seconds)
        else:
            await asyncio.sleep(seconds)
        await self._step()
        self._look_at_clock()

    async def close(self) -> None:
        """Lets the producer go; what it has not sent by then is for the next run."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(_STOP_S):
                await producer.stop()
        _forget([future for _, future in self._flying])

    async def _step(self) -> None:
        try:
            producer = self._producer or await self._open()
            self._settle()
            while self._waiting and self._may_fly(self._waiting[0]):
                future = await self._send(producer, self._waiting[0])
                self._flying.append((self._waiting.popleft(), future))
        except TimeoutError:
            return  # nothing was taken; the silence is told of, if it lasts
        except (KafkaError, OSError) as error:
            await self._lose(error)

    async def _open(self) -> Producer:
        try:
            self._producer = producer = self._connect(self._batch_bytes)
            async with asyncio.timeout(_OPEN_S) as self._opening:
                await producer.start()
        except TimeoutError:
            raise ConnectionError("no answer") from None
        except ValueError as error:  # a password file that is gone, topics that do not fit
            raise ConnectionError(str(error)) from None
        finally:
            self._opening = None
        return producer

    def _may_fly(self, frame: Frame) -> bool:
        if not self._flying:
            return True
        return not (self._goes_alone(frame) or self._goes_alone(self._flying[-1][0]))

    def _goes_alone(self, frame: Frame) -> bool:
        # A partition that has never met a producer takes any number of it as the first: if the
        # first batch were refused, the second would get in, and the first come after it. And what
        # a broker may find too large must not have others behind it.
        return frame.source not in self._proven or len(frame.data) > FRAME_BYTES

    async def _send(self, producer: Producer, frame: Frame) -> asyncio.Future[Any]:
        value, headers = message(frame)
        async with asyncio.timeout(_CALL_S):
            key = self._key_of(frame).encode()
            return await producer.send(self._topic, value, key, headers=headers)

    def _settle(self) -> None:
        while self._flying and self._flying[0][1].done():
            frame, future = self._flying[0]
            if future.cancelled():
                raise KafkaError("the producer was closed")
            future.result()
            self._flying.popleft()
            self._bytes -= _size(frame)
            self._proven.add(frame.source)
            self._alive_s = self._clock.monotonic_s()
            if self._away:
                self._away = ""
                self._say("Kafka answers again.")
            self._acknowledged(frame)

    async def _lose(self, error: Exception) -> None:
        """Throws the producer away; what it had not acknowledged waits again."""
        unacknowledged = [frame for frame, _ in self._flying]
        futures = [future for _, future in self._flying]
        self._flying.clear()
        self._proven.clear()
        # After any refusal: it has counted the batch, and the broker has not.
        pause_s = 0.0
        if not (isinstance(error, MessageSizeTooLargeError) and self._lessen(unacknowledged)):
            self._gone(str(error) or type(error).__name__)
            pause_s = _RETRY_S
        self._waiting.extendleft(reversed(unacknowledged))
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(TimeoutError, KafkaError, OSError):
                async with asyncio.timeout(_STOP_S):
                    await producer.stop()
        _forget(futures)
        await asyncio.sleep(pause_s)

    def _lessen(self, refused: list[Frame]) -> bool:
        """Makes what was too large for the brokers smaller; whether there is something to do."""
        if refused and len(refused[0].data) > FRAME_BYTES:
            self._bytes -= _size(refused[0])
            refused[0] = without(refused[0])
            self._bytes += _size(refused[0])
            return True
        smaller = max(FRAME_BYTES, self._batch_bytes // 3)
        self._batch_bytes, before = smaller, self._batch_bytes
        return smaller < before

    def _look_at_clock(self) -> None:
        now_s = self._clock.monotonic_s()
        if self.is_empty:
            self._alive_s = now_s
            return
        quiet_s = now_s - self._alive_s
        if quiet_s >= _SILENT_S and not self._away:
            self._gone(f"no answer for {_SILENT_S:g} s")
        if self._patience_s is not None and quiet_s >= self._patience_s:
            raise Unanswered(self._away or f"no answer for {quiet_s:g} s")
        if self._end_s is not None and now_s >= self._end_s:
            raise Unanswered(self._away or "no answer before the end")

    def _gone(self, why: str) -> None:
        if not self._away:
            self._say(f"Kafka does not answer ({why}): reading waits, and goes on when it does.")
        self._away = why


def _size(frame: Frame) -> int:
    return len(frame.data) + sum(len(fault.head) for fault in frame.faults)


def _forget(futures: Sequence[asyncio.Future[Any]]) -> None:
    for future in futures:
        # Looked at, or Python complains of an exception that nobody took.
        _ = future.cancel() or future.cancelled() or future.exception()
