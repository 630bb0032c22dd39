"""What a bearer token says, and whether it may be believed (JUDGEMENT: provenance).

A credential as logged in, a `Token` out: subject, issuer, actor (RFC 8693), session, the time in
which it holds. Who verifies it is given from outside (`Verifier`). A credential goes into the keyed
digest here and nowhere further, and a claim of an unverified token MUST NOT permit anything.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
import orjson

from records.kinds import TokenFault

Check = Literal["verified", "forged", "unknown"]
"""A signature is right; it is wrong, or none that these keys could have made; nobody can tell."""

LEEWAY_MS = 60_000
"""By so much the clocks of issuer and gateway may differ."""
_GENERATION = 20_000
_LONGEST_TOKEN = 16_384
_SHORTEST_SIGNATURE = 64
_FOREVER_MS = 1 << 60
_SCHEMES = frozenset({"bearer", "token", "jwt", "dpop"})
_SESSIONS = ("sid", "session_state", "session_id")
"""OpenID Connect's, what Keycloak and Supabase call it."""
_FAMILIES = ("origin_jti", "fid", "family_id", "token_family")
"""What all access tokens of one refresh token share, where an issuer says it (Cognito's first)."""
_REDACTED = re.compile(
    r"\W*|.*(?:\*{3}|\.{3}$|x{6}|redact|filtered|masked|removed|hidden).*", re.IGNORECASE
)


class Verifier(Protocol):
    """Checks signatures against the keys of an issuer."""

    def check(self, token: str) -> Check:
        """Whether one of the keys has signed this JWT."""
        ...


class Token(msgspec.Struct, frozen=True, gc=False):
    """What a bearer token says; only if `verified`, somebody has vouched for it."""

    subject: str
    issuer: str
    actor: str
    """Who acts for the subject (`act`), if the token is verified; else ""."""
    actor_issuer: str
    sid: str
    """Digest of its session; "" without one, or where nobody can have vouched for it."""
    family: str
    """Digest of the refresh token's family that it comes from."""
    digest: str
    """Digest of itself; "" if it was redacted."""
    fault: TokenFault
    verified: bool
    doubted: bool
    """Nobody may vouch for it: it is a forgery, unsigned, or was made for somebody else."""
    from_ms: int
    until_ms: int

    def is_verified_at(self, time_ms: int) -> bool:
        """Whether it was signed by the issuer, and holds at the time of a line."""
        return self.verified and self.from_ms <= time_ms < self.until_ms


class Tokens:
    """Reads tokens; remembers what the latest said, by a digest of each."""

    def __init__(
        self,
        digest: Callable[[str], str],
        claim: str,
        audience: str | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        """`digest`: the keyed digest of credentials. `claim`: the one that names the subject."""
        self._digest = digest
        self._claim = claim
        self._audience = audience
        self._verifier = verifier
        self._recent: dict[bytes, Token] = {}
        self._older: dict[bytes, Token] = {}

    def use(self, verifier: Verifier | None) -> None:
        """Check against other keys from now on: the issuer has new ones."""
        self._verifier = verifier
        self._recent, self._older = {}, {}

    def read(self, authorization: str, payload: str) -> Token:
        """The token in an Authorization header, or in the payload segment that a gateway logged."""
        bare = _bare(authorization)
        # The payload names the caller; the header may be redacted and so the same for all.
        if payload and (self._verifier is None or bare.count(".") != 2):
            bare = ""
        key = hashlib.blake2b(
            f"{len(bare)}.{bare}{payload}".encode("utf-8", "surrogatepass"), digest_size=16
        ).digest()
        token = self._recent.get(key)
        if token is None:
            token = self._older.get(key) or self._read(bare, payload)
            if len(self._recent) >= _GENERATION:
                self._older, self._recent = self._recent, {}
            self._recent[key] = token
        return token

    def _read(self, bare: str, payload: str) -> Token:
        parts = bare.split(".")
        signed = len(parts) == 3
        check: Check = "unknown"
        fault: TokenFault = ""
        if signed:
            if not parts[2] or str(claims_of(parts[0]).get("alg", "")).lower() == "none":
                fault = "unsigned"
            elif self._verifier is not None and len(bare) <= _LONGEST_TOKEN and _is_whole(parts[2]):
                check = self._verifier.check(bare)
                fault = "forged" if check == "forged" else ""
        claims = claims_of(parts[1]) if signed else {}
        if payload and check != "verified":
            claims, fault = claims_of(payload), ""
        for_us = self._audience is None or self._audience in _texts(claims.get("aud"))
        verified = check == "verified" and for_us
        actor = claims.get("act")
        subject, issuer = text_of(claims.get(self._claim)), text_of(claims.get("iss"))
        # A JWT cut short is a header, which all of them share.
        cut = bare.startswith("eyJ") and len(parts) < 3
        own = "" if not payload and (cut or _REDACTED.fullmatch(bare)) else (payload or bare)
        token = Token(
            subject=subject,
            issuer=issuer,
            actor="",
            actor_issuer="",
            sid="" if fault else self._first(claims, _SESSIONS),
            family="" if fault else self._first(claims, _FAMILIES),
            digest=self._digest(own) if own else "",
            fault=fault,
            verified=verified,
            doubted=bool(fault) or (check == "verified" and not for_us),
            from_ms=_bound(claims.get("nbf"), -_FOREVER_MS) - LEEWAY_MS,
            until_ms=_bound(claims.get("exp"), _FOREVER_MS) + LEEWAY_MS,
        )
        if verified and isinstance(actor, dict):
            # The outermost actor is who acts now; those within it acted before (RFC 8693, 4.1).
            name = text_of(actor.get("sub")) or text_of(actor.get("client_id"))
            token = msgspec.structs.replace(
                token, actor=name, actor_issuer=text_of(actor.get("iss")) or issuer
            )
        return token

    def _first(self, claims: dict[str, object], names: tuple[str, ...]) -> str:
        value = next((text for name in names if (text := text_of(claims.get(name)))), "")
        return self._digest(value) if value else ""


def _bare(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if rest and scheme.lower() in _SCHEMES else authorization


def _is_whole(signature: str) -> bool:
    """Whether a signature may be one, not what a logger put in its place."""
    return len(signature) > _SHORTEST_SIGNATURE or not _REDACTED.fullmatch(signature)


def text_of(claim: object) -> str:
    """A claim that is a text or a whole number, as text; "" for anything else."""
    return str(claim) if isinstance(claim, str | int) and not isinstance(claim, bool) else ""


def _texts(claim: object) -> list[str]:
    return [text_of(item) for item in (claim if isinstance(claim, list) else [claim])]


def _bound(claim: object, otherwise: int) -> int:
    """Milliseconds of a NumericDate; of what is none, a bound that nothing satisfies."""
    if claim is None:
        return otherwise
    if isinstance(claim, int | float) and abs(claim) < _FOREVER_MS // 1000:
        return int(claim * 1000)
    return -otherwise


def claims_of(segment: str) -> dict[str, object]:
    """The claims in a segment of a JWT, a whole JWT, or JSON; none where it is anything else."""
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
