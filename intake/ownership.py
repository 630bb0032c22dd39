"""Whose object is it, who is whose, and who may: what people tell us in files.

In: parsed rows of the files that the configuration names. Out: look-ups. Reading the files is the
shell's work; "a configured source that cannot answer" gives PENDING, never a fall to the next.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from ipaddress import ip_network

import msgspec

from intake.addresses import parse_address
from intake.learned import Learned
from intake.patterns import compile_route
from intake.places import Place
from intake.settings import IntakeSettings, Ownership
from intake.signals import Judged
from intake.spaces import canonical_id
from intake.tokens import Verifier

PENDING: tuple[str, ...] = ("?",)
"""The source that is configured for this object does not know; nothing else is asked."""


class Grant(msgspec.Struct, frozen=True):
    """Who may see whose data, on which routes, from when until when (ms; None is open)."""

    principal: str
    owner: str
    routes: str
    from_ms: int | None
    until_ms: int | None


class Tenure(msgspec.Struct, frozen=True):
    """From when until when (ms; None is open) somebody owned an object."""

    owner: str
    from_ms: int | None
    until_ms: int | None


Owners = tuple[str | Tenure, ...]
"""Who always owned an object, and who did for a time."""


class Tables(msgspec.Struct, frozen=True):
    """The rows of all files that the configuration names."""

    people: Mapping[str, str] = {}
    """Any id of a person -> canonical user."""
    owners: Mapping[str, Mapping[str, "Owners"]] = {}
    """Ownership route -> object -> its owners."""
    grants: Sequence[Grant] = ()
    verifier: Verifier | None = None
    """Checks the signatures of tokens, where keys are configured."""


def people_of(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """id,user rows as canonical id -> canonical user."""
    return {canonical_id(row["id"]): canonical_id(row["user"]) for row in rows}


def owners_of(
    rows: Iterable[Mapping[str, str]], source: Ownership, roles: Sequence[str]
) -> dict[str, Owners]:
    """Object -> owners. `roles` are the columns that own it, else the source's owner column.

    Columns `from` and `to` (or `until`), where they are not themselves who owns or is owned, say
    from when until when, the end excluded.

    Raises:
        ValueError: a bound that is no ISO 8601 time.
    """
    columns = list(roles) or [source.owner]
    since, *ends = (
        "" if name in {source.object, *columns} else name for name in ("from", "to", "until")
    )
    found: dict[str, set[str | Tenure]] = {}
    for row in rows:
        owners = found.setdefault(canonical_id(row[source.object]), set())
        from_ms = _time_ms(row.get(since))
        until_ms = _time_ms(next(filter(None, map(row.get, ends)), None))
        for name in columns:
            if row.get(name, "").strip():
                owner = canonical_id(row[name])
                timeless = from_ms is None and until_ms is None
                owners.add(owner if timeless else Tenure(owner, from_ms, until_ms))
    return {key: tuple(sorted(owners, key=_order)) for key, owners in found.items()}


def _order(owner: str | Tenure) -> tuple[str, int, int]:
    if isinstance(owner, str):
        return owner, 0, 0
    return owner.owner, owner.from_ms or 0, owner.until_ms or 0


def grants_of(rows: Iterable[Mapping[str, str]]) -> list[Grant]:
    """principal,owner,routes,from,until rows.

    Raises:
        ValueError: a bound that is no ISO 8601 time.
    """
    return [
        Grant(
            canonical_id(row["principal"]),
            canonical_id(row["owner"]) if row["owner"].strip() != "*" else "*",
            (row.get("routes") or "").strip() or "/**",
            _time_ms(row.get("from")),
            _time_ms(row.get("until")),
        )
        for row in rows
    ]


def _time_ms(text: str | None) -> int | None:
    if not text or not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text.strip()!r} is no time: write 2026-11-22T09:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


class Ownerships:
    """Owners of objects, by the configured sources; `learned` are those of who creates."""

    def __init__(self, settings: IntakeSettings, tables: Tables) -> None:
        self._people = tables.people
        self._tables = {s.route: tables.owners.get(s.route, {}) for s in settings.ownership}
        self._asked = {s.route for s in settings.ownership if s.http is not None}
        learns = [s.route for s in settings.ownership if s.learn]
        self.learned = Learned(learns) if learns else None

    def owners(
        self, source: str, object_id: str, time_ms: int, tenant: str = ""
    ) -> tuple[str, ...]:
        """Owners of an object of a source's route at a time; PENDING where it cannot say."""
        if self.learned is not None and self.learned.learns(source):
            owner = self.learned.owner(source, object_id, tenant)
            return (owner,) if owner else PENDING
        found = self._tables[source].get(object_id)
        if not found:
            return PENDING
        people = self._people
        at_the_time = {
            people.get(name, name)
            for one in found
            if (name := one if isinstance(one, str) else _holder(one, time_ms))
        }
        return tuple(sorted(at_the_time)) or PENDING

    def judged(self, place: Place, principal: str, time_ms: int, tenant: str = "") -> Judged:
        """Whose the objects of a place are: those that are not one's own, and what nobody names."""
        known: set[str] = set()
        foreign: set[str] = set()
        unknown: list[str] = []
        source = place.source
        for item in place.objects:
            owners = self.owners(source, item, time_ms, tenant)
            if owners is PENDING:
                unknown.append(item)
            elif principal in owners:
                known.update(owners)
            else:
                foreign.update(owners)
        judged = Judged((), (), "", "undetermined")
        if foreign or (known and not unknown):
            judged = Judged(tuple(sorted(foreign or known)), (), "ownership", "own")
            judged.learned = self.learned is not None and self.learned.learns(source)
        if unknown:
            judged.unknown, judged.source = tuple(unknown), source
            judged.asks = source in self._asked
        return judged


