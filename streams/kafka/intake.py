"""One partition of access.raw: its records in, frames of signals and exposures out.

Three kinds of record come: frames of a source's lines, as `ship` sends them; lines that its
listeners took, each with its sender's name for it, if it has one; and one or many lines of any
other shipper, identified by topic, partition, offset and number within the message. What the
task knows (sources, id spaces, the watermark) is a function of the partition's records up to its
position and of nothing else but the keys of issuers, as they are when a line is judged: whoever
takes it over goes on with the same words.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from detectors.engine import Engine
from incidents.denials import REFUSALS
from incidents.population import MINUTE_MS
from intake.frames import Batch, Reader, SourceState, Watermark
from intake.judge import Judge
from intake.ownership import Tables
from records.event import Reject, Signal
from records.ids import digest, partition
from records.kinds import TRUSTED, Key
from streams.kafka.apart import NAMES, Named, read
from streams.kafka.repeats import SPACE, Repeats
from streams.kafka.topics import Topics
from streams.kafka.wire import (
    Output,
    Signals,
    Slice,
    Slices,
    encode,
    signal_frames,
    slice_frames,
)
from streams.lines import missing
from streams.listen.inbox import place_of
from streams.reread import KeysFile
from streams.settings import Settings
from streams.tally import Tally

MESSAGE_BITS = 20
"""A line's place is its message's offset, and its number in these low bits."""
HEAD_BYTES = 4096
_CHUNK = 500

State = tuple[str, str, bytes]


class Record(msgspec.Struct, frozen=True):
    """What is read of a record of Kafka."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class _Frame(NamedTuple):
    """What the headers of a frame say."""

    source: str
    name: str
    offset: int
    faults: list[tuple[int, str, str, bytes]]


def _frame_of(headers: Mapping[str, bytes]) -> _Frame:
    """The frame that a message is by its headers.

    Raises:
        ValueError, MsgspecError: it is none of ours.
    """
    source = headers["source"].decode()
    name = headers.get("name", headers["source"]).decode("utf-8", "replace")
    offset = int(headers.get("offset", b"0"))
    if offset < 0 or not source:
        raise ValueError("a frame without a place")
    return _Frame(source, name, offset, _faults(headers.get("faults", b"\x90")))


