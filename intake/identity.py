"""Who a request was authenticated as, and how far that can be believed (JUDGEMENT: provenance).

In: what a line says about its caller. Out: principal, provenance, claimed user, session digest.
Credentials go into the keyed digest here and nowhere further.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping

import msgspec
import orjson

from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.spaces import Spaces, canonical_id
from records.kinds import TRUSTED, Authentication, Provenance

SHARED_ADDRESSES = 20
"""A credential seen from more addresses than this is an app key, not a session."""
_MAX_TOKENS = 100_000
_MAX_SESSIONS = 100_000
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


class Token(msgspec.Struct, frozen=True, gc=False):
    """What a bearer token says without being checked."""

    subject: str
    sid: str
    digest: str


class Credentials(msgspec.Struct):
    """Whether one source logs credentials, so that their absence means an anonymous request."""

    provenance: Provenance = ""
    lines: int = 0
    with_principal: int = 0
    principals: set[str] = msgspec.field(default_factory=set)

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


class Identity:
    """Resolves callers; keeps the id spaces of principals and which sessions are shared."""

    def __init__(
        self,
        settings: IntakeSettings,
        digest: Callable[[str], str],
        people: Mapping[str, str],
        spaces: Spaces,
    ) -> None:
        self._digest = digest
        self._people = people
        self._spaces = spaces
        self._claim = settings.jwt.claim
        self._vouched = settings.trust.principal == "gateway"
        self._honoured = settings.identity_headers[0].honoured if settings.identity_headers else ""
        self._tokens: dict[str, Token] = {}
        self._ids: dict[str, str] = {}
        self._sessions: dict[str, list[str]] = {}
        self._dirty: set[str] = set()

    def canonical(self, field: str, value: str) -> str:
        """The canonical user of an id in a field, through the identities map."""
        if (known := self._ids.get(value)) is not None:
            return known
        if len(self._ids) >= _MAX_TOKENS:
            self._ids.clear()
        plain = canonical_id(value)
        user = self._people.get(plain, plain)
        self._spaces.note(field, plain)
        self._ids[value] = user
        return user

    def caller(self, line: Parsed, ip: str, credentials: Credentials) -> Caller:
        """Principal, provenance, claim and session of one line."""
        principal: str = ""
        provenance: Provenance = ""
        session = ""
        token = None
        if line.authorization or line.jwt_payload:
            token = self._token(line.authorization, line.jwt_payload)
        if line.principal:
            principal, provenance = self.canonical("principal", line.principal), "gateway"
        elif token is not None and token.subject:
            provenance = "gateway" if self._vouched else "unverified"
            principal = self.canonical("principal", token.subject)
        elif line.asserted:
            provenance = "gateway" if self._vouched else "asserted"
            principal = self.canonical("principal", line.asserted)
        if token is not None and token.sid:
            session = self._digest(token.sid)
        elif line.session:
            session = self._digest(line.session)
        elif token is not None:
            session = token.digest
        if not credentials.provenance or provenance in TRUSTED:
            credentials.note(principal, provenance, basic_user=line.basic_user)
        authentication: Authentication
        if line.status == 401:
            # Not accepted: whoever it said it was, it was not.
            principal, provenance, authentication = "", "", "unlogged"
        elif principal:
            authentication = "known"
        else:
            authentication = "anonymous" if credentials.provenance else "unlogged"
        claimed = ""
        if line.claimed and self._honoured != "never":
            claimed = self.canonical("claimed", line.claimed)
        claim_only = bool(claimed) and authentication == "unlogged" and line.status != 401
        if claim_only:
            principal, provenance, authentication = claimed, "asserted", "known"
        if session and ip and provenance not in TRUSTED and self._is_shared(session, ip):
            session = ""
        return Caller(principal, provenance, authentication, claimed, session, claim_only)

    def _is_shared(self, session: str, ip: str) -> bool:
        addresses = self._sessions.get(session)
        if addresses is None:
            if len(self._sessions) >= _MAX_SESSIONS:
                self._sessions.clear()
            addresses = self._sessions[session] = []
        if len(addresses) > SHARED_ADDRESSES:
            return True
        if ip not in addresses:
            addresses.append(ip)
            self._dirty.add(session)
        return len(addresses) > SHARED_ADDRESSES

    def _token(self, authorization: str | None, payload: str | None) -> Token:
        text = authorization or payload or ""
        if (known := self._tokens.get(text)) is not None:
            return known
        if len(self._tokens) >= _MAX_TOKENS:
            self._tokens.clear()
        scheme, _, rest = text.partition(" ")
        bare = rest.strip() if rest and scheme.lower() in {"bearer", "token", "jwt"} else text
        segment = payload
        if segment is None and bare.count(".") == 2:
            segment = bare.split(".")[1]
        claims = _claims(segment) if segment else {}
        subject, sid = claims.get(self._claim), claims.get("sid")
        token = Token(
            str(subject) if isinstance(subject, str | int) else "",
            str(sid) if isinstance(sid, str | int) else "",
            self._digest(bare),
        )
        self._tokens[text] = token
        return token

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Sessions below a vouched principal whose addresses changed."""
        items = [(key, orjson.dumps(self._sessions.get(key, []))) for key in sorted(self._dirty)]
        self._dirty.clear()
        return items

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for key, value in items:
            self._sessions[key] = orjson.loads(value)


def _claims(segment: str) -> dict[str, object]:
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        claims = orjson.loads(data)
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
