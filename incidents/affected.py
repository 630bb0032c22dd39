"""Whose data: folds exposures into exact counts and rows, one ledger for each actor's case.

Exposures in, in any order and any number of times; affected users, unknown objects and counts out.
It never decides which exposures belong to an incident (gather.py), and never forgets a user.
"""

from bisect import insort
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from incidents.owners import Item, awaits
from records.event import Exposure
from records.incident import Affected, UnknownObject
from records.kinds import Certainty

RANK: dict[Certainty, int] = {"attempted": 0, "possible": 1, "presumed": 2, "proven": 3}
NAMES: tuple[Certainty, ...] = ("attempted", "possible", "presumed", "proven")
REACHED = RANK["presumed"]
"""From this rank on a person counts as affected."""
SAMPLE = 20
NOBODY: frozenset[str] = frozenset()


class Impact(msgspec.Struct, frozen=True):
    """Whose data one incident concerns, as its files and commands show it."""

    users: tuple[str, ...]
    """The affected, sorted and unique."""
    rows: tuple[Affected, ...]
    """One for each of `users`, in that order."""
    objects: tuple[UnknownObject, ...]


class _Row(msgspec.Struct):
    rank: int
    categories: dict[str, int]
    """Category -> how many of `records` are of it."""
    reads: int
    writes: int
    records: int
    first_ms: int
    last_ms: int
    events: list[tuple[int, str]]

    def sample(self, time_ms: int, event: str) -> None:
        """Keep the earliest events, whatever order they come in."""
        if len(self.events) < SAMPLE or (time_ms, event) < self.events[-1]:
            insort(self.events, (time_ms, event))
            del self.events[SAMPLE:]


class _Object(msgspec.Struct):
    write: bool
    first_ms: int
    events: list[tuple[int, str]]


