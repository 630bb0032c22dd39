"""How identity_fanout tells one client that goes through ids from many people behind one address.

For logs that name nobody: which ids an address never showed before, and whether those of one
client run in sequence, or burst from an address that was quiet. Sightings in, the deciding ones
out; what lies over a minute back is settled and may be compared, what is newer only ever adds.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from detectors._base import is_shared
from detectors._state import DAY_S, LATENESS_S, Sighting, Tally, remember

ANSWERED = 2
"""The bit of a sighting that got an answer."""
ELSEWHERE = 4
"""The bit of a sighting of an id that another address had asked for before."""
QUIET_S = 900
STRIDES = [stride for size in range(1, 11) for stride in (size, -size)]
STEP_S = 30
JUMBLE_S = 2
"""Workers that walk together overtake one another by about this."""
MIN_REQUESTS = 3
"""A walker makes several requests, however many ids one of them lists."""
MAX_IDS = 2048
MAX_REPEATS = 16
"""Sightings of one id by one client: more only where a /64 shows it from many addresses."""
MAX_GROUP = 256
MAX_GROUPS = 512
MAX_HELD = 1024
"""Sightings over all clients of an address: a value of at most some 300 KiB."""
_NUMBER = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)

Group = dict[str, tuple[Sighting, ...]]
"""Sightings of one client by id; replaced, never changed, as `KeyState` demands."""


class Fan(Tally):
    """What an address showed: foreign sightings, the ids it knows, and sightings by client."""

    born_s: int = -1
    """Its first signal."""
    ids: dict[str, int] = msgspec.field(default_factory=dict)
    """Second at which each id was first seen here, oldest first."""
    groups: dict[str, Group] = msgspec.field(default_factory=dict)
    """By client (and route, where ids are walked), the longest unseen first."""
    held: int = 0
    """Sightings in all groups."""

    def meet(self, target: str, second: int, window_s: float) -> bool:
        """Notes an id; whether it is new here, or was within the window."""
        first = self.ids.get(target)
        if first is None or second < first or second - first > DAY_S:
            self.ids.pop(target, None)
            self.ids[target] = second
            if len(self.ids) > MAX_IDS:
                del self.ids[next(iter(self.ids))]
            return True
        return second - first <= window_s

    def join(self, name: str, fresh: Sighting, window_s: float, *, repeats: bool) -> Group:
        """Adds a sighting to a group; without `repeats`, of each id only the earliest two seconds.

        Lets go of what is out of every window, and of the longest unseen where there is too much.
        """
        old = self.groups.pop(name, None)
        group: Group
        if old is None:
            group = {fresh.target: (fresh,)}
            self.held += 1
        else:
            group = old.copy()
            known = group.pop(fresh.target, ()) if repeats else group.get(fresh.target, ())
            if repeats:
                group[fresh.target] = remember(known, fresh, self.last_s - LATENESS_S)
            else:
                group[fresh.target] = first_two(known, fresh)
            self.held += len(group[fresh.target]) - len(known)
        self.groups[name] = group
        since_ms = (self.last_s - window_s - LATENESS_S - 1) * 1000
        while len(group) > 1:
            oldest = next(iter(group))
            if len(group) <= MAX_GROUP and group[oldest][-1].time_ms >= since_ms:
                break
            self.held -= len(group.pop(oldest))
        while len(self.groups) > 1:
            other = next(iter(self.groups))
            full = len(self.groups) > MAX_GROUPS or self.held > MAX_HELD
            if not full and next(reversed(self.groups[other].values()))[-1].time_ms >= since_ms:
                break
            self.held -= sum(map(len, self.groups.pop(other).values()))
        return group

    def unseen(self, group: Group, name: str, window: tuple[float, int]) -> list[Sighting]:
        """Sightings of one id of a group in a window, if the address first showed it in there."""
        from_s, to_s = window
        found = [s for s in group.get(name, ()) if from_s <= s.second <= to_s]
        return found if found and self.ids.get(name, to_s) >= from_s else []

    def quiet(self, end_s: int, limit: int) -> bool:
        """Whether the address showed next to no new ids for a quarter of an hour before."""
        settled_s, few = end_s - LATENESS_S - 1, max(1, limit // 4)
        for first in reversed(self.ids.values()):
            if first < settled_s - QUIET_S - LATENESS_S:
                return True
            few -= settled_s - QUIET_S <= first < settled_s
            if not few:
                return False
        return True


def first_two(known: tuple[Sighting, ...], fresh: Sighting) -> tuple[Sighting, ...]:
    """`known` with `fresh`, by time; of like ones (answered or not) the earliest two seconds.

    Those of several addresses of a /64 are not alike, but few of them are enough to tell.
    """
    like = [s for s in known if (s.kinds, s.ip) == (fresh.kinds, fresh.ip)]
    if any(s.second == fresh.second for s in like):
        return known
    return tuple(sorted({*known, fresh} - {*sorted((*like, fresh))[2:]})[:MAX_REPEATS])


def crossing(
    state: Fan,
    group: Group,
    added: list[Sighting],
    window: tuple[float, int],
    limits: tuple[int, int],
    *,
    shared: bool,
) -> tuple[str, list[Sighting]]:
    """How a client goes through ids in a window, and the deciding sightings; none if it does not.

    `limits`: so many ids, of which so many must have been answered: nothing is lost where all is
    refused. With `shared`, several addresses must have asked for them.
    """
    limit, answered = limits

    def tells(found: list[Sighting]) -> bool:
        asked = (state.unseen(group, s.target, window) for s in found)
        return served(s.target for s in found) and (not shared or is_shared(asked, limit))

    def served(names: Iterable[str]) -> bool:
        missing = answered
        for name in names:
            missing -= any(s.kinds & ANSWERED for s in state.unseen(group, name, window))
            if missing <= 0:
                return True
        return False

    if not served(group):
        return "", []
    if (found := of_one_person(state, group, window, limit)) and tells(found):
        return "asked alone for", found
    if (found := burst(state, group, window, limit)) and tells(found):
        return "rushed through", found
    for fresh in added:
        if state.unseen(group, fresh.target, window):
            for found in walks(state, group, fresh, window, limit, shared=shared):
                if tells(found):
                    return "walked through", found
    return "", []


def walks(
    state: Fan,
    group: Group,
    fresh: Sighting,
    window: tuple[float, int],
    limit: int,
    *,
    shared: bool = False,
) -> Iterator[list[Sighting]]:
    """The ids around `fresh` that were asked for one after the other with one small stride.

    Each comes up to half a minute after the one before. Twelve ids of a crowd stand in such an
    order about once in 12! times, so this alone tells a walker; at least three requests are needed,
    since one may ask for a whole page of neighbours. With `shared`, each `limit` of them by
    itself: which of them several addresses asked for must not depend on what came last.
    """
    if not (match := _NUMBER.fullmatch(fresh.target)):
        return
    before, digits, after = match[1], match[2], match[3]
    start, width = int(digits), len(digits)

    def named(number: int) -> str:
        text = str(number)
        name = before + text + after
        return name if name in group else before + text.zfill(width) + after

    def steps(stride: int, earliest_s: int, latest_s: int) -> list[Sighting]:
        found: list[Sighting] = []
        number, reached = start + stride, [fresh]
        while number >= 0 and len(found) < limit:
            reached = [
                s
                for s in state.unseen(group, named(number), window)
                if any(earliest_s <= s.second - r.second <= latest_s for r in reached)
            ]
            if not reached:
                break
            found.append(reached[0])
            number += stride
        return found

    beside = {n - start for n in range(max(0, start - 10), start + 11) if named(n) in group}
    for stride in STRIDES:
        if stride not in beside and -stride not in beside:
            continue
        behind = steps(-stride, -STEP_S, JUMBLE_S)
        run = [*reversed(behind), fresh, *steps(stride, -JUMBLE_S, STEP_S)]
        parts = [run]
        if shared:
            firsts = range(max(0, len(behind) - limit + 1), len(behind) + 1)
            parts = [run[first : first + limit] for first in firsts]
        for found in parts:
            if len(found) >= limit and len({s.event for s in found}) >= min(3, limit):
                yield sorted(found)


def burst(state: Fan, group: Group, window: tuple[float, int], limit: int) -> list[Sighting]:
    """New ids that come far faster than this address ever showed any.

    From an address known for a quarter of an hour: the limit at under 2 s an id. One just met may
    be an office at the beginning of the log, however many come at once: there, only ids that are at
    home at other addresses count, the limit of them at under 3 s an id, since people who arrive one
    by one at an office are not so fast.
    """
    end_s = window[1]
    if len(group) < limit or not state.quiet(end_s, limit):
        return []
    ways = [(3 * (limit - 1), ELSEWHERE)]
    if end_s - state.born_s >= QUIET_S:
        ways.append((2 * (limit - 1), 0))
    for span_s, kind in ways:
        found = _since(state, group, window, end_s - span_s, kind)
        if len(found) >= limit and len({s.event for s in found}) >= min(limit, MIN_REQUESTS):
            return sorted(found)
    return []


def _since(
    state: Fan, group: Group, window: tuple[float, int], from_s: float, kind: int
) -> list[Sighting]:
    """One sighting of each new id since `from_s`; with `kind`, only of those that have this bit."""
    found: list[Sighting] = []
    for name in reversed(group):
        if group[name][0].second < from_s - LATENESS_S:
            break
        seen = state.unseen(group, name, window)
        found += [s for s in seen if s.second >= from_s and s.kinds & kind == kind][:1]
    return found


def of_one_person(
    state: Fan, group: Group, window: tuple[float, int], limit: int
) -> list[Sighting]:
    """New ids of one session or principal on one route: a person has one id, or a household's."""
    if len(group) < limit or not all(s.session or s.principal for s in next(iter(group.values()))):
        return []
    found = [s for name in group for s in state.unseen(group, name, window)[:1]]
    return sorted(found) if len(found) >= limit else []
