"""What detectors remember: sightings, episodes, and values by key, bounded in keys and in age.

State at rest is bytes, so that 200,000 addresses fit; the keys at work are held as objects. A key
leaves when it has been idle for so long that it could change nothing, or when there are too many;
one with a foreign signal in its window is never the one to leave. Never reads a clock.
"""

import copy
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

import msgspec

from records.event import Actor, Signal
from records.kinds import TRUSTED, Provenance

LATENESS_S = 60
"""How far an event may lag behind the newest one and still count; intake flags the others late."""
EPISODE_GAP_S = 3600
DAY_S = 86_400
LIVE_KEYS = 64
"""Keys held as objects: few, because the garbage collector walks them and bytes cost it nothing."""
SWEEP_KEYS = 4096
"""Look for idle keys each time that so many have been at work."""
HISTORY = 128
"""Sightings of one target: two minutes' worth of one route, at one a second."""


class Sighting(msgspec.Struct, frozen=True, array_like=True, gc=False, order=True):
    """One request to one target: the facts that a finding will have to name."""

    time_ms: int
    event: str
    target: str
    kinds: int
    """Bits, each of them what one of the detector's levels counts."""
    discounted: bool
    """Another site made the browser send it: a fifth of a target."""
    ip: str
    ip_trusted: bool
    principal: str
    """Only if vouched for."""
    provenance: Provenance
    """What bounds the confidence: for an anonymous request, that of its source's credentials."""
    session: str
    fingerprint: str
    route: str

    @classmethod
    def of(cls, signal: Signal, target: str, kinds: int, *, discounted: bool) -> "Sighting":
        """The part of a signal that concerns one of its targets."""
        anonymous = signal.authentication == "anonymous"
        return cls(
            signal.time_ms,
            signal.event,
            target,
            kinds,
            discounted,
            signal.ip,
            signal.ip_trusted,
            signal.principal if signal.provenance in TRUSTED else "",
            signal.credentials if anonymous else signal.provenance,
            signal.session,
            signal.fingerprint,
            signal.route,
        )

    @property
    def second(self) -> int:
        """Windows are cut to whole seconds: logs are, and so must be what they decide."""
        return self.time_ms // 1000

    @property
    def actor(self) -> Actor:
        """Who answers for it, as `Signal.actor`."""
        if self.principal:
            return Actor("principal", self.principal)
        return Actor("session", self.session) if self.session else Actor("ip", self.ip)


class KeyState(msgspec.Struct, array_like=True, gc=False):
    """What every detector keeps under a key.

    Fields of subclasses MUST be plain: a list or dict of values that never change themselves, so
    that a copy of the outer containers is a copy of the state.
    """

    last_s: int = 0
    """The newest signal that the detector saw of this key."""
    foreign_s: int = 0
    day: int = -1
    """UTC day (since 1970) on which the episode began; -1 before the first."""
    ordinal: int = 0
    active_s: int = 0
    emitted: list[str] = msgspec.field(default_factory=list)

    def enter(self, second: int) -> None:
        """Goes on with the episode, or opens the next after an hour of quiet.

        An episode keeps the name that its first arrival gave it, so ids do not depend on order
        unless its first minute straddles midnight, or a quiet gap is within a minute of an hour.
        """
        if self.day >= 0 and second - self.active_s <= EPISODE_GAP_S:
            self.active_s = max(self.active_s, second)
            return
        day = second // DAY_S
        self.ordinal = self.ordinal + 1 if day == self.day else 0
        self.day, self.active_s, self.emitted = day, second, []


class Tally(KeyState):
    """Sightings by target, the longest unseen first."""

    sightings: dict[str, tuple[Sighting, ...]] = msgspec.field(default_factory=dict)

    def add(self, sighting: Sighting) -> None:
        """Remembers a sighting."""
        known = self.sightings.pop(sighting.target, ())
        self.sightings[sighting.target] = remember(known, sighting, self.last_s - LATENESS_S)

    def trim(self, window_s: float, most: int) -> None:
        """Forgets targets that are out of every window, or beyond `most`.

        With `most` at twice every limit or more, nothing is forgotten that could still decide.
        """
        since_s, excess = self.last_s - window_s - LATENESS_S, len(self.sightings) - most
        for target in list(islice(self.sightings, max(excess, 1) + 1)):
            if excess > 0 or self.sightings[target][-1].second < since_s:
                del self.sightings[target]
                excess -= 1


def remember(known: tuple[Sighting, ...], fresh: Sighting, settled_s: int) -> tuple[Sighting, ...]:
    """`known` with `fresh`, by time; of like ones (target, kinds, route ...) one a second.

    Of like ones that came from several addresses of a /64, one a second of each address.
    Nothing older than `settled_s` can still arrive, so of what lies before it only the newest of
    its like can ever matter to a window that is still open. Cut to the newest HISTORY.
    """
    if not known:
        return (fresh,)
    kept: list[Sighting] = []
    after: dict[tuple[str, int, bool, str, str, str], int] = {}
    for s in sorted((*known, fresh), reverse=True):
        place = s.ip if ":" in s.ip else ""
        like, second = (s.target, s.kinds, s.discounted, s.route, s.fingerprint, place), s.second
        later = after.get(like)
        if later is None or settled_s < later != second:
            after[like] = second
            kept.append(s)
    return tuple(reversed(kept[:HISTORY]))