class Ledger:
    """The exposures of one actor, counted once for each (event, target).

    `excluding` below holds the actor's own vouched-for principals: the only ids ever left out.
    """

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}
        self.objects: dict[tuple[str, str], _Object] = {}
        self._seen: set[bytes] = set()
        self._by_rank = [0] * len(NAMES)
        self.pending: set[Item] = set()
        """Objects whose owners are still to be asked for."""
        self.categories: dict[str, int] = {}
        self.records = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.accesses = 0
        """Accesses that went through or may have; attempts do not count."""

    def add(self, exposure: Exposure) -> bool:
        """Count one exposure; False if its (event, target) was counted before."""
        if not self._is_new(exposure):
            return False
        time_ms = exposure.time_ms
        self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)
        self.last_ms = time_ms if self.last_ms is None else max(self.last_ms, time_ms)
        rank = RANK[exposure.certainty]
        self.accesses += rank > 0
        if exposure.target:
            self._add_target(exposure, rank)
        else:
            self._add_object(exposure)
        return True

    def note(self, exposure: Exposure) -> bool:
        """Count the object of an access that may have been the caller's own, and nothing else."""
        if not self._is_new(exposure):
            return False
        self._add_object(exposure)
        return True

    def _is_new(self, exposure: Exposure) -> bool:
        what = exposure.target or exposure.object
        key = blake2b(f"{exposure.event}\0{what}".encode("utf-8", "surrogatepass"), digest_size=8)
        if (seen := key.digest()) in self._seen:
            return False
        self._seen.add(seen)
        return True

    def _add_target(self, exposure: Exposure, rank: int) -> None:
        time_ms = exposure.time_ms
        row = self.rows.get(exposure.target)
        if row is not None and row.rank > 0 and rank == 0:
            return
        if row is not None:
            self._by_rank[row.rank] -= 1
        if row is None or (row.rank == 0 and rank > 0):
            # times and events of mere attempts give way to those of the first access
            row = self.rows[exposure.target] = _Row(rank, {}, 0, 0, 0, time_ms, time_ms, [])
        row.rank = max(row.rank, rank)
        self._by_rank[row.rank] += 1
        row.first_ms = min(row.first_ms, time_ms)
        row.last_ms = max(row.last_ms, time_ms)
        row.sample(time_ms, exposure.event)
        reached = rank >= REACHED
        row.categories[exposure.category] = row.categories.get(exposure.category, 0) + reached
        if rank > 0:
            row.reads += exposure.effect == "read"
            row.writes += exposure.effect == "write"
        if reached:
            row.records += 1
            self.records += 1
            self.categories[exposure.category] = self.categories.get(exposure.category, 0) + 1

    def _add_object(self, exposure: Exposure) -> None:
        key = (exposure.route, exposure.object)
        if not exposure.object:
            return
        if awaits(exposure):
            self.pending.add(key)
        if RANK[exposure.certainty] < REACHED:
            return
        found = self.objects.setdefault(key, _Object(False, exposure.time_ms, []))
        found.write |= exposure.effect == "write"
        found.first_ms = min(found.first_ms, exposure.time_ms)
        insort(found.events, (exposure.time_ms, exposure.event))
        del found.events[SAMPLE:]

    @classmethod
    def union(cls, ledgers: Iterable["Ledger"]) -> "Ledger":
        """Ledgers of different actors as one; no event may stand in two. A single one is itself."""
        # those of addresses for which their /64 stands are empty, and may be many
        parts = [ledger for ledger in ledgers if ledger._seen]  # noqa: SLF001  its own class
        if len(parts) == 1:
            return parts[0]
        whole = cls()
        for part in parts:
            whole._take(part)
        return whole

    def _take(self, other: "Ledger") -> None:
        self.accesses += other.accesses
        if other.first_ms is not None and other.last_ms is not None:
            self.first_ms = min(
                other.first_ms, other.first_ms if self.first_ms is None else self.first_ms
            )
            self.last_ms = max(
                other.last_ms, other.last_ms if self.last_ms is None else self.last_ms
            )
        self.records += other.records
        _sum_into(self.categories, other.categories)
        for user, theirs in other.rows.items():
            ours = self.rows.get(user)
            if ours is not None and theirs.rank == 0 and ours.rank > 0:
                continue
            if ours is not None:
                self._by_rank[ours.rank] -= 1
            if ours is None or (ours.rank == 0 and theirs.rank > 0):
                self._by_rank[theirs.rank] += 1
                self.rows[user] = msgspec.structs.replace(
                    theirs, categories=dict(theirs.categories), events=list(theirs.events)
                )
                continue
            ours.rank = max(ours.rank, theirs.rank)
            self._by_rank[ours.rank] += 1
            _sum_into(ours.categories, theirs.categories)
            ours.reads += theirs.reads
            ours.writes += theirs.writes
            ours.records += theirs.records
            ours.first_ms = min(ours.first_ms, theirs.first_ms)
            ours.last_ms = max(ours.last_ms, theirs.last_ms)
            ours.events = sorted({*ours.events, *theirs.events})[:SAMPLE]
        self.pending |= other.pending
        for key, item in other.objects.items():
            mine = self.objects.setdefault(key, _Object(False, item.first_ms, []))
            mine.write |= item.write
            mine.first_ms = min(mine.first_ms, item.first_ms)
            mine.events = sorted({*mine.events, *item.events})[:SAMPLE]

    def users(self, excluding: frozenset[str] = NOBODY, at_least: int = REACHED) -> list[str]:
        """Targets whose best certainty has at least this rank, sorted."""
        return sorted(
            user
            for user, row in self.rows.items()
            if row.rank >= at_least and user not in excluding
        )

    def reached(self, excluding: frozenset[str] = NOBODY) -> int:
        """How many people are affected."""
        count = sum(self._by_rank[REACHED:])
        for user in excluding:
            if user in self.rows and self.rows[user].rank >= REACHED:
                count -= 1
        return count

    def left_out(self, principals: frozenset[str]) -> list[str]:
        """Those of the actor's own principals whose data was reached, sorted."""
        return sorted(p for p in principals if p in self.rows and self.rows[p].rank >= REACHED)

    def counts(self, excluding: frozenset[str] = NOBODY) -> "Counts":
        """Distinct people and objects, and accesses."""
        by_rank = list(self._by_rank)
        records = self.records
        categories = dict(self.categories)
        for user in excluding & self.rows.keys():
            row = self.rows[user]
            by_rank[row.rank] -= 1
            records -= row.records
            _sum_into(categories, row.categories, -1)
        attempted, possible, presumed, proven = by_rank
        return Counts(
            affected=presumed + proven,
            upper=possible + presumed + proven,
            attempted=attempted,
            unknown_objects=len(self.objects),
            pending=len(self.pending),
            unsettled=len(self.pending & self.objects.keys()),
            records=records,
            categories=tuple(sorted(c for c, count in categories.items() if c and count)),
        )

    def impact(self, excluding: frozenset[str] = NOBODY) -> Impact:
        """Everything that the files of an incident hold."""
        users = self.users(excluding)
        return Impact(tuple(users), tuple(map(self._affected, users)), self._unknown())

    def _affected(self, user: str) -> Affected:
        row = self.rows[user]
        return Affected(
            user=user,
            certainty=NAMES[row.rank],
            categories=tuple(sorted(c for c in row.categories if c)),
            reads=row.reads,
            writes=row.writes,
            first_ms=row.first_ms,
            last_ms=row.last_ms,
            events=tuple(event for _, event in row.events),
        )

    def _unknown(self) -> tuple[UnknownObject, ...]:
        return tuple(
            UnknownObject(
                object=name,
                route=route,
                effect="write" if item.write else "read",
                first_ms=item.first_ms,
                events=tuple(event for _, event in item.events),
            )
            for (route, name), item in sorted(self.objects.items())
        )


def _sum_into(into: dict[str, int], other: dict[str, int], sign: int = 1) -> None:
    for name, count in other.items():
        into[name] = into.get(name, 0) + sign * count


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one incident."""

    affected: int
    """Distinct people whose data was provably or presumably reached."""
    upper: int
    """Those, and the ones where the log leaves it open."""
    attempted: int
    """Distinct people where nothing but refused attempts is known."""
    unknown_objects: int
    records: int
    """Distinct proven or presumed (event, target) accesses: one request to two people is two."""
    categories: tuple[str, ...]
    pending: int = 0
    """Objects whose owners are still to be asked for, reached or not."""
    unsettled: int = 0
    """Those of them that are among the unknown objects."""
