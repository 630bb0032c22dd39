import pytest

from intake.places import Route
from intake.routes import Routes


@pytest.mark.parametrize(
    ("target", "ordinary", "incoming", "graphql"),
    [
        ("/users/18", True, False, False),
        ("/users/18/deactivate", False, False, False),
        ("/users/18/deposits", True, True, False),
        ("/graphql", False, False, True),
        ("/transfer/55", True, False, False),
    ],
)
def test_what_a_request_does_there(target, ordinary, incoming, graphql):
    place = Routes([], []).place(target)
    assert (place.ordinary, place.route.incoming, place.route.graphql) == (
        ordinary, incoming, graphql,
    )  # fmt: skip
    assert place.route.ordinary is ordinary


@pytest.mark.parametrize(
    ("fields", "ordinary"),
    [
        ({}, True),
        ({"effect": "read"}, False),
        ({"error_bytes": 31}, False),
        ({"public": True}, True),
    ],
)
def test_where_a_200_is_what_it_says(fields, ordinary):
    assert Route(template="/x", **fields).ordinary is ordinary
