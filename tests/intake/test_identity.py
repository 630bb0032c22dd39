import base64
import json

import pytest

from intake.identity import SHARED_ADDRESSES, Caller, Credentials, Identity
from intake.spaces import Spaces
from tests.intake._lines import digest, get, settings

NUMBERS = [str(number) for number in range(100, 160)]


def segment(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def jwt(alg="RS256", signature="c2ln", **claims):
    return f"{segment({'alg': alg})}.{segment(claims)}.{signature}"


def identity(people=None, spaces=None, **intake):
    return Identity(settings(**intake), digest, people or {}, spaces or Spaces())


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
        principal, provenance, authentication, claimed, session, name == "only a claim"
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


def uses(session="s", addresses=30, users=lambda address, turn: f"u-{address}", turns=3):
    return [
        (session, f"192.0.2.{address}", users(address, turn))
        for turn in range(turns)
        for address in range(addresses)
    ]


@pytest.mark.parametrize(
    ("name", "requests", "shared"),
    [
        ("an app key", uses(), True),
        ("near miss: 20 addresses", uses(addresses=SHARED_ADDRESSES), False),
        ("one address", uses(addresses=1, turns=99), False),
        ("a roaming user", uses(users=lambda *_: "u-1"), False),
        ("one attacker over many addresses", uses(users=lambda a, t: f"u-{a}-{t}"), False),
        ("each address once", uses(turns=1), False),
    ],
)
def test_shared_sessions(name, requests, shared):
    who = identity()
    for request in requests:
        who.is_shared(*request)
    assert who.is_shared(*requests[0]) is shared, name


def test_sessions_survive_a_restart():
    requests = uses()
    for cut in (0, 10, 45, len(requests)):
        before, after = identity(), identity()
        for request in requests[:cut]:
            before.is_shared(*request)
        after.load(iter(before.take_dirty()))
        assert before.take_dirty() == []
        for request in requests[cut:]:
            after.is_shared(*request)
        assert after.is_shared(*requests[0])


def test_bounded(monkeypatch):
    for name in ("_MAX_TOKENS", "_MAX_IDS", "_MAX_SESSIONS"):
        monkeypatch.setattr(f"intake.identity.{name}", 10)
    who = identity()
    for number in range(100):
        line = get("/", str(number), claimed=f"{number}", session=f"s{number}")
        who.caller(line, Credentials())
        who.caller(get("/", authorization=jwt(sub=str(number))), Credentials())
        who.caller(get("/", "x" * 300 + str(number), session="y" * 9000), Credentials())
        for address in range(100):
            who.is_shared(f"s{number}", f"192.0.2.{address}", "u")
    assert max(map(len, who._ids.values())) <= 10
    assert len(who._tokens) <= 10
    assert len(who._digests) <= 10
    assert len(who._sessions) <= 10
    assert len(who.take_dirty()) <= 10
    assert max(len(use.by_address) for use in who._sessions.values()) <= 64
