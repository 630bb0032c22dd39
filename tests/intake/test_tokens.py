import json

import msgspec
import pytest

from intake.jwks import Keys
from intake.tokens import LEEWAY_MS, Token, Tokens, claims_of, text_of
from tests.intake._lines import AT, digest
from tests.intake._tokens import NOW_S, bare, jwk, jwks, segment, signed

KEYS = Keys(jwks(jwk("ES256", kid="a")))
EVER = 1 << 60


def token(**said):
    """What is read of a token that says nothing of itself, but for its digest."""
    fields = {
        "subject": "", "issuer": "", "actor": "", "actor_issuer": "", "sid": "", "family": "",
        "digest": "", "fault": "", "verified": False, "doubted": False,
        "from_ms": -EVER - LEEWAY_MS, "until_ms": EVER + LEEWAY_MS,
    }  # fmt: skip
    return Token(**{**fields, **said})


def reader(verifier=KEYS, audience=None):
    return Tokens(digest, "sub", audience, verifier)


def good(**claims):
    return signed(kid="a", **claims)


READ = [
    ("bearer", None, f"Bearer {bare(sub='17', iss='i')}", token(subject="17", issuer="i")),
    ("DPoP", None, f"DPoP {bare(sub='17')}", token(subject="17")),
    ("bare", None, bare(sub="17"), token(subject="17")),
    ("opaque", None, "Bearer abc.def", token()),
    ("encrypted", None, "Bearer a.b.c.d.e", token()),
    ("Basic", None, "Basic YTpi", token()),
    ("redacted", None, "Bearer ***", token()),
    ("sid", None, bare(sid="s"), token(sid=digest("s"))),
    ("Keycloak's", None, bare(session_state="s"), token(sid=digest("s"))),
    ("family", None, bare(origin_jti="f"), token(family=digest("f"))),
    ("a jti is of one token alone", None, bare(jti="f"), token()),
    ("unsigned", None, bare("none", sub="17", sid="s"),
     token(subject="17", fault="unsigned", doubted=True)),
    ("no signature", KEYS, bare(signature="", sub="17"),
     token(subject="17", fault="unsigned", doubted=True)),
    ("verified", KEYS, good(sub="17"), token(subject="17", verified=True)),
    ("verified, with times", KEYS, good(sub="17", nbf=1, exp=2.5),
     token(subject="17", verified=True, from_ms=1000 - LEEWAY_MS, until_ms=2500 + LEEWAY_MS)),
    ("acting", KEYS, good(sub="17", iss="i", act={"sub": "40", "act": {"sub": "41"}}),
     token(subject="17", issuer="i", actor="40", actor_issuer="i", verified=True)),
    ("acting, of another issuer", KEYS, good(sub="17", iss="i", act={"sub": "40", "iss": "j"}),
     token(subject="17", issuer="i", actor="40", actor_issuer="j", verified=True)),
    ("a client that acts", KEYS, good(sub="17", act={"client_id": "app"}),
     token(subject="17", actor="app", verified=True)),
    ("act that says nothing", KEYS, good(sub="17", act="40"), token(subject="17", verified=True)),
    ("acting, unverified", None, good(sub="17", act={"sub": "40"}), token(subject="17")),
    ("forged", KEYS, signed("ES256", 7, kid="a", sub="17", sid="s"),
     token(subject="17", fault="forged", doubted=True)),
    ("nobody can tell", KEYS, signed("ES256", 7, kid="z", sub="17", sid="s"),
     token(subject="17", sid=digest("s"))),
    ("signature taken out", KEYS, bare(signature="REDACTED", sub="17"), token(subject="17")),
    ("too long to be checked", KEYS, good(sub="17", x="y" * 20_000), token(subject="17")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "verifier", "text", "expected"), READ, ids=[case[0] for case in READ]
)
def test_read(name, verifier, text, expected):
    tokens = reader(verifier)
    for _ in range(2):
        assert msgspec.structs.replace(tokens.read(text, ""), digest="") == expected, name


@pytest.mark.parametrize(
    ("text", "payload", "digested"),
    [
        ("Bearer abc.def", "", "abc.def"),
        ("Basic YTpi", "", "Basic YTpi"),
        (f"Bearer {bare(sub='17')}", "", bare(sub="17")),
        ("Bearer ***", "", None),
        ("Bearer eyJhbGciOiJSUzI1NiJ9", "", None),
        ("", segment({"sub": "17"}), segment({"sub": "17"})),
        ("Bearer ***", segment({"sub": "17"}), segment({"sub": "17"})),
    ],
)
def test_digest(text, payload, digested):
    expected = "" if digested is None else digest(digested)
    assert reader().read(text, payload).digest == expected


