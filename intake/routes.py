"""Whose data a request target names: template, owners, objects, category.

In: request targets as logged. Out: a `Place`, cached by target. Configured routes first, first
match wins; then the default words of JUDGEMENT. It names ids; it does not decide whose they are.
"""

import sys
from collections.abc import Collection, Sequence

import msgspec

from intake.outcome import INCOMING_WORDS, WRITE_WORDS
from intake.patterns import (
    Pattern,
    canonical_path,
    compile_route,
    model_of,
    parse_query,
    shape_of,
    split_ids,
)  # fmt: skip
from intake.redact import mask_target
from intake.settings import RouteRule
from intake.spaces import canonical_id
from intake.words import (
    CANDIDATE_QUERY,
    CATEGORY_RANK,
    CATEGORY_WORDS,
    LOOK_WORDS,
    OWNER_QUERY,
    OWNER_WORDS,
    QUERY_MARKS,
    SELF_WORDS,
    is_id,
    is_owner_id,
    is_token,
    may_be_name,
    stem_of,
    word_of,
)  # fmt: skip
from records.kinds import Effect

_CACHE_ENTRIES = 10_000
_CACHED_LENGTH = 512
_LABELS = 4
_SHAPES = 5_000

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
    """Owners beyond MAX_TARGETS, not judged."""
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
    canaries: tuple[str, ...] = ()
    """Listed canary ids that stand anywhere in the target."""


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


