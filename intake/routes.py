"""Whose data a request target names: template, owners, object, category.

In: request targets as logged. Out: a `Place`, cached by target. Configured routes first, first
match wins; then the default words of JUDGEMENT. It names ids; it does not decide whose they are.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote, unquote_plus

import msgspec

from intake.outcome import INCOMING_WORDS
from intake.settings import RouteRule
from intake.spaces import canonical_id
from records.kinds import Effect

MAX_TARGETS = 10_000
"""Ids of one batch request that are judged; the excess is counted."""

OWNER_WORDS = frozenset("users user members member profiles profile".split())
"""`/users/{owner}`: the ids below these words are users'."""

SELF_WORDS = frozenset("me self current my mine".split())
"""These name no owner: whoever asks."""

_OWNER_QUERY = frozenset("id ids user_id user_ids userid userids uid uids".split())
"""Below an owner word (`/users?ids=1,2`) these list owners."""

_CANDIDATE_QUERY = frozenset(
    "user user_id user_ids userid userids uid uids owner owner_id ownerid member member_id "
    "memberid customer customer_id customerid account account_id accountid profile_id profileid "
    "client_id subject_id person_id patient_id employee_id tenant_user".split()
)
"""Elsewhere they hold ids of unknown owner, until learned or configured."""

_CATEGORIES = {
    "financial": "wallet wallets balance balances transaction transactions payment payments card "
    "cards iban invoice invoices transfer transfers payout payouts billing loan loans statement "
    "statements deposit deposits withdrawal withdrawals salary payroll",
    "credential": "password passwords credential credentials mfa otp 2fa pin secret secrets "
    "api-keys apikeys recovery security-questions",
    "health": "health medical patient patients prescription prescriptions diagnosis diagnoses",
    "identity": "passport passports kyc identity ssn documents document",
    "contact": "profile profiles address addresses email emails phone phones contact contacts",
    "orders": "order orders purchase purchases cart carts shipment shipments",
    "messages": "message messages inbox chat chats notifications mail mails",
    "location": "location locations trips trip rides ride",
}
_CATEGORY_WORDS = {word: name for name, words in _CATEGORIES.items() for word in words.split()}
_CATEGORY_RANK = {name: rank for rank, name in enumerate(_CATEGORIES)}

_VERSION = re.compile(r"v\d+(?:\.\d+)*", re.IGNORECASE)
_ID_LIKE = re.compile(
    r"\+?\d+"
    r"|(?:urn:uuid:)?\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?"
    r"|[A-Za-z]{1,16}[-_:|]?[0-9A-Za-z]*\d[0-9A-Za-z]*"
    r"|[^@\s/]+@[^@\s/]+\.[A-Za-z]{2,}"
    r"|[0-9A-HJKMNP-TV-Z]{26}"
    r"|(?=[\w~-]*\d)[\w~-]{8,}",
    re.IGNORECASE,
)
_CACHE_ENTRIES = 200_000


