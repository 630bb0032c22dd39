import pytest

from intake.outcome import answer_of, certainty_of, effect_of, is_login, last_status, outcome_of
from intake.settings import BlockAnswer
from tests.intake._lines import get


@pytest.mark.parametrize(
    ("method", "last_word", "declared", "override", "effect"),
    [
        ("GET", "", None, None, "read"),
        ("HEAD", "", None, None, "read"),
        ("", "", None, None, "read"),
        ("POST", "", None, None, "write"),
        ("PUT", "orders", None, None, "write"),
        ("DELETE", "", None, None, "write"),
        ("MKCOL", "", None, None, "write"),
        ("POST", "search", None, None, "read"),
        ("PUT", "search", None, None, "write"),
        ("GET", "deactivate", None, None, "write"),
        ("HEAD", "deactivate", None, None, "read"),
        ("POST", "transfer", None, None, "write"),
        ("GET", "", "write", None, "write"),
        ("POST", "", "read", None, "read"),
        ("POST", "", None, "DELETE", "write"),
        ("GET", "", None, "delete", "write"),
        ("POST", "search", None, "PUT", "write"),
        # A header that any client can send must not make less of a request.
        ("POST", "", None, "GET", "write"),
        ("DELETE", "", None, "OPTIONS", "write"),
        ("GET", "", None, "POST", "read"),
    ],
)
def test_effect(method, last_word, declared, override, effect):
    assert effect_of(method, last_word, declared, override) == effect


@pytest.mark.parametrize(
    ("method", "effect", "status", "size", "outcome"),
    [
        ("GET", "read", 200, 512, "proven"),
        ("GET", "read", 200, -1, "proven"),
        ("GET", "read", 203, 1, "proven"),
        ("GET", "read", 206, 1, "proven"),
        ("POST", "read", 200, 1, "proven"),
        ("GET", "read", 200, 0, "metadata"),
        ("HEAD", "read", 200, 512, "metadata"),
        ("GET", "read", 204, 0, "metadata"),
        ("GET", "read", 205, -1, "metadata"),
        ("GET", "read", 202, 5, "possible"),
        ("GET", "read", 304, 0, "possible"),
        ("GET", "read", 302, 5, "possible"),
        ("GET", "read", 101, 5, "possible"),
        ("GET", "read", 499, 5, "possible"),
        ("GET", "read", 499, -1, "possible"),
        ("GET", "read", 499, 0, "denied"),
        ("GET", "read", 0, -1, "possible"),
        *[("GET", "read", s, 50, "denied") for s in (400, 401, 403, 404, 405, 409, 410, 422, 429)],
        ("GET", "read", 500, 50, "denied"),
        ("POST", "write", 200, 0, "proven"),
        ("POST", "write", 201, 0, "proven"),
        ("DELETE", "write", 204, 0, "proven"),
        ("PUT", "write", 207, 9, "proven"),
        ("POST", "write", 202, 9, "possible"),
        ("POST", "write", 303, 0, "possible"),
        ("POST", "write", 408, 0, "possible"),
        ("POST", "write", 499, 0, "possible"),
        ("POST", "write", 460, 0, "possible"),
        ("POST", "write", 502, 0, "possible"),
        ("POST", "write", 0, -1, "possible"),
        ("POST", "write", 403, 9, "denied"),
        ("OPTIONS", "read", 200, 9, "ignored"),
        ("TRACE", "read", 200, 9, "ignored"),
        ("CONNECT", "write", 200, 9, "ignored"),
    ],
)
def test_outcome(method, effect, status, size, outcome):
    got = outcome_of(method, effect, status, size, known_error=False, graphql=False)
    assert got == outcome


@pytest.mark.parametrize("effect", ["read", "write"])
@pytest.mark.parametrize(("known_error", "graphql"), [(True, False), (False, True)])
def test_a_200_that_may_be_an_error(effect, known_error, graphql):
    got = outcome_of("POST", effect, 200, 9, known_error=known_error, graphql=graphql)
    assert got == "possible"


OURS = [BlockAnswer(status=403, bytes=19), BlockAnswer(status=429, blocked_by="breachline")]


