"""Keeps an incident's raw lines, and knows which events are its evidence.

In: the store and incident ids. Out: event ids, and entries of the append-only log. A line is in the
store from the batch in which it was judged; capturing enters its digest in the log.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, Protocol

import msgspec

from evidence.log import Captured
from evidence.settings import Capture as Limits
from evidence.store import EmbeddedStore
from incidents.owners import SPACE as OWNERS
from incidents.owners import Owners
from intake.frames import Batch
from records.event import Actor, Exposure, RawLine
from records.finding import Finding
from records.ids import action_id, event_place
from records.incident import Action, Incident, Receipt
from records.stores import ExposureStore
from responders.capture_evidence import CaptureEvidence, CaptureResult

LOOK_BACK = "lookback"
"""The space of incidents whose actors' other requests are to be looked up."""
_SPACE, _ROOM = "captured", "room"
_SLICE = 1_000
_DEFAULT = Limits()


def evidence_events(
    store: EmbeddedStore, incident: Incident, exposures: ExposureStore | None = None
) -> list[str]:
    """Events that the incident rests on: its findings' evidence and its actors' exposures.

    An address counts as an actor only where the incident has no principal and no session.
    Undetermined exposures are evidence where fan-out alone decided, while it went on.
    `exposures` are the store's as they are known to be now, where somebody has them at hand.
    """
    if exposures is None:
        exposures = answered = Owners(store)
        answered.load(store.load_state(OWNERS))
    findings = list(store.findings(incident.findings))
    events = dict.fromkeys(event for finding in findings for event in finding.evidence)
    rests_on = _evident(incident, findings)
    since_ms = _since_ms(incident)
    until_ms = incident.last_seen_ms + 1
    for exposure in exposures.exposures_of(responsible(incident), since_ms, until_ms):
        if rests_on(exposure):
            events[exposure.event] = None
    return store.with_halves(events)


def _since_ms(incident: Incident) -> int:
    return min(incident.first_seen_ms, incident.coverage.from_ms)


def _evident(incident: Incident, findings: Iterable[Finding]) -> Callable[[Exposure], bool]:
    """Whether an exposure of the incident's actors is its evidence."""
    fan_outs = [finding for finding in findings if finding.undetermined]
    prints = {name for finding in fan_outs for name in finding.fingerprints}
    if not all(finding.fingerprints for finding in fan_outs):
        prints.clear()

    def rests_on(exposure: Exposure) -> bool:
        return exposure.verdict == "foreign" or (
            bool(fan_outs)
            and exposure.time_ms >= incident.first_seen_ms
            and (not prints or exposure.fingerprint in prints)
        )

    return rests_on


def responsible(incident: Incident) -> list[Actor]:
    """The actors that exposures of this incident have."""
    named = [actor for actor in incident.actors if actor.type in {"principal", "session"}]
    return named or list(incident.actors)


class Room(msgspec.Struct):
    """What an incident holds in the log, and how much more it may."""

    store: EmbeddedStore
    incident: str
    limits: Limits
    lines: int = 0
    others: int = 0
    size_bytes: int = 0
    told: bool = False
    """The log says that something was left out."""

    @classmethod
    def of(cls, store: EmbeddedStore, incident: str, limits: Limits) -> "Room":
        """As the store has it."""
        sql = "SELECT value FROM state WHERE space = ? AND key = ?"
        row = store.row("reading what is captured", sql, (_ROOM, incident))
        held = msgspec.msgpack.decode(row[0], type=tuple[int, int, int, bool]) if row else ()
        return cls(store, incident, limits, *held)

    def take(self, line: RawLine, now_ms: int) -> bool:
        """Enter a line that the incident rests on; False where there is no room for it."""
        log = self.store.log
        if log.is_kept(self.incident, line.event):
            return True
        full = self.lines >= self.limits.max_lines
        if full or self.size_bytes + len(line.data) > self.limits.max_bytes:
            return False
        log.append_captured(line, self.incident, now_ms)
        self.lines += 1
        self.size_bytes += len(line.data)
        return True

    def take_other(self, kept: Captured, line: RawLine | None) -> bool:
        """Enter another request of its actors, with its line; False where there is no room."""
        if self.store.log.is_kept(self.incident, kept.event, "other"):
            return True
        size_bytes = len(line.data) if line else 0
        full = self.others >= self.limits.max_other_lines
        if full or self.size_bytes + size_bytes > self.limits.max_bytes:
            return False
        if line is not None:
            self.store.add_lines([line])
        self.store.log.append_kept(kept)
        self.others += 1
        self.size_bytes += size_bytes
        return True

    def save(self) -> None:
        """Have the store remember it."""
        held = (self.lines, self.others, self.size_bytes, self.told)
        self.store.save_state([(_ROOM, self.incident, msgspec.msgpack.encode(held))])

    def tell(self, words: str, now_ms: int) -> None:
        """A receipt of the incident's capture, beside the one that its responder gives."""
        self.store.log.append_receipt(
            Receipt(
                action=action_id("capture_evidence", self.incident, self.incident, 0),
                state="confirmed",
                at_ms=now_ms,
                point=CaptureEvidence.point,
                detail=words,
            )
        )


