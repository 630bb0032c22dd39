"""Judges one parsed line: who asked, whose data, own or foreign, and what the answer means.

In: a `Parsed` line of a source. Out: its AccessEvent, and the Signal and Exposures it makes if it
is notable. All the words are JUDGEMENT's; severity and reaction are decided elsewhere.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

from intake.addresses import ClientAddresses, subnet_of
from intake.identity import Caller, Credentials, Identity
from intake.line import Parsed, Unreadable
from intake.outcome import certainty_of, effect_of, outcome_of
from intake.ownership import PENDING, Ownerships, Permissions, Tables
from intake.promotion import Promotion
from intake.redact import mask_target
from intake.routes import Place, Routes
from intake.settings import IntakeSettings
from intake.spaces import Spaces, canonical_id, id_space, is_distinctive
from records.event import AccessEvent, Exposure, Signal
from records.ids import digest, event_id
from records.kinds import TRUSTED, Basis, Outcome, Verdict

_CRAWLER = re.compile(
    r"bot\b|crawl|spider|slurp|facebookexternalhit|preview|monitor|uptime|headlesschrome",
    re.IGNORECASE,
)
_MAX_FINGERPRINTS = 50_000
_NOTHING: list[Exposure] = []


class Judged(msgspec.Struct, gc=False):
    """One line's verdict, before it becomes records."""

    targets: tuple[str, ...]
    foreign: tuple[str, ...]
    basis: Basis
    verdict: Verdict
    allowed: str = ""
    out_of_bounds: str = ""
    claim_added: bool = False
    """The claimed user stands beside the owners that the route names."""


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
        self.addresses = ClientAddresses(settings.trusted_proxies)
        self.identity = Identity(settings, credential_digest, tables.people, self.spaces)
        self.routes = Routes(settings.routes, settings.sensitive)
        self._owners = Ownerships(settings, tables)
        self._permissions = Permissions(settings, tables)
        self._canaries = frozenset(canonical_id(value) for value in canaries)
        self._people = tables.people
        self._users = frozenset(tables.people.values())
        self._fields_noted: dict[str, set[str]] = {}
        self._fingerprints: dict[str, str] = {}
        self.incomparable: dict[str, int] = {}
        """Route -> events whose principal and target are of different id spaces."""

    def judge(
        self, line: Parsed, source: str, offset: int, credentials: Credentials, *, late: bool
    ) -> tuple[AccessEvent, Signal | None, list[Exposure]]:
        """The event of a line; its signal and exposures if it is notable.

        Raises:
            Unreadable: the line names no address at all.
        """
        ip, ip_trusted = self.addresses.client(line.peer, line.forwarded)
        if not ip:
            raise Unreadable("no_address")
        caller = self.identity.caller(line, ip, credentials)
        place = self.routes.place(line.target)
        method = line.override_method.upper() if line.override_method else line.method
        effect = effect_of(method, place.last_word, place.effect)
        outcome = outcome_of(
            method,
            effect,
            line.status,
            line.bytes,
            known_error=place.error_bytes is not None and place.error_bytes == line.bytes,
            graphql=place.last_word == "graphql",
        )
        judged = self._verdict(line, caller, place, ip, outcome)
        cross_site = bool(line.fetch_site or line.origin) and _is_cross_site(line)
        event = AccessEvent(
            event_id(source, offset),
            source,
            offset,
            line.time_ms,
            ip,
            ip_trusted,
            line.method,
            mask_target(place.path),
            place.route,
            line.status,
            line.bytes,
            line.host or "",
            line.user_agent or "",
            line.request_id or "",
            caller.principal,
            caller.provenance,
            caller.authentication,
            caller.claimed,
            caller.session,
            line.tenant or place.tenant,
            judged.targets,
            place.object,
            place.category,
            effect,
            outcome,
            judged.basis,
            judged.verdict,
            judged.allowed,
            cross_site,
            late,
        )
        verdict = judged.verdict
        if outcome == "ignored" or (
            (verdict in {"own", "no_target"} or judged.allowed)
            and not self._canaries
            and (not caller.claimed or caller.claimed == caller.principal)
        ):
            return event, None, _NOTHING
        signal = self._signal(event, judged, caller, place, credentials)
        return event, signal, _NOTHING if signal is None else _exposures(signal, judged)

    def _verdict(
        self, line: Parsed, caller: Caller, place: Place, ip: str, outcome: Outcome
    ) -> Judged:
        principal, claimed = caller.principal, caller.claimed
        targets, basis, pending, claim_added = self._targets(line, caller, place, outcome)
        if not targets:
            unknown = pending or (bool(place.object) and not place.names_self)
            return Judged((), (), basis, "undetermined" if unknown else "no_target")
        if not principal:
            verdict: Verdict = "foreign" if caller.authentication == "anonymous" else "undetermined"
            judged = Judged(targets, targets if verdict == "foreign" else (), basis, verdict)
        elif basis == "ownership" and principal in targets:
            return Judged(targets, (), basis, "own")
        elif targets == (principal,):
            # A claim that is compared with itself says nothing; fan-out rules judge it.
            return Judged(targets, (), basis, "undetermined" if caller.claim_only else "own")
        else:
            others = tuple(t for t in targets if t != principal)
            foreign = self._comparable(principal, others, claimed, basis, place)
            if foreign is None:
                return Judged((principal,), (), basis, "own")
            if not foreign:
                self.incomparable[place.route] = self.incomparable.get(place.route, 0) + 1
                return Judged(targets, (), basis, "undetermined")
            judged = Judged(targets, foreign, basis, "foreign")
        judged.claim_added = claim_added
        if judged.verdict == "foreign":
            self._allow(judged, line, caller, place, ip)
        return judged

    def _targets(
        self, line: Parsed, caller: Caller, place: Place, outcome: Outcome
    ) -> tuple[tuple[str, ...], Basis, bool, bool]:
        """(targets, what named them, whether a configured source could not answer, claim added)."""
        claimed = caller.claimed
        if line.owners:
            canonical = self.identity.canonical
            owners = tuple(sorted({canonical("owner", owner) for owner in line.owners}))
            return owners, "owner_logged", False, False
        if place.owners:
            targets = self._mapped(place.owners, place.field)
            if claimed and claimed not in targets:
                return tuple(sorted((*targets, claimed))), "route", False, True
            return targets, "route", False, False
        if place.object and self._owners:
            found = self._owners.owners(place.path, place.object)
            if found is PENDING:
                return (), "", True, False
            if found is not None:
                return found, "ownership", False, False
        if place.candidates and (targets := self._promoted(line, caller, place, outcome)):
            return targets, "route", False, False
        if claimed:
            return (claimed,), "claimed", False, False
        return (), "", False, False

    def _mapped(self, ids: tuple[str, ...], field: str) -> tuple[str, ...]:
        noted = self._fields_noted.get(field)
        if noted is None:
            noted = self._fields_noted[field] = set()
        if len(noted) < 200:
            for value in ids:
                if value not in noted:
                    noted.add(value)
                    self.spaces.note(field, value)
        people = self._people
        if people:
            return tuple(sorted({people.get(value, value) for value in ids}))
        return ids

    def note_ids(self, place: Place) -> None:
        """Learn the id space of a route's ids ahead of judging."""
        self._mapped(place.owners or place.candidates, place.field)

    def _promoted(
        self, line: Parsed, caller: Caller, place: Place, outcome: Outcome
    ) -> tuple[str, ...]:
        """The candidates, where this route's ids have proved to be users' ids."""
        ids = self._mapped(place.candidates, place.field)
        space = self.spaces.of("principal")
        if space and is_distinctive(space) and self.spaces.of(place.field) == space:
            return ids
        if not caller.principal or caller.claim_only or len(ids) != 1:
            owner_route = self.promotion.is_owner_route(place.route, line.time_ms)
            return ids if owner_route else ()
        if self.promotion.is_owner_route(place.route, line.time_ms):
            return ids
        if outcome == "proven" and not place.public:
            own = ids[0] == caller.principal
            self.promotion.note(place.route, caller.principal, own=own, time_ms=line.time_ms)
        return ()

    def _comparable(
        self, principal: str, others: tuple[str, ...], claimed: str, basis: Basis, place: Place
    ) -> tuple[str, ...] | None:
        """The others that can be held against the principal; None if they are its own spelling."""
        spaces = self.spaces
        found = []
        spelled_own = False
        for target in others:
            field = place.field if basis == "route" else "owner"
            if basis == "claimed" or (target == claimed and target not in place.owners):
                field = "claimed"
            mapped = target in self._users and principal in self._users
            if not mapped and not spaces.comparable("principal", principal, field, target):
                continue
            spelled = spaces.spelled("principal", target)
            if spelled == principal or (
                spelled.casefold() == principal.casefold()
                and id_space(principal) not in {"name", "hex"}
            ):
                spelled_own = True
                continue
            found.append(spelled)
        return None if spelled_own and not found else tuple(found)

    def _allow(self, judged: Judged, line: Parsed, caller: Caller, place: Place, ip: str) -> None:
        if place.public:
            judged.allowed = "public"
        elif place.incoming and line.method == "POST":
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
            else:
                left = may.ungranted(caller.principal, judged.foreign, place.path, line.time_ms)
                if not left:
                    judged.allowed = "grant"
                judged.foreign = left or judged.foreign

    def _signal(
        self,
        event: AccessEvent,
        judged: Judged,
        caller: Caller,
        place: Place,
        credentials: Credentials,
    ) -> Signal | None:
        verdict = event.verdict
        principal, claimed = event.principal, event.claimed
        mismatch = (
            bool(claimed)
            and bool(principal)
            and claimed != principal
            and not judged.allowed
            and (
                self.spaces.comparable("principal", principal, "claimed", claimed)
                or (claimed in self._users and principal in self._users)
            )
        )
        canaries: tuple[str, ...] = ()
        if self._canaries:
            asked = {*event.targets, *place.candidates, place.object, claimed}
            canaries = tuple(sorted(self._canaries & asked))
        if not (mismatch or canaries or _is_notable(event)):
            return None
        foreign = verdict == "foreign" and not judged.allowed
        return Signal(
            event=event.id,
            time_ms=event.time_ms,
            late=event.late,
            ip=event.ip,
            ip_trusted=event.ip_trusted,
            subnet=subnet_of(event.ip),
            principal=principal,
            provenance=event.provenance,
            authentication=event.authentication,
            session=event.session,
            fingerprint=self._fingerprint(event.user_agent),
            claimed=claimed,
            route=event.route,
            method=event.method,
            status=event.status,
            targets=judged.foreign if foreign else event.targets,
            object=event.object,
            category=event.category,
            effect=event.effect,
            outcome=event.outcome,
            certainty=certainty_of(event.outcome, event.basis),
            basis=event.basis,
            # An allowed access that trips a canary is judged for the canary alone.
            verdict=verdict if foreign or verdict != "foreign" else "own",
            mismatch=mismatch,
            canaries=canaries,
            out_of_bounds=judged.out_of_bounds,
            cross_site=event.cross_site,
            crawler=bool(_CRAWLER.search(event.user_agent)),
            credentials=credentials.provenance or ("asserted" if caller.principal else ""),
        )

    def _fingerprint(self, user_agent: str) -> str:
        known = self._fingerprints.get(user_agent)
        if known is None:
            if len(self._fingerprints) >= _MAX_FINGERPRINTS:
                self._fingerprints.clear()
            known = self._fingerprints[user_agent] = digest(user_agent, length=12)
        return known

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, key, value) of all learned state that changed."""
        if self.spaces.changed:
            self.spaces.changed = False
            yield "intake.spaces", "", self.spaces.dump()
        for key, value in self.promotion.take_dirty():
            yield "intake.promotion", key, value
        for key, value in self.identity.take_dirty():
            yield "intake.sessions", key, value

    def load(self, load_state: Callable[[str], Iterator[tuple[str, bytes]]]) -> None:
        """Restore what `take_dirty` gave."""
        for _, value in load_state("intake.spaces"):
            self.spaces.load(value)
        self.promotion.load(load_state("intake.promotion"))
        self.identity.load(load_state("intake.sessions"))


def _exposures(signal: Signal, judged: Judged) -> list[Exposure]:
    """One exposure a target of a foreign or undetermined signal (FLOW 6)."""
    if signal.verdict not in {"foreign", "undetermined"}:
        return _NOTHING
    actor = signal.actor
    on_claim = signal.basis == "claimed" or judged.claim_added
    return [
        Exposure(
            event=signal.event,
            time_ms=signal.time_ms,
            actor=actor,
            session=signal.session,
            principal=signal.principal,
            provenance=signal.provenance,
            ip=signal.ip,
            fingerprint=signal.fingerprint,
            target=target,
            object=signal.object,
            route=signal.route,
            category=signal.category,
            effect=signal.effect,
            certainty=(
                "presumed"
                if on_claim and target == signal.claimed and signal.certainty == "proven"
                else signal.certainty
            ),
            basis="claimed" if on_claim and target == signal.claimed else signal.basis,
            verdict=signal.verdict,
        )
        for target in signal.targets
    ]


def _is_notable(event: AccessEvent) -> bool:
    """Foreign; or undetermined with a target or claim; or a denial of an unknown owner's object."""
    if event.verdict == "foreign":
        return not event.allowed
    if event.verdict != "undetermined" or event.status == 401:
        return False
    return bool(event.targets or event.claimed or event.outcome == "denied")


def _is_cross_site(line: Parsed) -> bool:
    """Another site made a browser send this (Sec-Fetch-Site, else a foreign Origin)."""
    if line.fetch_site:
        return line.fetch_site == "cross-site"
    host = urlsplit(line.origin or "").hostname
    own = (line.host or "").partition(":")[0].lower()
    return bool(host and own and host != own)
