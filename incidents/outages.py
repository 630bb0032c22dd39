"""Which incidents are really one service fault, and which stand for themselves.

New findings and changed groups in; faults with their members out. Members come when the last actor
tips the balance, however early they were opened, and leave when they turn out to be more.
"""

from collections.abc import Callable, Iterable

import msgspec

from incidents.cases import QUIET_MS, Case, Fault, Group
from incidents.faults import (
    ENOUGH_ACTIVE,
    FEWEST_ACTORS,
    MOST_ACTORS,
    MOST_TARGETS,
    Recent,
    Span,
    explained_by,
    limit_of,
    spans,
)
from incidents.gather import merged
from incidents.register import Register
from records.event import Actor
from records.finding import Finding
from records.ids import DAY_MS, incident_id
from records.incident import Incident


class Outages:
    """Open and past faults, by id."""

    def __init__(
        self, register: Register, active: Callable[[int, int], int] = lambda _at, _most: 0
    ) -> None:
        """`active`: how many principals were active at an event time, and how far to count."""
        self._active = active
        self.faults: dict[str, Fault] = {}
        self._register = register
        self._recent = Recent()
        self._members: dict[str, dict[int, Group]] = {}
        self._changed: set[str] = set()
        self._dirty: set[str] = set()

    def note(self, finding: Finding, member: Actor, case: Case) -> None:
        """Remember a finding for the next `assign`."""
        self._recent.note(finding, str(member), case.id)

    def assign(
        self, findings: Iterable[Finding], touched: Iterable[Group], awareness_ms: int
    ) -> list[Group]:
        """Find faults that new findings bring to light; the groups that came to or left one."""
        suspects = {id(group): group for group in touched}
        since_ms: dict[str, int] = {}
        for finding in findings:
            since_ms[finding.rule] = min(finding.end_ms, since_ms.get(finding.rule, finding.end_ms))
        for rule in sorted(since_ms):
            suspects |= self._watch(rule, since_ms[rule], awareness_ms)
        if not self.faults:
            return []
        by_rule: dict[str, list[Fault]] = {}
        for fault in self.faults.values():
            by_rule.setdefault(fault.rule, []).append(fault)
        moved: list[Group] = []
        for group in suspects.values():
            before = group.fault
            found = explained_by(group, self._reached(group), by_rule)
            after = "" if found is None else found.id
            if after:
                self._changed.add(after)
            if after == before:
                continue
            if before:
                self._members[before].pop(id(group), None)
                self._changed.add(before)
            if after:
                self._members.setdefault(after, {})[id(group)] = group
            group.fault = after
            self._register.dirty.add(group.id)
            moved.append(group)
        return moved

    def _watch(self, rule: str, since_ms: int, awareness_ms: int) -> dict[int, Group]:
        """Extend or open the fault of a rule; the groups whose findings may be part of it."""
        entries: list[tuple[int, str]] = []
        groups: dict[int, Group] = {}
        for time_ms, who, case_id in self._recent.of(rule, since_ms):
            group = self._register.group_of.get(case_id)
            if group is None or group.retired or self._reached(group) > MOST_TARGETS:
                continue
            entries.append((time_ms, who))
            if not group.fault:
                groups[id(group)] = group
        limit = MOST_ACTORS
        if len({who for _, who in entries}) > FEWEST_ACTORS:
            limit = limit_of(self._active(entries[-1][0], ENOUGH_ACTIVE))
        found = spans(entries, limit)
        for span in found:
            self._extend(rule, span, awareness_ms)
        return groups if found else {}

    def _extend(self, rule: str, span: Span, awareness_ms: int) -> None:
        first_ms, last_ms, tipped_ms = span
        for fault in self.faults.values():
            if fault.rule == rule and not fault.retired:
                if first_ms - fault.spans[-1][1] > QUIET_MS:
                    self.retire(fault)
                    continue
                fault.spans = merged([*fault.spans, (first_ms, last_ms)], 0)
                fault.opened_ms = min(fault.opened_ms, tipped_ms)
                self._dirty.add(fault.id)
                return
        day = first_ms // DAY_MS
        key = f"service:{rule}"
        taken = sum(f.rule == rule and f.day == day for f in self.faults.values())
        fault = Fault(
            id=incident_id(key, day, taken),
            rule=rule,
            day=day,
            opened_ms=tipped_ms,
            awareness_ms=awareness_ms,
            spans=[(first_ms, last_ms)],
        )
        self.faults[fault.id] = fault
        self._members[fault.id] = {}
        self._changed.add(fault.id)

    def _reached(self, group: Group) -> int:
        return self._register.reached(group)

    def members(self, fault: Fault) -> list[Group]:
        """The groups that a fault stands for, by id."""
        return sorted(self._members.get(fault.id, {}).values(), key=lambda group: group.id)

    def documents(self, groups: Iterable[Group]) -> list[Incident]:
        """What people see of these groups: their own documents, or those of their faults."""
        seen = [self.faults[g.fault].document if g.fault else g.document for g in groups]
        return list({one.id: one for one in seen if one is not None}.values())

    def drop(self, group: Group) -> None:
        """A group was absorbed by another one: it is nobody's member any more."""
        if self._members.get(group.fault, {}).pop(id(group), None) is not None:
            self._changed.add(group.fault)

    def touch(self, fault: Fault) -> None:
        """A fault was changed from outside."""
        self._dirty.add(fault.id)

    def take_changed(self) -> list[Fault]:
        """Faults whose members or their counts may have changed since the last call."""
        changed = [self.faults[key] for key in sorted(self._changed)]
        self._dirty |= self._changed
        self._changed.clear()
        return changed

    def retire(self, fault: Fault) -> None:
        """A fault takes in nothing more."""
        fault.retired = True
        self._dirty.add(fault.id)

    def forget(self, watermark_ms: int) -> None:
        """Drop findings that can take part in no fault any more."""
        self._recent.forget(watermark_ms)

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Faults whose state changed since the last call."""
        dirty = [(key, msgspec.msgpack.encode(self.faults[key])) for key in sorted(self._dirty)]
        self._dirty.clear()
        return dirty

    def load(self, faults: Iterable[Fault]) -> None:
        """Take back faults; the register MUST be loaded before."""
        for fault in faults:
            self.faults[fault.id] = fault
            self._members[fault.id] = {}
        for group in self._register.groups.values():
            if group.fault:
                self._members[group.fault][id(group)] = group
            if group.retired:
                continue
            for case in group.cases:
                for finding in case.findings.values():
                    self._recent.note(finding, str(case.actor), case.id)