def left_out(store: EmbeddedStore, incident: Incident, events: Iterable[str]) -> int:
    """How many lines of these events its capture left out for want of room; 0 before a capture.

    `events` are those that the incident rests on, as `evidence_events` gives them.
    """
    names = (incident.id, *incident.merged)
    entered = {one.event for name in names for one in store.log.captured(name)}
    return len(store.digests(events).keys() - entered) if entered else 0


def other_requests(store: EmbeddedStore, incident: Incident) -> list[Captured]:
    """What its actors did besides, as far as it was kept, by event."""
    names = (incident.id, *incident.merged)
    kept = [one for name in names for one in store.log.captured(name) if one.role == "other"]
    return sorted({one.event: one for one in kept}.values(), key=lambda one: event_place(one.event))


class StoreCapture:
    """Enters an incident's lines in the append-only log; entering one twice keeps it once."""

    def __init__(
        self,
        store: EmbeddedStore,
        now_ms: Callable[[], int],
        limits: Limits = _DEFAULT,
        *,
        looks_back: bool | None = None,
    ) -> None:
        """`looks_back`: a `LookBack` is at work; False: there is no history; None: say nothing."""
        self._store = store
        self._now_ms = now_ms
        self._limits = limits
        self._looks_back = looks_back

    def capture(self, incident_id: str) -> CaptureResult:
        """Keep every line of the incident, up to the limits.

        Raises:
            OSError: the store could not be written; trying again can help.
        """
        result = CaptureResult(kept=0, missing=0)
        for result in self.slices(incident_id):  # noqa: B007  the last one counts
            pass
        return result

    def slices(self, incident_id: str) -> Iterator[CaptureResult]:
        """The same in steps that hold nobody up, each kept when it is given; the last is final.

        Raises:
            As `capture`.
        """
        store, now_ms = self._store, self._now_ms()
        incident = store.incident(incident_id)
        if incident is None:
            yield CaptureResult(kept=0, missing=0)
            return
        events = sorted(evidence_events(store, incident))
        kept = left = 0
        others: Literal["", "looked up", "unknown"] = ""
        for start in range(0, max(len(events), 1), _SLICE):
            with store.transaction():
                room = Room.of(store, incident.id, self._limits)
                for line in store.lines(events[start : start + _SLICE]):
                    if room.take(line, now_ms):
                        kept += 1
                    else:
                        left += 1
                room.told = room.told or left > 0
                room.save()
                if start + _SLICE >= len(events) and self._looks_back is not None:
                    others = "looked up" if self._looks_back else "unknown"
                    if self._looks_back:
                        store.save_state([(LOOK_BACK, incident.id, b"\1")])
            missing = min(start + _SLICE, len(events)) - kept - left
            yield CaptureResult(kept=kept, missing=missing, left_out=left, others=others)


class Came(Protocol):
    """What one frame brought."""

    @property
    def batch(self) -> Batch:
        """Its events and exposures."""
        ...

    @property
    def findings(self) -> list[Finding]:
        """Those that are new."""
        ...

    @property
    def actions(self) -> list[Action]:
        """Those that were decided now."""
        ...


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Up to where an incident's lines were entered, or are about to be by its capture."""

    since_ms: int
    first_ms: int
    last_ms: int
    actors: tuple[Actor, ...]
    findings: int


