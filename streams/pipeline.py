"""The stages in order, over one store: read, detect, fold, decide, keep. No judgement here.

In: frames and the time. Out: what each frame came to, already in the store's open transaction. The
embedded runner and `scan` drive it; the Faust worker wires the same stages to topics.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from detectors.engine import Engine
from evidence.history import History
from evidence.store import EmbeddedStore
from incidents.owners import SPACE as OWNERS
from incidents.owners import Answer
from intake.frames import Batch, Reader, SourceState, Watermark
from intake.judge import Judge
from intake.ownership import Tables
from streams.decider import Decider, Performer, Step
from streams.hints import Unsaid
from streams.lines import Frame, missing
from streams.reread import KeysFile
from streams.settings import Settings
from streams.sources import SourceBook
from streams.tally import Tally


class Pipeline:
    """All stages with their state. MUST be driven inside `store.transaction()`."""

    def __init__(
        self,
        settings: Settings,
        tables: Tables,
        store: EmbeddedStore,
        credential_digest: Callable[[str], str],
        *,
        history: History | None = None,
        performer: Performer | None = None,
        forced_format: str = "auto",
        event_time: bool = False,
        resumable: bool = False,
    ) -> None:
        """`event_time`: a decision's now is its events' time, as in a scan; else the caller's.

        `resumable`: state is kept for `checkpoint`; a scan that starts from nothing has no need.
        """
        self.store = store
        self.judge = Judge(settings.intake, settings.canaries.ids, tables, credential_digest)
        self.reader = Reader(settings.intake, self.judge, forced_format, tracking=resumable)
        self.engine = Engine.configured(settings.detect, tracking=resumable)
        self.decider = Decider(
            settings, store, performer=performer, event_time=event_time, resumable=resumable
        )
        self.desk, self.denials = self.decider.desk, self.decider.denials
        self.history = history
        self._owned = {
            source.route: "http" if source.http else "learn" if source.learn else "file"
            for source in settings.intake.ownership
        }
        self._issuers = settings.intake.jwt.issuers
        self.book = SourceBook()
        self.sources: dict[str, SourceState] = {}
        jwks = None if event_time else settings.intake.jwt.jwks
        self._look_at_keys = KeysFile(jwks, self.judge.identity.tokens.use)
        self._named: set[str] = set()
        self._touched: set[str] = set()

    def times(self, frame: Frame) -> list[tuple[int, int]]:
        """(offset, time) of the lines of a frame, for merging several logs."""
        return self.reader.times(self._source(frame.source, frame.name), frame.offset, frame.data)

    def take(self, frame: Frame, now_ms: int | None = None) -> Step:
        """One frame through all stages. `now_ms`: wall clock; None where event time is now."""
        self._look_at_keys()
        state = self._source(frame.source, frame.name)
        faults = [(fault.offset, fault.reason, fault.sha256, fault.head) for fault in frame.faults]
        gaps = missing(frame.name, frame.offset, faults, state.position)
        batch = self.reader.read(state, frame.offset, frame.data, faults)
        state.position = max(state.position, frame.end)
        return self._concluded(state, batch, gaps, now_ms)

    def take_apart(
        self,
        source: str,
        name: str,
        lines: Sequence[bytes],
        places: Sequence[int],
        *,
        repeated: int = 0,
        now_ms: int | None = None,
    ) -> Step:
        """Lines that each have a place of their own, in any order, through all stages.

        The caller knows them for new, and has left out as many as were `repeated`. The source's
        position stays what it is.
        """
        self._look_at_keys()
        state = self._source(source, name)
        position, state.position = state.position, 0
        batch = self.reader.read_apart(state, lines, places)
        state.position = position
        batch.lines += repeated
        batch.duplicate += repeated
        return self._concluded(state, batch, [], now_ms)

    def settle(self, now_ms: int | None = None) -> Step | None:
        """What comes of lines that wait for their other half in vain; None when none wait."""
        batch = self.reader.settle()
        if not batch.lines:
            return None
        return self._concluded(self.sources[batch.source], batch, [], now_ms)

    def _concluded(
        self, state: SourceState, batch: Batch, gaps: list[tuple[int, str]], now_ms: int | None
    ) -> Step:
        """What follows from a batch."""
        self._touched.add(state.id)
        if state.id not in self._named:
            # Before a document of this frame names the source.
            self._named.add(state.id)
            self._keep_source(state)
        decider = self.decider
        decider.tally.add(batch)
        decider.note(batch, [*gaps, *self.judge.excess.take_gaps(batch.events)])
        if self.history is not None:
            self.history.append(batch.events)
        watermark_ms = self.watermark_ms
        return decider.decide(
            batch,
            self.engine.observe(batch.signals) if batch.signals else [],
            now_ms=watermark_ms if now_ms is None else now_ms,
            history_from_ms=self.reader.watermark.first_ms or self.tally.first_ms,
            watermark_ms=watermark_ms,
        )

    @property
    def waiting(self) -> int:
        """Lines that wait for their other half."""
        return self.reader.joiner.waiting if self.reader.joiner is not None else 0

    @property
    def patience_s(self) -> float:
        """How long a line waits at most while others come."""
        return self.reader.joiner.patience_s if self.reader.joiner is not None else 0

    @property
    def tally(self) -> Tally:
        """What was read and judged so far."""
        return self.decider.tally

    @property
    def watermark_ms(self) -> int:
        """The latest believable event time so far: one line's wrong clock does not move it."""
        return self.reader.watermark.max_ms or self.tally.last_ms

    def _source(self, source: str, name: str) -> SourceState:
        state = self.sources.get(source)
        if state is None:
            state = self.sources[source] = SourceState(source, name)
            self._touched.add(source)
        return state

    def checkpoint(self) -> None:
        """Everything that changed since the last one, beside the positions it belongs to."""
        self.keep_sources()
        self.store.save_state(self._dirty())

    def keep_incidents(self) -> None:
        """What commands need that read a finished scan: sources and incidents, no stream state."""
        self.keep_sources()
        self.keep_desk()

    def keep_desk(self) -> None:
        """The incidents' own state, where something other than a frame changed it."""
        self.store.save_state(("incidents", key, value) for key, value in self.desk.take_dirty())
        self.store.save_state((OWNERS, key, value) for key, value in self.desk.owners.take_dirty())

    def answer(self, answers: Iterable[Answer], now_ms: int | None = None) -> None:
        """Take in whose objects they were, in a transaction of its own."""
        with self.store.transaction():
            self.decider.answer(answers, self.watermark_ms if now_ms is None else now_ms)
            self.keep_desk()

    def keep_sources(self) -> None:
        """The names and positions of the sources that were read from since the last time."""
        for source in sorted(self._touched):
            self._keep_source(self.sources[source])
        self._touched.clear()

    def _keep_source(self, state: SourceState) -> None:
        self.store.put_source(
            state.id, state.name, state.position, self.book.head(state.id), _encode(state)
        )

    def _dirty(self) -> Iterator[tuple[str, str, bytes]]:
        yield from self.judge.take_dirty()
        yield from self.reader.take_dirty()
        yield from self.engine.take_dirty()
        yield from self.decider.take_dirty()
        yield "runner", "watermark", _encode(self.reader.watermark)

    def restore(self) -> None:
        """Take up where the last checkpoint left off."""
        store = self.store
        self.book.load((source.id, source.head) for source in store.sources())
        for source in store.sources():
            self.sources[source.id] = msgspec.msgpack.decode(source.profile, type=SourceState)
        self.judge.load(store.load_state)
        self.reader.load(store.load_state)
        for rule in self.engine.keys:
            self.engine.load((rule, key, value) for key, value in store.load_state(rule))
        self.decider.restore()
        for key, value in store.load_state("runner"):
            if key == "watermark":
                self.reader.watermark = msgspec.msgpack.decode(value, type=Watermark)

    def incomparable(self) -> dict[str, tuple[int, str, str]]:
        """Route -> (events, principals' id space, the route's id space) that cannot be compared."""
        spaces = self.judge.spaces
        return {
            route: (count, spaces.of("principal"), spaces.of(route))
            for route, count in self.judge.incomparable.items()
        }

    def unsaid(self) -> Unsaid:
        """What the judge met and no configuration explains."""
        comparison = self.judge.comparison
        return Unsaid(
            comparison.apart,
            self.judge.tenants.seen,
            comparison.pairings.proposed(),
            self.judge.excess.routes,
            self._ways(),
            self._issuers
            or sorted({s.credentials.issuers.home for s in self.sources.values()} - {""}),
        )

    def _ways(self) -> dict[str, str]:
        """Route of an ownership source -> how it knows, as `Unsaid.sources` has it."""
        if (learned := self.judge.learned) is None:
            return self._owned
        return {
            route: "nothing_learned" if way == "learn" and not learned.has_learned(route) else way
            for route, way in self._owned.items()
        }


_encode = msgspec.msgpack.Encoder().encode
