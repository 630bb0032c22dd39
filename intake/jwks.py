"""The public keys of issuers (JWKS, RFC 7517), and whether one of them has signed a token.

Bytes of the file in; `Keys`, a `tokens.Verifier`, out. Only asymmetric algorithms count, and each
key only for its own: a token MUST NOT choose how it is checked (RFC 8725, 3.1). Claims and times
are not looked at here. Imported only where keys are configured.
"""

import orjson
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from intake.tokens import Check, claims_of

_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "secp256k1": ("ES256K",),
    "Ed25519": ("EdDSA",),
    "Ed448": ("EdDSA",),
}  # fmt: skip
"""By the type of a key, or its curve."""
_PUBLIC = frozenset({"kty", "crv", "n", "e", "x", "y"})
_SHORTEST_RSA = 2048


class Keys:
    """The keys of one JWKS."""

    def __init__(self, data: bytes) -> None:
        """Read a JWKS.

        Raises:
            ValueError: it is none, or has keys of which none can verify a token; says why.
        """
        try:
            document = orjson.loads(data)
        except ValueError as error:
            raise ValueError(
                f'not JSON ({error}): a key set looks like {{"keys": [...]}}'
            ) from None
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise ValueError('no list of "keys": a key set looks like {"keys": [...]}')  # noqa: TRY004  as not JSON
        self._keys: dict[str | None, list[dict[str, PyJWK]]] = {}
        """By key id; each as one key an algorithm."""
        self._jws = PyJWS()
        why: list[str] = []
        for at, jwk in enumerate(listed):
            try:
                kid, key = _usable(jwk)
            except ValueError as error:
                why.append(f"key {at + 1}: {error}")
            else:
                self._keys.setdefault(kid, []).append(key)
        if listed and not self._keys:
            raise ValueError(f"no key in it can verify a token: {'; '.join(why)}")

    def check(self, token: str) -> Check:
        """See `Verifier.check`. Unknown: a key id that is not in the set, or no JWT."""
        header = claims_of(token.partition(".")[0])
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(algorithm, str):
            return "unknown"
        if kid is None:
            meant = [key for keys in self._keys.values() for key in keys]
        else:
            meant = self._keys.get(kid, []) if isinstance(kid, str) else []
        # A key without an id may be any.
        for key in meant or self._keys.get(None, []):
            if (jwk := key.get(algorithm)) is None:
                continue
            try:
                self._jws.decode_complete(token, jwk, [algorithm])
            except (PyJWTError, ValueError):
                continue
            return "verified"
        return "forged" if meant else "unknown"


def _usable(jwk: object) -> tuple[str | None, dict[str, PyJWK]]:
    """(key id, algorithm -> key).

    Raises:
        ValueError: it is no public key for signatures.
    """
    if not isinstance(jwk, dict):
        raise ValueError("no object")  # noqa: TRY004  what is wrong with the file
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("not for signatures")
    if jwk.get("kty") == "oct":
        raise ValueError("a shared secret; only public keys are used")
    possible = _ALGORITHMS.get(str(jwk.get("crv") or jwk.get("kty")), ())
    if algorithm is not None:
        possible = tuple(name for name in possible if name == algorithm)
    if not possible:
        raise ValueError(f"kty {jwk.get('kty')}, crv {jwk.get('crv')}, alg {algorithm}: not known")
    public = {name: value for name, value in jwk.items() if name in _PUBLIC}
    try:
        key = {name: PyJWK(public, name) for name in possible}
    except (PyJWTError, ValueError, TypeError) as error:
        raise ValueError(str(error)) from None
    size = getattr(next(iter(key.values())).key, "key_size", _SHORTEST_RSA)
    if jwk.get("kty") == "RSA" and size < _SHORTEST_RSA:
        raise ValueError(f"RSA of {size} bits; RFC 7518 wants {_SHORTEST_RSA}")
    return (kid if isinstance(kid, str) else None), key