_faults = msgspec.msgpack.Decoder(list[tuple[int, str, str, bytes]]).decode


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
        self.reader = Reader(settings.intake, self.judge, forced_format, tracking=True)
        self._look_at_keys = KeysFile(settings.intake.jwt.jwks, self.judge.identity.tokens.use)
        self._keyed = credential_digest
        self._repeats = Repeats()
        self.sources: dict[str, SourceState] = {}
        self._touched: set[str] = set()
        self._kinds = Engine.configured(settings.detect).kinds
        """Under which keys a signal goes on; nothing is detected here."""
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
        self._look_at_keys()
        lines: list[bytes] = []
        places: list[int] = []
        for record in records:
            if record.offset < self.position:
                continue
            headers = dict(record.headers)
            if "source" in headers:
                yield from self._flush(lines, places)
                try:
                    frame = _frame_of(headers)
                    named = None
                    if NAMES in headers:
                        named = read(record.value or b"", headers, len(frame.faults))
                except (ValueError, msgspec.MsgspecError):
                    self._refuse(record)
                else:
                    if named is None:
                        self._read(frame, record.value or b"")
                    else:
                        self._read_named(frame, named, record.offset << MESSAGE_BITS)
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
            before_ms = self.watermark_ms
            self._keep(self.reader.read_apart(state, lines, places), [], before_ms)
            lines.clear()
            places.clear()
            yield

    def _read(self, frame: "_Frame", data: bytes) -> None:
        state = self._source(frame.source, frame.name)
        before_ms = self.watermark_ms
        gaps = missing(frame.name, frame.offset, frame.faults, state.position)
        batch = self.reader.read(state, frame.offset, data, frame.faults)
        self._keep(batch, gaps, before_ms)

    def _read_named(self, frame: "_Frame", named: Named, first: int) -> None:
        """Lines that listeners brought; one without a name stands at `first` and its number."""
        state = self._source(frame.source, frame.name)
        before_ms = self.watermark_ms
        verdicts = iter(self._repeats.are_new([name for name in named.names if name]))
        fresh = [
            (number, place_of(name, self._keyed) if name else first + number)
            for number, name in enumerate(named.names)
            if not name or next(verdicts)
        ]
        if frame.faults:
            faults = [(place, *frame.faults[number][1:]) for number, place in fresh]
            batch = self.reader.read(state, 0, b"", faults)
        else:
            lines = [named.lines[number] for number, _ in fresh]
            batch = self.reader.read_apart(state, lines, [place for _, place in fresh])
        # Their places are in no order: there is no mark before which all is known.
        state.position = 0
        repeated = len(named.names) - len(fresh)
        batch.lines += repeated
        batch.duplicate += repeated
        self._keep(batch, [], before_ms)

    def _refuse(self, record: Record) -> None:
        """A message that says it is a frame and is none: one line that was not understood."""
        value = record.value or b""
        state = self._source(self._own_source, self._name)
        place = record.offset << MESSAGE_BITS
        fault = (place, "bad_frame", hashlib.sha256(value).hexdigest(), value[:HEAD_BYTES])
        self._keep(self.reader.read(state, place, b"", [fault]), [], self.watermark_ms)

    def _source(self, source: str, name: str) -> SourceState:
        state = self.sources.get(source)
        if state is None:
            state = self.sources[source] = SourceState(source, name)
        self._touched.add(source)
        return state

    def _keep(self, batch: Batch, gaps: list[tuple[int, str]], before_ms: int) -> None:
        """Sort out what a batch brought; `before_ms` is the watermark that it found.

        A slice is let go with what came before it: the desk knows the neighbours behind an address
        before it hears the findings of the same lines.
        """
        self._tally.add(batch)
        gaps = [*gaps, *self.judge.excess.take_gaps(batch.events)]
        name = self.sources[batch.source].name
        self._rejects += [(self.sources[one.source].name, one) for one in batch.rejects]
        for signal in batch.signals:
            for kind in self._kinds(signal):
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
                    before_ms,
                    batch.source,
                    name,
                    batch.exposures,
                    batch.raw,
                    own,
                    batch.events[0].time_ms if batch.events else 0,
                    events,
                    batch.rejects,
                    gaps,
                    halves=batch.halves,
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
        topics = self.topics
        outputs = [
            Output(topics.signals, data, partition=shard)
            for shard, signals in enumerate(self._signals)
            for data in signal_frames(Signals(self.origin, *fresh, signals), before_ms)
        ]
        frame = Slices(self.origin, *fresh, self._slices)
        if self._tally.lines:
            frame.tally = self._tally
        outputs += [
            Output(topics.exposures, data, partition=0) for data in slice_frames(frame, before_ms)
        ]
        outputs += [self._dead(name, reject) for name, reject in self._rejects]
        self._signals = [[] for _ in range(self._partitions)]
        self._slices, self._rejects, self._tally = [], [], Tally()
        return outputs

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
        changed = [
            *self.judge.take_dirty(), *self.reader.take_dirty(), *self._repeats.take_dirty(),
        ]  # fmt: skip
        changed += [("source", name, encode(self.sources[name])) for name in sorted(self._touched)]
        changed.append(("task", "watermark", encode(self.reader.watermark)))
        changed.append(("task", "position", encode(self.position)))
        self._touched.clear()
        return changed

    def load(self, items: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take back what `take_dirty` gave, the last of each, by space and key."""
        self.judge.load(lambda space: iter(items.get(space, {}).items()))
        self.reader.load(lambda space: iter(items.get(space, {}).items()))
        self._repeats.load(items.get(SPACE, {}))
        for name, value in items.get("source", {}).items():
            self.sources[name] = msgspec.msgpack.decode(value, type=SourceState)
        task = items.get("task", {})
        if "position" in task:
            self.position = msgspec.msgpack.decode(task["position"], type=int)
            self.reader.watermark = msgspec.msgpack.decode(task["watermark"], type=Watermark)
