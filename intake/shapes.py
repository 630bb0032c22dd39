"""Places of paths whose shape is known: plain words with plain ids between them.

In: a request target. Out: its `Place`, or None where only `Routes` can tell. That all paths of one
shape mean the same of their ids makes most of a log's targets cheap, however many ids there are.
"""

import re
from collections.abc import Callable

import msgspec

from intake.patterns import PLAIN_WORD
from intake.places import Place, Route
from intake.redact import mask_target
from intake.spaces import canonical_id
from intake.words import QUERY_MARKS

_ENTRIES = 5_000
_CACHED_LENGTH = 512

_PLAIN_ID = re.compile(
    r"/([0-9]+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?<=[a-z]/)(?!es-)[a-z]{1,4}-[0-9]+)"
    r"(?=/|\Z)"
)
"""Ids that are read alike wherever one of them stands."""


class _Model(msgspec.Struct, frozen=True, gc=False):
    """A place whose ids are numbers of ids in its path, from 1; 0 for none."""

    route: Route
    ordinary: bool
    owner: int
    item: int
    tenant: int
    tenant_word: str
    source: str
    objects: tuple[int, ...]
    candidates: tuple[tuple[str, int], ...]
    slug: tuple[str, str] | None


class Shapes:
    """Models by shape; `locate` finds the place of a path that is new."""

    def __init__(self, locate: Callable[[str], Place], *, reads_query: bool) -> None:
        self._locate = locate
        self._reads_query = reads_query
        self._models: dict[str, _Model] = {}
        self._queries: dict[str, str] = {}

    def place(self, target: str) -> Place | None:
        """The place of a path of plain words and ids, from another of the same shape; or None."""
        path, _, query = target.partition("?")
        parts = _PLAIN_ID.split(path)
        if len(parts) == 1:
            return None
        if query:
            if self._reads_query or QUERY_MARKS.search(query):
                return None
            # Pages, limits and cache busters: all of it is the path's place.
            shown = f"{path}?{self._masked(query)}"
        else:
            shown = path
        shape, ids = "/0".join(parts[::2]), parts[1::2]
        model = self._models.get(shape)
        if model is None and (model := self._learn(shape)) is None:
            return None
        owners = (canonical_id(ids[model.owner - 1]),) if model.owner else ()
        if len(ids) == 1 and owners and not model.tenant_word:
            return Place(
                path=shown,
                route=model.route,
                ordinary=model.ordinary,
                owners=owners,
                slug=model.slug,
            )
        return Place(
            path=shown,
            route=model.route,
            ordinary=model.ordinary,
            owners=owners,
            object=canonical_id(ids[model.item - 1]) if model.item else "",
            objects=tuple([canonical_id(ids[n - 1]) for n in model.objects]),
            source=model.source,
            candidates=tuple([(f, (canonical_id(ids[n - 1]),)) for f, n in model.candidates]),
            tenant=ids[model.tenant - 1] if model.tenant else model.tenant_word,
            slug=model.slug,
        )

    def forget(self) -> None:
        """Learn all shapes anew."""
        self._models.clear()

    def _learn(self, shape: str) -> _Model | None:
        """The model of a shape; None where an id in it is not one of the numbered ones."""
        path = model_of(shape)
        if not path:
            return None
        place = self._locate(path)
        candidates = [(field, found[0]) for field, found in place.candidates]
        named = [*place.owners, *place.objects, *(found for _, found in candidates)]
        if place.name or len(place.owners) > 1 or len(place.objects) > 1:
            return None
        if not all(map(str.isdigit, [*named, place.object or "0"])):
            return None
        tenant = int(place.tenant) if place.tenant.isdigit() else 0
        if len(self._models) >= _ENTRIES:
            self._models.clear()
        model = self._models[shape] = _Model(
            place.route,
            place.ordinary,
            int(place.owners[0]) if place.owners else 0,
            int(place.object or 0),
            tenant,
            "" if tenant else place.tenant,
            place.source,
            tuple(map(int, place.objects)),
            tuple([(field, int(found)) for field, found in candidates]),
            place.slug,
        )
        return model

    def _masked(self, query: str) -> str:
        masked = self._queries.get(query)
        if masked is None:
            masked = mask_target(f"/?{query}")[2:]
            if len(query) <= _CACHED_LENGTH:
                if len(self._queries) >= _ENTRIES:
                    self._queries.clear()
                self._queries[query] = masked
        return masked


def model_of(shape: str) -> str:
    """The shape with its ids numbered from 1; "" if anything but plain words stands beside them."""
    if not shape.startswith("/") or "//" in shape or "eyJ" in shape:
        return ""
    parts = shape.split("/")
    number = 0
    for at, part in enumerate(parts):
        if part == "0":
            number += 1
            parts[at] = str(number)
        elif part and not PLAIN_WORD.fullmatch(part):
            return ""
    return "/".join(parts)
