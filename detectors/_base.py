"""How a detector is written: one file, named after its `id`, with one subclass of `Detector`.

It declares one `key`: it sees the signals that have this key, one key's at a time, and keeps state
only under it, so that any partitioning of the keys gives the same findings. It MUST NOT change a
signal, read a clock or do I/O, and it judges only: what to do about it is the policy's.
A level holds when enough distinct targets lie in a window, so more sightings never unmake it, and
every window around a new sighting is tried: the findings do not depend on the order of arrival.
Each level that holds is emitted once an episode. A late or ignored event reaches no detector.

An IPv6 client has a /64 to itself: what is kept by address is kept once more by /64, in a second
instance (`by` is Key.SUBNET) that speaks only where addresses reach a level together.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from detectors._state import (
    DAY_S,
    EPISODE_GAP_S,
    KeyState,
    Sighting,
    Tally,
    distinct,
    ends,
)  # fmt: skip
from records.durations import Seconds
from records.event import Actor, Signal
from records.finding import Explain, Finding
from records.ids import finding_id
from records.kinds import CONFIDENCE_CAP, Key, Mode, Severity

CONFIDENCE: dict[Severity, float] = {"low": 0.3, "medium": 0.75, "high": 0.93, "critical": 0.97}
CROSS_SITE_CONFIDENCE = 0.5
"""Where the limit was passed only with requests that another site made a browser send."""
CROSS_SITE_SHARE = 5
"""So many of those weigh as much as one target."""


Limit = Annotated[int, Field(ge=1)]
Window = Annotated[Seconds, Field(ge=1, le=30 * DAY_S)]


class DetectorSettings(BaseModel):
    """`detect: {RULE: ...}`. Every detector adds its main limit as `limit` and its `window`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    mode: Mode | None = Field(default=None, description="overrides respond.mode for this rule")


class WindowSettings(DetectorSettings):
    """The names that every detector shares; each gives its own defaults."""

    limit: Limit = 1
    window: Window = float(DAY_S)


class Level(NamedTuple):
    """`limit` distinct targets of `kinds` in `window_s` are worth `severity`."""

    severity: Severity
    limit: int
    window_s: float
    kinds: int
    did: str = "addressed"
    what: str = "other user"
    confidence: float = 1.0
    """Beside the severity's own and the provenance's, where the evidence is weaker."""


S = TypeVar("S", bound=KeyState)


