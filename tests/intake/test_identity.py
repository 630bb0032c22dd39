import pytest

from intake.identity import Caller, Credentials, Identity
from intake.jwks import Keys
from intake.spaces import Spaces
from tests.intake._lines import AT, digest, get, settings
from tests.intake._tokens import bare as jwt
from tests.intake._tokens import jwk, jwks, segment, signed

NUMBERS = [str(number) for number in range(100, 160)]


def identity(people=None, spaces=None, verifier=None, **intake):
    return Identity(settings(**intake), digest, people or {}, spaces or Spaces(), verifier)


GATEWAY = {"trust": {"principal": "gateway"}}
TOKEN = jwt(sub="17")

# name, settings, fields of the line, principal, provenance, authentication, claimed, session
CALLERS = [
    ("nobody", {}, {}, "", "", "unlogged", "", ""),
    ("vouched", {}, {"user": "017"}, "17", "gateway", "known", "", ""),
    ("white space", {}, {"user": " ", "asserted": "17"}, "", "", "unlogged", "", ""),
    ("asserted", {}, {"asserted": "17"}, "17", "asserted", "known", "", ""),
    ("vouched for by settings", GATEWAY, {"asserted": "17"}, "17", "gateway", "known", "", ""),
    ("token", {}, {"authorization": f"Bearer {TOKEN}"}, "17", "unverified", "known", "",
     digest(TOKEN)),
    ("bare token", {}, {"authorization": TOKEN}, "17", "unverified", "known", "", digest(TOKEN)),
    ("token at a gateway", GATEWAY, {"authorization": TOKEN}, "17", "gateway", "known", "",
     digest(TOKEN)),
    ("the gateway's word before the token's", {}, {"user": "18", "authorization": TOKEN}, "18",
     "gateway", "known", "", digest(TOKEN)),
    ("the token's before a bare user", {}, {"asserted": "18", "authorization": TOKEN}, "17",
     "unverified", "known", "", digest(TOKEN)),
    ("nobody signed it", GATEWAY, {"authorization": jwt(alg="none", sub="18", sid="s")}, "18",
     "unverified", "known", "", digest(jwt(alg="none", sub="18", sid="s"))),
    ("no signature", GATEWAY, {"authorization": jwt(signature="", sub="18")}, "18", "unverified",
     "known", "", digest(jwt(signature="", sub="18"))),
    ("numeric subject", {}, {"authorization": jwt(sub=17)}, "17", "unverified", "known", "",
     digest(jwt(sub=17))),
    ("odd subject", {}, {"authorization": jwt(sub=[1])}, "", "", "unlogged", "",
     digest(jwt(sub=[1]))),
    ("other claim", {"jwt": {"claim": "uid"}}, {"authorization": jwt(sub="x", uid="17")}, "17",
     "unverified", "known", "", digest(jwt(sub="x", uid="17"))),
    ("opaque token", {}, {"authorization": "Bearer abcdef123456"}, "", "", "unlogged", "",
     digest("abcdef123456")),
    ("broken token", {}, {"authorization": "Bearer a.\u00e9.c"}, "", "", "unlogged", "",
     digest("a.\u00e9.c")),
    ("payload alone", {}, {"jwt_payload": segment({"sub": "17"})}, "17", "unverified", "known", "",
     digest(segment({"sub": "17"}))),
    ("payload as JSON", {}, {"jwt_payload": '{"sub":"17"}'}, "17", "unverified", "known", "",
     digest('{"sub":"17"}')),
    ("redacted header", {}, {"authorization": "Bearer ***"}, "", "", "unlogged", "", ""),
    ("redacted header, payload", {},
     {"authorization": "Bearer [REDACTED]", "jwt_payload": segment({"sub": "17"})}, "17",
     "unverified", "known", "", digest(segment({"sub": "17"}))),
    ("token cut short", {}, {"authorization": "Bearer eyJhbGciOiJSUzI1NiJ9"}, "", "", "unlogged",
     "", ""),
    ("cookie", {}, {"session": "c1"}, "", "", "unlogged", "", digest("c1")),
    ("cookie before the token itself", {}, {"session": "c1", "authorization": TOKEN}, "17",
     "unverified", "known", "", digest("c1")),
    ("sid before the cookie", {}, {"session": "c1", "authorization": jwt(sub="17", sid="s1")},
     "17", "unverified", "known", "", digest("s1")),
    ("401: it was not", {}, {"user": "17", "session": "c1", "claimed": "18", "status": 401}, "", "",
     "unlogged", "18", ""),
    ("only a claim", {}, {"claimed": "018"}, "18", "asserted", "known", "18", ""),
    ("a claim beside", {}, {"user": "17", "claimed": "18"}, "17", "gateway", "known", "18", ""),
    ("a claim nobody honours", {"identity_headers": [{"honoured": "never"}]},
     {"user": "17", "claimed": "18"}, "17", "gateway", "known", "", ""),
    ("claims, own first", {}, {"user": "17", "claimed": "17, 18"}, "17", "gateway", "known", "18",
     ""),
    ("own claim, oddly spelled", {}, {"user": "u-17", "claimed": " U-17"}, "u-17", "gateway",
     "known", "u-17", ""),
    ("empty claim", {}, {"user": "17", "claimed": ","}, "17", "gateway", "known", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "intake", "fields", "principal", "provenance", "authentication", "claimed", "session"),
    CALLERS,
)
def test_caller(name, intake, fields, principal, provenance, authentication, claimed, session):
    expected = Caller(
        principal,
        provenance,
        authentication,
        claimed,
        session,
        name == "only a claim",
        token="unsigned" if name in {"nobody signed it", "no signature"} else "",
    )
    who = identity(**intake)
    assert who.caller(get("/", **fields), Credentials()) == expected, name
    assert who.caller(get("/", **fields), Credentials()) == expected, f"{name}, from the caches"


