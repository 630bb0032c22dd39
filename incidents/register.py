"""The open and past incidents: who is in which, joined where they share a session, and split again.

Findings and exposures in, groups of cases with their ledgers kept current. An exposure whose actor
has no case costs one look-up. It decides nothing and gives nothing out; that is fold.py's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from incidents.affected import Impact, Ledger
from incidents.cases import QUIET_MS, Case, Group, open_case
from incidents.gather import FOREVER_MS, Tally, add_session, gather, refold
from incidents.open_cases import OpenCases, place_of
from incidents.owners import Item, is_unnamed
from records.event import Actor, Exposure
from records.finding import Finding
from records.ids import DAY_MS
from records.stores import ExposureStore

MOST_RETIRED = 10_000
"""Past incidents remembered; of older ones only what was given out remains."""
SWEEP_MS = 3_600_000
ASLEEP_MS = 2 * QUIET_MS + SWEEP_MS
"""By then no finding of a day's window can reach back to an incident's last activity."""


class Register:
    """Cases by actor, sessions by case, groups by case, and each open case's ledger."""

    def __init__(self, store: ExposureStore, step_ms: int) -> None:
        self._store = store
        self._step_ms = step_ms
        self.groups: dict[str, Group] = {}
        """Every incident by its current id."""
        self.group_of: dict[str, Group] = {}
        """By case id: also finds the incident that absorbed another."""
        self.dirty: set[str] = set()
        """Incident ids whose state is to be kept anew, or forgotten."""
        self.joined: list[tuple[Group, Group]] = []
        """(absorbed, into) since the last time somebody emptied it."""
        self.frontier_ms = 0
        """Latest event time taken in. The store may hold a whole batch more: what lies beyond is
        not looked at before its turn, or a big batch would foresee what a small one cannot."""
        self.woken: dict[str, Case] = {}
        """Cases folded from the store, such as after a restart: it may hold more than was seen."""
        self._cases = OpenCases()
        self._sessions: dict[str, Case] = {}
        self._tallies: dict[str, Tally] = {}
        self._stale: dict[str, Case] = {}
        self._ordinals: Counter[tuple[str, int]] = Counter()
        self._known: set[tuple[str, str]] = set()
        self._swept_ms = 0

    # -- what comes in

    def add_exposure(self, exposure: Exposure) -> Case | None:
        """Count an exposure where it belongs; the case that changed, if any."""
        case = self._cases.of(exposure.actor)
        if case is None and exposure.actor.type == "session":
            if exposure.verdict != "foreign" and not is_unnamed(exposure):
                return None
            case = self._sessions.get(exposure.actor.value)
        if case is None:
            return None
        tally = self._tally(case)
        self.frontier_ms = max(self.frontier_ms, exposure.time_ms)
        if exposure.verdict != "foreign" and not tally.takes(exposure):
            near = case.from_ms <= exposure.time_ms <= case.last_ms + QUIET_MS
            return case if near and is_unnamed(exposure) and tally.note(exposure) else None
        group = self.group_of[case.id]
        if exposure.time_ms - group.last_ms > QUIET_MS:
            self.retire(group)
            return None
        if exposure.time_ms < case.start_ms:
            # it came late, or its neighbours may reach further back now
            self._stale[case.id] = case
            return case
        changed = tally.add(exposure)
        self._link(case)
        return case if changed else None

    def refresh(self, history_from_ms: int) -> None:
        """Fold again the cases that late exposures reach further back."""
        while self._stale:
            _, case = self._stale.popitem()
            if not self.group_of[case.id].retired:
                self._gather(case, history_from_ms)

    def add_finding(
        self, finding: Finding, member: Actor, awareness_ms: int, history_from_ms: int
    ) -> Case | None:
        """Put a finding into its member's case, opened if need be; None if it was there before."""
        if (place_of(member), finding.id) in self._known:
            return None
        self._known.add((place_of(member), finding.id))
        linked = self._sessions.get(member.value) if member.type == "session" else None
        for known in filter(None, (self._cases.of(member), linked)):
            group = self.group_of[known.id]
            if finding.start_ms - group.last_ms > QUIET_MS:
                self.retire(group)
        case = self._cases.of(member)
        if case is None:
            case = self._open(member, finding, awareness_ms)
        start_ms = case.start_ms
        if case.actor != member and finding.end_ms <= case.opened_ms:
            # the incident is named after who was first, whichever of its findings came first
            own = self._open(member, finding, awareness_ms)
            own.take(finding)
            self._hold(case, own)
        opened = not case.findings
        group = self.group_of[case.id]
        self.dirty.add(group.id)
        del self.groups[group.id]
        case.take(finding)
        # a finding within the lateness may make another case of the group the oldest
        self.groups[group.id] = group
        self.dirty.add(group.id)
        for own in self._cases.within(case.actor) if opened else ():
            self._hold(case, own)
        if opened or finding.undetermined or case.start_ms < start_ms:
            self._gather(case, history_from_ms)
        self._link(case, sorted(case.sessions))
        return case

    def _open(self, member: Actor, finding: Finding, awareness_ms: int) -> Case:
        key = (str(member), finding.episode_day)
        case = open_case(member, finding, self._ordinals[key])
        self._ordinals[key] += 1
        group = Group(cases=[case], awareness_ms=awareness_ms)
        self.groups[case.id] = self.group_of[case.id] = group
        self._cases.add(case)
        if member.type == "session" and (owner := self._sessions.get(member.value)) is not None:
            for changed in self._join(case, owner):
                self._link(changed)
        return case

    def _hold(self, case: Case, own: Case) -> None:
        """Let the case of a /64 stand for that of one address of it, if no quiet day is between."""
        mine, other = self.group_of[case.id], self.group_of[own.id]
        if case.start_ms - other.last_ms > QUIET_MS:
            self.retire(other)
        elif own.start_ms - mine.last_ms <= QUIET_MS:
            self._cases.remove(own)
            self._tallies.pop(own.id, None)
            self._stale.pop(own.id, None)
            case.hold(own)
            self._join(case, own)

    # -- joining

    def _link(self, case: Case, sessions: Sequence[str] = ()) -> None:
        """Join a case with whoever else used its sessions, and those with whoever used theirs."""
        tally = self._tally(case)
        if not tally.fresh and not sessions:
            return
        fresh, tally.fresh = sorted({*tally.fresh, *sessions} & case.sessions.keys()), []
        for session in fresh:
            other = self._user_of(session, case)
            if other is None:
                if session not in self._sessions:
                    self._sessions[session] = case
                    until_ms = self.frontier_ms + 1
                    add_session(case, self._tally(case), session, self._store, until_ms)
            elif session not in other.cut:
                for changed in self._join(case, other):
                    self._link(changed)

    def _user_of(self, session: str, case: Case) -> Case | None:
        """Who else used a case's session, with no day of quiet between their incident and this."""
        mine_ms, mine = case.sessions[session], self.group_of[case.id]
        for other in (self._cases.get(Actor("session", session)), self._sessions.get(session)):
            if other is None or other is case:
                continue
            group = self.group_of[other.id]
            if mine_ms - group.last_ms > QUIET_MS:
                self.retire(group)
            elif other.sessions.get(session, other.start_ms) - mine.last_ms <= QUIET_MS:
                return other
        return None

    def _join(self, one: Case, other: Case) -> list[Case]:
        """Make two cases one incident: the older keeps its id, the other is absorbed.

        Gives back the cases that were folded anew.
        """
        first, second = self.group_of[one.id], self.group_of[other.id]
        if first is not second:
            if (second.oldest.opened_ms, second.id) < (first.oldest.opened_ms, first.id):
                first, second = second, first
            self.dirty |= {first.id, second.id}
            self.joined.append((second, first))
            del self.groups[second.id]
            first.absorb(second)
            for case in second.cases:
                self.group_of[case.id] = first
        return self._share_out(first)

    def _share_out(self, group: Group) -> list[Case]:
        """Let the oldest case that used a session count it, so that nothing is counted twice."""
        used = Counter(session for case in group.cases for session in case.sessions)
        contested = {s for s, count in used.items() if count > 1} | (self._own(group) & set(used))
        for case in reversed(group.cases):
            for session in case.sessions.keys() & contested:
                # another incident's session is not taken over here: it is about to join
                owner = self._sessions.get(session)
                if owner is None or self.group_of[owner.id] is group:
                    self._sessions[session] = case
        changed = [case for case in group.cases if case.sessions.keys() & contested]
        for case in changed:
            self._tallies[case.id] = self._refold(case, group)
        return changed

    def _own(self, group: Group) -> set[str]:
        return {case.actor.value for case in group.cases if case.actor.type == "session"}

    def _others(self, case: Case, group: Group) -> frozenset[str]:
        """Sessions of a case that another one of its group counts."""
        elsewhere = self._own(group)
        for other in group.cases:
            if other is case:
                break
            elsewhere |= other.sessions.keys()
        return frozenset(elsewhere)

    def split(self, group: Group, actor: Actor) -> Group:
        """Take an actor's case out of an incident; they do not join by the same session again.

        Raises:
            ValueError: the actor has no case there, or it is the only one.
        """
        apart = [case for case in group.cases if not case.held]
        case = next((case for case in apart if case.actor == actor), None)
        if case is None or len(apart) == 1:
            raise ValueError(f"splitting {actor} off {group.id}: it is no joined actor of it")
        rest = [other for other in group.cases if other is not case]
        theirs = set[str]().union(*(other.sessions for other in rest)) | {
            other.actor.value for other in rest if other.actor.type == "session"
        }
        mine = set(case.sessions) | ({actor.value} if actor.type == "session" else set())
        shared = mine & theirs
        for each in group.cases:
            each.cut |= shared
        for session in shared:
            case.sessions.pop(session, None)
        if actor.type == "session":
            for other in rest:
                other.sessions.pop(actor.value, None)
            self._sessions.pop(actor.value, None)
        new = msgspec.structs.replace(
            group,
            cases=[case],
            versions=dict(group.versions),
            considered=set(group.considered),
            actions=dict(group.actions),
            document=None,
        )
        self.groups.pop(group.id)
        group.cases = rest
        group.document = None
        for part in (group, new):
            self.groups[part.id] = part
            for each in part.cases:
                self.group_of[each.id] = part
            self.dirty.add(part.id)
            self._share_out(part)
            for each in part.cases:
                self._tallies[each.id] = self._refold(each, part)
        return new

    # -- ledgers

    def _gather(self, case: Case, history_from_ms: int) -> None:
        group = self.group_of[case.id]
        self._tallies[case.id] = gather(
            case,
            self._others(case, group),
            self._store,
            history_from_ms=history_from_ms,
            step_ms=self._step_ms,
            until_ms=self.frontier_ms + 1,
            held_from_ms=min((c.from_ms for c in group.cases if c.held), default=FOREVER_MS),
        )
        self._link(case)

    def _refold(self, case: Case, group: Group) -> Tally:
        others, until_ms = self._others(case, group), self.frontier_ms + 1
        return refold(case, others, self._store, step_ms=self._step_ms, until_ms=until_ms)

    def _tally(self, case: Case) -> Tally:
        if (tally := self._tallies.get(case.id)) is None:
            tally = self._tallies[case.id] = self._refold(case, self.group_of[case.id])
            self.woken[case.id] = case
        return tally

    def answered(
        self, group: Group, items: AbstractSet[Item], history_from_ms: int
    ) -> dict[str, Case]:
        """Fold anew the cases of a group that waited for the owners of these; they may reach back.

        A retired group keeps no ledger: it is folded anew whenever it is looked at.
        """
        if group.retired:
            return {case.id: case for case in group.cases}
        waited = [
            case
            for case in group.cases
            if (tally := self._tallies.get(case.id)) is None
            or not items.isdisjoint(tally.ledger.pending)
        ]
        for case in waited:
            self._gather(case, history_from_ms)
        return {case.id: case for case in waited}

    def ledgers(self, group: Group) -> dict[str, Ledger]:
        """Each case's ledger; those of a retired group are folded anew and not kept."""
        if not group.retired:
            return {case.id: self._tally(case).ledger for case in group.cases}
        found: dict[str, Ledger] = {}
        for case in group.cases:
            # folding notes what it sees on the case: a past one must stay as it is
            copy = msgspec.structs.replace(
                case, sessions=dict(case.sessions), sources=set(case.sources)
            )
            others = self._others(case, group)
            until_ms = max(group.last_ms, case.noted_ms) + 1
            found[case.id] = refold(
                copy, others, self._store, step_ms=self._step_ms, until_ms=until_ms
            ).ledger
        return found

    def reached(self, group: Group) -> int:
        """How many people's data a group reached."""
        if group.retired or len(group.cases) > 1:
            return Ledger.union(self.ledgers(group).values()).reached(group.principals)
        return self._tally(group.cases[0]).ledger.reached(group.principals)

    def impact(self, groups: Iterable[Group], excluding: frozenset[str]) -> Impact:
        """Whose data these groups concern."""
        ledgers = [ledger for group in groups for ledger in self.ledgers(group).values()]
        return Ledger.union(ledgers).impact(excluding)

    # -- the end of an incident

    def retire(self, group: Group) -> None:
        """An incident takes in nothing more; its actors' next finding opens another."""
        group.retired = True
        self.dirty.add(group.id)
        for case in group.cases:
            self._cases.remove(case)
            self._tallies.pop(case.id, None)
            self._stale.pop(case.id, None)
            for session in case.sessions:
                if self._sessions.get(session) is case:
                    del self._sessions[session]

    def sweep(self, now_ms: int) -> bool:
        """Retire what has long been quiet, and forget the oldest past incidents; at most hourly."""
        if now_ms - self._swept_ms < SWEEP_MS:
            return False
        self._swept_ms = now_ms
        for group in list(self.groups.values()):
            if not group.retired and now_ms - group.last_ms > ASLEEP_MS:
                self.retire(group)
        past = sorted((g for g in self.groups.values() if g.retired), key=lambda g: g.last_ms)
        for group in past[: max(len(past) - MOST_RETIRED, 0)]:
            self._forget(group)
        oldest_day = now_ms // DAY_MS - 2
        kept = {(str(c.actor), c.day) for g in self.groups.values() for c in g.cases}
        for key in [k for k in self._ordinals if k[1] < oldest_day and k not in kept]:
            del self._ordinals[key]
        return True

    def _forget(self, group: Group) -> None:
        self.dirty.add(group.id)
        del self.groups[group.id]
        for case in group.cases:
            del self.group_of[case.id]
            for finding in case.findings:
                self._known.discard((place_of(case.actor), finding))

    # -- state

    def load(self, groups: Iterable[Group]) -> None:
        """Take back groups as they were kept; ledgers are folded when they are needed."""
        for group in groups:
            self.groups[group.id] = group
            for case in group.cases:
                self.group_of[case.id] = group
                self._ordinals[str(case.actor), case.day] += 1
                self._known.update((place_of(case.actor), finding) for finding in case.findings)
                if not (group.retired or case.held):
                    self._cases.add(case)
            if not group.retired:
                for case in reversed(group.cases):
                    for session in case.sessions:
                        self._sessions[session] = case
