"""The one place where it is decided: what was judged comes in, incidents and actions go out, kept.

It wires store, population, desk and outbox for both shells: the embedded pipeline gives it each
frame as it was read, the Kafka worker what came of many frames on many machines. No judgement here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from evidence.store import EmbeddedStore
from incidents.denials import Denials
from incidents.fold import Desk, Folded
from incidents.mistakes import Withdrawal
from incidents.owners import SPACE as OWNERS
from incidents.owners import Answer
from incidents.population import Population
from incidents.settings import NeverBlock
from intake.frames import Batch
from records.finding import Finding
from records.incident import Action, Incident, Receipt
from records.stores import ExposureStore
from streams.entries import Entries, enter_configuration
from streams.settings import Settings
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

    def keep(
        self, grown: list[Incident], step: Step, now_ms: int, exposures: ExposureStore
    ) -> None:
        """Enter what incidents took in since their capture; `exposures` as they are now known."""
        ...

    def keep_all(self, grown: list[Incident], now_ms: int, exposures: ExposureStore) -> None:
        """Enter what incidents rest on, whenever it was: owners of it have become known."""
        ...


class Decider:
    """Incidents and policy over one store. MUST be driven inside `store.transaction()`."""

    def __init__(
        self,
        settings: Settings,
        store: EmbeddedStore,
        *,
        performer: Performer | None = None,
        event_time: bool = False,
        resumable: bool = False,
        population_apart: bool = False,
    ) -> None:
        """As `Pipeline`. `population_apart`: the caller keeps the population, not the store."""
        self.store = store
        self.population = Population(tracking=resumable and not population_apart)
        self.denials = Denials()
        self.desk = Desk(
            store,
            self.population,
            settings.respond,
            settings.intake.trusted_proxies,
            event_time=event_time,
        )
        self.tally = Tally()
        self._performer = performer
        self._settings = settings
        self._entries = Entries(store)
        self._watermark_ms = self._history_from_ms = 0
        # A task that begins anew from its journal is no start.
        self._starts = not population_apart
        self._configured = False

    def note(self, batch: Batch, gaps: Sequence[tuple[int, str]] = ()) -> None:
        """Keep what a batch brought. `gaps`: (offset, in words) of bytes that never came."""
        store = self.store
        if batch.rejects:
            store.add_rejects(batch.rejects)
        if batch.raw:
            store.add_lines(batch.raw)
        if batch.halves:
            store.add_halves(batch.halves)
        if batch.exposures:
            store.add_exposures(batch.exposures)
        self.desk.surroundings.note(batch, gaps)
        if self._performer is not None:
            self.denials.note(batch.events)
        if batch.own:
            self.population.observe(batch.own, batch.events[0].time_ms)

    def decide(
        self,
        batch: Batch,
        findings: list[Finding],
        now_ms: int,
        history_from_ms: int,
        watermark_ms: int,
    ) -> Step:
        """Fold a batch that was noted, with the findings; `Desk.fold` says what the times are."""
        store, entries = self.store, self._entries
        if not self._configured:
            self._configured = True
            enter_configuration(store, self._settings, now_ms, starts=self._starts)
        if findings:
            findings = store.put_findings(findings)
            entries.findings(findings, now_ms)
            self.tally.found(findings)
        self._watermark_ms, self._history_from_ms = watermark_ms, history_from_ms
        # Stored as they came, folded as they are known to be.
        exposures = list(self.desk.owners.resolved(batch.exposures))
        batch = msgspec.structs.replace(batch, exposures=exposures)
        folded = self.desk.fold(findings, exposures, now_ms, history_from_ms, watermark_ms)
        self._keep(folded, now_ms)
        step = Step(batch, findings, folded.incidents, folded.actions)
        if self._performer is not None:
            self._performer.keep(folded.grown, step, now_ms, self.desk.owners)
        return step

    def answer(self, answers: Iterable[Answer], now_ms: int) -> list[Incident]:
        """Take in whose objects they were; the incidents that changed by it, kept."""
        history_from_ms = self._history_from_ms or self.tally.first_ms
        watermark_ms = self._watermark_ms or self.tally.last_ms
        folded = self.desk.answer(answers, now_ms, history_from_ms, watermark_ms)
        self._keep(folded, now_ms)
        if self._performer is not None:
            self._performer.keep_all(folded.grown, now_ms, self.desk.owners)
        return folded.incidents

    def _keep(self, folded: Folded, now_ms: int) -> None:
        store = self.store
        if folded.incidents:
            store.put_incidents(folded.incidents)
        self._entries.incidents(folded.incidents, now_ms, self._watermark_ms)
        for action in folded.actions:
            store.log.append_intent(action)
        if (performer := self._performer) is not None:
            performer.intend(folded.actions, now_ms)
            performer.withdraw(folded.withdrawn, now_ms)

    @property
    def settings(self) -> Settings:
        """As they are now, with the never-block list read last."""
        return self._settings

    def apply(self, receipt: Receipt) -> Incident | None:
        """Note what an enforcement point answered; the incident's new version, kept, if any."""
        incident = self.desk.apply(receipt)
        if incident is not None:
            self.store.put_incidents([incident])
            self._entries.incidents([incident], receipt.at_ms, self._watermark_ms)
        return incident

    def relist(self, entries: Sequence[NeverBlock], now_ms: int) -> None:
        """Take the never-block list as it is now, and enter that the configuration changed."""
        self.desk.relist(entries)
        respond = self._settings.respond.model_copy(update={"never_block": list(entries)})
        self._settings = self._settings.model_copy(update={"respond": respond})
        enter_configuration(self.store, self._settings, now_ms, starts=False)

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, key, value) of what changed since the last call; an empty value: it left."""
        for space, state in (
            ("population", self.population),
            ("incidents", self.desk),
            (OWNERS, self.desk.owners),
            ("denials", self.denials),
        ):
            for key, value in state.take_dirty():
                yield space, key, value
        yield "runner", "tally", msgspec.msgpack.encode(self.tally)

    def restore(self) -> None:
        """Take up where the last checkpoint left off."""
        store = self.store
        self.population.load(store.load_state("population"))
        self.desk.owners.load(store.load_state(OWNERS))
        self.desk.load(store.load_state("incidents"))
        self.denials.load(store.load_state("denials"))
        for key, value in store.load_state("runner"):
            if key == "tally":
                self.tally = msgspec.msgpack.decode(value, type=Tally)