def test_a_redacted_header_does_not_make_one_person_of_all():
    who = identity()
    callers = [
        who.caller(
            get("/", authorization="Bearer x", jwt_payload=segment({"sub": user})), Credentials()
        )
        for user in ("17", "18")
    ]
    assert [caller.principal for caller in callers] == ["17", "18"]
    assert callers[0].session != callers[1].session


def test_identities_join_the_ids_of_a_person():
    who = identity(people={"17": "p1", "a@example.com": "p1"})
    callers = [who.caller(get("/", user), Credentials()) for user in ("017", "A@Example.com", "18")]
    assert [caller.principal for caller in callers] == ["p1", "p1", "18"]


@pytest.mark.parametrize(
    ("name", "notes", "provenance"),
    [
        ("one vouched for", [("17", "gateway", False)], "gateway"),
        ("a crowd asserts", [(str(n), "asserted", False) for n in range(30)], "asserted"),
        ("near miss: one name", [("17", "asserted", False)] * 50, ""),
        ("near miss: half of the lines",
         [(str(n) if n % 2 else "", "asserted", False) for n in range(99)], ""),
        ("Basic names prove nothing", [(str(n), "asserted", True) for n in range(99)], ""),
        ("nothing", [], ""),
    ],
)  # fmt: skip
def test_whether_a_source_logs_credentials(name, notes, provenance):
    credentials = Credentials()
    for principal, kind, basic_user in notes:
        credentials.note(principal, kind, basic_user=basic_user)
    assert credentials.provenance == provenance, name
    assert len(credentials.principals) <= 20


def test_no_credential_is_anonymous_where_credentials_are_logged():
    who, credentials = identity(), Credentials()
    assert who.caller(get("/"), credentials).authentication == "unlogged"
    who.caller(get("/", "17"), credentials)
    assert who.caller(get("/"), credentials).authentication == "anonymous"
    claim = who.caller(get("/", claimed="18"), credentials)
    assert (claim.principal, claim.authentication, claim.claimed) == ("", "anonymous", "18")


