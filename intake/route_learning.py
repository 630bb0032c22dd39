"""What routes a log's traffic shows, with what speaks for whose ids they hold.

In: judged events. Out: routes as a person would configure them, with counts. An id is proposed as
the owner's where people nearly always ask for their own; it is only ever proposed, and events are
judged as before. Bounded in routes and in the ids and people that are told apart.
"""

from collections import Counter

import msgspec

from intake.promotion import MIN_PRINCIPALS, OWN_SHARE
from intake.spaces import canonical_id, id_space
from intake.words import stem_of, word_of
from records.event import AccessEvent

MAX_ROUTES = 5_000
_MAX_KNOWN = 10_000
_NEARLY_ALL = 0.8
_TENANT_WORDS = frozenset(
    "tenant tenants org orgs organization organizations organisation organisations workspace "
    "workspaces company companies".split()
)


class Variable(msgspec.Struct):
    """What stands at one place of a route that holds ids."""

    role: str
    """owner, object, slug, token: as the event's route says."""
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    """Id space -> requests."""
    distinct: set[str] = msgspec.field(default_factory=set)
    more: bool = False
    """There are more ids than are told apart."""
    own: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """Principal -> (successes with this id as their own, all successes)."""

    @property
    def kind(self) -> str:
        """The id space of nearly all of it, else mixed."""
        space, count = self.kinds.most_common(1)[0]
        return space if count >= _NEARLY_ALL * self.kinds.total() else "mixed"

    @property
    def own_share(self) -> float:
        """The share of people who mostly ask for their own; 0 where too few could be compared."""
        if len(self.own) < MIN_PRINCIPALS:
            return 0.0
        return sum(own >= OWN_SHARE * total for own, total in self.own.values()) / len(self.own)


class LearnedRoute(msgspec.Struct):
    """One route and its traffic."""

    template: str
    requests: int = 0
    proven: int = 0
    methods: Counter[str] = msgspec.field(default_factory=Counter)
    categories: Counter[str] = msgspec.field(default_factory=Counter)
    principals: set[str] = msgspec.field(default_factory=set)
    variables: dict[int, Variable] = msgspec.field(default_factory=dict)
    """Number of the segment -> what stands there."""
    example: str = ""

    def match(self) -> str:
        """The route as it would be configured, with what is proposed of its ids."""
        path, mark, query = self.template.partition("?")
        parts = path.split("/")[1:]
        shown = []
        for at, part in enumerate(parts):
            variable = self.variables.get(at)
            before = word_of(parts[at - 1]) if at else ""
            shown.append(part if variable is None else _written(variable, before))
        return "/" + "/".join(shown) + mark + query


def _written(variable: Variable, before: str) -> str:
    if variable.role == "token":
        return "*"
    if variable.role == "object" and before in _TENANT_WORDS:
        return "{tenant}"
    if variable.role == "object" and variable.own_share >= OWN_SHARE:
        return "{owner}"
    return f"{{{variable.role}}}"


class RouteLearner:
    """Counts events by route."""

    def __init__(self) -> None:
        self._routes: dict[str, LearnedRoute] = {}
        self.events = 0
        self.beyond = 0
        """Events of routes beyond MAX_ROUTES."""

    def add(self, event: AccessEvent) -> None:
        """Count one event."""
        self.events += 1
        route = self._routes.get(event.route)
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                self.beyond += 1
                return
            route = self._routes[event.route] = LearnedRoute(event.route, example=event.path)
        route.requests += 1
        route.methods[event.method] += 1
        route.categories[event.category] += 1
        if event.principal and len(route.principals) < _MAX_KNOWN:
            route.principals.add(event.principal)
        proven = event.outcome == "proven"
        route.proven += proven
        if "{" not in event.route:
            return
        names = event.route.partition("?")[0].split("/")[1:]
        segments = event.path.partition("?")[0].strip("/").split("/")
        if len(names) != len(segments):
            # A configured route with a wildcard: its ids stand where the configuration says.
            return
        for at, name in enumerate(names):
            if name[:1] == "{" and name[-1:] == "}":
                variable = route.variables.get(at)
                if variable is None:
                    variable = route.variables[at] = Variable(name[1:-1])
                _count(variable, segments[at], event.principal if proven else "")

    def learned(self) -> list[LearnedRoute]:
        """All routes, those with most requests first."""
        return sorted(self._routes.values(), key=lambda route: (-route.requests, route.template))


def _count(variable: Variable, segment: str, principal: str) -> None:
    value = canonical_id(stem_of(segment))
    variable.kinds[id_space(value)] += 1
    if value not in variable.distinct:
        if len(variable.distinct) < _MAX_KNOWN:
            variable.distinct.add(value)
        else:
            variable.more = True
    if principal and (principal in variable.own or len(variable.own) < _MAX_KNOWN):
        own, total = variable.own.get(principal, (0, 0))
        variable.own[principal] = own + (value == principal), total + 1
