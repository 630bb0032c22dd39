"""Folds findings, exposures, receipts and a person's word into incidents, and asks for actions.

In: what one batch brought. Out: the incidents that changed visibly, and actions decided once.
A finding goes to the case of each actor who did it; cases that share a session are one incident.
It reads no clock, performs nothing, and gives the same result for any split into batches.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from incidents.affected import NOBODY, Impact
from incidents.cases import DONE, Case, Fault, Group, check_status, closed
from incidents.coverage import Surroundings
from incidents.gather import FOREVER_MS
from incidents.mistakes import Withdrawal, hurts, withdraw
from incidents.outages import Outages
from incidents.owners import Answer, Item, Owners
from incidents.policy import Policy, attack_start_ms
from incidents.population import Population
from incidents.publish import Publisher
from incidents.register import Register
from incidents.settings import NeverBlock, PolicySettings
from records.event import Actor, Exposure
from records.finding import Finding
from records.incident import Action, Guard, Incident, Receipt
from records.kinds import IncidentStatus
from records.stores import ExposureStore

_GROUP, _FAULT, _BLOCK, _NEAR, _FRONTIER = "incident/", "fault/", "block/", "near/", "frontier"
_WAITS = "waits/"


class Folded(msgspec.Struct, frozen=True):
    """What one batch changed."""

    incidents: list[Incident] = []
    actions: list[Action] = []
    withdrawn: list[Withdrawal] = []
    """Actions decided before that a fault takes back."""
    grown: list[Incident] = []
    """Incidents that took in anything, as they now stand; more than those that changed visibly."""


class Desk:
    """The one place where incidents are opened, joined, split and closed, and actions decided.

    `protected` are trusted proxies and our own addresses. With `event_time` (scan, backtest) the
    moment of a decision is its finding's last event, whatever batch that came in; without it, it is
    the `now_ms` of the batch. The exposures of open incidents MUST stay in the store.
    """

    def __init__(
        self,
        exposures: ExposureStore,
        population: Population,
        settings: PolicySettings,
        protected: Iterable[str] = (),
        *,
        event_time: bool = False,
    ) -> None:
        self._policy = Policy(settings, population, protected)
        self.owners = Owners(exposures)
        """Answers of ownership services; a state of its own beside this one."""
        self._register = Register(self.owners, int(settings.lookback * 1000))
        self._population = population
        self._outages = Outages(self._register, population.active)
        self.surroundings = Surroundings()
        """What the logs lack; told of each batch before its findings are folded."""
        self._publish = Publisher(self._register, self._outages, self.surroundings)
        self._event_time = event_time
        self._by_action: dict[str, str] = {}
        self._kept_ms = 0

    # -- a batch

    def fold(
        self,
        findings: Sequence[Finding],
        exposures: Sequence[Exposure],
        now_ms: int,
        history_from_ms: int,
        watermark_ms: int,
    ) -> Folded:
        """Fold one batch. Its exposures MUST be in the store already.

        `history_from_ms` is the earliest event time that is kept; `watermark_ms` the latest seen.
        """
        if not (findings or exposures or self.surroundings.changed):
            return Folded()
        exposures = list(self.owners.resolved(exposures))
        touched = self._take_in(findings, exposures, now_ms, history_from_ms)
        return self._conclude(touched, findings, now_ms, history_from_ms, watermark_ms)

    def answer(
        self, answers: Iterable[Answer], now_ms: int, history_from_ms: int, watermark_ms: int
    ) -> Folded:
        """Take in whose objects they were, and fold anew what waited for it; times as in `fold`."""
        fresh = self.owners.take(answers)
        touched: dict[str, Case] = {}
        for group in self._publish.waiting() if fresh else ():
            touched |= self._register.answered(group, fresh, history_from_ms)
        if not touched:
            return Folded()
        return self._conclude(touched, (), now_ms, history_from_ms, watermark_ms)

    def pending(self) -> list[Item]:
        """Objects of incidents whose owners are still to be asked for, in order."""
        return sorted({item for item in self._publish.pending() if not self.owners.knows(item)})

    def _conclude(
        self,
        touched: dict[str, Case],
        findings: Sequence[Finding],
        now_ms: int,
        history_from_ms: int,
        watermark_ms: int,
    ) -> Folded:
        """Give out what changed of these cases' groups, and decide on it."""
        register = self._register
        groups = {id(g): g for g in (register.group_of[case_id] for case_id in touched)}
        groups |= {id(g): g for g in self.surroundings.take_touched(register.groups.values())}
        changed = self._close_absorbed()
        moved = self._outages.assign(findings, groups.values(), now_ms)
        groups |= {id(group): group for group in moved}
        withdrawn, freed = withdraw(moved, register, self._policy)
        groups |= {id(group): group for group in freed}
        in_order = sorted(groups.values(), key=lambda group: group.id)
        for group in in_order:
            changed += self._publish.group(group)
        actions = self._decide(in_order, now_ms, history_from_ms)
        for fault in self._outages.take_changed():
            if self._event_time:
                fault.awareness_ms = fault.opened_ms
            changed += self._publish.fault(fault)
            actions += self._capture_fault(fault, now_ms)
        self._tidy(watermark_ms)
        return Folded(changed, actions, withdrawn, self._outages.documents(in_order))

    def _take_in(
        self,
        findings: Sequence[Finding],
        exposures: Sequence[Exposure],
        now_ms: int,
        history_from_ms: int,
    ) -> dict[str, Case]:
        """Put everything where it belongs, by time, as if it had come one by one."""
        register = self._register
        touched: dict[str, Case] = {}
        by_time = sorted(exposures, key=_time_ms)
        position = 0
        for finding in sorted(findings, key=lambda finding: (finding.end_ms, finding.id)):
            position = self._add_exposures(by_time, position, finding.end_ms, touched)
            register.frontier_ms = max(register.frontier_ms, finding.end_ms)
            aware_ms = finding.end_ms if self._event_time else now_ms
            for member in finding.members or (finding.actor,):
                case = register.add_finding(finding, member, aware_ms, history_from_ms)
                if case is None:
                    continue
                if self._event_time:
                    group = register.group_of[case.id]
                    group.awareness_ms = min(group.awareness_ms, finding.end_ms)
                self._outages.note(finding, member, case)
                touched[case.id] = case
        self._add_exposures(by_time, position, FOREVER_MS, touched)
        register.refresh(history_from_ms)
        touched |= register.woken
        register.woken.clear()
        return touched

    def _add_exposures(
        self, by_time: Sequence[Exposure], position: int, until_ms: int, touched: dict[str, Case]
    ) -> int:
        while position < len(by_time) and by_time[position].time_ms <= until_ms:
            exposure = by_time[position]
            position += 1
            if (case := self._register.add_exposure(exposure)) is not None:
                touched[case.id] = case
            self._register.frontier_ms = max(self._register.frontier_ms, exposure.time_ms)
        return position

    def _close_absorbed(self) -> list[Incident]:
        ended: list[Incident] = []
        for absorbed, into in self._register.joined:
            self._outages.drop(absorbed)
            if absorbed.document is not None and absorbed.document.status != "closed":
                ended.append(closed(absorbed.document))
                into.versions[absorbed.document.id] = ended[-1].version
            for action in absorbed.actions:
                self._by_action[action] = into.oldest.id
        self._register.joined.clear()
        return ended

    def _decide(self, groups: Sequence[Group], now_ms: int, history_from_ms: int) -> list[Action]:
        """Ask the policy about each finding that it has not seen, in the order they were made."""
        due = [
            (finding.end_ms, finding.id, group.id, group, finding)
            for group in groups
            if not group.fault
            for finding in group.findings().values()
            if finding.id not in group.considered
        ]
        actions: list[Action] = []
        for *_, group, finding in sorted(due, key=lambda item: item[:3]):
            document = group.document
            if document is None or group.status in DONE:
                continue
            decided = self._policy.decide(
                document,
                [finding],
                finding.end_ms if self._event_time else now_ms,
                history_from_ms=history_from_ms,
                capture=not group.captured,
            )
            group.captured = True
            group.considered.add(finding.id)
            for action in decided:
                if action.kind == "capture_evidence":
                    continue
                group.actions[action.id] = action.mode
                self._by_action[action.id] = group.id
            actions += decided
            self._register.dirty.add(group.id)
        return actions

    def _capture_fault(self, fault: Fault, now_ms: int) -> list[Action]:
        if fault.document is None or fault.captured:
            return []
        moment_ms = fault.awareness_ms if self._event_time else now_ms
        fault.captured = True
        return self._policy.decide(fault.document, [], moment_ms, history_from_ms=0, capture=True)

    def _tidy(self, watermark_ms: int) -> None:
        self._outages.forget(watermark_ms)
        if self._register.sweep(watermark_ms):
            self._policy.forget(watermark_ms)
            self.surroundings.forget(watermark_ms)
            known = self._register.group_of
            self._by_action = {a: i for a, i in self._by_action.items() if i in known}

    # -- what people and enforcement points say

    def incident(self, incident: str) -> Incident | None:
        """An incident as last given out, by its id or by one that it absorbed."""
        if (fault := self._outages.faults.get(incident)) is not None:
            return fault.document
        group = self._register.group_of.get(incident)
        return None if group is None else group.document

    def impact(self, incident: str) -> Impact:
        """Whose data an incident concerns, also long after it is over.

        Raises:
            LookupError: no such incident is remembered.
        """
        if (fault := self._outages.faults.get(incident)) is not None:
            return self._register.impact(self._outages.members(fault), NOBODY)
        group = self._group(incident, "counting the affected of")
        return self._register.impact([group], group.principals)

    def apply(self, receipt: Receipt) -> Incident | None:
        """Note a receipt: a confirmed block contains its incident. The new version, if any."""
        group = self._register.group_of.get(self._by_action.get(receipt.action, ""))
        if group is None or receipt.state != "confirmed" or group.document is None:
            return None
        if group.actions.get(receipt.action, "simulate") == "simulate":
            return None
        if group.status not in {"open", "investigating"}:
            return None
        group.status = "contained"
        return next(iter(self._publish.group(group)), None)

    def set_status(self, incident: str, status: IncidentStatus) -> Incident:
        """A person moves an incident forward; resolved and closed take in nothing more.

        Raises:
            LookupError: no such incident is remembered.
            ValueError: the incident is past that status.
        """
        if (fault := self._outages.faults.get(incident)) is not None:
            check_status(incident, fault.status, status)
            return self._set_fault(fault, status)
        group = self._group(incident, f"setting to {status}")
        if group.fault:
            return self.set_status(group.fault, status)
        check_status(group.id, group.status, status)
        group.status = status
        published = self._publish.group(group)
        if status in DONE:
            self._register.retire(group)
        return published[-1]

    def _set_fault(self, fault: Fault, status: IncidentStatus) -> Incident:
        fault.status = status
        self._outages.touch(fault)
        published = self._publish.fault(fault)
        if status in DONE:
            self._outages.retire(fault)
        return published[-1]

    def split(self, incident: str, actor: Actor) -> list[Incident]:
        """Take a joined actor out into an incident of their own; both, as they now are.

        Raises:
            LookupError: no such incident is remembered.
            ValueError: the actor is no joined one of it.
        """
        group = self._group(incident, f"splitting {actor} off")
        if group.fault:
            raise ValueError(f"splitting {actor} off {incident}: it is part of {group.fault}")
        new = self._register.split(group, actor)
        return [*self._publish.group(group), *self._publish.group(new)]

    def recheck(self, action: Action, now_ms: int, *, by_person: bool = False) -> Guard:
        """Asked right before an action is performed: the list and the neighbours may differ."""
        before_ms, own = self._attack(action)
        return self._policy.recheck(action, now_ms, before_ms, own, by_person=by_person)

    def _attack(self, action: Action) -> tuple[int, frozenset[str]]:
        """When the attack that an action answers began, and its own principals."""
        group = self._register.group_of.get(action.incident)
        if group is None or group.document is None:
            return action.decided_ms, NOBODY
        starts = [f.start_ms for key, f in group.findings().items() if key in action.findings]
        before_ms = attack_start_ms(
            group.document.first_seen_ms, min(starts, default=action.decided_ms), action.decided_ms
        )
        return before_ms, group.principals

    def hurts(self, action: Action, around: Callable[[frozenset[str]], tuple[int, int]]) -> str:
        """Why a block that stands should be lifted, "" if not; `around` as in mistakes.py."""
        before_ms, own = self._attack(action)
        return hurts(action, before_ms, own, self._population, around)

    def relist(self, entries: Iterable[NeverBlock]) -> None:
        """Take the never-block list as the configuration has it now."""
        self._policy.relist(entries)

    def _group(self, incident: str, doing: str) -> Group:
        if (group := self._register.group_of.get(incident)) is None:
            raise LookupError(f"{doing} {incident}: no such incident; list them with `incidents`")
        return group

    # -- state

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """What changed since the last call, to be kept with the input position; b"": forget it.

        Counts are not in it: they are folded again from the exposure store.
        """
        encode = msgspec.msgpack.encode
        groups = self._register.groups
        dirty = [
            (_GROUP + key, encode(groups[key]) if key in groups else b"")
            for key in sorted(self._register.dirty)
        ]
        self._register.dirty.clear()
        if self._register.frontier_ms != self._kept_ms:
            self._kept_ms = self._register.frontier_ms
            dirty.append((_FRONTIER, encode(self._kept_ms)))
        dirty += [(_FAULT + key, value) for key, value in self._outages.take_dirty()]
        dirty += [(_BLOCK + key, value) for key, value in self._policy.take_dirty()]
        dirty += [(_NEAR + key, value) for key, value in self.surroundings.take_dirty()]
        dirty += [(_WAITS + key, value) for key, value in self._publish.take_dirty()]
        return dirty

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take back everything that `take_dirty` gave, the latest value of each key."""
        kept = dict(items)
        groups = [
            msgspec.msgpack.decode(value, type=Group)
            for key, value in sorted(kept.items())
            if key.startswith(_GROUP) and value
        ]
        self._kept_ms = msgspec.msgpack.decode(kept.get(_FRONTIER, b"\0"), type=int)
        self._register.frontier_ms = self._kept_ms
        self._register.load(groups)
        self._by_action = {action: group.id for group in groups for action in group.actions}
        self._outages.load(
            msgspec.msgpack.decode(value, type=Fault)
            for key, value in sorted(kept.items())
            if key.startswith(_FAULT) and value
        )
        self._publish.load(
            key.removeprefix(_WAITS)
            for key, value in kept.items()
            if key.startswith(_WAITS) and value
        )
        for prefix, part in ((_BLOCK, self._policy), (_NEAR, self.surroundings)):
            part.load((k.removeprefix(prefix), v) for k, v in kept.items() if k.startswith(prefix))


def _time_ms(exposure: Exposure) -> int:
    return exposure.time_ms
