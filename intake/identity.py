"""Who a request was authenticated as, and how far that can be believed (JUDGEMENT: provenance).

In: what a line says about its caller. Out: principal, provenance, claimed users, session digest.
Credentials go into the keyed digest here and nowhere further. A person is (issuer, subject): a
subject of an issuer whose users are not those of the paths is `ISSUER#SUBJECT`, never a plain id.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from intake.issuers import Issuers
from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.spaces import Spaces, canonical_id, id_space, is_same
from intake.tokens import Token, Tokens, Verifier
from records.kinds import TRUSTED, Authentication, Provenance, TokenFault

_MAX_IDS = 50_000
_MAX_SESSIONS = 50_000
_MAX_CALLERS = 250_000
_MAX_CLAIMS = 1_000
_CACHED_LENGTH = 2_048
_LONGEST_ID = 256
_LOGGED_PRINCIPALS = 20
_LOGGED_SHARE = 0.8


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who a line says was asking."""

    principal: str
    provenance: Provenance
    authentication: Authentication
    claimed: str
    session: str
    claim_only: bool
    """The principal is only what an identity header said."""
    claims: tuple[str, ...] = ()
    """Further users that identity headers name, where they do not agree."""
    behalf: str = ""
    """For whom a verified token lets the principal act (RFC 8693)."""
    qualified: bool = False
    """The principal is of an issuer whose subjects are not the users that paths name."""
    token: TokenFault = ""


class Credentials(msgspec.Struct):
    """Whether one source logs credentials, so that their absence means an anonymous request."""

    provenance: Provenance = ""
    lines: int = 0
    with_principal: int = 0
    principals: set[str] = msgspec.field(default_factory=set)
    issuers: Issuers = msgspec.field(default_factory=Issuers)
    """Whose tokens the source logs."""

    def note(self, principal: str, provenance: Provenance, *, basic_user: bool) -> None:
        """Count one line. A vouched principal settles it; below, a clear majority must.

        A Basic user name never does: any client can write one, and "-" is what all others have.
        """
        if provenance in TRUSTED:
            self.provenance = provenance
            self.principals.clear()
        elif not self.provenance and not basic_user:
            self.lines += 1
            if principal:
                self.with_principal += 1
                if len(self.principals) < _LOGGED_PRINCIPALS:
                    self.principals.add(principal)
                elif self.with_principal >= _LOGGED_SHARE * self.lines:
                    self.provenance = provenance
                    self.principals.clear()


class _Who(NamedTuple):
    """A principal, before sessions and claims."""

    principal: str = ""
    provenance: Provenance = ""
    qualified: bool = False
    behalf: str = ""


