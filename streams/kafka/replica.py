"""What the deployment's decider knows, on this machine: its journal followed into a SQLite file.

In: settings with `kafka:`, an environment. Out: a store, open for reading, that holds everything
the decider had committed when it was asked. A call reads only what is new: the offset at which the
file stands is in it, written in the transaction that brought it there.

It writes nothing to the brokers, and MUST NOT mix two journals: each cluster and prefix has a
folder of its own, and a journal that was begun anew makes the file anew.
"""

import asyncio
import fcntl
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec

from evidence.store import EmbeddedStore
from records.ids import digest
from streams.kafka.journal import BASE, upto, whole
from streams.kafka.settings import Kafka
from streams.settings import Settings

FOLDER: Final = "replica"
_ABOUT: Final = "about.json"
_SPACE: Final = "replica"
_SET_MARK: Final = f"INSERT OR REPLACE INTO state VALUES ('{_SPACE}', 'mark', ?)"  # noqa: S608
CONNECT_S: Final = 10
"""As long as coming in may take."""
STUCK_S: Final = 10
"""Brokers that let us in and then bring nothing new for so long are given up."""

_log = logging.getLogger("breachline.kafka")


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a replica stands in the journal."""

    next: int
    """Offset from which to read on."""
    last: int
    """Offset of the newest record that is in it."""
    sha256: bytes
    """Of that record: a journal that has another one there is another journal."""
    time_ms: int
    """When the decider wrote it."""


class About(msgspec.Struct, frozen=True):
    """Whose replica a folder holds, and where in it."""

    cluster: str
    prefix: str
    brokers: list[str]
    """As they were configured last."""
    store: str


class Fresh(NamedTuple):
    """What one look at the journal brought."""

    whole: bool
    """The records make a store by themselves; else they continue the one that is here."""
    records: Sequence[bytes]
    mark: Mark | None
    """None: there is nothing new."""


class Record(NamedTuple):
    """What is read of a record of the journal."""

    offset: int
    key: bytes | None
    value: bytes
    time_ms: int


ANOTHER: Final = Fresh(True, [], None)
"""What comes after a mark does not continue it."""


@contextmanager
def opened(
    settings: Settings, environ: Mapping[str, str], *, offline: bool = False
) -> Iterator[EmbeddedStore]:
    """The replica, open for reading: brought up to date first, or as it was left (`offline`).

    Raises:
        ConnectionError: the brokers do not let us read the journal; with what to do.
        FileNotFoundError: no worker of the deployment ever ran, or nothing was read before.
        ValueError, OSError: settings, the journal or the disk are no good.
    """
    kafka = settings.kafka
    if kafka is None:
        raise ValueError("following a deployment needs `kafka:` in the configuration")
    home = settings.data_dir / FOLDER
    with ExitStack() as alone:
        if offline:
            folder = _known(home, kafka)
            alone.enter_context(_alone(folder))
            about = _about(folder)
            assert about is not None  # noqa: S101  that is how the folder was found
        else:
            try:
                cluster = asyncio.run(_identify(kafka, environ))
                folder = home / digest(cluster, kafka.prefix)
                alone.enter_context(_alone(folder))
                about = bring_up(
                    folder, cluster, kafka, lambda mark: asyncio.run(_read(kafka, environ, mark))
                )
            except ConnectionError as error:
                raise ConnectionError(f"{error}{_otherwise(home, kafka)}") from None
        # Opened before another call may put a newer file in its place.
        store = EmbeddedStore.open_readonly(folder / about.store)
    with store:
        yield store


def mark_of(store: EmbeddedStore) -> Mark | None:
    """Where a store stands in the journal; None for one that follows none."""
    kept = dict(store.load_state(_SPACE))
    return msgspec.msgpack.decode(kept["mark"], type=Mark) if "mark" in kept else None


# -- folders


def _known(home: Path, kafka: Kafka) -> Path:
    """The folder that was last brought up to date from these brokers."""
    found = []
    for file in home.glob(f"*/{_ABOUT}"):
        about = _about(file.parent)
        if about and (about.prefix, about.brokers) == (kafka.prefix, sorted(kafka.brokers)):
            found.append((file.stat().st_mtime_ns, file.parent))
    if not found:
        raise FileNotFoundError(
            f"reading {home}: nothing of this deployment was read before; leave --offline out"
        )
    return max(found)[1]


def _otherwise(home: Path, kafka: Kafka) -> str:
    try:
        _known(home, kafka)
    except FileNotFoundError:
        return ""
    return " (--offline answers from what was read last)"


def _about(folder: Path) -> About | None:
    file = folder / _ABOUT
    return msgspec.json.decode(file.read_bytes(), type=About) if file.exists() else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One call at a time works on a replica; each is bounded, so the next may wait."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bring_up(
    folder: Path, cluster: str, kafka: Kafka, read: Callable[[Mark | None], Fresh]
) -> About:
    """Take in what `read` has after a mark; whoever dies on the way leaves what was there.

    Raises:
        Whatever `read` does.
    """
    about = _about(folder)
    if about is None or not _continued(folder / about.store, read):
        name = f"store-{uuid4().hex}"
        _made(folder / name, read(None))
        about = About(cluster, kafka.prefix, [], name)
    about = msgspec.structs.replace(about, brokers=sorted(kafka.brokers))
    part = folder / f"{_ABOUT}.part"
    part.write_bytes(msgspec.json.encode(about))
    part.replace(folder / _ABOUT)
    for other in folder.glob("store-*"):
        if other.name != about.store:
            shutil.rmtree(other, ignore_errors=True)
    return about


def _continued(folder: Path, read: Callable[[Mark | None], Fresh]) -> bool:
    """Take in what is new; False if this store cannot be continued."""
    try:
        with EmbeddedStore.open(folder) as store:
            if (mark := mark_of(store)) is None or (fresh := read(mark)).whole:
                return False
            if fresh.mark is not None:
                _apply(store, fresh.records, fresh.mark)
    except (ValueError, RuntimeError) as error:
        # Damaged, or not what the journal was written against: all of it can be read again.
        _log.warning("the replica in %s is made anew: %s", folder, error)
        return False
    return True


def _apply(store: EmbeddedStore, records: Sequence[bytes], mark: Mark) -> None:
    """All of it with the mark, or nothing."""
    changes: list[tuple[str, Any]] = []
    for record in records:
        _, found = msgspec.msgpack.decode(record)
        changes += ((sql, rows) for sql, rows in found)
    store.apply_statements([*changes, (_SET_MARK, [(msgspec.msgpack.encode(mark),)])])


def _made(folder: Path, fresh: Fresh) -> None:
    # Here, not above: who has a replica needs nothing of the stages.
    from streams.kafka.decide import rebuilt  # noqa: PLC0415

    rebuilt(folder, fresh.records).close()
    with EmbeddedStore.open(folder) as store:
        if fresh.mark is not None:
            _apply(store, [], fresh.mark)


# -- the brokers


async def _identify(kafka: Kafka, environ: Mapping[str, str]) -> str:
    """The cluster's id.

    Raises:
        As `require`.
    """
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from streams.kafka.client import connection  # noqa: PLC0415
    from streams.kafka.topics import Topics  # noqa: PLC0415

    journal = Topics(kafka.prefix).state("decide")
    await require(kafka, environ, [journal])
    admin = AIOKafkaAdminClient(**connection(kafka, environ))
    try:
        async with asyncio.timeout(CONNECT_S):
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"])
    except (KafkaError, TimeoutError) as error:
        raise lost(kafka, f"reading {journal}", error) from None
    finally:
        await admin.close()


async def require(
    kafka: Kafka, environ: Mapping[str, str], read: Sequence[str], write: Sequence[str] = ()
) -> dict[str, int]:
    """Topics that must be there, by name with their partitions; nobody waits long for the answer.

    Raises:
        ConnectionError: the brokers are down, or refuse us; with what to do.
        FileNotFoundError: a topic is not there.
    """
    from streams.kafka.reach import Trouble, reach  # noqa: PLC0415

    # What the client logs, we say: without a handler Python would print it as well.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    found = await reach(kafka, environ, [*read, *write])
    if isinstance(found, Trouble):
        raise ConnectionError(f"{found.says}: {found.do}")
    for name, topic in found.topics.items():
        if not topic.partitions:
            raise FileNotFoundError(
                f"looking for {name}: there is no such topic; start `breachline worker` with this "
                "configuration first, or correct kafka.prefix"
            )
        for right, lacks in (
            ("Read", name in read and not topic.may_read),
            ("Write", name in write and not topic.may_write),
        ):
            if lacks:
                raise ConnectionError(f"using {name}: allow this Kafka user {right} on it")
    return {name: topic.partitions for name, topic in found.topics.items()}


async def _read(kafka: Kafka, environ: Mapping[str, str], mark: Mark | None) -> Fresh:
    """What the journal has after a mark, or all of it, to its end as it is now.

    Raises:
        ConnectionError: the brokers went away.
        ValueError: the journal lacks its beginning.
    """
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from streams.kafka.client import connection  # noqa: PLC0415
    from streams.kafka.topics import Topics  # noqa: PLC0415

    consumer = AIOKafkaConsumer(
        **connection(kafka, environ),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
    )
    place = TopicPartition(Topics(kafka.prefix).state("decide"), 0)
    try:
        async with asyncio.timeout(CONNECT_S):
            await consumer.start()
            consumer.assign([place])
            begin = (await consumer.beginning_offsets([place]))[place]
            # Of what is committed: nothing of an open transaction lies before it.
            end = (await consumer.end_offsets([place]))[place]
        if mark is not None and not (begin <= mark.last and mark.next <= end):
            return ANOTHER
        consumer.seek(place, begin if mark is None else mark.last)
        records = [
            Record(one.offset, one.key, one.value or b"", one.timestamp)
            async for one in upto(consumer, place, end, STUCK_S)
        ]
    except (KafkaError, TimeoutError) as error:
        raise lost(kafka, f"reading {place.topic}", error) from None
    finally:
        await consumer.stop()
    return understood(mark, begin, records, end)


def understood(mark: Mark | None, begin: int, records: Sequence[Record], end: int) -> Fresh:
    """What records mean that follow a mark, whose own record is the first of them; or all there is.

    Raises:
        ValueError: all there is does not begin with a beginning.
    """
    if mark is not None:
        first, rest = (records[0], records[1:]) if records else (None, [])
        known = first and (first.offset, _sha256(first)) == (mark.last, mark.sha256)
        if not known or any(map(_is_base, rest)):
            return ANOTHER
        return Fresh(False, whole((record.key, record.value) for record in rest), _mark(rest, end))
    if begin and records and not _is_base(records[0]):
        raise ValueError(
            f"reading the decider's journal: it begins at {begin} and not with a whole state; "
            "records were deleted by somebody else: see the topic's retention"
        )
    bases = [n for n, record in enumerate(records) if _is_base(record)]
    newest = bases[-1] if bases else 0
    while newest and _is_base(records[newest]) and _is_base(records[newest - 1]):
        newest -= 1
    return Fresh(
        True,
        whole((record.key, record.value) for record in records[newest:]),
        _mark(records, end),
    )


def _is_base(record: Record) -> bool:
    return (record.key or b"").startswith(BASE)


def _mark(records: Sequence[Record], end: int) -> Mark | None:
    if not records:
        return None
    last = records[-1]
    return Mark(end, last.offset, _sha256(last), last.time_ms)


def _sha256(record: Record) -> bytes:
    return hashlib.sha256(record.value).digest()


def lost(kafka: Kafka, doing: str, error: Exception) -> ConnectionError:
    """What brokers that let us in, and then went away, mean for a person."""
    why = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    where = ", ".join(kafka.brokers)
    return ConnectionError(
        f"{doing}: Kafka at {where}: {why}: see `breachline doctor`, then try again"
    )
