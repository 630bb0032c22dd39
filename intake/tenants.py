"""People of several tenants: where the configuration names tenants, a person is `TENANT/USER`.

In: a line's caller and verdict in plain ids, whose tenant it was and whose was asked for. Out: the
same, qualified. Ids are compared plain, within one tenant; equal ids of two tenants are two people.
Without a configured tenant nothing is changed, whatever a log may say.
"""

from collections.abc import Mapping

import msgspec

from intake.identity import Caller
from intake.settings import IntakeSettings
from intake.signals import Judged
from intake.spaces import canonical_id, id_space

_MAX_TENANTS = 1_000


class Tenants:
    """Qualifies people by tenant. `people`: the identities map."""

    def __init__(self, settings: IntakeSettings, people: Mapping[str, str]) -> None:
        in_routes = any("{tenant}" in rule.match for rule in settings.routes)
        self.named = in_routes or settings.fields.tenant is not None
        """Whether the configuration names tenants: by a route or a field."""
        self.rows = {name: user for name, user in people.items() if "/" in name}
        """Rows of one tenant: `TENANT/ID` -> canonical user, who is one in all tenants."""
        self._everywhere = frozenset(self.rows.values())
        self.seen: dict[str, int] = {}
        """Tenant -> events, where the log says it and the configuration does not."""

    def asked(self, logged: str | None, place: str) -> str:
        """The tenant asked for; "" where the configuration names none."""
        return tenants_of(logged, place)[1] if self.named else ""

    def resolve(self, caller: Caller, logged: str | None, place: str) -> tuple[Caller, bool]:
        """(the caller by the rows of their tenant, whether they ask for another tenant's data).

        `logged` is the tenant of the caller as the log has it, `place` that of the path.
        """
        own, asked = tenants_of(logged, place)
        crossed = bool(own and asked) and is_other_tenant(own, asked)
        if self.rows and own and (user := self.rows.get(f"{own}/{caller.principal}")):
            caller = msgspec.structs.replace(caller, principal=user)
        if crossed and caller.behalf:
            caller = msgspec.structs.replace(caller, behalf="")
        return caller, crossed

    def mapped(self, users: tuple[str, ...], logged: str | None, place: str) -> tuple[str, ...]:
        """Users of the tenant that was asked for, as the people that its rows say they are."""
        asked = tenants_of(logged, place)[1]
        return tuple(sorted({self.rows.get(f"{asked}/{user}", user) for user in users}))

    def names(
        self, caller: Caller, users: tuple[str, ...], logged: str | None, place: str
    ) -> tuple[str, dict[str, str]]:
        """(the caller's qualified name, qualified name -> user)."""
        own, asked = tenants_of(logged, place)
        return self._person(own, caller.principal), {self._person(asked, u): u for u in users}

    def qualify(self, caller: Caller, judged: Judged, logged: str | None, place: str) -> Caller:
        """The caller in their own tenant; `judged` becomes that of the tenant asked for.

        A caller whose tenant nobody logged keeps a plain id: the path says where they went, not
        where they come from.
        """
        if not self.named:
            tenant = logged or place
            if tenant in self.seen or len(self.seen) < _MAX_TENANTS:
                self.seen[tenant] = self.seen.get(tenant, 0) + 1
            return caller
        own, asked = tenants_of(logged, place)
        person = self._person
        judged.targets = tuple(sorted([person(asked, user) for user in judged.targets]))
        judged.foreign = tuple(sorted([person(asked, user) for user in judged.foreign]))
        judged.claims = tuple([person(asked, user) for user in judged.claims])
        if asked and judged.unknown:
            # Object 7 of one tenant is not that of another, and neither are their owners.
            judged.source += f"#{asked}"
        caller, _ = self.resolve(caller, logged, place)
        return msgspec.structs.replace(
            caller,
            principal=caller.principal if caller.qualified else person(own, caller.principal),
            claimed=person(own if caller.claim_only else asked, caller.claimed),
        )

    def _person(self, tenant: str, user: str) -> str:
        if not (tenant and user) or user in self._everywhere:
            return user
        return f"{tenant}/{user}"


def is_other_tenant(own: str, asked: str) -> bool:
    """Whether two names are of two tenants; a number and a word may be the same one's."""
    return own.casefold() != asked.casefold() and id_space(own) == id_space(asked)


def tenants_of(logged: str | None, asked: str) -> tuple[str, str]:
    """(the caller's tenant, the tenant asked for) in one spelling; "" for what nobody says."""
    own, place = canonical_id(logged or ""), canonical_id(asked)
    if not place or own.casefold() == place.casefold():
        place = own or place
    return own, place
