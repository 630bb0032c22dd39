"""New versions of incidents' documents, where a group or a fault has visibly changed.

Groups and faults in, documents to give out; also which of them still wait for owners of objects.
It decides nothing of its own.
"""

from collections.abc import Iterator

import msgspec

from incidents.cases import Fault, Group, closed
from incidents.coverage import Surroundings
from incidents.outages import Outages
from incidents.owners import Item
from incidents.register import Register
from incidents.summary import describe, describe_fault
from records.incident import Incident


class Publisher:
    """Compares groups and faults with what was last given out of them."""

    def __init__(self, register: Register, outages: Outages, surroundings: Surroundings) -> None:
        self._register = register
        self._outages = outages
        self._surroundings = surroundings
        self._waiting: set[str] = set()
        """Ids of groups that wait for owners."""
        self._dirty: set[str] = set()

    def group(self, group: Group) -> list[Incident]:
        """New versions of a group's document, if it visibly changed."""
        out: list[Incident] = []
        ledgers = self._register.ledgers(group)
        self._note(group.id, waits=any(ledger.pending for ledger in ledgers.values()))
        last = group.document
        if last is not None and last.id != group.id:
            if last.status != "closed":
                out.append(closed(last))
                group.versions[last.id] = out[-1].version
            last = group.document = None
        if group.fault:
            if last is not None and last.status != "closed":
                out.append(closed(last))
        else:
            new = describe(group, ledgers, self._surroundings.near)
            if last is None or msgspec.structs.replace(new, version=last.version) != last:
                out.append(msgspec.structs.replace(new, version=group.version + 1))
        if out and out[-1].id == group.id:
            group.document = out[-1]
            group.versions[group.id] = out[-1].version
        if out:
            self._register.dirty.add(group.id)
        return out

    def fault(self, fault: Fault) -> list[Incident]:
        """The new version of a fault's document, if it visibly changed."""
        last = fault.document
        groups = self._outages.members(fault)
        if groups:
            ledgers = {
                case: ledger
                for group in groups
                for case, ledger in self._register.ledgers(group).items()
            }
            new = describe_fault(fault, groups, ledgers, self._surroundings.near)
        elif last is not None and last.status != "closed":
            new = closed(last)
        else:
            return []
        if last is not None and msgspec.structs.replace(new, version=last.version) == last:
            return []
        fault.version += 1
        fault.document = msgspec.structs.replace(new, version=fault.version)
        return [fault.document]

    # -- who waits for owners

    def _note(self, group: str, *, waits: bool) -> None:
        if waits != (group in self._waiting):
            self._dirty.add(group)
            if waits:
                self._waiting.add(group)
            else:
                self._waiting.remove(group)

    def waiting(self) -> list[Group]:
        """Groups with objects whose owners are still to be asked for, past ones too."""
        of = self._register.group_of
        found = {id(of[name]): of[name] for name in self._waiting if name in of}
        return sorted(found.values(), key=lambda group: group.id)

    def pending(self) -> Iterator[Item]:
        """Those objects; some more than once."""
        for group in self.waiting():
            for ledger in self._register.ledgers(group).values():
                yield from ledger.pending

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Who began to wait since the last call; b"" for who waits no more."""
        dirty = [(key, b"\xc3" if key in self._waiting else b"") for key in sorted(self._dirty)]
        self._dirty.clear()
        return dirty

    def load(self, groups: Iterator[str]) -> None:
        """Take back who waits."""
        self._waiting = set(groups)
