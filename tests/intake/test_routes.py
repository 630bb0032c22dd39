import msgspec
import pytest

from intake.routes import Routes
from intake.settings import RouteRule

UUID = "550e8400-e29b-41d4-a716-446655440000"

# target, route, owners, object
DEFAULTS = [
    ("/users/18", "/users/{owner}", ("18",), ""),
    ("/api/v1/users/18/orders", "/api/v1/users/{owner}/orders", ("18",), ""),
    ("/api/v2beta1/users/018", "/api/v2beta1/users/{owner}", ("18",), ""),
    ("/Members/18", "/Members/{owner}", ("18",), ""),
    ("/profiles/u-18", "/profiles/{owner}", ("u-18",), ""),
    (f"/users/{UUID.upper()}", "/users/{owner}", (UUID,), ""),
    ("/users/Alice%40Example.com", "/users/{owner}", ("alice@example.com",), ""),
    ("/users/auth0%7C5f7c8ec7", "/users/{owner}", ("auth0|5f7c8ec7",), ""),
    ("/users/%31%38", "/users/{owner}", ("18",), ""),
    ("/users/%2531%2538", "/users/{owner}", ("18",), ""),
    ("/users%2f18", "/users/{owner}", ("18",), ""),
    ("//users//18/", "/users/{owner}", ("18",), ""),
    ("/users/18;x=1", "/users/{owner}", ("18",), ""),
    ("/users/x/../18", "/users/{owner}", ("18",), ""),
    ("/users/18.json", "/users/{owner}", ("18",), ""),
    ("/users/%2018", "/users/{owner}", ("18",), ""),
    ("/users/18%00", "/users/{owner}", ("18",), ""),
    ("/users/%EF%BC%91%EF%BC%98", "/users/{owner}", ("18",), ""),
    ("/users/18#x", "/users/{owner}", ("18",), ""),
    ("http://api.example.com/users/18", "/users/{owner}", ("18",), ""),
    ("/users/18,19,18", "/users/{owner}", ("18", "19"), ""),
    ("/users/18%2C19", "/users/{owner}", ("18", "19"), ""),
    ("/users?ids[]=18&ids[]=19", "/users?ids={owner}", ("18", "19"), ""),
    ("/users?id=18,19", "/users?id={owner}", ("18", "19"), ""),
    ("/users?Id=18", "/users?id={owner}", ("18",), ""),
    ("/profile.php?id=18", "/profile.php?id={owner}", ("18",), ""),
    ("/user/view?id=18", "/user/view?id={owner}", ("18",), ""),
    ("/users/17/profiles/18", "/users/{owner}/profiles/{object}", ("17",), "18"),
    ("/users/17/orders/55", "/users/{owner}/orders/{object}", ("17",), "55"),
    ("/users/{id}", "/users/{id}", (), ""),
    ("/users/{user1}/orders/{order1}", "/users/{owner}/orders/{order1}", (), ""),
    ("/users/me", "/users/me", (), ""),
    ("/users/ME/orders/55", "/users/ME/orders/{object}", (), "55"),
    ("/users/me/profiles/3", "/users/me/profiles/{object}", (), "3"),
    ("/users?id=me", "/users?id={owner}", (), ""),
    ("/orders/55", "/orders/{object}", (), "55"),
    ("/orders/55.pdf", "/orders/{object}", (), "55"),
    ("/orders/1,2", "/orders/{object}", (), "2"),
    ("/orders?user_id=18", "/orders?user_id={object}", (), "18"),
    ("/acme-1/users/18", "/acme-1/users/{owner}", ("18",), ""),
    ("/users/search", "/users/search", (), ""),
    ("/users/2fa", "/users/2fa", (), ""),
    ("/users/v2", "/users/v2", (), ""),
    ("/users/2026-11-22", "/users/2026-11-22", (), ""),
    ("/users/18.png", "/users/18.png", (), ""),
    ("/assets/app.3f2a91.js", "/assets/app.3f2a91.js", (), ""),
    ("/v2/health", "/v2/health", (), ""),
    ("/es-419/about", "/es-419/about", (), ""),
    ("/oauth2/token", "/oauth2/token", (), ""),
    ("/blog/2026/11/22", "/blog/{object}/{object}/{object}", (), "22"),
    ("/", "/", (), ""),
    ("", "/", (), ""),
    ("*", "/*", (), ""),
    ("0", "/{object}", (), "0"),
    ("/users/", "/users", (), ""),
    ("/users", "/users", (), ""),
]


