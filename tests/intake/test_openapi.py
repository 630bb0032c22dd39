import pytest

from intake.openapi import proposed_routes


def matches(document):
    return [one.rule.match for one in proposed_routes(document)]


def paths(*names, **more):
    return {"openapi": "3.1.0", "paths": {name: {"get": {}} for name in names}, **more}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users/{id}", "/users/{owner}"),
        ("/users/{userId}/orders/{orderId}", "/users/{owner}/orders/{object}"),
        ("/accounts/{user_id}", "/accounts/{owner}"),
        ("/accounts/{accountId}", "/accounts/{object}"),
        ("/orgs/{orgId}/members/{memberId}", "/orgs/{tenant}/members/{owner}"),
        ("/orders/{id}", "/orders/{object}"),
        ("/files/{id}.json", "/files/{object}.json"),
        ("/pairs/{a}-{b}", "/pairs/{object}-{object}"),
    ],
)
def test_what_a_parameter_is_called_says_whose_it_is(path, expected):
    assert matches(paths(path)) == [expected]


def test_paths_without_an_id_make_no_route():
    assert matches(paths("/health", "/orders")) == []


def test_words_come_before_variables_and_queries_before_both():
    document = paths("/users/{id}", "/users/{id}/{part}", "/users/{id}/avatar")
    document["paths"]["/users/{id}/avatar"]["get"] = {
        "parameters": [{"in": "query", "name": "user_id"}]
    }
    assert matches(document) == [
        "/users/{owner}/avatar?user_id={owner}",
        "/users/{owner}",
        "/users/{owner}/avatar",
        "/users/{owner}/{object}",
    ]


def test_a_word_where_an_id_may_stand_is_no_id():
    document = paths("/users/{id}", "/users/search", "/orders")
    assert matches(document) == ["/users/search", "/users/{owner}"]


def test_the_servers_say_below_which_prefix():
    document = paths(
        "/users/{id}",
        servers=[
            {
                "url": "https://api.example.com/{version}/",
                "variables": {"version": {"default": "v2"}},
            },
            {"url": "/internal"},
            {"url": "https://[broken"},
        ],
    )
    assert matches(document) == ["/internal/users/{owner}", "/v2/users/{owner}"]
    assert matches(
        {"swagger": "2.0", "basePath": "/v1", "paths": {"/users/{id}": {"get": {}}}}
    ) == ["/v1/users/{owner}"]


def test_an_extension_overrules_the_name():
    document = paths("/wallets/{walletId}")
    document["paths"]["/wallets/{walletId}"]["parameters"] = [{"$ref": "#/components/parameters/w"}]
    document["components"] = {
        "parameters": {"w": {"in": "path", "name": "walletId", "x-breachline-role": "owner"}}
    }
    assert matches(document) == ["/wallets/{owner}"]
    assert proposed_routes(document)[0].why == "{walletId} of /wallets/{walletId}"


def test_operations_that_ask_for_no_credentials_are_public():
    document = paths("/users/{id}/avatar", "/users/{id}", security=[{"bearer": []}])
    document["paths"]["/users/{id}/avatar"]["get"] = {"security": []}
    found = {one.rule.match: one.rule.public for one in proposed_routes(document)}
    assert found == {"/users/{owner}": False, "/users/{owner}/avatar": True}
    # A document that never asks for credentials says nothing of who may read.
    del document["security"]
    assert not any(one.rule.public for one in proposed_routes(document))


@pytest.mark.parametrize("document", [None, [], {}, {"paths": []}, "openapi: 3.1.0"])
def test_what_is_no_document(document):
    with pytest.raises(ValueError, match="no OpenAPI document"):
        proposed_routes(document)


def test_references_that_lead_nowhere_are_nothing():
    document = paths("/users/{id}")
    document["components"] = {"a": {"$ref": "#/components/a"}}
    document["paths"]["/loop"] = {"$ref": "#/components/a"}
    document["paths"]["/other"] = {"$ref": "https://example.com/other.yaml"}
    document["paths"]["/users/{id}"]["parameters"] = [{"$ref": "#/none"}, 7]
    document["paths"][7] = {}
    assert matches(document) == ["/users/{owner}"]
