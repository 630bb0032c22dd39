"""The topics of a deployment: their names, how each is made, and whether those that are there fit.

In: settings and an environment. Out: partition counts by topic. It creates what is missing and
lets state.intake grow with access.raw; it must never delete, shrink or reconfigure a topic.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from streams.kafka.client import MAX_RECORD_BYTES

STAGES: Final = ("intake", "detect", "decide")

_DAY_MS: Final = 86_400_000
_LOOKS: Final = 150
_PAUSE_S: Final = 0.2
"""Between two looks; together they are as long as a new topic may take to show, 30 s."""


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