class LaterLines:
    """Enters what an incident took in after its capture, as it comes, in the open transaction.

    Work is bounded by what came: the batch, the stretch by which the incident grew, and all of an
    actor who is new to it. Entry ids come from incident and event, so that nothing is entered
    twice, whoever was first. An incident without a capture of its own is entered whole.
    """

    def __init__(self, store: EmbeddedStore, limits: Limits = _DEFAULT) -> None:
        self._store = store
        self._limits = limits
        self._marks: dict[str, _Mark] | None = None
        self._exposed: ExposureStore = store
        """The store's exposures as they are known to be."""

    def enter_all(self, grown: Iterable[Incident], now_ms: int, exposures: ExposureStore) -> None:
        """All that these incidents rest on, where any of it was entered before."""
        for incident in grown:
            if incident.id in self._known():
                events = evidence_events(self._store, incident, exposures)
                self._append(incident, events, now_ms)

    def enter(
        self,
        grown: Iterable[Incident],
        came: Came,
        now_ms: int,
        exposures: ExposureStore | None = None,
    ) -> None:
        """Incidents as they stand after this frame; its exposures are in the store already.

        `exposures` are the store's as they are known to be now, if that is more than it holds.
        """
        self._exposed = exposures or self._store
        by_actor: dict[Actor, list[Exposure]] | None = None
        for incident in grown:
            if by_actor is None:
                by_actor = {}
                for exposure in came.batch.exposures:
                    by_actor.setdefault(exposure.actor, []).append(exposure)
            self._enter(incident, came, by_actor, now_ms)

    def _enter(
        self,
        incident: Incident,
        came: Came,
        by_actor: Mapping[Actor, list[Exposure]],
        now_ms: int,
    ) -> None:
        before = self._known().get(incident.id)
        mark = _Mark(
            since_ms=_since_ms(incident),
            first_ms=incident.first_seen_ms,
            last_ms=incident.last_seen_ms,
            actors=tuple(responsible(incident)),
            findings=len(incident.findings),
        )
        about_to_be = any(
            action.kind == "capture_evidence" and action.incident == incident.id
            for action in came.actions
        )
        if before is not None:
            self._append(incident, self._later(incident, before, mark, came, by_actor), now_ms)
        elif not about_to_be:
            self._append(incident, self._evidence(incident), now_ms)
        if mark != before:
            self._known()[incident.id] = mark
            self._store.save_state([(_SPACE, incident.id, msgspec.msgpack.encode(mark))])

    def _later(
        self,
        incident: Incident,
        before: _Mark,
        mark: _Mark,
        came: Came,
        by_actor: Mapping[Actor, list[Exposure]],
    ) -> list[str]:
        """Events that became the incident's evidence since `before`."""
        store, named = self._store, set(incident.findings)
        new = [finding for finding in came.findings if finding.id in named]
        if mark.first_ms < before.first_ms or any(finding.undetermined for finding in new):
            return self._evidence(incident)
        if mark.findings != before.findings + len(new):
            new = list(store.findings(incident.findings))
        events = dict.fromkeys(event for finding in new for event in finding.evidence)
        found = list(self._exposures(before, mark, by_actor))
        if found:
            rests_on = _evident(incident, store.findings(incident.findings))
            events |= dict.fromkeys(exposure.event for exposure in found if rests_on(exposure))
        return list(events)

    def _exposures(
        self, before: _Mark, mark: _Mark, by_actor: Mapping[Actor, list[Exposure]]
    ) -> Iterator[Exposure]:
        exposures_of = self._exposed.exposures_of
        for actor in mark.actors:
            for exposure in by_actor.get(actor, []):
                if mark.since_ms <= exposure.time_ms <= mark.last_ms:
                    yield exposure
        if added := set(mark.actors) - set(before.actors):
            yield from exposures_of(added, mark.since_ms, mark.last_ms + 1)
        if mark.since_ms < before.since_ms:
            yield from exposures_of(mark.actors, mark.since_ms, before.since_ms)
        if mark.last_ms > before.last_ms:
            yield from exposures_of(mark.actors, before.last_ms + 1, mark.last_ms + 1)

    def _evidence(self, incident: Incident) -> list[str]:
        return evidence_events(self._store, incident, self._exposed)

    def _append(self, incident: Incident, events: Iterable[str], now_ms: int) -> None:
        lines = list(self._store.lines(self._store.with_halves(events)))
        if not lines:
            return
        room = Room.of(self._store, incident.id, self._limits)
        taken = [room.take(line, now_ms) for line in lines]
        if not all(taken) and not room.told:
            room.told = True
            room.tell(
                f"what came after {room.lines:,} lines is left out: raise capture.max_lines or "
                "capture.max_bytes",
                now_ms,
            )
        room.save()

    def _known(self) -> dict[str, _Mark]:
        if self._marks is None:
            decode = msgspec.msgpack.Decoder(_Mark).decode
            self._marks = {key: decode(value) for key, value in self._store.load_state(_SPACE)}
        return self._marks