@pytest.mark.parametrize(("target", "route", "owners", "item"), DEFAULTS)
def test_default_routes(target, route, owners, item):
    place = Routes([], []).place(target)
    got = (place.route.template, place.owners, place.object)
    assert got == (route, owners, item)


@pytest.mark.parametrize(
    ("target", "candidates"),
    [
        ("/wallets/18", (("/wallets/{object}", ("18",)),)),
        ("/wallets/18/pay", (("/wallets/{object}", ("18",)),)),
        (
            "/orgs/5/wallets/18",
            (("/orgs/{object}", ("5",)), ("/orgs/{object}/wallets/{object}", ("18",))),
        ),
        ("/wallets?userId=18", (("/wallets?userid", ("18",)),)),
        # Another parameter does not make another field of the one in the path.
        (
            "/wallets/18?uid=7",
            (("/wallets/{object}", ("18",)), ("/wallets/{object}?uid", ("7",))),
        ),
        ("/wallets?filter[user_id]=18", (("/wallets?filter_user_id", ("18",)),)),
        ("/users/18/wallets/5", ()),
        ("/wallets?page=18", ()),
    ],
)
def test_candidates(target, candidates):
    assert Routes([], []).place(target).candidates == candidates


@pytest.mark.parametrize(
    ("target", "category", "last_word", "names_self"),
    [
        ("/users/18/wallet", "financial", "wallet", False),
        ("/users/18/orders/5", "orders", "", False),
        ("/profiles/18", "contact", "", False),
        ("/profiles/18/cards", "financial", "cards", False),
        ("/users/me", "unclassified", "me", True),
        ("/my/things", "sensitive", "things", True),
        ("/users/18", "unclassified", "", False),
    ],
)
def test_facts_of_a_route(target, category, last_word, names_self):
    route = Routes([], ["Things"]).place(target).route
    assert (route.category, route.last_word, route.names_self) == (category, last_word, names_self)


RULES = [
    RouteRule(match="/api/wallets/{owner}/**", category="financial"),
    RouteRule(match="/api/orders/{object}", category="orders", owner=["buyer", "seller"]),
    RouteRule(match="/t/{tenant}/u/{owner}", effect="write", error_bytes=99),
    RouteRule(match="/api/avatars/{owner}", public=True),
    RouteRule(match="/api/search?user={owner}"),
]


@pytest.mark.parametrize(
    ("target", "template", "owners", "item", "tenant"),
    [
        ("/api/wallets/18", "/api/wallets/{owner}/**", ("18",), "", ""),
        ("/api/wallets/018/x/y?z=1", "/api/wallets/{owner}/**", ("18",), "", ""),
        ("/API/Wallets/18;v=1/x", "/api/wallets/{owner}/**", ("18",), "", ""),
        ("/api/wallets/18/%0a", "/api/wallets/{owner}/**", ("18",), "", ""),
        ("/api/wallets/me", "/api/wallets/{owner}/**", (), "", ""),
        ("/api/wallets/17,18", "/api/wallets/{owner}/**", ("17", "18"), "", ""),
        ("/api/orders/5", "/api/orders/{object}", (), "5", ""),
        ("/t/acme/u/18", "/t/{tenant}/u/{owner}", ("18",), "", "acme"),
        ("/api/avatars/18.json", "/api/avatars/{owner}", ("18",), "", ""),
        ("/api/search?x=1&user=18&user=19", "/api/search?user={owner}", ("18", "19"), "", ""),
        ("/api/search?q=1", "/api/search", (), "", ""),
        ("/users/18", "/users/{owner}", ("18",), "", ""),
    ],
)
def test_configured_routes(target, template, owners, item, tenant):
    place = Routes(RULES, []).place(target)
    assert (place.route.template, place.owners, place.object, place.tenant) == (
        template, owners, item, tenant,
    )  # fmt: skip


def test_the_template_of_a_path_names_nobody():
    routes = Routes([RouteRule(match="/a/{owner}/**")], [], ["/b/{object}"])
    asked = [routes.place(target) for target in ("/a/{id}/x", "/b/{orderId}", "/c?user_id={id}")]
    assert [(p.owners, p.object, p.objects) for p in asked] == [((), "", ())] * 3