def test_refused_tokens_do_not_say_that_credentials_are_logged():
    who, credentials = identity(), Credentials()
    for number in range(50):
        who.caller(get("/", authorization=jwt(sub=str(number)), status=401), credentials)
    assert credentials == Credentials()


def test_clients_cannot_say_what_principals_look_like():
    spaces = Spaces()
    who = identity(spaces=spaces)
    for number in range(99):
        who.caller(get("/", asserted=f"junk-{number}"), Credentials())
    for user in NUMBERS:
        who.caller(get("/", user), Credentials())
    assert spaces.of("principal") == "integer"


HOME, PARTNER = "https://id.example", "https://partner.example/"
KEYS = Keys(jwks(jwk("ES256", kid="a")))
APART = f"{PARTNER}#17"

# name, settings, people, fields of the line, principal, provenance, qualified
ISSUERS = [
    ("home", {}, {}, {"authorization": jwt(sub="17", iss=HOME)}, "17", "unverified", False),
    ("another", {}, {}, {"authorization": jwt(sub="017", iss=PARTNER)}, APART, "unverified", True),
    ("another, at a gateway", GATEWAY, {}, {"authorization": jwt(sub="17", iss=PARTNER)}, APART,
     "gateway", True),
    ("none", {}, {}, {"authorization": jwt(sub="17")}, "17", "unverified", False),
    ("another, mapped", {}, {APART: "p1"}, {"authorization": jwt(sub="17", iss=PARTNER)}, "p1",
     "unverified", False),
    ("another, a map of plain ids", {}, {"17": "p1"},
     {"authorization": jwt(sub="17", iss=PARTNER)}, APART, "unverified", True),
    ("home, mapped", {}, {"17": "p1"}, {"authorization": jwt(sub="17", iss=HOME)}, "p1",
     "unverified", False),
    ("named", {"jwt": {"issuers": [PARTNER.rstrip("/")]}}, {},
     {"authorization": jwt(sub="17", iss=PARTNER)}, "17", "unverified", False),
    ("not named", {"jwt": {"issuers": [PARTNER]}}, {}, {"authorization": jwt(sub="17", iss=HOME)},
     f"{HOME}#17", "unverified", True),
    ("the gateway names the subject", {}, {},
     {"user": "17", "authorization": jwt(sub="17", iss=PARTNER)}, APART, "gateway", True),
    ("the gateway names somebody else", {}, {},
     {"user": "18", "authorization": jwt(sub="17", iss=PARTNER)}, "18", "gateway", False),
    ("the gateway names the subject of what nobody signed", {}, {},
     {"user": "17", "authorization": jwt("none", sub="17", iss=PARTNER)}, "17", "gateway", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "intake", "people", "fields", "principal", "provenance", "qualified"),
    ISSUERS, ids=[case[0] for case in ISSUERS],
)  # fmt: skip
def test_issuers(name, intake, people, fields, principal, provenance, qualified):
    who, credentials = identity(people, **intake), Credentials()
    for number in NUMBERS:
        who.caller(get("/", authorization=jwt(sub=number, iss=HOME)), credentials)
    caller = who.caller(get("/", **fields), credentials)
    assert (caller.principal, caller.provenance, caller.qualified) == (
        principal, provenance, qualified
    ), name  # fmt: skip


def test_of_two_issuers_alike_neither_is_home_but_a_gateway_knows_its_users():
    who, credentials = identity(), Credentials()
    lines = [get("/", authorization=jwt(sub="17", iss=iss)) for iss in (HOME, PARTNER)]
    for line in lines:
        who.caller(line, credentials)
    assert [who.caller(line, credentials).principal for line in lines] == [f"{HOME}#17", APART]
    line = get("/", "17", authorization=jwt(sub="17", iss=PARTNER))
    assert who.caller(line, Credentials()).principal == "17"


