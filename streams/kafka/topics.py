"""The topics of a deployment: their names, how each is made, and whether those that are there fit.

In: settings and an environment. Out: partition counts by topic. It creates what is missing and
lets state.intake grow with access.raw; it must never delete, shrink or reconfigure a topic.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from streams.kafka.client import MAX_RECORD_BYTES, connection
from streams.kafka.settings import Kafka

STAGES: Final = ("intake", "detect", "decide")

_DAY_MS: Final = 86_400_000
READY_TIMEOUT_S: Final = 30
"""As long as `ensure` may take."""
_PAUSE_S: Final = 0.2


class Topics:
    """The names of a deployment's topics, from its prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.raw = f"{prefix}access.raw"
        self.signals = f"{prefix}signals"
        self.exposures = f"{prefix}exposures"
        self.findings = f"{prefix}findings"
        self.incidents = f"{prefix}incidents"
        self.actions = f"{prefix}actions"
        self.receipts = f"{prefix}receipts"
        self.ledger = f"{prefix}ledger"
        self.deadletter = f"{prefix}deadletter"

    def state(self, stage: str) -> str:
        """The journal of a stage's tasks."""
        return f"{self.prefix}state.{stage}"


class Plan(NamedTuple):
    """How one topic is made."""

    name: str
    partitions: int
    configs: Mapping[str, str]


def _kept(days: int) -> dict[str, str]:
    # By arrival: a shipper may stamp a record with its old line's time, which would end it early.
    return {"retention.ms": f"{days * _DAY_MS}", "message.timestamp.type": "LogAppendTime"}


_FOREVER: Final = {"retention.ms": "-1", "retention.bytes": "-1"}


def plans(topics: Topics, partitions: int, raw: int) -> Iterator[Plan]:
    """Every topic, access.raw first; `raw` is the partition count that access.raw has."""
    compacted = {"cleanup.policy": "compact"}
    table: list[tuple[str, int, dict[str, str]]] = [
        (topics.raw, raw, _kept(7)),
        (topics.signals, partitions, _kept(1)),
        (topics.exposures, 1, _kept(30)),
        (topics.findings, 1, _FOREVER),
        (topics.incidents, 1, compacted),
        (topics.actions, 1, _FOREVER),
        (topics.receipts, 1, _FOREVER),
        (topics.ledger, 1, _FOREVER),
        (topics.deadletter, 1, _kept(30)),
        (topics.state("intake"), raw, _FOREVER),
        (topics.state("detect"), partitions, _FOREVER),
        (topics.state("decide"), 1, _FOREVER),
    ]
    always = {"max.message.bytes": f"{MAX_RECORD_BYTES}", "unclean.leader.election.enable": "false"}
    for name, count, configs in table:
        yield Plan(name, count, {"cleanup.policy": "delete"} | always | configs)


def copies(kafka: Kafka, brokers: int) -> int:
    """How many replicas a new topic gets, when so many brokers are up.

    Those that are configured count as well: a cluster that is still starting must not leave
    topics behind that have one copy for ever.
    """
    return kafka.replication_factor or min(3, max(brokers, len(set(kafka.brokers))))


def misfits(kafka: Kafka, topics: Topics, counts: Mapping[str, int]) -> list[str]:
    """What is wrong with the partition counts of the topics that are there, and what to do."""
    raw = counts.get(topics.raw, kafka.partitions)
    anew = "or begin a new deployment with another kafka.prefix"
    found = []
    for plan in plans(topics, kafka.partitions, raw):
        here = counts.get(plan.name, plan.partitions)
        what = f"topic {plan.name} has {here} partitions and must have {plan.partitions}"
        if here == plan.partitions:
            continue
        if plan.name == topics.signals:
            found.append(f"{what}, which is kafka.partitions: set that to {here}, {anew}")
        elif plan.name == topics.state("detect"):
            found.append(f"{what}, as kafka.partitions says and {topics.signals} has: {anew[3:]}")
        elif plan.name == topics.state("intake"):
            if here > raw:  # fewer is mended by `ensure`
                found.append(f"{what}, as {topics.raw} has: give that {here} again, {anew}")
        else:
            found.append(f"{what}: make it anew with that many, {anew}")
    return found


