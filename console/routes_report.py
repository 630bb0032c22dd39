"""What `breachline routes` prints: configuration to paste, with the counts that speak for it.

In: what was learned, what is configured, and what an OpenAPI file proposes. Out: lines of YAML, or
documents. Whatever a client wrote stands in quotes or not at all: it MUST NOT become configuration.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from intake.openapi import Proposed
from intake.promotion import OWN_SHARE
from intake.route_learning import LearnedRoute, RouteLearner, Variable
from intake.route_order import in_order
from streams.plain import plain


class Report:
    """Routes by how they would be configured."""

    def __init__(
        self,
        learner: RouteLearner,
        configured: frozenset[str],
        proposed: Sequence[Proposed],
        file: Path | None,
    ) -> None:
        self._learner = learner
        self._configured = configured
        self._proposed = {one.rule.match: one for one in proposed}
        self._file = file
        self._traffic: dict[str, LearnedRoute] = {}
        self._unanswered = 0
        for route in learner.learned():
            if route.proven or route.template in self._known:
                # Of several that are written alike, the first has the most requests.
                self._traffic.setdefault(route.match(), route)
            else:
                self._unanswered += 1

    @property
    def _known(self) -> frozenset[str]:
        return self._configured | self._proposed.keys()

    def documents(self) -> Iterator[dict[str, object]]:
        """One a route, those of the file that nobody asked for among them."""
        for match in dict.fromkeys([*self._traffic, *self._proposed]):
            route = self._traffic.get(match)
            yield {
                "match": match,
                "configured": match in self._configured,
                "in_openapi": match in self._proposed if self._file is not None else None,
                "requests": route.requests if route else 0,
                "answered": route.proven if route else 0,
                "methods": dict(route.methods) if route else {},
                "people": len(route.principals) if route else 0,
                "category": _category(route) if route else None,
                "ids": [_described(one) for _, one in sorted(route.variables.items())]
                if route
                else [],
                "proposed_because": _why(match, self._proposed, route),
                "example": route.example if route else None,
            }

    def lines(self, logs: Sequence[str]) -> Iterator[str]:
        """YAML, comments first."""
        new = [match for match in self._traffic if match not in self._known]
        ordered = in_order([*self._proposed, *new])
        ids = [match for match in ordered if "{" in match]
        origin = f"{self._learner.events:,} events of {', '.join(map(plain, logs))}" if logs else ""
        origins = " and ".join(filter(None, [origin, plain(str(self._file or ""))]))
        yield f"# {len(ids):,} routes with ids, from {origins}."
        if not ids:
            yield "# Nothing to configure: no path names an id."
            yield from self._left_out()
            return
        yield "# Paste this under `intake:` in breachline.yaml; the first route that matches wins."
        yield "routes:"
        for match in ordered:
            yield f"  - {{{', '.join(self._written(match))}}}{self._comment(match)}"
        yield from self._sources(ids)
        yield from self._left_out()

    def _written(self, match: str) -> Iterator[str]:
        yield f"match: {json.dumps(match)}"
        one, route = self._proposed.get(match), self._traffic.get(match)
        if one is not None and one.rule.public:
            yield "public: true"
        if "{" in match and route is not None and _category(route) != "unclassified":
            yield f"category: {_category(route)}"

    def _comment(self, match: str) -> str:
        route = self._traffic.get(match)
        said = []
        if route is None:
            if self._learner.events:
                said.append("nobody asked for it")
        else:
            people = f" by {len(route.principals):,} people" if route.principals else ""
            said.append(f"{route.requests:,} requests{people}")
            said += [_said(one) for _, one in sorted(route.variables.items())]
        if why := _why(match, self._proposed, route):
            said.append(f"owner proposed: {plain(why)}")
        if self._file is not None and match not in self._proposed:
            said.append(f"not in {plain(self._file.name)}")
        return f"  # {'; '.join(said)}" if said else ""

    def _sources(self, ids: Sequence[str]) -> Iterator[str]:
        """Where the owners of objects can be named: without them, they stay unknown."""
        open_ = [match for match in ids if "{object}" in match and "{owner}" not in match]
        if open_:
            yield "# Whose these objects are, nobody can tell from a log. Name a source for each:"
            yield "# ownership:"
            for match in open_:
                line = f"{{route: {json.dumps(match)}, file: owners.csv, object: id, owner: user}}"
                yield f"#   - {line}"

    def _left_out(self) -> Iterator[str]:
        matched = [match for match in self._traffic if match in self._configured]
        if matched:
            yield f"# Left out: {len(matched):,} routes that are configured already."
        words = [match for match in self._traffic if "{" not in match]
        if words:
            yield f"# Left out: {len(words):,} routes without an id."
        if self._unanswered:
            yield f"# Left out: {self._unanswered:,} routes on which nobody was answered."
        if self._learner.beyond:
            yield f"# Not looked at: {self._learner.beyond:,} events, there were too many routes."


def _category(route: LearnedRoute) -> str:
    return route.categories.most_common(1)[0][0]


def _described(variable: Variable) -> dict[str, object]:
    return {
        "role": variable.role,
        "kind": variable.kind,
        "distinct": len(variable.distinct),
        "more": variable.more,
        "own_share": round(variable.own_share, 3),
    }


def _said(variable: Variable) -> str:
    more = "over " if variable.more else ""
    space, _, prefix = variable.kind.partition(":")
    kind = f"{prefix}…" if prefix else space
    text = f"{{{variable.role}}} {more}{len(variable.distinct):,} {kind} ids"
    if variable.own_share:
        text += f", own for {variable.own_share:.0%}"
    return text


def _why(match: str, proposed: dict[str, Proposed], route: LearnedRoute | None) -> str:
    """Why the owner in this route is proposed; "" where there is none or it is certain."""
    if match in proposed:
        return proposed[match].why
    if route is not None and any(
        one.role == "object" and one.own_share >= OWN_SHARE for one in route.variables.values()
    ):
        return "most people ask for their own"
    return ""
