"""JWTs as issuers and forgers make them, with keys made for each run."""

import base64
import hashlib
import hmac
import json
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.intake._lines import AT

NOW_S = AT // 1000
KINDS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "short": lambda: rsa.generate_private_key(65537, 1024),
}


@cache
def key(kind, number=0):
    """A private key, the same each time in this run."""
    return KINDS[kind]()


def jwk(kind, number=0, **members):
    """The public half of it, as a JWKS has it."""
    if kind == "EdDSA":
        made = jwt.algorithms.OKPAlgorithm.to_jwk(key(kind, number).public_key())
    elif kind.startswith("ES"):
        made = jwt.algorithms.ECAlgorithm.to_jwk(key(kind, number).public_key())
    else:
        made = jwt.algorithms.RSAAlgorithm.to_jwk(key(kind, number).public_key())
    return {**json.loads(made), **members}


def jwks(*keys):
    return json.dumps({"keys": list(keys)}).encode()


def segment(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def bare(alg="RS256", signature="c2ln", **claims):
    """A token whose signature nobody made."""
    return f"{segment({'alg': alg})}.{segment(claims)}.{signature}"


def signed(kind="ES256", number=0, *, alg=None, kid=None, header=None, **claims):
    """A token that a key signed."""
    headers = {**({"kid": kid} if kid else {}), **(header or {})}
    return jwt.encode(claims, key(kind, number), algorithm=alg or kind, headers=headers)


def confused(kind="ES256", number=0, *, kid=None, **claims):
    """HS256 with the text of a public key as its secret."""
    public = key(kind, number).public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = {"alg": "HS256", **({"kid": kid} if kid else {})}
    text = f"{segment(head)}.{segment(claims)}"
    made = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"