AUDIENCES = [
    ("for us", good(aud="shop"), True, False),
    ("for us too", good(aud=["bank", "shop"]), True, False),
    ("for others", good(aud="bank"), False, True),
    ("for nobody", good(), False, True),
    ("unchecked", bare(aud="bank"), False, False),
]


@pytest.mark.parametrize(("name", "text", "verified", "doubted"), AUDIENCES)
def test_audience(name, text, verified, doubted):
    verifier = None if name == "unchecked" else KEYS
    found = reader(verifier, "shop").read(text, "")
    assert (found.verified, found.doubted) == (verified, doubted), name


TIMES = [
    ("always", {}, True),
    ("within", {"nbf": NOW_S - 1, "exp": NOW_S + 1}, True),
    ("just over", {"exp": NOW_S - 59.5}, True),
    ("over", {"exp": NOW_S - 60}, False),
    ("nearly begun", {"nbf": NOW_S + 60}, True),
    ("not begun", {"nbf": NOW_S + 61}, False),
    ("no time", {"exp": "tomorrow"}, False),
    ("no beginning", {"nbf": [1]}, False),
    ("out of this world", {"exp": 10**18}, False),
]


@pytest.mark.parametrize(("name", "claims", "holds"), TIMES, ids=[case[0] for case in TIMES])
def test_a_token_holds_at_the_time_of_the_line(name, claims, holds):
    found = reader().read(good(sub="17", **claims), "")
    assert found.verified
    assert found.is_verified_at(AT) is holds


def test_the_payload_names_the_caller_where_the_header_is_taken_out():
    for verifier in (None, KEYS):
        tokens = reader(verifier)
        for header in ("", "Bearer ***", "Bearer eyJhbGciOiJSUzI1NiJ9.***.***"):
            found = [tokens.read(header, segment({"sub": user})) for user in ("17", "18")]
            assert [it.subject for it in found] == ["17", "18"]
            assert found[0].digest != found[1].digest
            assert not any(it.fault or it.verified for it in found)


def test_a_whole_token_comes_before_its_payload():
    found = reader().read(good(sub="17"), segment({"sub": "18"}))
    assert (found.subject, found.verified) == ("17", True)
    found = reader(None).read(good(sub="17"), segment({"sub": "18"}))
    assert (found.subject, found.verified) == ("18", False)


def test_other_keys_are_used_at_once():
    tokens = reader()
    text = signed("ES256", 1, kid="b", sub="17")
    assert not tokens.read(text, "").verified
    tokens.use(Keys(jwks(jwk("ES256", 1, kid="b"))))
    assert tokens.read(text, "").verified
    tokens.use(None)
    assert not tokens.read(text, "").verified


def test_a_token_is_checked_once_and_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("intake.tokens._GENERATION", 5)
    asked = []

    class Counting:
        def check(self, token):
            asked.append(token)
            return "verified"

    tokens = reader(Counting())
    texts = [bare(sub=str(number)) for number in range(100)]
    for text in texts:
        for _ in range(3):
            assert tokens.read(text, "").verified
    assert asked == texts
    assert len(tokens._recent) + len(tokens._older) <= 10
    held = json.dumps([str(key) for key in tokens._recent])
    assert not any(text in held for text in texts), "the credential itself is not kept"


@pytest.mark.parametrize(
    ("segment_", "expected"),
    [
        ('{"sub":"17"}', {"sub": "17"}),
        (segment({"sub": "17"}), {"sub": "17"}),
        (bare(sub="17"), {"sub": "17"}),
        ("", {}),
        ("e", {}),
        ("WzFd", {}),
        ("\u00e9", {}),
        ("\udc00", {}),
        ("{\udc00}", {}),
    ],
)
def test_claims(segment_, expected):
    assert claims_of(segment_) == expected


@pytest.mark.parametrize(
    ("claim", "expected"), [("a", "a"), (17, "17"), (True, ""), (1.5, ""), (None, ""), ([], "")]
)
def test_text_of(claim, expected):
    assert text_of(claim) == expected
