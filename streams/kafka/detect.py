"""One partition of keys: frames of signals in, findings out, by event time over all origins.

What the task knows is a function of what `signals` holds up to its position and of nothing else:
items are let go by event time, so neither the speed of a worker nor the order of two partitions
changes a finding.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from detectors.engine import Engine
from records.event import Signal
from records.finding import Finding
from records.kinds import Key
from streams.kafka.align import Aligner, Origin
from streams.kafka.intake import Record, State
from streams.kafka.topics import Topics
from streams.kafka.wire import Output, Slice, Slices, decode_signals, encode
from streams.settings import Settings

_CHUNK = 1_000
_ORIGINS = dict[str, Origin]


class Detect:
    """The detectors of one partition of keys, and their state."""

    def __init__(self, settings: Settings, number: int, inputs: int, now_s: float) -> None:
        """`inputs` is how many partitions access.raw has."""
        if settings.kafka is None:
            raise ValueError("a detect task needs `kafka:` in the configuration")
        self.topics = Topics(settings.kafka.prefix)
        self.origin = f"d{number}"
        self._origins = [f"i{n}" for n in range(inputs)]
        self.engine = Engine.configured(settings.detect)
        self.aligner: Aligner[tuple[Key, Signal]] = Aligner(self._origins, now_s)
        self._findings: list[Finding] = []
        self._said: tuple[int, bool] | None = None

    @property
    def position(self) -> int:
        """Offset of the next record that is needed after a restart."""
        return self.aligner.resume

    @property
    def has_findings(self) -> bool:
        """Whether there are findings that nobody was told of."""
        return bool(self._findings)

    def take(self, records: Iterable[Record], now_s: float) -> Iterator[None]:
        """Read records and judge what all origins have gone past; yields to let others in."""
        for record in records:
            if record.value is None:
                continue
            frame = decode_signals(record.value)
            items = [(signal.time_ms, (kind, signal)) for kind, signal in frame.signals]
            self.aligner.add(
                frame.origin, record.offset, items, frame.watermark_ms,
                idle=frame.idle, now_s=now_s,
            )  # fmt: skip
            if self.aligner.held > _CHUNK:
                self.judge(now_s)
                yield
        self.judge(now_s)

    def judge(self, now_s: float) -> None:
        """Show the detectors what all origins have gone past."""
        by_kind: dict[Key, list[Signal]] = {}
        for kind, signal in self.aligner.release(now_s):
            by_kind.setdefault(kind, []).append(signal)
        for kind, signals in by_kind.items():
            self._findings += self.engine.observe(signals, kind)

    def collect(self, *, idle: bool) -> list[Output]:
        """What was found since the last call, and how far this partition has come."""
        fresh = (self.aligner.watermark_ms, idle and self.aligner.idle)
        if not self._findings and fresh == self._said:
            return []
        self._said = fresh
        findings, self._findings = self._findings, []
        frame = Slices(self.origin, *fresh)
        if findings:
            time_ms = max(finding.end_ms for finding in findings)
            frame.slices = [Slice(time_ms, "", findings=findings)]
        return [Output(self.topics.exposures, encode(frame), partition=0)]

    def take_dirty(self) -> list[State]:
        """(space, key, value) of what changed since the last call."""
        return [
            *self.engine.take_dirty(),
            ("task", "origins", encode(self.aligner.state())),
            ("task", "position", encode(self.position)),
        ]

    def load(self, items: Mapping[str, Mapping[str, bytes]], now_s: float) -> None:
        """Take back what `take_dirty` gave, the last of each, by space and key."""
        for rule in self.engine.keys:
            kept = items.get(rule, {})
            self.engine.load((rule, key, value) for key, value in kept.items())
        task = items.get("task", {})
        if "origins" in task:
            state = msgspec.msgpack.decode(task["origins"], type=_ORIGINS)
            position = msgspec.msgpack.decode(task["position"], type=int)
            self.aligner = Aligner(self._origins, now_s, state=state, resume=position)