def verified(**claims):
    return signed(kid="a", iss=HOME, **claims)


# name, fields of the line, principal, provenance, on whose behalf, what is false
VERIFIED = [
    ("verified", {"authorization": verified(sub="17")}, "17", "verified", "", ""),
    ("over", {"authorization": verified(sub="17", exp=1)}, "17", "unverified", "", ""),
    ("forged", {"authorization": signed("ES256", 7, kid="a", sub="17")}, "17", "unverified", "",
     "forged"),
    ("verified, the gateway agrees", {"user": "17", "authorization": verified(sub="17")}, "17",
     "verified", "", ""),
    ("verified, the gateway does not", {"user": "18", "authorization": verified(sub="17")}, "18",
     "gateway", "", ""),
    ("acting", {"authorization": verified(sub="17", act={"sub": "040"})}, "40", "verified", "17",
     ""),
    ("acting, the gateway names the subject",
     {"user": "17", "authorization": verified(sub="17", act={"sub": "40"})}, "40", "verified",
     "17", ""),
    ("acting, the gateway names who acts",
     {"user": "40", "authorization": verified(sub="17", act={"sub": "40"})}, "40", "verified",
     "17", ""),
    ("acting, the gateway names neither",
     {"user": "18", "authorization": verified(sub="17", act={"sub": "40"})}, "18", "gateway", "",
     ""),
    ("acting, over", {"authorization": verified(sub="17", act={"sub": "40"}, exp=1)}, "17",
     "unverified", "", ""),
    ("forged, refused", {"authorization": signed("ES256", 7, kid="a", sub="17"), "status": 401},
     "", "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields", "principal", "provenance", "behalf", "fault"),
    VERIFIED, ids=[case[0] for case in VERIFIED],
)  # fmt: skip
def test_verified(name, fields, principal, provenance, behalf, fault):
    caller = identity(verifier=KEYS).caller(get("/", **fields), Credentials())
    assert (caller.principal, caller.provenance, caller.behalf, caller.token) == (
        principal, provenance, behalf, fault
    ), name  # fmt: skip


def test_a_gateway_does_not_vouch_for_a_forgery():
    who = identity(verifier=KEYS, trust={"principal": "gateway"})
    texts = [verified(sub="17", exp=1), signed("ES256", 7, kid="z", sub="17"),
             signed("ES256", 7, kid="a", sub="17")]  # fmt: skip
    callers = [who.caller(get("/", authorization=text), Credentials()) for text in texts]
    assert [caller.provenance for caller in callers] == ["gateway", "gateway", "unverified"]


FORGED = signed("ES256", 7, kid="a", sub="18", sid="s")
UNSIGNED = jwt("none", signature="", sub="18", sid="s")
# name, fields of the first line, of the second, the second's principal, authentication, session,
# what is false
FALSE = [
    ("forged", {"authorization": verified(sub="17")}, {"authorization": FORGED}, "", "anonymous",
     "", "forged"),
    ("unsigned", {"authorization": verified(sub="17")}, {"authorization": UNSIGNED}, "",
     "anonymous", "", "unsigned"),
    ("its cookie stays", {"authorization": verified(sub="17")},
     {"authorization": FORGED, "session": "c"}, "", "anonymous", digest("c"), "forged"),
    ("the gateway names somebody", {"user": "17"}, {"user": "19", "authorization": UNSIGNED},
     "19", "known", digest(UNSIGNED.removeprefix("Bearer ")), "unsigned"),
    ("near miss: nobody is vouched for", {"authorization": FORGED}, {"authorization": FORGED},
     "18", "known", digest(FORGED.removeprefix("Bearer ")), "forged"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "principal", "authentication", "session", "fault"),
    [case[1:] for case in FALSE], ids=[case[0] for case in FALSE],
)  # fmt: skip
def test_a_false_token_is_no_credential_where_others_are_vouched_for(
    first, second, principal, authentication, session, fault
):
    who, credentials = identity(verifier=KEYS), Credentials()
    who.caller(get("/", **first), credentials)
    caller = who.caller(get("/", **second), credentials)
    assert (caller.principal, caller.authentication, caller.session, caller.token) == (
        principal, authentication, session, fault
    )  # fmt: skip