def ends(second: int, newest_s: int, sightings: Iterable[Sighting]) -> list[int]:
    """The ends of the windows that a sighting at `second` can have completed."""
    if second >= newest_s:
        return [second]
    return sorted({second, *(s.second for s in sightings if second < s.second <= newest_s)})


def distinct(
    histories: Iterable[tuple[Sighting, ...]], kinds: int, from_s: float, to_s: int
) -> list[Sighting]:
    """One sighting a target in a window, by time: the earliest, not discounted if there is one."""
    found = []
    for history in histories:
        best = None
        for sighting in history:
            if from_s <= sighting.second <= to_s and sighting.kinds & kinds:
                if not sighting.discounted:
                    best = sighting
                    break
                best = best or sighting
        if best:
            found.append(best)
    return sorted(found)


S = TypeVar("S", bound=KeyState)


class KeyedState(Generic[S]):
    """One detector's states by key."""

    def __init__(
        self,
        kind: type[S],
        *,
        retention_s: float,
        window_s: float,
        max_keys: int,
        tracking: bool = True,
    ) -> None:
        """`tracking` False keeps no list of changes, for a caller that never takes snapshots."""
        self._kind = kind
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()
        fresh = kind()
        self._containers = [
            name
            for name in kind.__struct_fields__
            if isinstance(getattr(fresh, name), (list, dict))
        ]
        self._retention_s, self._window_s = retention_s, window_s
        self._max_keys, self._max_live = max_keys, min(LIVE_KEYS, max_keys)
        self._tracking = tracking
        self._rest: dict[str, bytes] = {}
        self._live: dict[str, S] = {}
        self._dirty: dict[str, None] = {}
        self._settled = 0
        self._now_s = 0
        self.evicted = 0
        """Keys dropped because there were too many."""
        self.expired = 0
        self.unreadable = 0
        """Values of another version of the detector, begun anew."""

    def __len__(self) -> int:
        return len(self._rest.keys() | self._live.keys())

    def borrow(self, key: str, second: int) -> S:
        """A private copy of a key's state as it stands; nothing changes until `put`."""
        live = self._live.get(key)
        if live is not None:
            state = copy.copy(live)
            for name in self._containers:
                setattr(state, name, getattr(state, name).copy())
        else:
            data = self._rest.get(key)
            if data is None:
                return self._kind()
            state = self._read(data)
        return state if second - state.last_s <= self._retention_s else self._kind()

    def put(self, key: str, state: S) -> None:
        """Makes a borrowed state the key's own."""
        self._live[key] = state
        if self._tracking:
            self._dirty[key] = None
        if len(self._live) > self._max_live:
            self.settle()

    def settle(self) -> None:
        """Turns the keys at work into bytes at rest, and enforces the bounds."""
        if not self._live:
            return
        oldest_s = min(state.last_s for state in self._live.values())
        self._now_s = min(oldest_s, self._now_s) if self._settled else oldest_s
        for key, state in self._live.items():
            self._rest.pop(key, None)
            self._rest[key] = self._encoder.encode(state)
        self._settled += len(self._live)
        self._live.clear()
        if self._settled >= SWEEP_KEYS or len(self._rest) > self._max_keys:
            self._sweep(self._now_s, 2 * self._settled)
            self._settled = 0

    def _sweep(self, now_s: int, turns: int) -> None:
        """Drops idle keys and those that are too many; looks at so many, from the longest unseen.

        `now_s` is the oldest of all that were just at work: one line from the future, or a few,
        make no key look idle.
        """
        for key in list(islice(self._rest, turns)):
            state = self._read(self._rest[key])
            if now_s - state.last_s > self._retention_s:
                self.expired += 1
            elif len(self._rest) <= self._max_keys:
                return
            elif state.foreign_s and now_s - state.foreign_s <= self._window_s:
                self._rest[key] = self._rest.pop(key)
                continue
            else:
                self.evicted += 1
            del self._rest[key]
            if self._tracking:
                self._dirty[key] = None

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """(key, value) of what changed since the last call; an empty value is a key that left."""
        self.settle()
        taken = [(key, self._rest.get(key, b"")) for key in self._dirty]
        self._dirty.clear()
        return taken

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Takes back what `take_dirty` gave; later values of a key replace earlier ones."""
        for key, data in items:
            self._live.pop(key, None)
            self._rest.pop(key, None)
            if data:
                self._rest[key] = data

    def items(self) -> Iterator[tuple[str, S]]:
        """Every key and its state."""
        self.settle()
        for key, data in self._rest.items():
            yield key, self._read(data)

    def _read(self, data: bytes) -> S:
        try:
            return self._decoder.decode(data)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return self._kind()
