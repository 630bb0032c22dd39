"""Learns under which paths words are names: `/teams/acme-corp` beside a hundred other teams.

In: successes at places where a word of several parts stands. Out: whether such words there are
`{slug}` of one route. They say nothing of whose data it is: nobody walks names. A scanner's guesses
are no successes, and one client alone cannot make a path a place of names: several must have asked,
for many words. Bounded in places and words.
"""

import re
from collections.abc import Iterator

import msgspec

MIN_WORDS = 40
"""A menu of pages has fewer."""
MIN_CLIENTS = 10
_MAX_PLACES = 1_000

_SLUG = re.compile(r"[A-Za-z0-9]{1,40}(?:[-_][A-Za-z0-9]{1,40}){1,12}")


class _Place(msgspec.Struct):
    """One path up to where the words stand."""

    words: set[str] = msgspec.field(default_factory=set)
    clients: set[str] = msgspec.field(default_factory=set)
    learned: bool = False


class Slugs:
    """Places of names, by the path before them."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._learned: set[str] = set()
        self._dirty: set[str] = set()

    def is_known(self, prefix: str, segment: str) -> bool:
        """Whether this word below this prefix is one of many."""
        return prefix in self._learned and is_slug(segment)

    def note(self, prefix: str, segment: str, client: str) -> bool:
        """Count one success of a client; True if the place has just been learned."""
        place = self._places.get(prefix)
        if place is None:
            if len(self._places) >= _MAX_PLACES:
                self._make_room()
            place = self._places[prefix] = _Place()
        if place.learned:
            return False
        known = len(place.words), len(place.clients)
        if len(place.words) < MIN_WORDS:
            place.words.add(segment)
        if len(place.clients) < MIN_CLIENTS:
            place.clients.add(client)
        if known == (len(place.words), len(place.clients)):
            return False
        self._dirty.add(prefix)
        if len(place.words) >= MIN_WORDS and len(place.clients) >= MIN_CLIENTS:
            place.learned = True
            place.words.clear()
            place.clients.clear()
            self._learned.add(prefix)
            return True
        return False

    def _make_room(self) -> None:
        """Forget the half with the fewest words: paths that one client made up."""
        open_ = sorted(
            (len(place.words), prefix)
            for prefix, place in self._places.items()
            if not place.learned
        )
        for _, prefix in open_[: len(open_) // 2 + 1] or [(0, min(self._places))]:
            del self._places[prefix]
            self._learned.discard(prefix)
            self._dirty.discard(prefix)

    def take_dirty(self) -> Iterator[tuple[str, bytes]]:
        """Places that changed."""
        for prefix in sorted(self._dirty):
            yield prefix, _encode(self._places[prefix])
        self._dirty.clear()

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for prefix, data in items:
            place = self._places[prefix] = msgspec.msgpack.decode(data, type=_Place)
            if place.learned:
                self._learned.add(prefix)


# Sets have no order of their own: the same state must be the same bytes.
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def is_slug(segment: str) -> bool:
    """Several words or numbers joined by hyphens or underscores, and no file of the site."""
    return len(segment) <= 128 and _SLUG.fullmatch(segment) is not None
