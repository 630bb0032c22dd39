"""One partition of access.raw: its records in, frames of signals and exposures out.

Two kinds of record come: frames of a source's lines, as `ship` sends them, and one or many lines of
any other shipper, identified by topic, partition, offset and number within the message. What the
task knows (sources, id spaces, the watermark) is a function of the partition's records up to its
position and of nothing else, so that whoever takes it over goes on with the same words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from detectors.engine import discover, validated
from incidents.denials import REFUSALS
from incidents.population import MINUTE_MS
from intake.frames import Batch, Reader, SourceState, Watermark
from intake.judge import Judge
from intake.ownership import Tables
from records.event import Reject, Signal
from records.ids import digest, partition
from records.kinds import TRUSTED, Key
from streams.kafka.topics import Topics
from streams.kafka.wire import Output, Signals, Slice, Slices, encode, packed
from streams.settings import Settings
from streams.tally import Tally

MESSAGE_BITS = 20
"""A line's place is its message's offset, and its number in these low bits."""
_CHUNK = 500
_MOST_SIGNALS = 1_000

State = tuple[str, str, bytes]


class Record(msgspec.Struct, frozen=True):
    """What is read of a record of Kafka."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Intake:
    """The state of one partition's reading. See the module docstring."""

    def __init__(
        self,
        settings: Settings,
        tables: Tables,
        credential_digest: Callable[[str], str],
        number: int,
        forced_format: str = "auto",
    ) -> None:
        kafka = settings.kafka
        if kafka is None:
            raise ValueError("an intake task needs `kafka:` in the configuration")
        self.topics = Topics(kafka.prefix)
        self.origin = f"i{number}"
        self.position = 0
        """Offset of the next record."""
        self._partitions = kafka.partitions
        self._name = f"{self.topics.raw}/{number}"
        self._own_source = digest("kafka", self.topics.raw, number, length=16)
        self.judge = Judge(settings.intake, settings.canaries.ids, tables, credential_digest)
        self.reader = Reader(settings.intake, self.judge, forced_format)
        self.sources: dict[str, SourceState] = {}
        self._touched: set[str] = set()
        self._watches: list[tuple[Key, Callable[[Signal], bool]]] = []
        for kind in discover():
            detector = kind(validated(kind, settings.detect.get(kind.id, {})))
            if detector.settings.enabled:
                self._watches.append((kind.key, detector.sees))
        self._signals: list[list[tuple[Key, Signal]]] = [[] for _ in range(self._partitions)]
        self._slices: list[Slice] = []
        self._rejects: list[tuple[str, Reject]] = []
        self._tally = Tally()
        self._own_minute = 0
        self._own_said: set[tuple[str, str]] = set()
        self._said: tuple[int, bool] | None = None

    # -- reading

    def take(self, records: Iterable[Record]) -> Iterator[None]:
        """Read records; yields now and then, with `position` at a whole record, to let others in.

        Whoever stops half way MUST NOT go on with records after those.
        """
        lines: list[bytes] = []
        places: list[int] = []
        for record in records:
            if record.offset < self.position:
                continue
            headers = dict(record.headers)
            if "source" in headers:
                yield from self._flush(lines, places)
                self._frame(record.value or b"", headers)
                self.position = record.offset + 1
                yield
            else:
                first = record.offset << MESSAGE_BITS
                for number, line in enumerate((record.value or b"").split(b"\n")):
                    lines.append(line)
                    places.append(first + number)
                self.position = record.offset + 1
                if len(lines) >= _CHUNK:
                    yield from self._flush(lines, places)
        yield from self._flush(lines, places)

    def _flush(self, lines: list[bytes], places: list[int]) -> Iterator[None]:
        if lines:
            state = self._source(self._own_source, self._name)
            self._keep(self.reader.read_apart(state, lines, places), [])
            lines.clear()
            places.clear()
            yield

    def _frame(self, data: bytes, headers: Mapping[str, bytes]) -> None:
        source = headers["source"].decode()
        offset = int(headers.get("offset", b"0"))
        name = headers.get("name", headers["source"]).decode("utf-8", "replace")
        state = self._source(source, name)
        faults = msgspec.msgpack.decode(
            headers.get("faults", b"\x90"), type=list[tuple[int, str, str, bytes]]
        )
        before = state.position
        start = min([offset, *(fault[0] for fault in faults)])
        gaps = []
        if 0 < before < start:
            gaps.append((start, f"{name}: bytes {before:,} to {start:,} never came"))
        self._keep(self.reader.read(state, offset, data, faults), gaps)

    def _source(self, source: str, name: str) -> SourceState:
        state = self.sources.get(source)
        if state is None:
            state = self.sources[source] = SourceState(source, name)
        self._touched.add(source)
        return state

    def _keep(self, batch: Batch, gaps: list[tuple[int, str]]) -> None:
        self._tally.add(batch)
        name = self.sources[batch.source].name
        self._rejects += [(name, reject) for reject in batch.rejects]
        for signal in batch.signals:
            if signal.late or signal.outcome == "ignored":
                continue
            for kind in {kind for kind, sees in self._watches if sees(signal)}:
                if value := signal.key(kind):
                    shard = partition(value, self._partitions)
                    self._signals[shard].append((kind, signal))
        events = [
            event
            for event in batch.events
            if event.late or (event.status in REFUSALS and event.provenance in TRUSTED)
        ]
        own = self._news(batch.own)
        if batch.events and not events and (own or batch.rejects or gaps):
            events = batch.events[-1:]
        if batch.exposures or own or events or batch.rejects or gaps:
            self._slices.append(
                Slice(
                    self.watermark_ms,
                    batch.source,
                    name,
                    batch.exposures,
                    batch.raw,
                    own,
                    batch.events[0].time_ms if batch.events else 0,
                    events,
                    batch.rejects,
                    gaps,
                )
            )

    def _news(self, own: Mapping[tuple[str, str], int]) -> list[tuple[str, str, int]]:
        """Own successes that were not told of in this minute: the desk counts by minutes."""
        minute, said = self.watermark_ms // MINUTE_MS, self._own_said
        if minute != self._own_minute:
            self._own_minute = minute
            said.clear()
        found = []
        for pair, time_ms in own.items():
            if time_ms // MINUTE_MS != minute:
                found.append((*pair, time_ms))
            elif pair not in said:
                said.add(pair)
                found.append((*pair, time_ms))
        return found

    @property
    def watermark_ms(self) -> int:
        """How far this partition has come."""
        return self.reader.watermark.max_ms or self._tally.last_ms

    # -- telling

    def collect(self, *, idle: bool) -> list[Output]:
        """What came of the records since the last call; empty if nothing needs to be said.

        `idle`: there is nothing more to read at present.
        """
        mark = self._said
        fresh = (self.watermark_ms, idle)
        if not (self._slices or self._tally.lines or any(self._signals)) and mark == fresh:
            return []
        before_ms = mark[0] if mark else 0
        self._said = fresh
        outputs = [
            Output(self.topics.signals, encode(frame), partition=shard)
            for shard, signals in enumerate(self._signals)
            for frame in self._frames(signals, before_ms, idle=idle)
        ]
        frames: list[Slices] = list(packed(self.origin, before_ms, self._slices))
        frames[-1].watermark_ms, frames[-1].idle = fresh
        frames[-1].tally = self._tally if self._tally.lines else None
        outputs += [Output(self.topics.exposures, encode(frame), partition=0) for frame in frames]
        outputs += [self._dead(name, reject) for name, reject in self._rejects]
        self._signals = [[] for _ in range(self._partitions)]
        self._slices, self._rejects, self._tally = [], [], Tally()
        return outputs

    def _frames(
        self, signals: list[tuple[Key, Signal]], before_ms: int, *, idle: bool
    ) -> Iterator[Signals]:
        for start in range(0, max(len(signals), 1), _MOST_SIGNALS):
            part = signals[start : start + _MOST_SIGNALS]
            last = start + _MOST_SIGNALS >= len(signals)
            yield Signals(
                self.origin, self.watermark_ms if last else before_ms, idle and last, part
            )

    def _dead(self, name: str, reject: Reject) -> Output:
        headers = (
            ("reason", reject.reason.encode()),
            ("source", reject.source.encode()),
            ("name", name.encode("utf-8", "replace")),
            ("offset", str(reject.offset).encode()),
            ("sha256", reject.sha256.encode()),
        )
        value = reject.line.encode("utf-8", "surrogatepass")
        return Output(self.topics.deadletter, value, reject.source.encode(), 0, headers)

    # -- state

    def take_dirty(self) -> list[State]:
        """(space, key, value) of what changed since the last call."""
        changed = list(self.judge.take_dirty())
        changed += [("source", name, encode(self.sources[name])) for name in sorted(self._touched)]
        changed.append(("task", "watermark", encode(self.reader.watermark)))
        changed.append(("task", "position", encode(self.position)))
        self._touched.clear()
        return changed

    def load(self, items: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take back what `take_dirty` gave, the last of each, by space and key."""
        self.judge.load(lambda space: iter(items.get(space, {}).items()))
        for name, value in items.get("source", {}).items():
            self.sources[name] = msgspec.msgpack.decode(value, type=SourceState)
        task = items.get("task", {})
        if "position" in task:
            self.position = msgspec.msgpack.decode(task["position"], type=int)
            self.reader.watermark = msgspec.msgpack.decode(task["watermark"], type=Watermark)
