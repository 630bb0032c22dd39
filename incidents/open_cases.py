"""The open cases by actor: an IPv6 address that has none is answered for by the case of its /64.

Cases in, the case that counts an exposure or takes a finding out. It joins nobody (register.py).
"""

from incidents.cases import Case
from intake.addresses import net_of
from records.event import Actor


class OpenCases:
    """One case an actor at a time."""

    def __init__(self) -> None:
        self._by_actor: dict[Actor, Case] = {}
        self._within: dict[str, dict[Actor, Case]] = {}
        """By /64: the cases of single addresses in it."""
        self._nets = 0

    def get(self, actor: Actor) -> Case | None:
        """The case that an actor has itself."""
        return self._by_actor.get(actor)

    def of(self, actor: Actor) -> Case | None:
        """The case that stands for an actor: its own, else that of its /64."""
        case = self._by_actor.get(actor)
        if case is None and self._nets and (net := _net(actor)):
            case = self._by_actor.get(Actor("subnet", net))
        return case

    def within(self, actor: Actor) -> list[Case]:
        """The cases of single addresses in a /64, in the order in which they were added."""
        return list(self._within.get(actor.value, {}).values()) if actor.type == "subnet" else []

    def add(self, case: Case) -> None:
        """Have a case take in what its actor does."""
        self._nets += case.actor.type == "subnet" and case.actor not in self._by_actor
        self._by_actor[case.actor] = case
        if net := _net(case.actor):
            self._within.setdefault(net, {})[case.actor] = case

    def remove(self, case: Case) -> None:
        """Have it take in nothing more; another case of the actor stays."""
        if self._by_actor.get(case.actor) is not case:
            return
        del self._by_actor[case.actor]
        self._nets -= case.actor.type == "subnet"
        if net := _net(case.actor):
            within = self._within[net]
            del within[case.actor]
            if not within:
                del self._within[net]


def place_of(actor: Actor) -> str:
    """By what a finding is known to have been taken in: an address's may stand in its /64's."""
    net = _net(actor)
    return f"subnet:{net}" if net else str(actor)


def _net(actor: Actor) -> str:
    return net_of(actor.value) if actor.type == "ip" else ""
