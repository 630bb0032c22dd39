"""Holds targets and claims against the caller: own, foreign, or of ids that cannot be compared.

In: a caller, and targets with what named them. Out: the verdict, in one spelling of each id. Ids
of different spaces MUST NOT be told apart by their text: only the identities map can join them.
"""

from collections.abc import Mapping

from intake.identity import Caller
from intake.pairings import Pairings
from intake.signals import Judged
from intake.spaces import Spaces, id_space, is_same
from records.kinds import Outcome

_MAX_ROUTES = 1_000
_MAX_ISSUERS = 100
_VOUCHED_FOR = frozenset({"service", "delegate", "act", "grant"})
"""Those who may act for others may say so in a header."""


class Comparison:
    """Compares by id spaces and the identities map; counts what it could not compare."""

    def __init__(self, spaces: Spaces, people: Mapping[str, str]) -> None:
        self._spaces = spaces
        self._users = frozenset(people.values())
        self.pairings = Pairings()
        self.incomparable: dict[str, int] = {}
        """Route -> events whose principal and target are of different id spaces."""
        self.apart: dict[str, int] = {}
        """Issuer -> events of subjects who are not known to be users that paths name."""

    def compare(self, judged: Judged, caller: Caller, route: str, outcome: Outcome) -> None:
        """Which targets are somebody else's, as far as they can be held against the principal."""
        spaces, users, principal = self._spaces, self._users, caller.principal
        own_space = id_space(principal)
        targets: set[str] = set()
        foreign: set[str] = set()
        for target in judged.targets:
            if target == principal:
                targets.add(target)
                continue
            field = route if judged.basis == "route" else "owner"
            if judged.basis == "claimed" or target in judged.claims:
                field = "claimed"
            spelled = target
            if not (target in users and principal in users):
                if caller.behalf and self._is_behalf(caller.behalf, field, target):
                    spelled = caller.behalf
                elif caller.qualified:
                    targets.add(target)
                    continue
                else:
                    spelled = spaces.spelled(principal, field, target)
                    if is_same(spelled, principal, own_space):
                        targets.add(principal)
                        continue
                    if not (
                        spaces.comparable(principal, field, spelled)
                        or (caller.behalf and spaces.comparable(caller.behalf, field, spelled))
                    ):
                        targets.add(target)
                        continue
            targets.add(spelled)
            foreign.add(spelled)
        judged.targets = tuple(sorted(targets))
        if foreign:
            judged.foreign, judged.verdict = tuple(sorted(foreign)), "foreign"
        elif targets == {principal}:
            judged.verdict = "undetermined" if caller.claim_only else "own"
        else:
            judged.verdict = "undetermined"
            self._note(judged, caller, route, outcome)

    def _is_behalf(self, behalf: str, field: str, target: str) -> bool:
        spelled = self._spaces.spelled(behalf, field, target)
        return is_same(spelled, behalf, id_space(behalf))

    def _note(self, judged: Judged, caller: Caller, route: str, outcome: Outcome) -> None:
        if caller.qualified:
            issuer = caller.principal.partition("#")[0]
            if issuer in self.apart or len(self.apart) < _MAX_ISSUERS:
                self.apart[issuer] = self.apart.get(issuer, 0) + 1
        elif route in self.incomparable or len(self.incomparable) < _MAX_ROUTES:
            self.incomparable[route] = self.incomparable.get(route, 0) + 1
        if outcome == "proven" and not caller.claim_only and len(judged.targets) == 1:
            self.pairings.note(caller.principal, judged.targets[0])

    def is_mismatch(self, caller: Caller, allowed: str) -> bool:
        """Whether the claim and a known principal of a comparable id space differ."""
        principal, claimed = caller.principal, caller.claimed
        if not (principal and claimed) or allowed in _VOUCHED_FOR or claimed == caller.behalf:
            return False
        users = self._users
        return (claimed in users and principal in users) or (
            not caller.qualified and self._spaces.comparable(principal, "claimed", claimed)
        )
