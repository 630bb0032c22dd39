"""Queries as a backend reads them, and configured routes as patterns over paths and queries.

In: canonical paths, queries as logged, routes as configured. Out: parameters, ids, and the values
of `{owner}`, `{object}`, `{tenant}`. Odd spellings are read, never excused.
"""

import re
from collections.abc import Iterable

from intake.settings import RouteRule
from intake.spaces import canonical_id
from intake.spelling import decoded, plain_id
from intake.words import SELF_WORDS

MAX_TARGETS = 10_000
"""Ids of one batch request that are judged; the excess is counted."""

_PIECES = re.compile(r"&|;(?=[^=;&]{1,64}=)")
_INDEX = re.compile(r"\[\d*\]$")
_OPERATOR = re.compile(r"(?:\[\$?_?(?:in|eq|any)\]|__in)(?:\[\d*\])?$")
"""`filter[id][in]`, `id__in`: one of these."""
_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_LIST = re.compile(rf"\d{{1,20}}(?:[|; ]\d{{1,20}})++|{_UUID}(?:[|; ]{_UUID})++", re.ASCII)
"""Ids divided by what may also stand in an id: only where all of them are numbers, or UUIDs."""
_PLACEHOLDER = re.compile(rf"\{{(?!{_UUID}\}})[A-Za-z_][\w.-]{{0,63}}\+?\}}", re.ASCII)
"""Where an id was, in the log of a gateway that tells the template of a path (`/users/{id}`)."""
PLAIN_WORD = re.compile(r"[A-Za-z_]{1,32}(?:-[A-Za-z_]{1,32})?|v[0-9]{1,2}", re.ASCII)
_PLAIN_SEGMENT = re.compile(rf"(?:{PLAIN_WORD.pattern}|\*\*?|\{{[^{{}}]*\}})?")


def parse_query(query: str) -> list[tuple[str, str]]:
    """(name, decoded value) of each parameter, in order; each item of a list by itself.

    The name in lower case, `-` as `_`, without `[]` or `[0]`; `filter[user]` is `filter_user`.
    """
    pairs = []
    for part in _PIECES.split(query):
        name, equals, value = part.partition("=")
        if equals and value:
            name = _decoded(name).lower().replace("-", "_")
            name = _OPERATOR.sub("", name)
            if "[" in name:
                name = _INDEX.sub("", name).replace("[", "_").replace("]", "")
            value = _decoded(value).lstrip("\0").partition("\0")[0]
            if _LIST.fullmatch(value):
                pairs += [(name, item) for item in re.split("[|; ]", value)]
            else:
                # A list may be written as JSON has it.
                pairs.append((name, value.strip("[]()") if value[:1] in {"[", "("} else value))
    return pairs


def _decoded(text: str) -> str:
    return decoded(text.replace("+", " ")) if "%" in text else text.replace("+", " ")


def split_ids(values: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """Canonical ids of values that may be comma lists, sorted and unique; and the excess."""
    ids = {
        canonical_id(plain_id(part))
        for value in values
        for part in (value.split(",") if "," in value else (value,))
    }
    ids.discard("")
    if not SELF_WORDS.isdisjoint(ids):
        ids -= SELF_WORDS
    ids = {item for item in ids if item[0] != "{" or not _PLACEHOLDER.fullmatch(item)}
    if len(ids) <= MAX_TARGETS:
        return tuple(sorted(ids)), 0
    return tuple(sorted(ids)[:MAX_TARGETS]), len(ids) - MAX_TARGETS


class Pattern:
    """One configured route, compiled."""

    def __init__(self, rule: RouteRule) -> None:
        self.rule = rule
        path, _, query = rule.match.partition("?")
        self.roles: list[str] = []
        parts: list[str] = []
        for segment in path.strip("/").split("/"):
            if segment == "**":
                parts.append("(?:/.*)?")
                continue
            body = "".join(
                self._piece(piece) for piece in re.split(r"(\{[^{}]*\}|\*)", segment) if piece
            )
            parts.append("/" + body)
        # A decoded line feed is a character like others: it must not lead out of the route.
        self.regex = re.compile("".join(parts) + "/?", re.IGNORECASE | re.DOTALL)
        self.query = [(name, value.strip("{}")) for name, value in parse_query(query)]
        self.template = rule.match

    @property
    def is_plain(self) -> bool:
        """Whether paths of one shape are all on this route, or none is."""
        path = self.rule.match.partition("?")[0]
        return all(map(_PLAIN_SEGMENT.fullmatch, path.strip("/").split("/")))

    def _piece(self, piece: str) -> str:
        if piece == "*":
            return "[^/]*"
        if piece.startswith("{"):
            self.roles.append(piece[1:-1])
            return "([^/]+)"
        return re.escape(piece)

    def match(self, path: str, query: str) -> dict[str, list[str]] | None:
        """Values by role, or None where the route is another."""
        if not (match := self.regex.fullmatch(path)):
            return None
        values: dict[str, list[str]] = {}
        for role, value in zip(self.roles, match.groups(), strict=True):
            if value[0] != "{" or not _PLACEHOLDER.fullmatch(value):
                values.setdefault(role, []).append(value)
        if self.query:
            given = parse_query(query)
            for name, role in self.query:
                found = [value for key, value in given if key == name]
                if not found:
                    return None
                values.setdefault(role, []).extend(found)
        return values


def compile_route(match: str) -> Pattern:
    """A configured route (`/api/v1/accounts/**`), with or without its first slash."""
    return Pattern(RouteRule(match=match if match.startswith("/") else f"/{match}"))