def answer(method="GET", effect="read", status=200, size=512, *, credential=False, **fields):
    line = get("/users/18", "17", method=method, status=status, size=size, **fields)
    return answer_of(
        line, method, effect, OURS, known_error=False, graphql=False, credential=credential
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "proven"),
        # what the gateway refused
        ({"blocked_by": "acl"}, "denied"),
        ({"status": 403, "size": 20, "blocked_by": "waf"}, "denied"),
        ({"method": "PUT", "effect": "write", "status": 502, "blocked_by": "acl"}, "denied"),
        # what our own block wrote
        ({"status": 403, "size": 19}, "ignored"),
        ({"status": 403, "size": 19, "blocked_by": "acl"}, "ignored"),
        ({"status": 403, "size": 18}, "denied"),
        ({"status": 403, "size": -1}, "denied"),
        ({"status": 429, "size": 7, "blocked_by": "breachline"}, "ignored"),
        ({"status": 429, "size": 7, "blocked_by": "quota"}, "denied"),
        ({"status": 429, "size": 7}, "denied"),
        # where it led to
        ({"status": 302}, "possible"),
        ({"status": 302, "location": "/files/signed?sig=1"}, "possible"),
        ({"status": 302, "location": "/login?next=/users/18"}, "denied"),
        ({"status": 303, "method": "POST", "effect": "write", "location": "/login"}, "denied"),
        ({"status": 303, "method": "POST", "effect": "write", "location": "/users/18"}, "possible"),
        # people whose password changed are sent to the login
        ({"status": 303, "method": "POST", "effect": "write", "location": "/login",
          "credential": True}, "possible"),
        ({"status": 302, "location": "/login", "credential": True}, "denied"),
        ({"status": 200, "location": "/login"}, "proven"),
        ({"status": 304, "location": "/login"}, "possible"),
        # caches
        ({"status": 304, "upstream_status": "-"}, "possible"),
        ({"status": 200, "upstream_status": "304"}, "proven"),
    ],
)  # fmt: skip
def test_what_an_answer_means(given, expected):
    assert answer(**given) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/login", True),
        ("/Login/", True),
        ("/auth/login.php?to=/x", True),
        ("https://app.example/account/signin", True),
        ("/users/sign_in", True),
        ("/oauth2/authorize?client_id=1", True),
        ("https://login.microsoftonline.com/common/oauth2/v2.0/authorize", True),
        ("https://id.example/realms/x/protocol/openid-connect/auth?x=1", True),
        ("https://tenant.okta.com/app/x", True),
        ("https://accounts.google.com/o/oauth2/v2/auth", True),
        ("https://sso.example.test/start", True),
        ("/cas/login", True),
        ("/adfs/ls/", True),
        ("//login.example/x", True),
        ("/users/18/login-history", False),
        ("/users/18?next=/login", False),
        ("/author/18", False),
        ("https://bucket.example/auth/files/18.pdf", False),
        ("https://evil.example/?login.microsoftonline.com", False),
        ("https://login.", False),
        ("https://[", False),
        ("", False),
        ("-", False),
    ],
)
def test_what_is_a_login(location, expected):
    assert is_login(location) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200", 200),
        ("502, 200", 200),
        ("502, 504 : 404", 404),
        ("200, -", 200),
        ("-", 0),
        ("", 0),
        ("0.002", 0),
        ("2000", 0),
        ("999", 0),
    ],
)
def test_the_last_of_several_upstreams(text, expected):
    assert last_status(text) == expected


@pytest.mark.parametrize(
    ("outcome", "basis", "learned", "certainty"),
    [
        ("proven", "route", False, "proven"),
        ("proven", "owner_logged", False, "proven"),
        ("proven", "ownership", False, "proven"),
        ("proven", "claimed", False, "presumed"),
        ("proven", "route", True, "presumed"),
        ("possible", "claimed", False, "possible"),
        ("metadata", "route", False, "attempted"),
        ("denied", "route", False, "attempted"),
        ("ignored", "", False, "attempted"),
    ],
)
def test_certainty(outcome, basis, learned, certainty):
    assert certainty_of(outcome, basis, learned=learned) == certainty