class Detector(ABC, Generic[S]):
    """One rule; see the module docstring."""

    id: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[str] = "1"
    reference: ClassVar[str] = (
        "https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/"
    )
    key: ClassVar[Key]
    State: type[S]
    Settings: ClassVar[type[DetectorSettings]] = DetectorSettings
    settings: DetectorSettings

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings
        self.by = self.key
        """What this instance's state is kept under: `key`, or Key.SUBNET."""

    @property
    def shared(self) -> bool:
        """Whether this instance speaks only of what the addresses of a /64 did together."""
        return self.by is Key.SUBNET

    def actor(self, signal: Signal) -> Actor:
        """Whom a finding is about that a signal completes."""
        if self.by is Key.ACTOR:
            return signal.actor
        return Actor("subnet", signal.subnet) if self.shared else Actor("ip", signal.ip)

    @property
    @abstractmethod
    def window_s(self) -> float:
        """The longest window: how long a signal can still decide."""

    @property
    def retention_s(self) -> float:
        """How long an idle key matters: after it, no window, episode or ordinal refers to it."""
        return self.window_s + EPISODE_GAP_S + DAY_S

    @abstractmethod
    def sees(self, signal: Signal) -> bool:
        """A cheap filter on the signal alone."""

    @abstractmethod
    def observe(self, key: str, signal: Signal, state: S) -> Iterator[Finding]:
        """Adds one signal to the state of its key and yields the levels that now hold."""

    def passed(
        self, actor: Actor, levels: Iterable[Level], second: int, state: Tally
    ) -> Iterator[Finding]:
        """The levels that hold in a window around `second` and are new in this episode."""
        for level in levels:
            if level.severity in state.emitted or len(state.sightings) < level.limit:
                continue
            histories = state.sightings.values()
            if sightings := deciding(histories, level, second, state.last_s, shared=self.shared):
                state.emitted = [*state.emitted, level.severity]
                yield self.finding(actor, level, sightings, state)

    def finding(
        self,
        actor: Actor,
        level: Level,
        sightings: Sequence[Sighting],
        state: KeyState,
        *,
        client: str = "",
        explain: Explain | None = None,
        undetermined: bool = False,
    ) -> Finding:
        """The finding that these deciding sightings (by time, at least one) make.

        `client`: the one of several behind the actor that it is about, a part of its id.
        """
        direct = {s.target for s in sightings if not s.discounted}
        users = sorted(
            {s.target for s in sightings} - {s.target for s in sightings if is_object(s)}
        )
        weakest = min((s.provenance for s in sightings), key=CONFIDENCE_CAP.__getitem__)
        confidence = min(CONFIDENCE_CAP[weakest], CONFIDENCE[level.severity], level.confidence)
        if len(direct) < level.limit and any(s.discounted for s in sightings):
            confidence = min(confidence, CROSS_SITE_CONFIDENCE)
        principals = {s.principal for s in sightings}
        span_s = sightings[-1].second - sightings[0].second
        who = f"{actor} {client}" if client else str(actor)
        facts: Explain = {
            "targets": len({s.target for s in sightings}),
            "limit": level.limit,
            "span_s": span_s,
            "window_s": level.window_s,
            "provenance": weakest or "none",
            "cross_site": sum(s.discounted for s in sightings),
        }
        members = {s.actor for s in sightings}
        if actor.type == "subnet":
            facts["addresses"] = len({s.ip for s in sightings})
            members = {actor if member.type == "ip" else member for member in members}
        return Finding(
            id=finding_id(self.id, self.version, who, level.severity, state.day, state.ordinal),
            rule=self.id,
            name=self.name,
            version=self.version,
            reference=self.reference,
            severity=level.severity,
            confidence=confidence,
            actor=actor,
            members=tuple(sorted(members)),
            principal=next(iter(principals)) if len(principals) == 1 else "",
            ips=_texts(s.ip for s in sightings),
            untrusted_ips=_texts(s.ip for s in sightings if not s.ip_trusted),
            sessions=_texts(s.session for s in sightings),
            fingerprints=_texts(s.fingerprint for s in sightings),
            routes=_texts(s.route for s in sightings),
            users=tuple(users),
            start_ms=sightings[0].time_ms,
            end_ms=sightings[-1].time_ms,
            episode_day=state.day,
            episode_ordinal=state.ordinal,
            message=_message(actor, level, sightings, span_s),
            explain=facts | (explain or {}),
            evidence=tuple(dict.fromkeys(s.event for s in sightings)),
            undetermined=undetermined,
            mode=self.settings.mode,
        )


class Counting(Detector[Tally]):
    """A rule that counts distinct targets of one actor or address: most of them are this."""

    State = Tally

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__(settings)
        self._levels = self.levels()
        self._most = 2 * CROSS_SITE_SHARE * max(level.limit for level in self._levels)

    @abstractmethod
    def levels(self) -> tuple[Level, ...]:
        """What is worth a finding, least severe first; the same for every signal."""

    @abstractmethod
    def kinds(self, signal: Signal) -> int:
        """Which levels count this signal, as their bits."""

    def targets(self, signal: Signal) -> tuple[str, ...]:
        """Whose data, or what else, the levels count."""
        return signal.targets

    def discounted(self, signal: Signal) -> bool:
        """Whether it weighs a fifth."""
        return signal.cross_site

    @property
    def window_s(self) -> float:
        """The longest of the levels'."""
        return max(level.window_s for level in self._levels)

    def observe(self, key: str, signal: Signal, state: Tally) -> Iterator[Finding]:  # noqa: ARG002
        """Adds the targets, then asks every level that this episode has not emitted."""
        second, kinds = signal.time_ms // 1000, self.kinds(signal)
        state.enter(second)
        discounted = self.discounted(signal)
        for target in self.targets(signal):
            state.add(Sighting.of(signal, target, kinds, discounted=discounted))
        yield from self.passed(self.actor(signal), self._levels, second, state)
        state.trim(self.window_s, self._most)


