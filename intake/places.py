"""What a request target names, as values: the place, and the route that it shares with others."""

import msgspec

from intake.outcome import INCOMING_WORDS, WRITE_WORDS
from records.kinds import Effect

Candidates = tuple[tuple[str, tuple[str, ...]], ...]
"""(field, ids): ids that may turn out to be users', by the field in which that is learned."""


class Route(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What all targets of one route have in common."""

    template: str
    category: str = "unclassified"
    public: bool = False
    effect: Effect | None = None
    last_word: str = ""
    """The last segment, in lower case, if it is a word."""
    names_self: bool = False
    error_bytes: int | None = None

    @property
    def incoming(self) -> bool:
        """A POST here gives something to the owner: not a foreign write."""
        return self.last_word in INCOMING_WORDS

    @property
    def graphql(self) -> bool:
        """The answer's status says little about what was answered."""
        return self.last_word == "graphql"

    @property
    def ordinary(self) -> bool:
        """A GET here is a read, and a 200 is what it says."""
        word = self.last_word
        plain = self.effect is None and self.error_bytes is None
        return plain and word not in WRITE_WORDS and word != "graphql"


class Place(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a request target names."""

    path: str
    """Canonical path and query, secrets masked."""
    route: Route
    ordinary: bool
    """`route.ordinary`, which every line asks."""
    owners: tuple[str, ...] = ()
    """Ids that the route says are users' ids; canonical, sorted, unique."""
    excess: int = 0
    """Owners or objects beyond MAX_TARGETS, not judged."""
    object: str = ""
    objects: tuple[str, ...] = ()
    """Objects whose owners `source` knows."""
    source: str = ""
    """The ownership source that is asked for them; "" where none is configured."""
    candidates: Candidates = ()
    tenant: str = ""
    name: str = ""
    """A plain word below an owner word: a user name, if people have such names here."""
    named: "Place | None" = None
    """The same place with `name` as its owner."""
    slug: tuple[str, str] | None = None
    """(prefix, word): a word of several parts that may be one of many such names."""
    canaries: tuple[str, ...] = ()
    """Listed canary ids that stand anywhere in the target."""
