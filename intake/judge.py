"""Judges one parsed line: who asked, whose data, own or foreign, and what the answer means.

In: a `Parsed` line of a source. Out: its AccessEvent, and the Signal and Exposures it makes if it
is notable. All the words are JUDGEMENT's; severity and reaction are decided elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence

from intake.addresses import ClientAddresses, named_headers
from intake.comparison import Comparison
from intake.excess import Excess
from intake.identity import Caller, Credentials, Identity
from intake.line import Parsed, Unreadable
from intake.outcome import answer_of, effect_of, last_status
from intake.ownership import Ownerships, Permissions, Tables
from intake.places import Place
from intake.promotion import Promotion
from intake.routes import Routes
from intake.sessions import Sessions
from intake.settings import IntakeSettings
from intake.signals import Judged, Signals, exposures, is_notable
from intake.sites import is_cross_site
from intake.spaces import Spaces, canonical_id, id_space, is_distinctive
from intake.tenants import Tenants
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
        self.identity = Identity(
            settings, credential_digest, tables.people, self.spaces, tables.verifier
        )
        self.sessions = Sessions()
        self.tenants = Tenants(settings, tables.people)
        listed = frozenset(canonical_id(value) for value in canaries)
        sources = [source.route for source in settings.ownership]
        self.routes = Routes(settings.routes, settings.sensitive, sources, listed)
        self._owners = Ownerships(settings, tables)
        self.learned = self._owners.learned
        self._permissions = Permissions(settings, tables)
        self._canaries = listed
        self._people = tables.people
        self.comparison = Comparison(self.spaces, tables.people)
        self.incomparable = self.comparison.incomparable
        self._signals = Signals()
        self._own_blocks = settings.own_blocks
        self._plain_200 = all(block.status != 200 for block in settings.own_blocks)
        self.excess = Excess()

    def judge(
        self,
        line: Parsed,
        source: str,
        offset: int,
        credentials: Credentials,
        *,
        late: bool,
        caller: Caller | None = None,
    ) -> tuple[AccessEvent, Signal | None, list[Exposure]]:
        """The event of a line; its signal and exposures if it is notable.

        `caller`: who asked, where more than this line says so.

        Raises:
            Unreadable: the line names no address at all.
        """
        ip, ip_trusted = self.addresses.client(
            line.peer, line.forwarded, line.forwarded_elements, line.client
        )
        if not ip and (caller is None or not (caller.session or caller.provenance in TRUSTED)):
            # Somebody must answer for it: an address, a session or a vouched-for principal.
            raise Unreadable("no_address")
        if not line.status and line.upstream_status is not None:
            line.status = last_status(line.upstream_status)
        if caller is None:
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
            and line.blocked_by is None
            and self._plain_200
        ):
            effect, outcome = "read", "proven"
        else:
            method = method.upper()
            effect = effect_of(method, route.last_word, route.effect, line.override_method)
            outcome = answer_of(
                line,
                method,
                effect,
                self._own_blocks,
                known_error=route.error_bytes is not None and route.error_bytes == size,
                graphql=route.graphql,
                credential=route.category == "credential",
            )
            if (made := self.learned) and caller.principal and not caller.claim_only:
                asked = self.tenants.asked(line.tenant, place.tenant)
                made.created(line, method, place, caller.principal, outcome, asked)
        if outcome == "ignored":
            # A preflight addresses nobody's data, whatever its path names.
            judged = _NOBODY
        else:
            judged = self._verdict(line, caller, place, ip, outcome, late=late)
        if place.slug is not None and outcome == "proven" and not late:
            self.routes.note_name(place.slug, caller.principal or ip)
        canaries = self._asked_canaries(place, judged, caller) if self._canaries else ()
        who, tenant = caller, line.tenant or place.tenant
        if tenant:
            who = self.tenants.qualify(caller, judged, line.tenant, place.tenant)
        session = caller.session
        if session and caller.provenance not in TRUSTED and judged.targets:
            user = who.claimed or judged.targets[0]
            if self.sessions.is_shared(session, ip, user):
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
            who.principal,
            who.provenance,
            who.authentication,
            who.claimed,
            session,
            tenant,
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
            and not (canaries or caller.token)
        ) or outcome == "ignored":
            return event, None, _NOTHING
        mismatch = claimed != caller.principal and self.comparison.is_mismatch(
            caller, judged.allowed
        )
        notable = bool(mismatch or canaries or caller.token) or is_notable(event)
        if not notable and (not judged.unknown or judged.allowed or status == 401):
            return event, None, _NOTHING
        signal = self._signals.signal(
            event,
            judged,
            mismatch=mismatch,
            canaries=canaries,
            credentials=credentials.provenance or ("asserted" if caller.principal else ""),
            token=caller.token,
        )
        exposed = exposures(signal, judged, _asker(caller, who, judged))
        # Whose it was, the assessment may say: until then there is nothing to detect.
        return event, signal if notable else None, exposed

    def _is_somebody(self, word: str) -> bool:
        return self.spaces.people_have_names or self.spaces.is_name(canonical_id(word))

    def _verdict(
        self, line: Parsed, caller: Caller, place: Place, ip: str, outcome: Outcome, *, late: bool
    ) -> Judged:
        route = place.route
        principal, owners = caller.principal, place.owners
        if not (caller.claimed or line.owners or caller.behalf):
            # What nearly every line is: one's own data on a route that is known well, or nobody's.
            if owners:
                plain = not (place.tenant or self._people)
                if owners == (principal,) and plain and self.spaces.is_settled(route.template):
                    return Judged(owners, (), "route", "own")
            elif not (place.object or place.candidates or place.source):
                return _NOBODY
        tenants, crossed = self.tenants, False
        if tenants.named:
            caller, crossed = tenants.resolve(caller, line.tenant, place.tenant)
            principal = caller.principal
        judged = self._targets(line, caller, place, outcome, late=late)
        if tenants.named:
            judged.crossed = crossed
            if tenants.rows:
                judged.targets = tenants.mapped(judged.targets, line.tenant, place.tenant)
        targets = judged.targets
        if not targets:
            if judged.unknown and (principal or route.public):
                self._allow(judged, line, caller, place, ip)
            return judged
        if crossed:
            # User 17 of one tenant is not user 17 of another.
            judged.foreign = targets
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
            self.comparison.compare(judged, caller, route.template, outcome)
        # Who may act for others may also do so where ids cannot be compared.
        if judged.verdict == "foreign" or (judged.verdict == "undetermined" and principal):
            self._allow(judged, line, caller, place, ip)
        return judged

    def _targets(
        self, line: Parsed, caller: Caller, place: Place, outcome: Outcome, *, late: bool
    ) -> Judged:
        """Whose data, as far as anything says; own until compared, undetermined if nothing does."""
        claimed = caller.claimed
        if place.excess:
            self.excess.note(line.time_ms, place)
        if line.owners:
            canonical = self.identity.canonical
            owners = {canonical("owner", part) for part in line.owners} - {""}
            if owners:
                return Judged(tuple(sorted(owners)), (), "owner_logged", "own")
        if place.owners:
            targets = self._mapped(place.owners, place.route.template)
            if claimed and (added := {claimed, *caller.claims}.difference(targets)):
                both = tuple(sorted({*targets, *added}))
                return Judged(both, (), "route", "own", claims=tuple(sorted(added)))
            return Judged(targets, (), "route", "own")
        if place.source:
            asked = self.tenants.asked(line.tenant, place.tenant)
            judged = self._owners.judged(place, caller.principal, line.time_ms, asked)
            if outcome == "proven" and (made := self.learned) and not caller.claim_only:
                made.deleted(line.method, place, caller.principal, asked)
            return judged
        if place.candidates:
            found, learned = self._promoted(line, caller, place, outcome, late=late)
            if found:
                return Judged(found, (), "route", "own", learned=learned)
        if claimed:
            users = tuple(sorted({claimed, *caller.claims}))
            return Judged(users, (), "claimed", "own", claims=users)
        unknown = bool(place.object) and not place.route.names_self
        return Judged((), (), "", "undetermined" if unknown else "no_target")

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
        votes = principal and not (caller.claim_only or caller.qualified)
        votes = votes and not late and outcome == "proven"
        learned: set[str] = set()
        for field, ids in place.candidates:
            if self.promotion.is_owner_field(field, time_ms):
                learned.update(people.get(i, i) for i in ids)
            elif votes and len(ids) == 1 and not place.route.public:
                own = people.get(ids[0], ids[0]) == principal
                self.promotion.note(field, principal, own=own, time_ms=time_ms)
        return tuple(sorted(learned)), True

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
                left = self._not_permitted(judged, line, caller, place)
                if not left:
                    judged.allowed = "act" if caller.behalf in judged.foreign else "grant"
                judged.foreign = left or judged.foreign
            elif not may.ungranted(caller.principal, _ANYBODY, place.path, line.time_ms):
                judged.allowed = "grant"

    def _not_permitted(
        self, judged: Judged, line: Parsed, caller: Caller, place: Place
    ) -> tuple[str, ...]:
        """The foreign for whom the caller does not act, and whom no grant covers."""
        behalf, path, time_ms = caller.behalf, place.path, line.time_ms
        left = (
            tuple([user for user in judged.foreign if user != behalf]) if behalf else judged.foreign
        )
        ungranted = self._permissions.ungranted
        if left and not judged.crossed:
            # A row of plain ids holds in each tenant.
            left = ungranted(caller.principal, left, path, time_ms)
        if left and self.tenants.named:
            principal, names = self.tenants.names(caller, left, line.tenant, place.tenant)
            left = tuple([names[n] for n in ungranted(principal, tuple(names), path, time_ms)])
        return left

    def _asked_canaries(self, place: Place, judged: Judged, caller: Caller) -> tuple[str, ...]:
        asked = self._canaries & {*judged.targets, caller.claimed, *caller.claims}
        return tuple(sorted({*place.canaries, *asked}))

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, key, value) of all learned state that changed."""
        if self.spaces.changed:
            self.spaces.changed = False
            yield "intake.spaces", "", self.spaces.dump()
        for key, value in self.promotion.take_dirty():
            yield "intake.promotion", key, value
        for key, value in self.sessions.take_dirty():
            yield "intake.sessions", key, value
        for key, value in self._signals.homes.take_dirty():
            yield "intake.homes", key, value
        if self.learned is not None:
            for key, value in self.learned.take_dirty():
                yield "intake.learned", key, value
        for key, value in self.routes.slugs.take_dirty():
            yield "intake.slugs", key, value

    def load(self, load_state: Callable[[str], Iterator[tuple[str, bytes]]]) -> None:
        """Restore what `take_dirty` gave."""
        for _, value in load_state("intake.spaces"):
            self.spaces.load(value)
        self.promotion.load(load_state("intake.promotion"))
        self.sessions.load(load_state("intake.sessions"))
        self._signals.homes.load(load_state("intake.homes"))
        if self.learned is not None:
            self.learned.load(load_state("intake.learned"))
        self.routes.slugs.load(load_state("intake.slugs"))


def _asker(caller: Caller, who: Caller, judged: Judged) -> str:
    """Who can turn out to own what was asked for; "" where nobody can, or it cannot be told."""
    if caller.claim_only or caller.qualified or judged.crossed:
        return ""
    return caller.behalf or who.principal


_ORDINARY: frozenset[Verdict] = frozenset({"own", "no_target"})
_ANYBODY = ("",)
"""No user: only a grant for all covers it."""