def enough(found: Iterable[Sighting], count: int) -> bool:
    """Whether these sightings, one a target, weigh as much as `count` targets."""
    weight = sum(1 if s.discounted else CROSS_SITE_SHARE for s in found)
    return weight >= count * CROSS_SITE_SHARE


def is_shared(histories: Iterable[Iterable[Sighting]], limit: int) -> bool:
    """Whether addresses got to a limit together: without any one of them, half of it is there.

    Each of `histories` is one target's. At least two targets have to be left, else two strangers
    with one target each would be one actor. What one address does alone is judged as that
    address's, as if it had no neighbours.
    """
    targets, alone = 0, Counter[str]()
    for history in histories:
        if ips := {sighting.ip for sighting in history}:
            targets += 1
            if len(ips) == 1:
                alone.update(ips)
    return targets - max(alone.values(), default=0) >= max(2, (limit + 1) // 2)


def deciding(
    histories: Collection[tuple[Sighting, ...]],
    level: Level,
    second: int,
    newest_s: int,
    *,
    shared: bool = False,
) -> list[Sighting]:
    """One sighting a target of the first window around `second` that passes the level, or none.

    With `shared`, of the first in which addresses pass it together.
    """
    later = (sighting for history in histories for sighting in history)
    for end_s in ends(second, newest_s, later):
        window = (end_s - level.window_s, end_s)
        found = distinct(histories, level.kinds, *window)
        if enough(found, level.limit) and (
            not shared or is_shared(inside(histories, level.kinds, *window), level.limit)
        ):
            return found
    return []


def inside(
    histories: Iterable[tuple[Sighting, ...]], kinds: int, from_s: float, to_s: int
) -> Iterator[list[Sighting]]:
    """Each target's sightings in a window."""
    for history in histories:
        yield [s for s in history if from_s <= s.second <= to_s and s.kinds & kinds]


OBJECT = "object:"
"""Before the id of an object whose owner nobody could name, where it counts as a target."""


def is_object(sighting: Sighting) -> bool:
    """Whether the target is an object and no user."""
    return sighting.target.startswith(OBJECT)


def spoken(seconds: float) -> str:
    """A duration as people say it: 40 s, 5 min, 24 h, 7 days."""
    for unit_s, word in ((2 * DAY_S, "days"), (2 * 3600, "h"), (120, "min")):
        if seconds >= unit_s:
            size_s = {"days": DAY_S, "h": 3600, "min": 60}[word]
            return f"{seconds / size_s:.3g} {word}"
    return f"{seconds:.3g} s" if seconds else "the same second"


def many(count: int, what: str) -> str:
    """A number and its noun: 1 session, 3 sessions."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _message(actor: Actor, level: Level, sightings: Sequence[Sighting], span_s: int) -> str:
    targets = sorted({s.target for s in sightings})
    bare = actor.type in ("ip", "subnet", "principal")
    who = actor.value if bare else f"{actor.type} {actor.value}"
    text = f"{who} {level.did} {many(len(targets), level.what)}"
    if len(targets) > 1:
        text += f" in {spoken(span_s)}"
    if actor.type == "subnet":
        text += f" from {len({s.ip for s in sightings})} addresses"
    if actor.type in ("ip", "subnet") and (sessions := {s.session for s in sightings} - {""}):
        text += f" over {many(len(sessions), 'session')}"
    rest = f" and {len(targets) - 5} more" if len(targets) > 5 else ""
    limit = f" (limit {level.limit} in {spoken(level.window_s)}): "
    return text + limit + ", ".join(targets[:5]) + rest


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*values} - {""}))
