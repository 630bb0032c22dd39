"""Whose objects they were, as ownership services have answered, and what that makes of exposures.

Exposures as they were stored and answers in; exposures as they are now known to be out. An access
whose source was still to be asked has no target (`awaits`): once its owner is known it is one's own
and no exposure, or somebody's. It asks nobody: that is the shell's work.
"""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from intake.spaces import id_space, is_same
from records.event import Actor, Exposure
from records.kinds import TRUSTED
from records.stores import ExposureStore

SPACE = "owners"
"""Under which a store keeps the answers."""

Item = tuple[str, str]
"""(route of the ownership source, and `#TENANT` where tenants have objects of their own; object)"""

_LOOSE = frozenset({"name", "hex"})


class Leave(msgspec.Struct, frozen=True, array_like=True):
    """Who may see what is an owner's, from when until when (ms; None is open)."""

    owner: str
    principal: str
    from_ms: int | None
    until_ms: int | None

    def covers(self, owner: str, principals: Collection[str], time_ms: int) -> bool:
        """Whether one who goes by these names may see what is the owner's at this time."""
        return (
            self.owner == owner
            and self.principal in principals
            and (self.from_ms is None or time_ms >= self.from_ms)
            and (self.until_ms is None or time_ms < self.until_ms)
        )


class Answer(msgspec.Struct, frozen=True):
    """What a service said of one object."""

    route: str
    """As in `Item`."""
    object: str
    owners: tuple[str, ...]
    """Canonical users without their tenant; empty where it is nobody's, or there is no such one."""
    at_ms: int
    source: str
    """Who said so: the host of the service."""
    leaves: tuple[Leave, ...] = ()
    """Grants of these owners for this object."""


def awaits(exposure: Exposure) -> bool:
    """Whether the owner of its object is still to be asked for."""
    return exposure.basis == "ownership" and not exposure.target


def is_unnamed(exposure: Exposure) -> bool:
    """Whether it is an access to an object of unknown owner, by a caller who can be told apart.

    Such accesses count beside an incident of the caller's; they make none, and prolong none.
    """
    return (
        exposure.verdict == "undetermined"
        and not exposure.target
        and bool(exposure.object)
        and (bool(exposure.principal) or exposure.actor.type != "ip")
    )


class Owners:
    """Answers by object; and a store of exposures seen through them."""

    def __init__(self, store: ExposureStore) -> None:
        self._store = store
        self._known: dict[Item, Answer] = {}
        self._dirty: set[Item] = set()

    def exposures_of(
        self, actors: Iterable[Actor], since_ms: int, until_ms: int
    ) -> Iterator[Exposure]:
        """As `ExposureStore`."""
        found = self._store.exposures_of(actors, since_ms, until_ms)
        return self.resolved(found) if self._known else found

    def resolved(self, exposures: Iterable[Exposure]) -> Iterator[Exposure]:
        """Exposures as they are now known to be, in their order."""
        for exposure in exposures:
            answer = None
            if awaits(exposure):
                answer = self._known.get((exposure.route, exposure.object))
            if answer is None:
                yield exposure
            else:
                yield from _as_answered(exposure, answer)

    def knows(self, item: Item) -> bool:
        """Whether there is an answer."""
        return item in self._known

    def take(self, answers: Iterable[Answer]) -> set[Item]:
        """Take in answers; the objects of those that were new. The first of an object stands."""
        fresh: set[Item] = set()
        for answer in answers:
            item = (answer.route, answer.object)
            if item not in self._known:
                self._known[item] = answer
                fresh.add(item)
        self._dirty |= fresh
        return fresh

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Answers since the last call."""
        dirty = [
            ("\n".join(item), msgspec.msgpack.encode(self._known[item]))
            for item in sorted(self._dirty)
        ]
        self._dirty.clear()
        return dirty

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take back what `take_dirty` gave."""
        for _, value in items:
            answer = msgspec.msgpack.decode(value, type=Answer)
            self._known[answer.route, answer.object] = answer


def _as_answered(exposure: Exposure, answer: Answer) -> Iterator[Exposure]:
    """One exposure an owner who is not the caller, and has not let them see it.

    What is nobody's was not reached. Without a principal the request still counts as made, so that
    it holds together the burst that it was a part of.
    """
    principal, owners = exposure.principal, answer.owners
    if not owners:
        if not principal:
            yield msgspec.structs.replace(exposure, certainty="attempted", basis="")
        return
    verdict, tenant = exposure.verdict, exposure.route.partition("#")[2]
    if principal:
        plain = principal.removeprefix(f"{tenant}/") if tenant else principal
        space = id_space(plain)
        if any(is_same(owner, plain, space) for owner in owners):
            return
        if all(_comparable(owner, space) for owner in owners):
            verdict = "foreign"
        if exposure.provenance in TRUSTED:
            names, time_ms, leaves = {plain, principal}, exposure.time_ms, answer.leaves
            owners = tuple(
                [
                    owner
                    for owner in owners
                    if not any(leave.covers(owner, names, time_ms) for leave in leaves)
                ]
            )
    for owner in owners:
        target = f"{tenant}/{owner}" if tenant else owner
        yield msgspec.structs.replace(exposure, target=target, verdict=verdict)


def _comparable(owner: str, space: str) -> bool:
    """A UUID is not somebody else than number 17: nobody said whether it is."""
    theirs = id_space(owner)
    return theirs == space or theirs in _LOOSE or space in _LOOSE
