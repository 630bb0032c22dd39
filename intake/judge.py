"""Judges one parsed line: who asked, whose data, own or foreign, and what the answer means.

In: a `Parsed` line of a source. Out: its AccessEvent, and the Signal and Exposures it makes if it
is notable. All the words are JUDGEMENT's; severity and reaction are decided elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence

from intake.addresses import ClientAddresses, named_headers
from intake.identity import Caller, Credentials, Identity
from intake.line import Parsed, Unreadable
from intake.outcome import effect_of, outcome_of
from intake.ownership import PENDING, Ownerships, Permissions, Tables
from intake.places import Place
from intake.promotion import Promotion
from intake.routes import Routes
from intake.settings import IntakeSettings
from intake.signals import Judged, Signals, exposures, is_notable
from intake.sites import is_cross_site
from intake.spaces import Spaces, canonical_id, id_space, is_distinctive, is_same
from records.event import AccessEvent, Exposure, Signal
from records.kinds import TRUSTED, Effect, Outcome, Verdict

_NOTHING: list[Exposure] = []
_NOBODY = Judged((), (), "", "no_target")
_MAX_ROUTES = 1_000


class Judge:
    """Holds what a deployment knows about identities, routes and owners; learns id spaces."""

    def __init__(
        self,
        settings: IntakeSettings,
        canaries: Sequence[str],
        tables: Tables,
        credential_digest: Callable[[str], str],
    ) -> None:
        self.spaces = Spaces()
        self.promotion = Promotion()
        self.addresses = ClientAddresses(settings.trusted_proxies, named_headers(settings.fields))
        self.identity = Identity(settings, credential_digest, tables.people, self.spaces)
        listed = frozenset(canonical_id(value) for value in canaries)
        sources = [source.route for source in settings.ownership]
        self.routes = Routes(settings.routes, settings.sensitive, sources, listed)
        self._owners = Ownerships(settings, tables)
        self._permissions = Permissions(settings, tables)
        self._canaries = listed
        self._people = tables.people
        self._users = frozenset(tables.people.values())
        self._signals = Signals()
        self.incomparable: dict[str, int] = {}
        """Route -> events whose principal and target are of different id spaces."""

    def judge(
        self, line: Parsed, source: str, offset: int, credentials: Credentials, *, late: bool
    ) -> tuple[AccessEvent, Signal | None, list[Exposure]]:
        """The event of a line; its signal and exposures if it is notable.

        Raises:
            Unreadable: the line names no address at all.
        """
        ip, ip_trusted = self.addresses.client(
            line.peer, line.forwarded, line.forwarded_elements, line.client
        )
        if not ip:
            raise Unreadable("no_address")
        caller = self.identity.caller(line, credentials)
        place = self.routes.place(line.target)
        if place.named is not None and self._is_somebody(place.name):
            place = place.named
        route = place.route
        method, status, size = line.method, line.status, line.bytes
        effect: Effect
        outcome: Outcome
        if (
            method == "GET"
            and status == 200
            and place.ordinary
            and size
            and not line.override_method
        ):
            effect, outcome = "read", "proven"
        else:
            method = method.upper()
            effect = effect_of(method, route.last_word, route.effect, line.override_method)
            outcome = outcome_of(
                method,
                effect,
                status,
                size,
                known_error=route.error_bytes is not None and route.error_bytes == size,
                graphql=route.graphql,
            )
        if outcome == "ignored":
            # A preflight addresses nobody's data, whatever its path names.
            judged = _NOBODY
        else:
            judged = self._verdict(line, caller, place, ip, outcome, late=late)
        if place.slug is not None and outcome == "proven" and not late:
            self.routes.note_name(place.slug, caller.principal or ip)
        session = caller.session
        if session and caller.provenance not in TRUSTED and judged.targets:
            user = caller.claimed or judged.targets[0]
            if self.identity.is_shared(session, ip, user):
                session = ""
        event = AccessEvent(
            f"{source}-{offset:x}",
            source,
            offset,
            line.time_ms,
            ip,
            ip_trusted,
            method,
            place.path,
            route.template,
            status,
            size,
            line.host or "",
            line.user_agent or "",
            line.request_id or "",
            caller.principal,
            caller.provenance,
            caller.authentication,
            caller.claimed,
            session,
            line.tenant or place.tenant,
            judged.targets,
            place.object,
            route.category,
            effect,
            outcome,
            judged.basis,
            judged.verdict,
            judged.allowed,
            bool(line.fetch_site or line.origin) and is_cross_site(line),
            late,
        )
        verdict, claimed = judged.verdict, caller.claimed
        if (
            (verdict in _ORDINARY or judged.allowed)
            and (not claimed or claimed == caller.principal)
            and not self._canaries
        ) or outcome == "ignored":
            return event, None, _NOTHING
        mismatch = claimed != caller.principal and self._is_mismatch(caller, judged)
        canaries = self._asked_canaries(place, judged, claimed) if self._canaries else ()
        if not (mismatch or canaries or is_notable(event)):
            return event, None, _NOTHING
        signal = self._signals.signal(
            event,
            judged,
            mismatch=mismatch,
            canaries=canaries,
            credentials=credentials.provenance or ("asserted" if caller.principal else ""),
        )
        return event, signal, exposures(signal, judged)

    def _is_somebody(self, word: str) -> bool:
        return self.spaces.people_have_names or self.spaces.is_name(canonical_id(word))

    def _verdict(
        self, line: Parsed, caller: Caller, place: Place, ip: str, outcome: Outcome, *, late: bool
    ) -> Judged:
        route = place.route
        principal, owners = caller.principal, place.owners
        if not (caller.claimed or line.owners):
            # What nearly every line is: one's own data on a route that is known well, or nobody's.
            if owners:
                plain = not (place.tenant or self._people)
                if owners == (principal,) and plain and self.spaces.is_settled(route.template):
                    return Judged(owners, (), "route", "own")
            elif not (place.object or place.candidates or place.source):
                return _NOBODY
        judged = self._targets(line, caller, place, outcome, late=late)
        targets = judged.targets
        if not targets:
            return judged
        if place.tenant and line.tenant and _is_other_tenant(line.tenant, place.tenant):
            # User 17 of one tenant is not user 17 of another.
            judged.targets = tuple(f"{place.tenant}/{target}" for target in targets)
            judged.foreign = judged.targets
            unlogged = caller.authentication == "unlogged" or caller.claim_only
            judged.verdict = "undetermined" if unlogged else "foreign"
        elif not principal:
            anonymous = caller.authentication == "anonymous"
            judged.foreign = targets if anonymous else ()
            judged.verdict = "foreign" if anonymous else "undetermined"
        elif targets == (principal,):
            # A claim that is compared with itself says nothing; fan-out rules judge it.
            judged.verdict = "undetermined" if caller.claim_only else "own"
        elif not (judged.basis == "ownership" and principal in targets):
            self._compare(judged, caller, place)
        # Who may act for others may also do so where ids cannot be compared.
        if judged.verdict == "foreign" or (judged.verdict == "undetermined" and principal):
            self._allow(judged, line, caller, place, ip)
        return judged

    def _targets(
        self, line: Parsed, caller: Caller, place: Place, outcome: Outcome, *, late: bool
    ) -> Judged:
        """Whose data, as far as anything says; own until compared, undetermined if nothing does."""
        claimed = caller.claimed
        if line.owners:
            canonical = self.identity.canonical
            owners = {canonical("owner", part) for part in line.owners} - {""}
            if owners:
                return Judged(tuple(sorted(owners)), (), "owner_logged", "own")
        if place.owners:
            targets = self._mapped(place.owners, place.route.template)
            if claimed and claimed not in targets:
                both = tuple(sorted((*targets, claimed)))
                return Judged(both, (), "route", "own", claim_added=True)
            return Judged(targets, (), "route", "own")
        if place.source:
            return self._owned(place, caller.principal)
        if place.candidates:
            found, learned = self._promoted(line, caller, place, outcome, late=late)
            if found:
                return Judged(found, (), "route", "own", learned=learned)
        if claimed:
            return Judged((claimed,), (), "claimed", "own")
        unknown = bool(place.object) and not place.route.names_self
        return Judged((), (), "", "undetermined" if unknown else "no_target")

    def _owned(self, place: Place, principal: str) -> Judged:
        """Owners of the objects, as their source says: those of objects that are not one's own."""
        known: set[str] = set()
        foreign: set[str] = set()
        pending = False
        for item in place.objects:
            owners = self._owners.owners(place.source, item)
            if owners is PENDING:
                pending = True
            elif principal in owners:
                known.update(owners)
            else:
                foreign.update(owners)
        if foreign or (known and not pending):
            return Judged(tuple(sorted(foreign or known)), (), "ownership", "own")
        return Judged((), (), "", "undetermined")

    def _mapped(self, ids: tuple[str, ...], field: str) -> tuple[str, ...]:
        """Ids of a field as canonical users."""
        if not self.spaces.is_settled(field):
            for value in ids:
                self.spaces.note(field, value)
        people = self._people
        if people:
            return tuple(sorted({people.get(value, value) for value in ids}))
        return ids

    def note_ids(self, place: Place) -> None:
        """Learn the id space of a route's ids ahead of judging."""
        self._mapped(place.owners, place.route.template)

    def _promoted(
        self, line: Parsed, caller: Caller, place: Place, outcome: Outcome, *, late: bool
    ) -> tuple[tuple[str, ...], bool]:
        """(the candidates that have proved to be users' ids, whether only by learning)."""
        principal, people, time_ms = caller.principal, self._people, line.time_ms
        space = self.spaces.principals
        if space and is_distinctive(space):
            spelled = self.spaces.spelled
            named = [spelled(principal, field, i) for field, ids in place.candidates for i in ids]
            found = {people.get(i, i) for i in named if id_space(i) == space}
            if found:
                return tuple(sorted(found)), False
        votes = principal and not caller.claim_only and not late and outcome == "proven"
        learned: set[str] = set()
        for field, ids in place.candidates:
            if self.promotion.is_owner_field(field, time_ms):
                learned.update(people.get(i, i) for i in ids)
            elif votes and len(ids) == 1 and not place.route.public:
                own = people.get(ids[0], ids[0]) == principal
                self.promotion.note(field, principal, own=own, time_ms=time_ms)
        return tuple(sorted(learned)), True

    def _compare(self, judged: Judged, caller: Caller, place: Place) -> None:
        """Which targets are somebody else's, as far as they can be held against the principal."""
        spaces, users, principal = self.spaces, self._users, caller.principal
        own_space = id_space(principal)
        targets: set[str] = set()
        foreign: set[str] = set()
        for target in judged.targets:
            if target == principal:
                targets.add(target)
                continue
            field = place.route.template if judged.basis == "route" else "owner"
            if judged.basis == "claimed" or (judged.claim_added and target == caller.claimed):
                field = "claimed"
            spelled = target
            if not (target in users and principal in users):
                spelled = spaces.spelled(principal, field, target)
                if is_same(spelled, principal, own_space):
                    targets.add(principal)
                    continue
                if not spaces.comparable(principal, field, spelled):
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
            route = place.route.template
            if route in self.incomparable or len(self.incomparable) < _MAX_ROUTES:
                self.incomparable[route] = self.incomparable.get(route, 0) + 1

    def _allow(self, judged: Judged, line: Parsed, caller: Caller, place: Place, ip: str) -> None:
        """Why a foreign access is allowed; a grant takes its owners out of the foreign."""
        if place.route.public:
            judged.allowed = "public"
        elif place.route.incoming and line.method == "POST" and not line.override_method:
            judged.allowed = "incoming"
        elif caller.provenance in TRUSTED:
            may = self._permissions
            inside = may.service(caller.principal, ip, place.path)
            if inside:
                judged.allowed = "service"
            elif inside is False:
                judged.out_of_bounds = caller.principal
            elif may.is_delegate(caller.principal):
                judged.allowed = "delegate"
            elif judged.foreign:
                left = may.ungranted(caller.principal, judged.foreign, place.path, line.time_ms)
                if not left:
                    judged.allowed = "grant"
                judged.foreign = left or judged.foreign

    def _is_mismatch(self, caller: Caller, judged: Judged) -> bool:
        """Whether the claim and a known principal of a comparable id space differ."""
        principal, claimed = caller.principal, caller.claimed
        if not (principal and claimed) or judged.allowed in _VOUCHED_FOR:
            return False
        users = self._users
        return (claimed in users and principal in users) or self.spaces.comparable(
            principal, "claimed", claimed
        )

    def _asked_canaries(self, place: Place, judged: Judged, claimed: str) -> tuple[str, ...]:
        return tuple(sorted({*place.canaries, *(self._canaries & {*judged.targets, claimed})}))

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, key, value) of all learned state that changed."""
        if self.spaces.changed:
            self.spaces.changed = False
            yield "intake.spaces", "", self.spaces.dump()
        for key, value in self.promotion.take_dirty():
            yield "intake.promotion", key, value
        for key, value in self.identity.take_dirty():
            yield "intake.sessions", key, value
        for key, value in self._signals.homes.take_dirty():
            yield "intake.homes", key, value
        for key, value in self.routes.slugs.take_dirty():
            yield "intake.slugs", key, value

    def load(self, load_state: Callable[[str], Iterator[tuple[str, bytes]]]) -> None:
        """Restore what `take_dirty` gave."""
        for _, value in load_state("intake.spaces"):
            self.spaces.load(value)
        self.promotion.load(load_state("intake.promotion"))
        self.identity.load(load_state("intake.sessions"))
        self._signals.homes.load(load_state("intake.homes"))
        self.routes.slugs.load(load_state("intake.slugs"))


_ORDINARY: frozenset[Verdict] = frozenset({"own", "no_target"})
_VOUCHED_FOR = frozenset({"service", "delegate", "grant"})
"""Those who may act for others may say so in a header."""


def _is_other_tenant(caller: str, asked: str) -> bool:
    caller, asked = canonical_id(caller), canonical_id(asked)
    return caller.casefold() != asked.casefold() and id_space(caller) == id_space(asked)