class Identity:
    """Resolves callers; keeps the id spaces of principals."""

    def __init__(
        self,
        settings: IntakeSettings,
        digest: Callable[[str], str],
        people: Mapping[str, str],
        spaces: Spaces,
        verifier: Verifier | None = None,
    ) -> None:
        self._digest = digest
        self._people = people
        self._spaces = spaces
        self._vouched = settings.trust.principal == "gateway"
        self._honoured = [header.honoured for header in settings.identity_headers] or ["unknown"]
        self._issuers = frozenset(issuer.rstrip("/") for issuer in settings.jwt.issuers)
        self.tokens = Tokens(digest, settings.jwt.claim, settings.jwt.audience, verifier)
        self._digests: dict[str, str] = {}
        self._principals: dict[str, str] = {}
        self._ids = {"principal": self._principals}
        self._callers: dict[tuple[str, str | None], Caller] = {}

    def canonical(self, field: str, value: str) -> str:
        """The canonical user of an id in a field, through the identities map."""
        known = self._ids.get(field)
        if known is None:
            known = self._ids[field] = {}
        user = known.get(value)
        if user is None:
            plain = canonical_id(value)
            user = self._people.get(plain, plain)
            self._spaces.note(field, plain)
            if len(value) <= _LONGEST_ID:
                if len(known) >= _MAX_IDS:
                    known.clear()
                known[value] = user
        return user

    def caller(self, line: Parsed, credentials: Credentials) -> Caller:
        """Principal, provenance, claim and session of one line."""
        if (
            line.principal is None
            or line.claimed is not None
            or line.other_claims
            or line.authorization is not None
            or line.jwt_payload is not None
            or line.status == 401
            or credentials.provenance != "gateway"
        ):
            return self._caller(line, credentials)
        # The usual line of a gateway says these two alone, and says them again.
        key = (line.principal, line.session)
        caller = self._callers.get(key)
        if caller is None:
            caller = self._caller(line, credentials)
            if len(line.principal) + len(line.session or "") <= _LONGEST_ID:
                if len(self._callers) >= _MAX_CALLERS:
                    self._callers.clear()
                self._callers[key] = caller
        return caller

    def _caller(self, line: Parsed, credentials: Credentials) -> Caller:
        if line.status == 401:
            # Not accepted: whoever it said it was, it was not.
            claimed, claims = self._claims(line, "")
            return Caller("", "", "unlogged", claimed, "", False, claims)
        token, fault = None, _NO_FAULT
        if line.authorization or line.jwt_payload:
            token = self.tokens.read(line.authorization or "", line.jwt_payload or "")
            fault = token.fault
            named = line.principal or (self._vouched and line.asserted)
            if fault and not named and credentials.provenance in TRUSTED:
                # Where others are vouched for, it is no credential: nobody has logged in.
                token = None
        principal, provenance, qualified, behalf = self._who(line, token, credentials)
        if not principal:
            # Nothing but white space, perhaps, in a field that names somebody on other lines.
            provenance = ""
        if credentials.provenance != provenance and (
            not credentials.provenance or provenance in TRUSTED
        ):
            credentials.note(principal, provenance, basic_user=line.basic_user)
        session = ""
        if token is not None:
            session = self._session_of(token, line, principal if provenance in TRUSTED else "")
        elif line.session:
            session = self._digests.get(line.session) or self._session(line.session)
        authentication: Authentication
        if principal:
            authentication = "known"
        else:
            authentication = "anonymous" if credentials.provenance else "unlogged"
        claimed, claims = "", ()
        if line.claimed or line.other_claims:
            claimed, claims = self._claims(line, principal)
        claim_only = bool(claimed) and authentication == "unlogged"
        if claim_only:
            principal, provenance, authentication = claimed, "asserted", "known"
        return Caller(
            principal,
            provenance,
            authentication,
            claimed,
            session,
            claim_only,
            claims,
            behalf,
            qualified,
            fault,
        )

    def _who(self, line: Parsed, token: Token | None, credentials: Credentials) -> _Who:
        """Who asked, by the best that the line has to say of it."""
        named = line.principal
        if token is not None and token.subject:
            verified = token.is_verified_at(line.time_ms)
            believed = verified or (not token.doubted and (self._vouched or bool(named)))
            if token.issuer:
                credentials.issuers.note(token.issuer, token.subject, vouched=believed)
            if not named:
                provenance: Provenance = "unverified"
                if believed:
                    provenance = "verified" if verified else "gateway"
                return self._of_token(token, provenance, credentials)
            if not token.doubted and _is_any(named, token.subject, token.actor):
                # The gateway names the subject; the token says whose subject that is.
                return self._of_token(
                    token, "verified" if verified else "gateway", credentials, named=True
                )
        if named:
            return _Who(
                self._principals.get(named) or self.canonical("principal", named), "gateway"
            )
        if line.asserted:
            provenance = "gateway" if self._vouched else "asserted"
            return _Who(self.canonical(_FIELDS[provenance], line.asserted), provenance)
        return _Who()

    def _of_token(
        self,
        token: Token,
        provenance: Provenance,
        credentials: Credentials,
        *,
        named: bool = False,
    ) -> _Who:
        """The person that a token names. `named`: the gateway gives the id too."""
        home = credentials.issuers.home
        field = _FIELDS[provenance]

        def person(issuer: str, subject: str) -> tuple[str, bool]:
            if self._issuers:
                apart = issuer.rstrip("/") not in self._issuers
            else:
                apart = issuer != home and bool(home or not named)
            if not (apart and issuer):
                return self.canonical(field, subject), False
            name = f"{issuer}#{canonical_id(subject)}"
            user = self._people.get(name)
            return (name, True) if user is None else (user, False)

        user, apart = person(token.issuer, token.subject)
        if token.actor and provenance == "verified":
            actor, apart = person(token.actor_issuer, token.actor)
            return _Who(actor, provenance, apart, user)
        return _Who(user, provenance, apart)

    def _session_of(self, token: Token, line: Parsed, vouched: str) -> str:
        """The session of a request with a token, by the best of its names (JUDGEMENT: session)."""
        if token.sid:
            return token.sid
        if line.session:
            return self._session(line.session)
        if token.family:
            return token.family
        if vouched and line.user_agent:
            # The next token of the same login is another text.
            return self._session(f"{vouched}\0{line.user_agent}")
        return token.digest

    def _claims(self, line: Parsed, principal: str) -> tuple[str, tuple[str, ...]]:
        """The user that identity headers name, and the others if they name several.

        Of several the first that is not the caller; what is always honoured comes first. Where
        nobody else says who asks, a list in one header is one word.
        """
        said = [(0, line.claimed)] if line.claimed else []
        said += line.other_claims
        known = [(self._honoured[at], value) for at, value in said if at < len(self._honoured)]
        known = [(honoured, value) for honoured, value in known if honoured != "never"]
        if len(known) > 1:
            known.sort(key=lambda item: item[0] != "always")
        own = ""
        others: dict[str, None] = {}
        for _, value in known:
            for part in value.split(",", _MAX_CLAIMS)[:_MAX_CLAIMS] if "," in value else (value,):
                claim = self.canonical("claimed", part)
                if claim and principal and claim != principal:
                    claim = self._spaces.spelled(principal, "claimed", claim)
                    if is_same(claim, principal, id_space(principal)):
                        claim = principal
                if claim and claim != principal:
                    others[claim] = None
                    if not principal:
                        break
                own = own or claim
        if not others:
            return own, ()
        first, *rest = others
        return first, tuple(rest)

    def _session(self, value: str) -> str:
        known = self._digests.get(value)
        if known is None:
            known = self._digest(value)
            if len(value) <= _CACHED_LENGTH:
                if len(self._digests) >= _MAX_SESSIONS:
                    self._digests.clear()
                self._digests[value] = known
        return known


_NO_FAULT: TokenFault = ""
_FIELDS: dict[Provenance, str] = {
    "verified": "principal", "gateway": "principal", "unverified": "asserted",
    "asserted": "asserted",
}  # fmt: skip
"""The field of a principal's id: what clients wrote says nothing about what others look like."""


def _is_any(name: str, *others: str) -> bool:
    return canonical_id(name) in map(canonical_id, others)
