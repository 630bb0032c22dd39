import pytest

from intake.outcome import certainty_of, effect_of, outcome_of


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