def test_a_configured_route_says_what_it_is():
    routes = Routes(RULES, [])
    tenants, avatars = (routes.place(t).route for t in ("/t/acme/u/18", "/api/avatars/18"))
    assert (tenants.effect, tenants.error_bytes, tenants.ordinary) == ("write", 99, False)
    assert (avatars.public, avatars.ordinary) == (True, True)
    assert routes.place("/api/wallets/ME/x").route.names_self


@pytest.mark.parametrize(
    ("target", "source", "objects"),
    [
        ("/orders/55", "/orders/{object}", ("55",)),
        ("/orders/55/items/3", "/orders/{object}/**", ("55",)),
        ("/orders/5,6", "/orders/{object}", ("5", "6")),
        ("/invoices?id=7&id=8", "/invoices?id={object}", ("7", "8")),
        ("/users/18/x", "", ()),
        ("/cards/1", "", ()),
    ],
)
def test_objects_are_those_that_the_ownership_source_knows(target, source, objects):
    sources = ["/orders/{object}", "/orders/{object}/**", "/invoices?id={object}", "/users/**"]
    place = Routes([], [], sources).place(target)
    assert (place.source, place.objects) == (source, objects)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/users/u-00000001", ("u-00000001",)),
        ("/users/U-00000001.json", ("u-00000001",)),
        ("/anything?x=1,u-00000001", ("u-00000001",)),
        ("/orders/9000,1", ("9000",)),
        ("/users/u-1", ()),
    ],
)
def test_canaries_are_known_wherever_they_stand(target, expected):
    routes = Routes([], [], (), ["u-00000001", "9000"])
    assert routes.place(target).canaries == expected


@pytest.mark.parametrize(
    ("target", "name", "route", "owners"),
    [
        ("/users/alice", "alice", "/users/{owner}", ("alice",)),
        ("/users/alice.smith/orders/5", "alice.smith", "/users/{owner}/orders/{object}",
         ("alice.smith",)),
        ("/profile/alice", "alice", "/profile/{owner}", ("alice",)),
    ],
)  # fmt: skip
def test_a_plain_word_below_users_may_be_a_name(target, name, route, owners):
    place = Routes([], []).place(target)
    assert (place.name, place.owners) == (name, ())
    assert place.named is not None
    assert (place.named.route.template, place.named.owners) == (route, owners)


@pytest.mark.parametrize("target", ["/users/export", "/users/me", "/orders/alice", "/users/17/bob"])
def test_no_names(target):
    assert Routes([], []).place(target).named is None


def test_secrets_are_in_neither_path_nor_route_nor_object():
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    for target in (f"/reset/{jwt}", f"/users/17?token={jwt}", f"/orders/{jwt}/x?page=1"):
        assert jwt not in repr(Routes([], []).place(target)), target


def test_the_same_target_from_the_cache():
    routes = Routes(RULES, [])
    assert routes.place("/users/me?page=1") is routes.place("/users/me?page=1")
    plain, paged = routes.place("/users/18"), routes.place("/users/18?page=2")
    assert paged == msgspec.structs.replace(plain, path="/users/18?page=2")


def test_bounded(monkeypatch):
    monkeypatch.setattr("intake.routes._CACHE_ENTRIES", 20)
    monkeypatch.setattr("intake.shapes._ENTRIES", 20)
    routes = Routes([], [])
    shapes = routes._shapes
    assert shapes is not None
    for number in range(200):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        routes.place(f"/{word}/{number}?page={number}")
        routes.place(f"/users/{number}?{'x' * 600}")
    assert len(routes._cache) <= 20
    assert len(routes._older) <= 20
    assert len(shapes._models) <= 20
    assert len(shapes._queries) <= 20
    assert max(map(len, {**routes._cache, **routes._older, **shapes._queries})) < 600


def test_a_client_cannot_make_routes_without_end():
    routes = Routes([], [])
    names = ["user_id", "uid", "owner", "member", "customer", "account", "client_id"]
    queries = ["&".join(f"{n}=1" for n in names[i:] + names[:i]) for i in range(len(names))]
    assert len({routes.place(f"/x?{query}").route.template for query in queries}) == 1
