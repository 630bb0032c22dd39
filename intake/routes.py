"""Whose data a request target names: template, owners, objects, category.

In: request targets as logged. Out: a `Place`, cached by target. Configured routes first, first
match wins; then the default words of JUDGEMENT. It names ids; it does not decide whose they are.
"""

import sys
from collections.abc import Collection, Sequence

import msgspec

from intake.patterns import Pattern, compile_route, parse_query, split_ids
from intake.places import Place, Route
from intake.redact import mask_target
from intake.settings import RouteRule
from intake.shapes import Shapes
from intake.slugs import Slugs, is_slug
from intake.spaces import canonical_id
from intake.spelling import canonical_path, matrix_query
from intake.words import (
    CANDIDATE_QUERY,
    CATEGORY_RANK,
    CATEGORY_WORDS,
    LOOK_WORDS,
    OWNER_QUERY,
    OWNER_WORDS,
    SELF_WORDS,
    is_id,
    is_owner_id,
    is_token,
    may_be_name,
    stem_of,
    word_of,
)  # fmt: skip

_CACHE_ENTRIES = 10_000
_CACHED_LENGTH = 512
_LABELS = 4


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
        self._shapes = (
            Shapes(self._locate, reads_query=any(pattern.query for pattern in asks))
            if not canaries and all(pattern.is_plain for pattern in asks)
            else None
        )
        self._words = dict.fromkeys((word.lower() for word in sensitive), "sensitive")
        self._words.update(CATEGORY_WORDS)
        self._canaries = {canary.casefold(): canary for canary in canaries}
        self.slugs = Slugs()
        self._cache: dict[str, Place] = {}
        self._older: dict[str, Place] = {}

    def note_name(self, slug: tuple[str, str], client: str) -> None:
        """Count a client's success at a place whose `slug` this is."""
        if self.slugs.note(*slug, client):
            # What was read before it was known is read anew.
            self._cache, self._older = {}, {}
            if self._shapes is not None:
                self._shapes.forget()

    def place(self, target: str) -> Place:
        """What this request target names."""
        place = self._cache.get(target)
        if place is not None:
            return place
        if self._shapes is not None and (place := self._shapes.place(target)) is not None:
            # Quicker found again than kept.
            return place
        place = self._older.get(target) or self._locate(target)
        if len(target) <= _CACHED_LENGTH:
            if len(self._cache) >= _CACHE_ENTRIES:
                self._older, self._cache = self._cache, {}
            self._cache[target] = place
        return place

    def _locate(self, target: str) -> Place:
        if not target.startswith("/") and "://" in target:
            target = "/" + target.partition("://")[2].partition("/")[2]
        raw, _, query = target.partition("#")[0].partition("?")
        path = canonical_path(raw)
        full = mask_target(f"{path}?{query}" if query else path)
        if matrix := matrix_query(raw):
            query = f"{query}&{matrix}" if query else matrix
        for pattern in self._patterns:
            if (values := pattern.match(path, query)) is not None:
                return self._finished(path, query, self._configured(pattern, values, full, path))
        return self._finished(path, query, self._default(full, path, query))

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
        slug = None
        excess = 0
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
                parts = stem.split(",") if "," in stem else (stem,)
                if is_token(segment) and len(parts) == 1:
                    template.append("{token}")
                    continue
                if all(is_id(part, first=not template) for part in parts):
                    template.append("{object}")
                    ids, more = split_ids(parts)
                    excess += more
                    objects += ids
                    candidates.append(("/" + "/".join(template), ids))
                    continue
                if is_token(segment):
                    template.append("{token}")
                    continue
                if not below_owner and is_slug(segment):
                    prefix = "/" + "/".join(template)
                    if self.slugs.is_known(prefix, segment):
                        template.append("{slug}")
                        continue
                    slug = slug or (prefix, segment)
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
            label, more = self._read_query(
                label, query, owners, candidates, lists_owners=lists_owners
            )
            excess += more
        ids, more = split_ids(owners)
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
            excess=more if ids else excess,
            object=objects[-1] if objects else ",".join([c[1][0] for c in candidates if c[1]][:3]),
            candidates=() if ids else tuple(candidates),
            name=name,
            named=named,
            slug=slug,
        )

    def _read_query(
        self,
        route: str,
        query: str,
        owners: list[str],
        candidates: list[tuple[str, tuple[str, ...]]],
        *,
        lists_owners: bool,
    ) -> tuple[str, int]:
        """The route with the parameters that hold ids, which are added to the lists; the excess."""
        labels: set[str] = set()
        found: dict[str, list[str]] = {}
        excess = 0
        for name, value in parse_query(query):
            plain = name.removeprefix("filter_")
            if lists_owners and plain in OWNER_QUERY:
                owners.append(value)
                labels.add(f"{name}={{owner}}")
            elif name in CANDIDATE_QUERY or plain in CANDIDATE_QUERY:
                found.setdefault(name, []).append(value)
                labels.add(f"{name}={{object}}")
        for name in sorted(found):
            ids, more = split_ids(found[name])
            excess += more
            candidates.append((f"{route}?{name}", ids))
        if not labels:
            return route, 0
        # A client that adds names must not make routes without end.
        return route + "?" + "&".join(sorted(labels)[:_LABELS]), excess

    def _finished(self, path: str, query: str, place: Place) -> Place:
        """The place with the source that knows its objects' owners, and the canaries it names."""
        source, excess = "", place.excess
        objects: tuple[str, ...] = ()
        if self._sources and not place.owners:
            for route, pattern in self._sources:
                if (values := pattern.match(path, query)) is not None:
                    source = route
                    objects, excess = split_ids(map(stem_of, values.get("object", ())))
                    break
        canaries = self._canaries_of(path, query) if self._canaries else ()
        if not (source or canaries):
            return place
        return msgspec.structs.replace(
            place,
            source=source,
            objects=objects,
            object=",".join(objects[:3]) or place.object,
            excess=excess,
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