async def ensure(kafka: Kafka, topics: Topics, env: Mapping[str, str]) -> dict[str, int]:
    """Create the topics that are missing and check the others; partition counts by name.

    Any number of workers may call it at once. state.intake follows access.raw, which somebody else
    may have made, or enlarged.

    Raises:
        ValueError: a topic that is there, or is to be made, does not fit, or settings do not.
        PermissionError: the brokers refuse this user, or a step.
        ConnectionError: no broker can be reached, or topics do not become ready; try again later.
    """
    # Here, not above: most commands know topics by name only.
    from streams.kafka.reach import Trouble, reach  # noqa: PLC0415

    names = [plan.name for plan in plans(topics, 1, 1)]
    waits_for = "they do not show yet"
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while True:
                found = await reach(kafka, env, names)
                if isinstance(found, Trouble):
                    raise found.error()
                if found.silent:  # what asks for topics may hang then, and cannot say why
                    waits_for = f"{found.silent[0].says}: {found.silent[0].do}"
                counts = {name: t.partitions for name, t in found.topics.items() if t.partitions}
                if problems := misfits(kafka, topics, counts):
                    raise ValueError("; ".join(problems))
                new, small = _lacking(kafka, topics, counts)
                leaderless = [name for name, topic in found.topics.items() if topic.leaderless]
                if new or small:
                    replicas = copies(kafka, len(found.brokers))
                    waits_for = await _make(kafka, env, new, small, replicas) or waits_for
                elif leaderless:
                    waits_for = f"{', '.join(leaderless)} without a leader: start its brokers"
                else:
                    return counts
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        text = f"waited {READY_TIMEOUT_S} s for Kafka's topics: {waits_for}"
        raise ConnectionError(text) from None


def _lacking(
    kafka: Kafka, topics: Topics, counts: Mapping[str, int]
) -> tuple[list[Plan], list[Plan]]:
    """The topics to be made next, and those that lack partitions."""
    raw = counts.get(topics.raw)
    wanted = list(plans(topics, kafka.partitions, raw or kafka.partitions))
    missing = [plan for plan in wanted if plan.name not in counts]
    small = [plan for plan in wanted if counts.get(plan.name, plan.partitions) < plan.partitions]
    # access.raw alone: the journal's count depends on it, and somebody else may be faster.
    return missing if raw else missing[:1], small


async def _make(
    kafka: Kafka, env: Mapping[str, str], missing: list[Plan], small: list[Plan], replicas: int
) -> str:
    """Ask for new topics and more partitions. Gives what has to be waited for, "" if nothing.

    Raises:
        ValueError, PermissionError: as `ensure`.
    """
    from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic  # noqa: PLC0415
    from aiokafka.errors import InvalidPartitionsError, KafkaError  # noqa: PLC0415

    in_sync = {"min.insync.replicas": "2" if replicas >= 3 else "1"}
    new = [
        NewTopic(plan.name, plan.partitions, replicas, topic_configs={**plan.configs, **in_sync})
        for plan in missing
    ]
    waits_for = ""
    admin = AIOKafkaAdminClient(**connection(kafka, env))
    try:
        await admin.start()
        answer = await admin.create_topics(new) if new else None
        for name, code, *words in answer.topic_errors if answer else ():
            waits_for = _judged(f"creating topic {name}", code, words) or waits_for
        for plan in small:
            what = f"enlarging topic {plan.name} to {plan.partitions} partitions"
            try:
                await admin.create_partitions({plan.name: NewPartitions(plan.partitions)})
            except InvalidPartitionsError:
                pass  # another worker was faster
            except KafkaError as error:
                waits_for = _judged(what, getattr(error, "errno", -1), [str(error)])
    except (KafkaError, TimeoutError) as error:
        waits_for = f"{type(error).__name__}"
    finally:
        await admin.close()
    return waits_for


def _judged(what: str, code: int, words: list[Any]) -> str:
    """What one of the broker's answers means: "" for done, or a passing cause.

    Raises:
        ValueError, PermissionError: waiting would not help.
    """
    from aiokafka import errors  # noqa: PLC0415

    if code in {errors.NoError.errno, errors.TopicAlreadyExistsError.errno}:
        return ""
    said = next((word for word in words if word), errors.for_code(code).__name__)
    if code in {
        errors.TopicAuthorizationFailedError.errno,
        errors.ClusterAuthorizationFailedError.errno,
    }:
        todo = "allow this user Create, Describe and Alter on topics with the prefix, or do it"
        raise PermissionError(f"{what}: {said}: {todo}")
    if code == errors.InvalidReplicationFactorError.errno:  # passes when more brokers are up
        return f"{what}: {said}: start more brokers, or set kafka.replication_factor"
    passing = {errors.NotControllerError.errno, errors.RequestTimedOutError.errno}
    if code in passing or errors.for_code(code).retriable:
        return f"{what}: {said}"
    raise ValueError(f"{what}: {said}")
