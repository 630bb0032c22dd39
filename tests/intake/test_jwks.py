import json

import pytest

from intake.jwks import Keys
from tests.intake._tokens import bare, confused, jwk, jwks, key, segment, signed

SET = jwks(
    jwk("ES256", kid="a", use="sig", alg="ES256"),
    jwk("EdDSA", kid="b"),
    jwk("RS256", kid="c", key_ops=["verify"]),
    jwk("ES256", 1, kid="c"),
)


def swapped(token, claims):
    head, _, signature = token.split(".")
    return f"{head}.{segment(claims)}.{signature}"


CHECKS = [
    ("signed", signed(kid="a", sub="17"), "verified"),
    ("by another key of the set", signed("EdDSA", kid="b", sub="17"), "verified"),
    ("RSA", signed("RS256", kid="c", sub="17"), "verified"),
    ("RSA, 384", signed("RS256", alg="RS384", kid="c", sub="17"), "verified"),
    ("RSA, 512", signed("RS256", alg="RS512", kid="c", sub="17"), "verified"),
    ("RSA-PSS", signed("RS256", alg="PS256", kid="c", sub="17"), "verified"),
    ("RSA-PSS, 512", signed("RS256", alg="PS512", kid="c", sub="17"), "verified"),
    ("one of two keys of this id", signed("ES256", 1, kid="c", sub="17"), "verified"),
    ("no key id", signed(sub="17"), "verified"),
    ("another key's id", signed(kid="b", sub="17"), "forged"),
    ("a key nobody knows", signed("ES256", 7, kid="a", sub="17"), "forged"),
    ("a key nobody knows, no id", signed("ES256", 7, sub="17"), "forged"),
    ("an id nobody knows", signed("ES256", 7, kid="z", sub="17"), "unknown"),
    ("an id nobody knows, a good key", signed(kid="z", sub="17"), "unknown"),
    ("other claims", swapped(signed(kid="a", sub="17"), {"sub": "18"}), "forged"),
    ("a public key as the secret", confused(kid="a", sub="17"), "forged"),
    ("a public key as the secret, no id", confused(sub="17"), "forged"),
    ("an RSA key as the secret", confused("RS256", kid="c", sub="17"), "forged"),
    ("no algorithm", f"{segment({'kid': 'a'})}.e30.c2ln", "unknown"),
    ("none", bare("none"), "forged"),
    ("an id that is a list", f"{segment({'alg': 'ES256', 'kid': ['a']})}.e30.c2ln", "unknown"),
    ("an extension that must be understood",
     signed(kid="a", sub="17", header={"crit": ["x"], "x": 1}), "forged"),
    ("its own key in the header",
     signed("ES256", 7, kid="a", sub="17", header={"jwk": jwk("ES256", 7)}), "forged"),
    ("rubbish", "a.b.c", "unknown"),
    ("encrypted", "a.b.c.d.e", "unknown"),
    ("no text of this world", signed(kid="a", sub="17") + "\udc00", "forged"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "token", "expected"), CHECKS, ids=[case[0] for case in CHECKS])
def test_check(name, token, expected):
    assert Keys(SET).check(token) == expected, name


def test_a_key_is_used_for_its_own_algorithm_alone():
    keys = Keys(jwks(jwk("RS256", kid="c", alg="RS256")))
    assert keys.check(signed("RS256", kid="c", sub="17")) == "verified"
    assert keys.check(signed("RS256", alg="PS256", kid="c", sub="17")) == "forged"


def test_a_key_without_an_id_may_be_any():
    keys = Keys(jwks(jwk("ES256"), jwk("EdDSA", kid="b")))
    assert keys.check(signed(kid="z", sub="17")) == "verified"
    assert keys.check(signed(sub="17")) == "verified"
    assert keys.check(signed("ES256", 7, kid="z", sub="17")) == "unknown"


SECRET = {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}
BAD = [
    ("not JSON", b"-----BEGIN PUBLIC KEY-----", "not JSON"),
    ("deep", b"[" * 100_000, "not JSON"),
    ("no set", b'{"kty": "EC"}', 'no list of "keys"'),
    ("a list", b"[]", 'no list of "keys"'),
    ("a shared secret", jwks(SECRET), "shared secret"),
    ("for encryption", jwks(jwk("ES256", use="enc")), "not for signatures"),
    ("for signing", jwks(jwk("ES256", key_ops=["sign"])), "not for signatures"),
    ("too short", jwks(jwk("short")), "RSA of 1024 bits"),
    ("another kind", jwks({"kty": "EC", "crv": "P-999"}), "not known"),
    ("no numbers", jwks({"kty": "RSA", "n": "!", "e": "AQAB"}), "key 1"),
    ("no key", jwks(5), "no object"),
]


@pytest.mark.parametrize(("name", "data", "why"), BAD, ids=[case[0] for case in BAD])
def test_a_set_that_verifies_nothing_is_refused(name, data, why):
    with pytest.raises(ValueError, match=why):
        Keys(data)


def test_an_empty_set_knows_nobody():
    assert Keys(jwks()).check(signed(kid="a", sub="17")) == "unknown"
    assert Keys(jwks()).check(signed(sub="17")) == "unknown"


def test_keys_that_are_of_no_use_stand_beside_others():
    data = jwks(SECRET, jwk("short", kid="old"), jwk("ES256", kid="a"))
    keys = Keys(data)
    assert keys.check(signed(kid="a", sub="17")) == "verified"
    assert keys.check(signed(kid="s", sub="17")) == "unknown"


def test_a_private_key_in_the_file_verifies_like_its_public_half():
    numbers = key("ES256").private_numbers()
    private = {**jwk("ES256", kid="a"), "d": str(numbers.private_value)}
    assert Keys(json.dumps({"keys": [private]}).encode()).check(signed(kid="a")) == "verified"
