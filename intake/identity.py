"""Who a request was authenticated as, and how far that can be believed (JUDGEMENT: provenance).

In: what a line says about its caller. Out: principal, provenance, claimed user, session digest.
Credentials go into the keyed digest here and nowhere further.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec
import orjson

from intake.line import Parsed
from intake.settings import IntakeSettings
from intake.spaces import Spaces, canonical_id, id_space, is_same
from records.kinds import TRUSTED, Authentication, Provenance

SHARED_ADDRESSES = 20
"""A credential that serves more addresses than this, each its own user, is an app key."""
_COUNTED_ADDRESSES = 64
_MAX_TOKENS = 20_000
_MAX_IDS = 50_000
_MAX_SESSIONS = 50_000
_MAX_CALLERS = 250_000
_CACHED_LENGTH = 2_048
_LONGEST_ID = 256
_LOGGED_PRINCIPALS = 20
_LOGGED_SHARE = 0.8
_REDACTED = re.compile(
    r"\W*|.*(?:\*{3}|\.{3}$|x{6}|redact|filtered|masked|removed|hidden).*", re.IGNORECASE
)


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
    """Digest of its `sid`; "" without one, or where nobody can have vouched for it."""
    digest: str
    """Digest of itself; "" if it was redacted."""
    unsigned: bool
    """It says of itself that nobody signed it (`alg: none`)."""


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


class _Use(msgspec.Struct):
    """Where a session was used: its first address, and once there are more, by address."""

    first: str
    by_address: dict[str, tuple[str, int]] = {}
    """Address -> (the one user it asks about or "", requests)."""
    shared: bool = False


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
        self._digests: dict[str, str] = {}
        self._principals: dict[str, str] = {}
        self._ids = {"principal": self._principals}
        self._sessions: dict[str, _Use] = {}
        self._dirty: set[str] = set()
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
        claimed = line.claimed
        if line.status == 401:
            # Not accepted: whoever it said it was, it was not.
            if claimed:
                claimed = self._claimed(claimed, "")
            return Caller("", "", "unlogged", claimed or "", "", False)
        principal = session = ""
        provenance: Provenance = ""
        token = None
        if line.authorization or line.jwt_payload:
            token = self._token(line.authorization or "", line.jwt_payload or "")
        if line.principal:
            name, provenance = line.principal, "gateway"
            principal = self._principals.get(name) or self.canonical("principal", name)
        elif token is not None and token.subject:
            provenance = "gateway" if self._vouched and not token.unsigned else "unverified"
            principal = self.canonical(_FIELDS[provenance], token.subject)
        elif line.asserted:
            provenance = "gateway" if self._vouched else "asserted"
            principal = self.canonical(_FIELDS[provenance], line.asserted)
        if token is not None and (token.sid or not line.session):
            session = token.sid or token.digest
        elif line.session:
            session = self._digests.get(line.session) or self._session(line.session)
        if not principal:
            # Nothing but white space, perhaps, in a field that names somebody on other lines.
            provenance = ""
        if credentials.provenance != provenance and (
            not credentials.provenance or provenance in TRUSTED
        ):
            credentials.note(principal, provenance, basic_user=line.basic_user)
        authentication: Authentication
        if principal:
            authentication = "known"
        else:
            authentication = "anonymous" if credentials.provenance else "unlogged"
        if not claimed:
            return Caller(principal, provenance, authentication, "", session, False)
        claimed = self._claimed(claimed, principal)
        if claimed and authentication == "unlogged":
            return Caller(claimed, "asserted", "known", claimed, session, True)
        return Caller(principal, provenance, authentication, claimed, session, False)

    def _claimed(self, value: str, principal: str) -> str:
        """The user that an identity header names; of several, the first that is not the caller."""
        if self._honoured == "never":
            return ""
        found = ""
        for part in value.split(",") if "," in value else (value,):
            claim = self.canonical("claimed", part)
            if claim and principal and claim != principal:
                claim = self._spaces.spelled(principal, "claimed", claim)
                if is_same(claim, principal, id_space(principal)):
                    claim = principal
            found = found or claim
            if claim not in {"", principal}:
                return claim
        return found

    def _session(self, value: str) -> str:
        known = self._digests.get(value)
        if known is None:
            known = self._digest(value)
            if len(value) <= _CACHED_LENGTH:
                if len(self._digests) >= _MAX_SESSIONS:
                    self._digests.clear()
                self._digests[value] = known
        return known

    def is_shared(self, session: str, ip: str, user: str) -> bool:
        """Whether a session is an app key: over 20 addresses, most keeping a user of their own.

        An attacker who carries one session over many addresses does not look so: there, each
        address asks about many users. Counts one request of `ip` about `user`.
        """
        use = self._sessions.get(session)
        if use is None:
            if len(self._sessions) >= _MAX_SESSIONS:
                self._sessions.clear()
                self._dirty.clear()
            self._sessions[session] = _Use(ip)
            self._dirty.add(session)
            return False
        if use.shared or (ip == use.first and not use.by_address):
            return use.shared
        by_address = use.by_address
        before = by_address.get(ip)
        if before is None:
            if len(by_address) < _COUNTED_ADDRESSES:
                by_address[ip] = (user, 1)
                self._dirty.add(session)
            return False
        kept = user if before[0] == user else ""
        by_address[ip] = (kept, before[1] + 1)
        if before == (user, 1) or kept != before[0]:
            self._dirty.add(session)
            if len(by_address) > SHARED_ADDRESSES:
                stable = [user for user, count in by_address.values() if user and count > 1]
                several = len(set(stable)) * 2 > len(stable)
                use.shared = several and len(stable) * 2 > len(by_address)
        return use.shared

    def _token(self, authorization: str, payload: str) -> Token:
        # The payload names the caller; the header may be redacted and so the same for all.
        text = payload or authorization
        known = self._tokens.get(text)
        if known is None:
            known = self._read_token(authorization, payload)
            if len(text) <= _CACHED_LENGTH:
                if len(self._tokens) >= _MAX_TOKENS:
                    self._tokens.clear()
                self._tokens[text] = known
        return known

    def _read_token(self, authorization: str, payload: str) -> Token:
        scheme, _, rest = authorization.partition(" ")
        bare = rest.strip() if rest and scheme.lower() in _SCHEMES else authorization
        parts = bare.split(".")
        claims = _claims(payload) if payload else {}
        unsigned = False
        if not payload and len(parts) == 3:
            claims = _claims(parts[1])
            unsigned = not parts[2] or str(_claims(parts[0]).get("alg", "")).lower() == "none"
        subject, sid = _text(claims.get(self._claim)), _text(claims.get("sid"))
        text = payload or bare
        # A JWT cut short is a header, which all of them share.
        redacted = _REDACTED.fullmatch(text) or (bare.startswith("eyJ") and len(parts) < 3)
        return Token(
            subject,
            self._digest(sid) if sid and not unsigned else "",
            "" if redacted and not payload else self._digest(text),
            unsigned,
        )

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """Sessions below a vouched principal whose addresses changed."""
        items = [(key, msgspec.msgpack.encode(self._sessions[key])) for key in sorted(self._dirty)]
        self._dirty.clear()
        return items

    def load(self, items: Iterator[tuple[str, bytes]]) -> None:
        """Restore what `take_dirty` gave."""
        for key, value in items:
            self._sessions[key] = msgspec.msgpack.decode(value, type=_Use)


_SCHEMES = frozenset({"bearer", "token", "jwt"})
_FIELDS: dict[Provenance, str] = {
    "gateway": "principal", "unverified": "asserted", "asserted": "asserted",
}  # fmt: skip
"""The field of a principal's id: what clients wrote says nothing about what others look like."""


def _text(claim: object) -> str:
    return str(claim) if isinstance(claim, str | int) and not isinstance(claim, bool) else ""


def _claims(segment: str) -> dict[str, object]:
    try:
        if segment.startswith("{"):
            data = segment.encode()
        else:
            if "." in segment:
                segment = segment.split(".")[1]
            data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        claims = orjson.loads(data)
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