def _holder(tenure: Tenure, time_ms: int) -> str:
    """Who held it, if that was the time; else ""."""
    begun = tenure.from_ms is None or time_ms >= tenure.from_ms
    return tenure.owner if begun and (tenure.until_ms is None or time_ms < tenure.until_ms) else ""


class Permissions:
    """Why a foreign access of a vouched principal is allowed (JUDGEMENT: allowed foreign)."""

    def __init__(self, settings: IntakeSettings, tables: Tables) -> None:
        people = tables.people
        self._delegates = list(settings.delegates)
        self._services = {
            people.get(canonical_id(account.id), canonical_id(account.id)): (
                [ip_network(network) for network in account.from_],
                [compile_route(route).regex for route in account.routes],
            )
            for account in settings.service_accounts
        }
        self._grants: dict[str, list[Grant]] = {}
        self._patterns = {g.routes: compile_route(g.routes).regex for g in tables.grants}
        for grant in tables.grants:
            principal = people.get(grant.principal, grant.principal)
            self._grants.setdefault(principal, []).append(grant)
        self._people = people
        self._delegate_cache: dict[str, bool] = {}

    def is_delegate(self, principal: str) -> bool:
        """Whether a delegate pattern (support-*) names this principal."""
        known = self._delegate_cache.get(principal)
        if known is None:
            known = any(fnmatchcase(principal, pattern) for pattern in self._delegates)
            if len(self._delegate_cache) < 100_000:
                self._delegate_cache[principal] = known
        return known

    def service(self, principal: str, ip: str, path: str) -> bool | None:
        """True inside the account's bounds, False outside of them, None for no service account."""
        if (bounds := self._services.get(principal)) is None:
            return None
        networks, routes = bounds
        address = parse_address(ip)
        # Where only the service logged it, nobody knows from where it came.
        near = not (networks and ip) or (
            address is not None
            and any(address.version == n.version and address in n for n in networks)
        )
        plain = path.partition("?")[0]
        return near and (not routes or any(route.fullmatch(plain) for route in routes))

    def ungranted(
        self, principal: str, targets: tuple[str, ...], path: str, time_ms: int
    ) -> tuple[str, ...]:
        """The targets that no grant covers at this time on this path."""
        if not (grants := self._grants.get(principal)):
            return targets
        plain = path.partition("?")[0]
        covered = {
            grant.owner if grant.owner == "*" else self._people.get(grant.owner, grant.owner)
            for grant in grants
            if (grant.from_ms is None or time_ms >= grant.from_ms)
            and (grant.until_ms is None or time_ms < grant.until_ms)
            and self._patterns[grant.routes].fullmatch(plain)
        }
        if "*" in covered:
            return ()
        return tuple(target for target in targets if target not in covered)
