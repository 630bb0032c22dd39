"""Owners of objects learned from who creates them, never from who reads them.

Answers of 201 come in; who made which object goes out. The first who made it owns it, until the
owner deletes it: a 201 to somebody else's write is no change of owner. What was made before the
log began, or forgotten since, is of unknown owner; nothing is guessed. It does not hang on how the
log was cut into batches, and is bounded.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from urllib.parse import urljoin, urlsplit

import msgspec

from intake.line import Parsed
from intake.patterns import Pattern, compile_route, split_ids
from intake.places import Place
from intake.spelling import canonical_path
from intake.words import stem_of
from records.kinds import Outcome

MOST = 200_000
"""Objects remembered; beyond that, those that were made first are forgotten."""
_LONGEST_LOCATION = 2_048
_LONGEST_OBJECT = 256
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode


class _Source(msgspec.Struct, frozen=True):
    """The routes of one kind of object."""

    item: Pattern
    collection: Pattern | None


class Learned:
    """Who made which object of the routes that learn."""

    def __init__(self, routes: Sequence[str]) -> None:
        self._sources = {route: _source(route) for route in routes}
        self._owners: OrderedDict[str, tuple[str, int]] = OrderedDict()
        """Key of the object -> (owner, how many were made before it)."""
        self._made = 0
        self._learned: set[str] = set()
        self._dirty: set[str] = set()

    def learns(self, route: str) -> bool:
        """Whether this source's owners are learned."""
        return route in self._sources

    def has_learned(self, route: str) -> bool:
        """Whether it saw anybody make an object of this source."""
        return route in self._learned

    def owner(self, route: str, item: str, tenant: str = "") -> str:
        """Who made an object, "" where that is not known."""
        found = self._owners.get(_key(route, item, tenant))
        return found[0] if found else ""

    def created(
        self,
        line: Parsed,
        method: str,
        place: Place,
        principal: str,
        outcome: Outcome,
        tenant: str = "",
    ) -> None:
        """Learn from a line that is not judged yet whether its caller made objects.

        `tenant` is the one asked for, where tenants have objects of their own.
        """
        if outcome == "proven" and line.status == 201 and method in {"PUT", "POST"}:
            for route, items in self._created(line, method, place):
                self._make(route, items, principal, tenant)

    def _created(
        self, line: Parsed, method: str, place: Place
    ) -> Iterator[tuple[str, Sequence[str]]]:
        path, _, query = place.path.partition("?")
        for route, source in self._sources.items():
            if source.item.match(path, query) is not None:
                if place.source == route:
                    yield route, place.objects
            elif (
                method == "POST"
                and line.location is not None
                and source.collection is not None
                and source.collection.match(path, query) is not None
            ):
                yield route, _located(source.item, path, line.location)

    def deleted(self, method: str, place: Place, principal: str, tenant: str = "") -> None:
        """Forget what a line that was judged and went through has deleted, if it was its caller's.

        What is made in its place is of whoever makes it.
        """
        if method.upper() != "DELETE":
            return
        path, _, query = place.path.partition("?")
        source = self._sources.get(place.source)
        if source is None or source.item.match(path, query) is None:
            return
        for item in place.objects:
            key = _key(place.source, item, tenant)
            if key in self._owners and self._owners[key][0] == principal:
                del self._owners[key]
                self._dirty.add(key)

    def _make(self, route: str, items: Sequence[str], principal: str, tenant: str) -> None:
        for item in items:
            key = _key(route, item, tenant)
            if key in self._owners or len(item) > _LONGEST_OBJECT:
                continue
            self._owners[key] = (principal, self._made)
            self._made += 1
            self._learned.add(route)
            self._dirty.add(key)
            if len(self._owners) > MOST:
                self._dirty.add(self._owners.popitem(last=False)[0])

    def take_dirty(self) -> Iterator[tuple[str, bytes]]:
        """Objects whose owner changed; b"" for those that are forgotten."""
        for key in sorted(self._dirty):
            found = self._owners.get(key)
            yield key, b"" if found is None else msgspec.msgpack.encode(found)
        self._dirty.clear()

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        kept = [(key, _decode(value)) for key, value in items if value]
        for key, found in sorted(kept, key=lambda one: one[1][1]):
            self._owners[key] = found
            self._made = found[1] + 1
            self._learned.add(key.partition("\n")[0].partition("#")[0])


def _key(route: str, item: str, tenant: str) -> str:
    return f"{route}#{tenant}\n{item}" if tenant else f"{route}\n{item}"


def _source(route: str) -> _Source:
    """Below the object stand its parts, which are made without it; above it, its like."""
    path, mark, query = route.partition("?")
    segments = path.strip("/").split("/")
    at = next((n for n, segment in enumerate(segments) if "{object}" in segment), None)
    if at is None:
        # The object stands in the query: all of the path is where it is made.
        return _Source(compile_route(route), compile_route(path) if mark else None)
    item = "/" + "/".join(segments[: at + 1]) + (f"?{query}" if mark else "")
    above = "/" + "/".join(segments[:at]) if at else None
    return _Source(compile_route(item), None if above is None else compile_route(above))


def _located(item: Pattern, path: str, location: str) -> Sequence[str]:
    """The one object that a Location header names; empty where it names none."""
    if len(location) > _LONGEST_LOCATION:
        return ()
    try:
        parts = urlsplit(urljoin(path, location))
    except ValueError:
        return ()
    values = item.match(canonical_path(parts.path), parts.query)
    found = split_ids(map(stem_of, (values or {}).get("object", ())))[0]
    return found if len(found) == 1 else ()
