"""The stages in order, over one store: read, detect, fold, decide, keep. No judgement here.

In: frames and the time. Out: what each frame came to, already in the store's open transaction. The
embedded runner and `scan` drive it; the Faust worker wires the same stages to topics.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from detectors.engine import Engine, discover
from evidence.history import History
from evidence.store import EmbeddedStore
from incidents.denials import Denials
from incidents.fold import Desk
from incidents.mistakes import Withdrawal
from incidents.population import Population
from intake.frames import Batch, Reader, SourceState
from intake.judge import Judge
from intake.ownership import Tables
from records.finding import Finding
from records.incident import Action, Incident
from streams.lines import Frame
from streams.settings import Settings
from streams.sources import SourceBook
from streams.tally import Tally


class Step(msgspec.Struct, frozen=True):
    """What one frame came to."""

    batch: Batch
    findings: list[Finding]
    incidents: list[Incident]
    actions: list[Action]


class Performer(Protocol):
    """Takes decisions further: the live service's outbox. `scan` has none."""

    def intend(self, actions: list[Action], now_ms: int) -> None:
        """Make the intents durable in the open transaction."""
        ...

    def withdraw(self, withdrawn: list[Withdrawal], now_ms: int) -> None:
        """Have actions that were a mistake undone, wherever they stand."""
        ...

    def keep(self, grown: list[Incident], step: Step, now_ms: int) -> None:
        """Enter what incidents took in since their capture."""
        ...


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
        self.reader = Reader(settings.intake, self.judge, forced_format)
        known = {detector.id for detector in discover()}
        self.engine = Engine(
            {rule: value for rule, value in settings.detect.items() if rule in known},
            tracking=resumable,
        )
        self.population = Population(tracking=resumable)
        self.desk = Desk(
            store,
            self.population,
            settings.respond,
            settings.intake.trusted_proxies,
            event_time=event_time,
        )
        self.denials = Denials()
        self.history = history
        self._performer = performer
        self.book = SourceBook()
        self.sources: dict[str, SourceState] = {}
        self.tally = Tally()

    def times(self, frame: Frame) -> list[tuple[int, int]]:
        """(offset, time) of the lines of a frame, for merging several logs."""
        return self.reader.times(self._source(frame), frame.offset, frame.data)

    def take(self, frame: Frame, now_ms: int | None = None) -> Step:
        """One frame through all stages. `now_ms`: wall clock; None where event time is now."""
        state = self._source(frame)
        gaps = _gaps(frame, state.position)
        faults = [(fault.offset, fault.reason, fault.sha256, fault.head) for fault in frame.faults]
        batch = self.reader.read(state, frame.offset, frame.data, faults)
        state.position = max(state.position, frame.end)
        self.tally.add(batch)
        store = self.store
        if batch.rejects:
            store.add_rejects(batch.rejects)
        if batch.raw:
            store.add_lines(batch.raw)
        if batch.exposures:
            store.add_exposures(batch.exposures)
        if self.history is not None:
            self.history.append(batch.events)
        self.desk.surroundings.note(batch, gaps)
        if self._performer is not None:
            self.denials.note(batch.events)
        if batch.own:
            self.population.observe(batch.own, batch.events[0].time_ms)
        findings = self.engine.observe(batch.signals) if batch.signals else []
        if findings:
            findings = store.put_findings(findings)
            self.tally.found(findings)
        watermark_ms = self.watermark_ms
        now = watermark_ms if now_ms is None else now_ms
        folded = self.desk.fold(
            findings,
            batch.exposures,
            now_ms=now,
            history_from_ms=self.reader.watermark.first_ms or self.tally.first_ms,
            watermark_ms=watermark_ms,
        )
        if folded.incidents:
            store.put_incidents(folded.incidents)
        if folded.actions:
            for action in folded.actions:
                store.log.append_intent(action)
        step = Step(batch, findings, folded.incidents, folded.actions)
        if (performer := self._performer) is not None:
            performer.intend(folded.actions, now)
            performer.withdraw(folded.withdrawn, now)
            performer.keep(folded.grown, step, now)
        return step

    @property
    def watermark_ms(self) -> int:
        """The latest believable event time so far: one line's wrong clock does not move it."""
        return self.reader.watermark.max_ms or self.tally.last_ms

    def _source(self, frame: Frame) -> SourceState:
        state = self.sources.get(frame.source)
        if state is None:
            state = self.sources[frame.source] = SourceState(frame.source, frame.name)
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

    def keep_sources(self) -> None:
        """The sources' names and positions."""
        for state in self.sources.values():
            self.store.put_source(
                state.id, state.name, state.position, self.book.head(state.id), _encode(state)
            )

    def _dirty(self) -> Iterator[tuple[str, str, bytes]]:
        yield from self.judge.take_dirty()
        yield from self.engine.take_dirty()
        for key, value in self.population.take_dirty():
            yield "population", key, value
        for key, value in self.desk.take_dirty():
            yield "incidents", key, value
        for key, value in self.denials.take_dirty():
            yield "denials", key, value
        yield "runner", "tally", _encode(self.tally)
        yield "runner", "watermark", _encode(self.reader.watermark)

    def restore(self) -> None:
        """Take up where the last checkpoint left off."""
        store = self.store
        self.book.load((source.id, source.head) for source in store.sources())
        for source in store.sources():
            self.sources[source.id] = msgspec.msgpack.decode(source.profile, type=SourceState)
        self.judge.load(store.load_state)
        for rule in self.engine.keys:
            self.engine.load((rule, key, value) for key, value in store.load_state(rule))
        self.population.load(store.load_state("population"))
        self.desk.load(store.load_state("incidents"))
        self.denials.load(store.load_state("denials"))
        for key, value in store.load_state("runner"):
            if key == "tally":
                self.tally = msgspec.msgpack.decode(value, type=Tally)
            elif key == "watermark":
                self.reader.watermark = msgspec.msgpack.decode(
                    value, type=type(self.reader.watermark)
                )

    def incomparable(self) -> dict[str, tuple[int, str, str]]:
        """Route -> (events, principals' id space, the route's id space) that cannot be compared."""
        spaces = self.judge.spaces
        return {
            route: (count, spaces.of("principal"), spaces.of(route))
            for route, count in self.judge.incomparable.items()
        }


def _gaps(frame: Frame, position: int) -> list[tuple[int, str]]:
    """(offset, in words) of bytes that were skipped before the frame, or cut off in it."""
    found = []
    start = min([frame.offset, *(fault.offset for fault in frame.faults)])
    if 0 < position < start:
        found.append((start, f"{frame.name}: bytes {position:,} to {start:,} never came"))
    found += [
        (fault.offset, f"{frame.name}: the archive breaks off at byte {fault.offset:,}")
        for fault in frame.faults
        if fault.reason == "truncated_archive" and fault.offset >= position
    ]
    return found


_encode = msgspec.msgpack.Encoder().encode
