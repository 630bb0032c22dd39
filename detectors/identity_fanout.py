"""Signals with foreign, claimed or unjudged user ids, by address, in; findings out."""

from collections.abc import Iterator

import msgspec

from detectors._base import Detector, Level, Limit, Window, WindowSettings, deciding
from detectors._fanout import ANSWERED, ELSEWHERE, Fan, Group, crossing
from detectors._state import LATENESS_S, Sighting, ends
from records.event import Actor, Signal
from records.finding import Explain, Finding
from records.kinds import Key

ANY, PROVEN = 1, 2
SURE = frozenset({"proven", "presumed"})
NOT_ASKED = frozenset({401, 429})
SUCCEEDED = frozenset({"proven", "possible"})
UNSURE, NAMELESS = 0.7, 0.6
NOBODY = "-"
"""A client that shows nothing of itself; without a name it would have the id of the address."""
PAGE = 5
"""An unjudged request for so many ids is a page that somebody opened, not a step."""


class IdentityFanout(Detector[Fan]):
    """One address, or one IPv6 /64, asks for many people's data.

    Sees: (a) other people's data, by whoever stands behind the address; (b) many claimed ids in one
    session; (c) in a log that names nobody, or in ids that cannot be compared, one client that asks
    on one route for many ids that the address never showed: one session or principal in any order;
    one user agent in sequence, or far faster than a quiet address does, or fast through ids that
    are at home at other addresses. Ids of (c) are taken as addressed, not as foreign: never sure
    enough to block.
    Misses: under (c), without session and principal, ids in random order slower than one in 2 s
    (3 s if they are at home elsewhere), or from a busy address; walkers who change the user agent
    at each request or take strides over 10; pages of many ids; fan-out over addresses; late lines.
    False alarms: a NAT behind which several people did foreign reads (see cross_user_read),
    support staff and services that are not listed, link checkers and exports that walk profiles.
    Runbook: 1. Read the requests of the named members, not of the whole address, from 15 min before
    to 15 min after. 2. Count the principals with own successes behind the address in the hour
    before: with more than 3, revoke sessions rather than block. 3. Under (c), add principal and
    session to the log format, and search the last 24 h for other addresses that walked this route.
    """

    id = "identity_fanout"
    name = "Many user ids from one address"
    key = Key.ADDRESS
    State = Fan

    class Settings(WindowSettings):
        """`limit`: foreign targets, denied or not, or claims of one session; others follow it."""

        limit: Limit = 10
        window: Window = 300.0
        proven_limit: Limit | None = None
        hour_limit: Limit | None = None
        critical_limit: Limit | None = None
        novel_limit: Limit | None = None

    settings: Settings

    def __init__(self, settings: Settings) -> None:
        """Limits that are not set keep their proportion to `limit`: 5, 15, 30 and 12 for 10."""
        super().__init__(settings)
        limit, window_s = settings.limit, settings.window
        hour_s, did = max(3600.0, window_s), "reached for data of"
        self.novel_window_s = max(window_s, float(LATENESS_S))
        self.proven_limit = settings.proven_limit or max(1, limit // 2)
        self.novel_limit = settings.novel_limit or max(2, limit * 6 // 5)
        critical = settings.critical_limit or limit * 3
        self.levels = (
            Level("high", self.proven_limit, window_s, PROVEN, "got data of"),
            Level("high", limit, window_s, ANY, did),
            Level("high", settings.hour_limit or limit * 3 // 2, hour_s, ANY, did),
            Level("critical", critical, hour_s, ANY, did),
        )

    @property
    def window_s(self) -> float:
        """The hour's."""
        return max(level.window_s for level in self.levels)

    def sees(self, signal: Signal) -> bool:
        """Foreign, or not to be judged."""
        verdict = signal.verdict
        return verdict == "foreign" or (
            (verdict == "undetermined" or signal.basis == "claimed")
            and bool(signal.targets or signal.claimed)
        )

    def observe(self, key: str, signal: Signal, state: Fan) -> Iterator[Finding]:  # noqa: ARG002
        """Each of the three ways; the first to hold is the one that is emitted."""
        second, verdict, actor = signal.time_ms // 1000, signal.verdict, self.actor(signal)
        if state.born_s < 0 or second < state.born_s:
            state.born_s = second
        foreign = signal.targets if verdict == "foreign" else ()
        if foreign:
            yield from self._foreign(actor, signal, state)
        if signal.session and signal.claimed and signal.claimed not in foreign:
            yield from self._claims(actor, signal, state)
        if verdict == "undetermined" and not signal.cross_site and signal.status not in NOT_ASKED:
            added, group = self._meet(signal, state)
            if len(group) >= self.novel_limit:
                yield from self._crossed(actor, added, group, state)

    def _foreign(self, actor: Actor, signal: Signal, state: Fan) -> Iterator[Finding]:
        second = signal.time_ms // 1000
        state.enter(second)
        kinds = ANY | PROVEN if signal.certainty in SURE else ANY
        for target in signal.targets:
            state.add(Sighting.of(signal, target, kinds, discounted=signal.cross_site))
        for finding in self.passed(actor, self.levels, second, state):
            people = sum(member.type == "principal" for member in finding.members)
            # Many accounts with a target or two each are a crowd that met a fault, as a rule.
            if people > 3 and len(finding.users) < 3 * people:
                unsure = min(finding.confidence, UNSURE)
                yield msgspec.structs.replace(finding, confidence=unsure)
            else:
                yield finding
        state.trim(self.window_s, 10 * max(level.limit for level in self.levels))

    def _claims(self, actor: Actor, signal: Signal, state: Fan) -> Iterator[Finding]:
        limit, window_s = self.settings.limit, self.settings.window
        fresh = Sighting.of(signal, signal.claimed, ANY, discounted=signal.cross_site)
        group = state.join("claims " + signal.session, fresh, window_s, repeats=True)
        level = Level("high", limit, window_s, ANY, "claimed", "user id", UNSURE)
        histories = group.values()
        if len(group) >= limit and (
            found := deciding(histories, level, fresh.second, state.last_s, shared=self.shared)
        ):
            yield from self._emit(actor, level, fresh.second, found, state, {"sessions": 1})

    def _meet(self, signal: Signal, state: Fan) -> tuple[list[Sighting], Group]:
        """Adds the ids that this address did not know; returns them and all of that client's."""
        second, window_s = signal.time_ms // 1000, self.novel_window_s
        added: list[Sighting] = []
        group: Group = {}
        for target in (signal.targets or (signal.claimed,)) if len(signal.targets) < PAGE else ():
            if state.meet(target, second, window_s):
                kinds = ANY | ANSWERED if signal.outcome in SUCCEEDED else ANY
                if target in signal.elsewhere:
                    kinds |= ELSEWHERE
                # A claim that stands in for the principal changes with each id: it is no client.
                principal = signal.principal if signal.principal != signal.claimed else ""
                client = signal.session or principal or signal.fingerprint
                added.append(Sighting.of(signal, target, kinds, discounted=False))
                group = state.join(f"{client} {signal.route}", added[-1], window_s, repeats=False)
        return added, group

    def _crossed(
        self, actor: Actor, added: list[Sighting], group: Group, state: Fan
    ) -> Iterator[Finding]:
        second, window_s = added[0].second, self.novel_window_s
        seen = (sighting for history in group.values() for sighting in history)
        for end_s in ends(second, state.last_s, seen):
            window = (end_s - window_s, end_s)
            limits = (self.novel_limit, self.proven_limit)
            feature, found = crossing(state, group, added, window, limits, shared=self.shared)
            if found:
                level = Level("high", self.novel_limit, window_s, ANY, feature, "user id", NAMELESS)
                explain: Explain = {
                    "feature": feature,
                    "one_route": True,
                    "address_known_s": end_s - state.born_s,
                }
                yield from self._emit(actor, level, second, found, state, explain)
                return

    def _emit(
        self,
        actor: Actor,
        level: Level,
        second: int,
        found: list[Sighting],
        state: Fan,
        explain: Explain,
    ) -> Iterator[Finding]:
        """Each client once an episode: the victims of one are not lost behind those of another.

        An unjudged id opens no episode; a client that passes a limit does.
        """
        state.enter(second)
        client = found[0].session or found[0].principal or found[0].fingerprint or NOBODY
        mark = f"{level.severity} {client}"
        if mark not in state.emitted:
            state.emitted = [*state.emitted, mark]
            yield self.finding(
                actor, level, found, state, client=client, explain=explain, undetermined=True
            )
