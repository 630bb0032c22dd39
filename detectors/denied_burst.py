"""Denied requests for other users' data or for unknown objects, by actor, in; findings out."""

from collections.abc import Iterator

import msgspec

from detectors._base import (
    OBJECT,
    Detector,
    Level,
    Limit,
    Window,
    WindowSettings,
    enough,
    inside,
    is_shared,
)  # fmt: skip
from detectors._state import Sighting, Tally, distinct, ends
from records.event import Signal
from records.finding import Finding
from records.kinds import Key, Severity

FOREIGN, UNKNOWN = 1, 2
UNSURE = 0.7
NOT_A_REFUSAL = frozenset({401, 429})
"""An expired token or too many requests say nothing about whose data it was."""
ROUTES = 64


class Burst(Tally):
    """Refusals by target, and by route the newest of each of the two that make it high."""

    burst: list[Sighting] = msgspec.field(default_factory=list)
    """The refusals that last passed the limit."""
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    """Second of the newest refusal that was part of a burst."""
    opened: dict[str, Sighting] = msgspec.field(default_factory=dict)
    """The newest success with somebody else's data."""


class DeniedBurst(Detector[Burst]):
    """Somebody tries one door after the other, until one opens.

    Sees: refused requests (403, 404 ...) for many other people's data, or objects of unknown owner,
    in a short time; and a success with somebody else's data on one of those routes soon before or
    after. Without session and principal, only what one user agent of the address was refused.
    Misses: refusals that the service writes as 200, probes slower than the limit, a success where
    no principal is logged, late lines.
    False alarms: a release that refuses everybody (many actors at once: a fault), pages that link
    to deleted objects, permission checks that a client makes by asking.
    Runbook: 1. Read this actor's requests of the 15 min around: one route and ids in a row, or the
    links of one page? 2. Count the actors with this finding in the same hour: more than 20 means a
    fault, not an attack. 3. At severity high, see what the answered request returned, and search
    the 24 h around for more of them.
    """

    id = "denied_burst"
    name = "Many refused requests for others' data"
    key = Key.ACTOR
    State = Burst

    class Settings(WindowSettings):
        """`limit`: distinct targets refused within `window`."""

        limit: Limit = 8
        window: Window = 300.0
        success_window: Window = 600.0

    settings: Settings

    @property
    def window_s(self) -> float:
        """From the first refusal to a success after the last, or the other way round."""
        return self.settings.window + self.settings.success_window

    def sees(self, signal: Signal) -> bool:
        """A refusal, or a success with somebody else's data."""
        if signal.verdict == "foreign":
            return signal.outcome in ("denied", "proven")
        return (
            signal.outcome == "denied"
            and signal.verdict == "undetermined"
            and signal.status not in NOT_A_REFUSAL
            and bool(signal.targets or signal.object)
        )

    def observe(self, key: str, signal: Signal, state: Burst) -> Iterator[Finding]:  # noqa: ARG002
        """The burst is medium; with a success on one of its routes, high."""
        state.enter(signal.time_ms // 1000)
        if len(state.emitted) == 2:
            return
        if signal.outcome == "proven":
            success = Sighting.of(signal, signal.targets[0], FOREIGN, discounted=signal.cross_site)
            state.opened[signal.route] = max(state.opened.pop(signal.route, success), success)
            routes = {signal.route}
        else:
            routes = self._refuse(signal, state)
            if routes and "medium" not in state.emitted:
                yield self._found("medium", signal, state.burst, state)
        for route in sorted(routes & state.refused.keys() & state.opened.keys()):
            opened = state.opened[route]
            if abs(opened.second - state.refused[route]) <= self.settings.success_window:
                yield self._found("high", signal, sorted({*state.burst, opened}), state)
                break
        for by_route in (state.refused, state.opened):
            for route in list(by_route)[:-ROUTES]:
                del by_route[route]

    def _refuse(self, signal: Signal, state: Burst) -> set[str]:
        """Adds refusals; returns the routes of the bursts that they complete."""
        kind = FOREIGN if signal.verdict == "foreign" else UNKNOWN
        for target in signal.targets or (OBJECT + signal.object,):
            state.add(Sighting.of(signal, target, kind, discounted=signal.cross_site))
        # Behind one address are many people; those of one user agent may be one.
        alone = signal.actor.type != "ip"
        histories = [
            tuple(s for s in history if alone or s.fingerprint == signal.fingerprint)
            for history in state.sightings.values()
        ]
        refusals = [s for history in histories for s in history]
        routes: set[str] = set()
        for end_s in ends(signal.time_ms // 1000, state.last_s, refusals):
            from_s = end_s - self.settings.window
            found = distinct(histories, FOREIGN | UNKNOWN, from_s, end_s)
            if not enough(found, self.settings.limit):
                continue
            window = inside(histories, FOREIGN | UNKNOWN, from_s, end_s)
            if self.shared and not is_shared(window, self.settings.limit):
                continue
            foreign = distinct(histories, FOREIGN, from_s, end_s)
            state.burst = foreign if enough(foreign, self.settings.limit) else found
            for s in refusals:
                if from_s <= s.second <= end_s:
                    routes.add(s.route)
                    state.refused[s.route] = max(s.second, state.refused.pop(s.route, s.second))
        state.trim(self.settings.window, 10 * self.settings.limit)
        return routes

    def _found(
        self, severity: Severity, signal: Signal, sightings: list[Sighting], state: Burst
    ) -> Finding:
        did = "was refused" if severity == "medium" else "was refused, and once answered,"
        sure = 1.0 if all(s.kinds == FOREIGN for s in sightings) else UNSURE
        own = self.settings
        state.emitted = [*state.emitted, severity]
        level = Level(severity, own.limit, own.window, FOREIGN | UNKNOWN, did, "target", sure)
        return self.finding(self.actor(signal), level, sightings, state)
