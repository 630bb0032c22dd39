import pytest

from intake.route_order import in_order


@pytest.mark.parametrize(
    ("name", "matches", "expected"),
    [
        ("nothing", [], []),
        ("words alone need no route", ["/health", "/orders"], []),
        (
            "a word where an id may stand",
            ["/users/{owner}", "/users/search", "/orders/search"],
            ["/users/search", "/users/{owner}"],
        ),
        (
            "queries, then words, then variables",
            ["/a/{object}", "/a/b/{object}", "/a/{object}/{object}", "/a/{object}?user_id={owner}"],
            ["/a/{object}?user_id={owner}", "/a/b/{object}", "/a/{object}", "/a/{object}/{object}"],
        ),
        ("once each", ["/a/{object}", "/a/{object}"], ["/a/{object}"]),
        (
            "a wildcard is less than an id",
            ["/a/*", "/a/{owner}", "/a/b"],
            ["/a/b", "/a/{owner}", "/a/*"],
        ),
    ],
)
def test_first_match_wins(name, matches, expected):
    assert in_order(matches) == expected, name