# name, settings, fields of the line, session
NEXT = jwt(sub="17", iat=AT)
SESSIONS = [
    ("sid", GATEWAY, {"authorization": jwt(sub="17", sid="s1", origin_jti="f1"), "session": "c1"},
     "s1"),
    ("cookie", GATEWAY, {"authorization": jwt(sub="17", origin_jti="f1"), "session": "c1"}, "c1"),
    ("family", GATEWAY, {"authorization": jwt(sub="17", origin_jti="f1"), "user_agent": "a"},
     "f1"),
    ("principal and device", GATEWAY, {"authorization": NEXT, "user_agent": "a"}, "17\0a"),
    ("no device", GATEWAY, {"authorization": NEXT}, NEXT),
    ("a principal that nobody vouches for", {}, {"authorization": NEXT, "user_agent": "a"}, NEXT),
]  # fmt: skip


@pytest.mark.parametrize(("name", "intake", "fields", "session"), SESSIONS)
def test_sessions_by_the_best_of_their_names(name, intake, fields, session):
    caller = identity(**intake).caller(get("/", **fields), Credentials())
    assert caller.session == digest(session), name


HEADERS = [{"name": "X-A"}, {"name": "X-B", "honoured": "always"},
           {"name": "X-C", "honoured": "never"}]  # fmt: skip
# name, principal, first header, others, claimed, further claims, claim only
CLAIMS = [
    ("first", "17", "18", (), "18", (), False),
    ("always", "17", None, ((1, "18"),), "18", (), False),
    ("never", "17", None, ((2, "18"),), "", (), False),
    ("always comes first", "17", "19", ((1, "18"),), "18", ("19",), False),
    ("own and another", "17", "17", ((1, "18"),), "18", (), False),
    ("own twice", "17", "17", ((1, "017"),), "17", (), False),
    ("a list", "17", "17,18,19,18", (), "18", ("19",), False),
    ("nobody else says who asks", None, "18,19", (), "18", (), True),
    ("nobody, and two headers", None, "18", ((1, "19"),), "19", ("18",), True),
    ("nobody, and only one that says nothing", None, None, ((2, "19"),), "", (), False),
    ("a header that no setting names", "17", None, ((7, "18"),), "", (), False),
]


@pytest.mark.parametrize(
    ("name", "user", "claimed", "others", "first", "further", "claim_only"),
    CLAIMS, ids=[case[0] for case in CLAIMS],
)  # fmt: skip
def test_claims(name, user, claimed, others, first, further, claim_only):
    line = get("/", user, claimed=claimed, other_claims=others)
    caller = identity(identity_headers=HEADERS).caller(line, Credentials())
    assert (caller.claimed, caller.claims, caller.claim_only) == (first, further, claim_only), name


def test_bounded(monkeypatch):
    monkeypatch.setattr("intake.tokens._GENERATION", 5)
    for name in ("_MAX_IDS", "_MAX_SESSIONS"):
        monkeypatch.setattr(f"intake.identity.{name}", 10)
    who = identity()
    for number in range(100):
        line = get("/", str(number), claimed=f"{number}", session=f"s{number}")
        who.caller(line, Credentials())
        who.caller(get("/", authorization=jwt(sub=str(number))), Credentials())
        who.caller(get("/", "x" * 300 + str(number), session="y" * 9000), Credentials())
    assert max(map(len, who._ids.values())) <= 10
    assert len(who.tokens._recent) + len(who.tokens._older) <= 10
    assert len(who._digests) <= 10
