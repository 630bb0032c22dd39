import pytest

from intake.routes import Routes
from intake.settings import RouteRule
from intake.shapes import model_of

UUID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    ("shape", "model"),
    [
        ("/v1/users/0/orders/0", "/v1/users/1/orders/2"),
        ("/0/0", "/1/2"),
        ("/x-y/0/", "/x-y/1/"),
        ("/users//0", ""),
        ("/users/+1/x/0", ""),
        ("/users/17.json/0", ""),
        ("/a-b-c/0", ""),
        ("/eyJhbGciOiJub25l/0", ""),
        ("0", ""),
        ("", ""),
    ],
)
def test_models(shape, model):
    assert model_of(shape) == model


PATHS = [
        "/a/1/b/2/c/3", "/5/6", f"/x/{UUID}/7", "/users/u-1/7", "/users/+1/orders/7", "/w/es-419",
    "/v1/members/007", "/users/0", "/users/1/users/2", "/u-17/users/1", "/w/abc-12/x",
]  # fmt: skip


@pytest.mark.parametrize("target", PATHS)
def test_a_known_shape_changes_nothing(target):
    warm = Routes([], [])
    for path in PATHS:
        warm.place(path.replace("7", "8").replace("1", "3"))
    assert warm.place(target) == plainly([], target)


def plainly(rules, target, sources=()):
    """The place of a target without knowledge of its shape."""
    routes = Routes(rules, [], sources)
    routes._shapes = None
    return routes.place(target)


RULES = [
    RouteRule(match="/api/wallets/{owner}/**", category="financial"),
    RouteRule(match="/t/{tenant}/u/{owner}", effect="write", error_bytes=99),
    RouteRule(match="/a/{owner}/b/{owner}"),
    RouteRule(match="/c/{owner}/{tenant}/{object}"),
    RouteRule(match="/d/*/{owner}/**"),
]


@pytest.mark.parametrize(
    "target",
    ["/a/18/b/17", "/c/18/5/07", "/c/me/acme/7", "/d/1/2", "/d/x/u-2/3", "/o/5", "/o/x/5",
     "/api/wallets/18", "/api/wallets/me/3", "/t/5/u/18", "/t/acme/u/u-18", "/users/5/7"],
)  # fmt: skip
def test_a_known_shape_changes_nothing_where_routes_are_configured(target):
    rules, sources = RULES, ["/o/{object}", "/o/{object}/{object}"]
    warm = Routes(rules, [], sources)
    assert warm._shapes is not None
    for path in (target.replace("1", "2").replace("7", "8"), target.replace("5", "6"), target):
        assert warm.place(path) == plainly(rules, path, sources)


def test_shapes_are_not_used_where_they_do_not_tell():
    plain, odd = RouteRule(match="/a/{owner}"), "/a/u-{owner}"
    assert Routes([plain], [])._shapes is not None
    assert Routes([plain, RouteRule(match=odd)], [])._shapes is None
    assert Routes([], [], [odd])._shapes is None
    assert Routes([], [], [], ["u-1"])._shapes is None


@pytest.mark.parametrize(
    "target", ["/users", "/users/18.json", "/users/18?id=1", "/users/18?a=%31", "//users/18", "18"]
)
def test_what_only_routes_can_tell(target):
    shapes = Routes([], [])._shapes
    assert shapes is not None
    assert shapes.place(target) is None