class Routes:
    """Request target -> Place, by configuration first and default words after.

    `sources` are the routes of ownership sources; `canaries` canonical ids.
    """

    def __init__(
        self,
        rules: Sequence[RouteRule],
        sensitive: Sequence[str],
        sources: Sequence[str] = (),
        canaries: Collection[str] = (),
    ) -> None:
        self._patterns = [Pattern(rule) for rule in rules]
        self._sources = [(route, compile_route(route)) for route in sources]
        asks = [*self._patterns, *(pattern for _, pattern in self._sources)]
        # Where a canary or a digit of the route may stand in a path, its shape does not tell.
        self._uses_shapes = not canaries and all(pattern.is_plain for pattern in asks)
        self._reads_query = bool(canaries) or any(pattern.query for pattern in asks)
        self._words = dict.fromkeys((word.lower() for word in sensitive), "sensitive")
        self._words.update(CATEGORY_WORDS)
        self._canaries = {canary.casefold(): canary for canary in canaries}
        self._cache: dict[str, Place] = {}
        self._older: dict[str, Place] = {}
        self._shapes: dict[str, _Model] = {}
        self._queries: dict[str, str] = {}

    def place(self, target: str) -> Place:
        """What this request target names."""
        place = self._cache.get(target)
        if place is None:
            place = self._older.get(target)
            if place is None and self._uses_shapes and "?" not in target:
                place = self._by_shape(target)
            if place is None:
                place = self._locate(target)
            if len(target) <= _CACHED_LENGTH:
                if len(self._cache) >= _CACHE_ENTRIES:
                    self._older, self._cache = self._cache, {}
                self._cache[target] = place
        return place

    def _locate(self, target: str) -> Place:
        if not target.startswith("/") and "://" in target:
            target = "/" + target.partition("://")[2].partition("/")[2]
        raw, _, query = target.partition("#")[0].partition("?")
        if query and not self._reads_query and QUERY_MARKS.search(query) is None:
            # Pages, limits and cache busters: all of it is the path's place.
            plain = self.place(raw)
            return msgspec.structs.replace(plain, path=f"{plain.path}?{self._masked(query)}")
        path = canonical_path(raw)
        full = mask_target(f"{path}?{query}" if query else path)
        for pattern in self._patterns:
            if (values := pattern.match(path, query)) is not None:
                return self._finished(path, query, self._configured(pattern, values, full, path))
        return self._finished(path, query, self._default(full, path, query))

    def _masked(self, query: str) -> str:
        masked = self._queries.get(query)
        if masked is None:
            masked = mask_target(f"/?{query}")[2:]
            if len(query) <= _CACHED_LENGTH:
                if len(self._queries) >= _SHAPES:
                    self._queries.clear()
                self._queries[query] = masked
        return masked

    def _by_shape(self, path: str) -> Place | None:
        """The place of a path of plain words and ids, from another of the same shape."""
        shape, ids = shape_of(path)
        if not ids:
            return None
        model = self._shapes.get(shape)
        if model is None and (model := self._learn(shape)) is None:
            return None
        owners = (canonical_id(ids[model.owner - 1]),) if model.owner else ()
        if len(ids) == 1 and owners and not model.tenant_word:
            return Place(path=path, route=model.route, ordinary=model.ordinary, owners=owners)
        return Place(
            path=path,
            route=model.route,
            ordinary=model.ordinary,
            owners=owners,
            object=canonical_id(ids[model.item - 1]) if model.item else "",
            objects=tuple([canonical_id(ids[n - 1]) for n in model.objects]),
            source=model.source,
            candidates=tuple([(f, (canonical_id(ids[n - 1]),)) for f, n in model.candidates]),
            tenant=ids[model.tenant - 1] if model.tenant else model.tenant_word,
        )

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
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        model = self._shapes[shape] = _Model(
            place.route,
            place.ordinary,
            int(place.owners[0]) if place.owners else 0,
            int(place.object or 0),
            tenant,
            "" if tenant else place.tenant,
            place.source,
            tuple(map(int, place.objects)),
            tuple([(field, int(found)) for field, found in candidates]),
        )
        return model

    def _configured(
        self, pattern: Pattern, values: dict[str, list[str]], full: str, path: str
    ) -> Place:
        rule = pattern.rule
        given = values.get("owner", [])
        owners, excess = split_ids(map(stem_of, given))
        words = [word_of(part) for part in path.split("/") if part]
        route = Route(
            template=pattern.template,
            category=rule.category or self._category(words),
            public=rule.public,
            effect=rule.effect,
            last_word=words[-1] if words and not any(map(str.isdigit, words[-1])) else "",
            names_self=any(v.lower() in SELF_WORDS for v in given),
            error_bytes=rule.error_bytes,
        )
        return Place(
            path=full,
            route=route,
            ordinary=route.ordinary,
            owners=owners,
            excess=excess,
            object=",".join(canonical_id(stem_of(v)) for v in values.get("object", ())),
            tenant=",".join(values.get("tenant", ())),
        )

    def _category(self, words: Sequence[str]) -> str:
        """The most sensitive category that a word of the path names."""
        found = [name for word in words if (name := self._words.get(word))]
        if not found:
            return "unclassified"
        return min(found, key=lambda name: CATEGORY_RANK.get(name, -1))

    def _default(self, full: str, path: str, query: str, *, take_name: bool = False) -> Place:
        template: list[str] = []
        words: list[str] = []
        owners: list[str] = []
        objects: list[str] = []
        candidates: list[tuple[str, tuple[str, ...]]] = []
        names_self = False
        name = before = ""
        for segment in path.split("/"):
            if not segment:
                continue
            # Below /users/me, /profiles/3 is one of my profiles.
            below_owner = before in OWNER_WORDS and not owners and not names_self
            if not segment.isalpha():
                stem = stem_of(segment)
                before = ""
                if below_owner and ("," in segment or is_owner_id(stem)):
                    owners.append(stem)
                    template.append("{owner}")
                    continue
                if is_token(segment):
                    template.append("{token}")
                    continue
                parts = stem.split(",") if "," in stem else (stem,)
                if all(is_id(part, first=not template) for part in parts):
                    template.append("{object}")
                    ids = split_ids(parts)[0]
                    objects += ids
                    candidates.append(("/" + "/".join(template), ids))
                    continue
            before = word_of(segment)
            if before in SELF_WORDS:
                names_self = True
            elif below_owner and not name and may_be_name(segment):
                name = segment
                if take_name:
                    owners.append(canonical_id(segment))
                    template.append("{owner}")
                    continue
            template.append(segment)
            words.append(before)
        label = "/" + "/".join(template)
        if query:
            lists_owners = not owners and _asks_for_users(words, before)
            label = self._read_query(label, query, owners, candidates, lists_owners=lists_owners)
        ids, excess = split_ids(owners)
        route = Route(
            template=sys.intern(label),
            category=self._category(words),
            last_word=before,
            names_self=names_self,
        )
        named = None
        if name and not take_name and not ids:
            named = self._finished(path, query, self._default(full, path, query, take_name=True))
        return Place(
            path=full,
            route=route,
            ordinary=route.ordinary,
            owners=ids,
            excess=excess,
            object=objects[-1] if objects else ",".join([c[1][0] for c in candidates if c[1]][:3]),
            candidates=() if ids else tuple(candidates),
            name=name,
            named=named,
        )

    def _read_query(
        self,
        route: str,
        query: str,
        owners: list[str],
        candidates: list[tuple[str, tuple[str, ...]]],
        *,
        lists_owners: bool,
    ) -> str:
        """The route with the parameters that hold ids, which are added to the lists."""
        labels: set[str] = set()
        found: dict[str, list[str]] = {}
        for name, value in parse_query(query):
            if lists_owners and name in OWNER_QUERY:
                owners.append(value)
                labels.add(f"{name}={{owner}}")
            elif name in CANDIDATE_QUERY or name.removeprefix("filter_") in CANDIDATE_QUERY:
                found.setdefault(name, []).append(value)
                labels.add(f"{name}={{object}}")
        candidates += [(f"{route}?{name}", split_ids(found[name])[0]) for name in sorted(found)]
        if not labels:
            return route
        # A client that adds names must not make routes without end.
        return route + "?" + "&".join(sorted(labels)[:_LABELS])

    def _finished(self, path: str, query: str, place: Place) -> Place:
        """The place with the source that knows its objects' owners, and the canaries it names."""
        source = ""
        objects: tuple[str, ...] = ()
        if self._sources and not place.owners:
            for route, pattern in self._sources:
                if (values := pattern.match(path, query)) is not None:
                    source = route
                    objects = split_ids(map(stem_of, values.get("object", ())))[0]
                    break
        canaries = self._canaries_of(path, query) if self._canaries else ()
        if not (source or canaries):
            return place
        return msgspec.structs.replace(
            place,
            source=source,
            objects=objects,
            object=",".join(objects[:3]) or place.object,
            canaries=canaries,
        )

    def _canaries_of(self, path: str, query: str) -> tuple[str, ...]:
        """A canary is one wherever it stands: nobody has a reason to write it."""
        texts = [*map(stem_of, path.split("/")), *(value for _, value in parse_query(query))]
        keys = {canonical_id(part).casefold() for text in texts for part in text.split(",")}
        return tuple(sorted(self._canaries[key] for key in keys & self._canaries.keys()))


def _asks_for_users(words: Sequence[str], last: str) -> bool:
    """`/users?id=7` and `/user/view?id=7`."""
    if last in LOOK_WORDS and len(words) > 1:
        last = words[-2]
    return last in OWNER_WORDS
