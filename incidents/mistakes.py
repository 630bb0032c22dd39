"""What is taken back: blocks decided before a fault was known, and blocks that hurt the innocent.

Groups that came to a fault in, actions to withdraw out; a block in, the reason to lift it out. It
performs nothing.
"""

from collections.abc import Callable, Iterable

import msgspec

from incidents.cases import Group
from incidents.gather import FOREVER_MS
from incidents.policy import Policy, lift, targets_of
from incidents.population import Population
from incidents.register import Register
from intake.addresses import net_of
from records.incident import Action


class Withdrawal(msgspec.Struct, frozen=True):
    """An action that should never have been decided."""

    action: str
    why: str


def withdraw(
    moved: Iterable[Group], register: Register, policy: Policy
) -> tuple[list[Withdrawal], list[Group]]:
    """Take back every block of the groups that became part of a fault.

    Their findings count as not considered again, for the case that one turns out to be more than
    a part of it. Also gives the groups that may now want a block which one of these stood for.
    """
    found: list[Withdrawal] = []
    freed: dict[int, Group] = {}
    for group in moved:
        if not (group.fault and group.actions):
            continue
        why = f"{group.id} is part of {group.fault}, a suspected fault: nobody is blocked for it"
        found += [Withdrawal(action, why) for action in sorted(group.actions)]
        group.actions.clear()
        group.considered.clear()
        if group.status == "contained":
            group.status = "investigating"
        register.dirty.add(group.id)
        decided = policy.withdraw({case.id for case in group.cases})
        for other in _waiting_for(decided, register):
            freed[id(other)] = other
    return found, list(freed.values())


def _waiting_for(decided: dict[str, int], register: Register) -> Iterable[Group]:
    """Incidents whose own block was left out because these targets had one; to be asked again."""
    for group in register.groups.values():
        if group.retired or group.fault or not decided:
            continue
        again = {
            key
            for key, finding in group.findings().items()
            for target in targets_of(finding)
            if finding.end_ms >= min(decided.get(t, FOREVER_MS) for t in (target, net_of(target)))
        } & group.considered
        if again:
            group.considered -= again
            register.dirty.add(group.id)
            yield group


def hurts(
    action: Action,
    before_ms: int,
    own: frozenset[str],
    population: Population,
    around: Callable[[frozenset[str]], tuple[int, int]],
) -> str:
    """Why a block that stands should be lifted, "" if it should stay.

    Innocent is who was behind the target before the attack began at `before_ms`, and is none of
    the incident's `own` principals. `around` counts how many of those given were refused in equal
    spans before and after the block.
    """
    innocent = frozenset(population.innocent(action.target, before_ms, action.decided_ms)) - own
    return lift(action.target, *around(innocent)) if innocent else ""