class Place(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a request target names."""

    path: str
    """Canonical path and query."""
    route: str
    owners: tuple[str, ...] = ()
    """Ids that the route says are users' ids; canonical."""
    excess: int = 0
    """Owners beyond MAX_TARGETS, not judged."""
    object: str = ""
    candidates: tuple[str, ...] = ()
    """Ids that may turn out to be users' ids (promotion)."""
    field: str = ""
    """Name of the id field for id spaces: the route with the parameter's place."""
    tenant: str = ""
    category: str = "unclassified"
    public: bool = False
    effect: Effect | None = None
    last_word: str = ""
    names_self: bool = False
    error_bytes: int | None = None
    roles: tuple[str, ...] = ()
    """Columns of the ownership source that own the object ([buyer_id, seller_id])."""
    incoming: bool = False
    """A POST here gives something to the owner: not a foreign write."""
    configured: bool = False


def canonical_path(path: str) -> str:
    """The path as a backend sees it: decoded once, no `;params`, `//`, `.` or `..`."""
    if "%" in path:
        path = unquote(path, errors="backslashreplace")
    if ";" in path:
        path = re.sub(r";[^/]*", "", path)
    if "//" in path or "/." in path:
        kept: list[str] = []
        for part in path.split("/"):
            if part == "..":
                if kept:
                    kept.pop()
            elif part not in {"", "."}:
                kept.append(part)
        path = "/" + "/".join(kept) + ("/" if path.endswith("/") and kept else "")
    return path


def parse_query(query: str) -> list[tuple[str, str]]:
    """(name in lower case without `[]`, decoded value) of each parameter, in order."""
    pairs = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if equals and value:
            name = unquote_plus(name).lower().removesuffix("[]")
            pairs.append((name, unquote_plus(value, errors="backslashreplace")))
    return pairs


def split_ids(values: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Canonical ids of values that may be comma lists, sorted and unique; and the excess."""
    ids = {canonical_id(part) for value in values for part in value.split(",") if part.strip()}
    ids -= SELF_WORDS
    ids.discard("")
    if len(ids) <= MAX_TARGETS:
        return tuple(sorted(ids)), 0
    return tuple(sorted(ids)[:MAX_TARGETS]), len(ids) - MAX_TARGETS


class _Pattern:
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
        self.regex = re.compile("".join(parts) + "/?", re.IGNORECASE)
        self.query = [(name.lower(), value.strip("{}")) for name, value in parse_query(query)]
        self.template = rule.match

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
            values.setdefault(role, []).append(value)
        if self.query:
            given = parse_query(query)
            for name, role in self.query:
                found = [value for key, value in given if key == name]
                if not found:
                    return None
                values.setdefault(role, []).extend(found)
        return values


def compile_route(match: str) -> re.Pattern[str]:
    """The path pattern of a configured route (`/api/v1/accounts/**`), for `fullmatch`."""
    return _Pattern(RouteRule(match=match if match.startswith("/") else f"/{match}")).regex


class Routes:
    """Request target -> Place, by configuration first and default words after."""

    def __init__(self, rules: Sequence[RouteRule], sensitive: Sequence[str]) -> None:
        self._patterns = [_Pattern(rule) for rule in rules]
        self._words = dict.fromkeys((word.lower() for word in sensitive), "sensitive")
        self._words.update(_CATEGORY_WORDS)
        self._cache: dict[str, Place] = {}
        self.names_are_ids = False
        """Principals are plain names, so `/users/alice` names somebody."""

    def use_names(self) -> None:
        """From now on a plain word below an owner word is an id."""
        if not self.names_are_ids:
            self.names_are_ids = True
            self._cache.clear()

    def place(self, target: str) -> Place:
        """What this request target names."""
        place = self._cache.get(target)
        if place is None:
            if len(self._cache) >= _CACHE_ENTRIES:
                self._cache.clear()
            place = self._cache[target] = self._locate(target)
        return place

    def _locate(self, target: str) -> Place:
        if not target.startswith("/") and "://" in target:
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("#")[0].partition("?")
        path = canonical_path(path)
        full = f"{path}?{query}" if query else path
        for pattern in self._patterns:
            if (values := pattern.match(path, query)) is not None:
                return self._configured(pattern, values, full, path)
        return self._default(full, path, query)

    def _configured(
        self, pattern: _Pattern, values: dict[str, list[str]], full: str, path: str
    ) -> Place:
        rule = pattern.rule
        owners_given = values.get("owner", [])
        owners, excess = split_ids(owners_given)
        words = [part.lower() for part in path.split("/") if part]
        return Place(
            path=full,
            route=pattern.template,
            owners=owners,
            excess=excess,
            object=",".join(canonical_id(v) for v in values.get("object", ())),
            field=pattern.template,
            tenant=",".join(values.get("tenant", ())),
            category=rule.category or self._category(words),
            public=rule.public,
            effect=rule.effect,
            last_word=words[-1] if words else "",
            names_self=any(v.lower() in SELF_WORDS for v in owners_given),
            error_bytes=rule.error_bytes,
            roles=tuple(rule.owner),
            incoming=bool(words) and words[-1] in INCOMING_WORDS,
            configured=True,
        )

    def _category(self, words: Sequence[str]) -> str:
        """The most sensitive category that a word of the path names."""
        found = [name for word in words if (name := self._words.get(word))]
        if not found:
            return "unclassified"
        return min(found, key=lambda name: _CATEGORY_RANK.get(name, -1))

    def _default(self, full: str, path: str, query: str) -> Place:
        template: list[str] = []
        words: list[str] = []
        owners: list[str] = []
        objects: list[str] = []
        names_self = False
        before = ""
        for segment in path.split("/"):
            if not segment:
                continue
            below_owner = before in OWNER_WORDS
            before = segment.lower()
            if before in SELF_WORDS:
                names_self = True
            elif below_owner and "," in segment:
                owners.append(segment)
                template.append("{owner}")
                continue
            elif (
                self._is_name(segment, before)
                if segment.isalpha()
                else _ID_LIKE.fullmatch(segment.strip()) and not _VERSION.fullmatch(segment)
            ):
                if below_owner and not owners:
                    owners.append(segment)
                    template.append("{owner}")
                    continue
                if not segment.isalpha():
                    objects.append(segment)
                    template.append("{object}")
                    continue
            template.append(segment)
            words.append(before)
        route = "/" + "/".join(template)
        candidates = objects[:1] if not owners else []
        if query:
            named: list[str] = []
            below_owner = bool(words) and words[-1] in OWNER_WORDS and not owners
            for name, value in parse_query(query):
                if below_owner and name in _OWNER_QUERY:
                    owners.append(value)
                    label = f"{name}={{owner}}"
                elif name in _CANDIDATE_QUERY:
                    candidates.append(value)
                    label = f"{name}={{object}}"
                else:
                    continue
                if label not in named:
                    named.append(label)
            if named:
                route += "?" + "&".join(named)
        ids, excess = split_ids(owners)
        last_word = words[-1] if words else ""
        found = split_ids(candidates)[0]
        return Place(
            path=full,
            route=route,
            owners=ids,
            excess=excess,
            object=canonical_id(objects[-1]) if objects else ",".join(found[:3]),
            candidates=found,
            field=route,
            category=self._category(words),
            last_word=last_word,
            names_self=names_self,
            incoming=last_word in INCOMING_WORDS,
        )

    def _is_name(self, segment: str, lowered: str) -> bool:
        """Whether a plain word may be somebody's user name."""
        return self.names_are_ids and lowered not in _NOT_NAMES and len(segment) > 1


_NOT_NAMES = frozenset(
    "search login logout register signup signin list new count export import batch bulk settings "
    "verify password reset avatar preferences all active admin roles groups invite invites status "
    "health stats export create update delete edit profile profiles orders".split()
)
