from intake import route_learning
from intake.route_learning import RouteLearner
from tests.intake._lines import Court, get


def learned(lines, **intake):
    court, learner = Court(**intake), RouteLearner()
    for line in lines:
        learner.add(court.event(line))
    return {route.match(): route for route in learner.learned()}


def own(route, people=25, **line):
    return [get(route.format(n=n), f"{n}", **line) for n in range(100, 100 + people)]


def test_an_id_is_proposed_as_the_owners_where_people_ask_for_their_own():
    (match,) = learned(own("/accounts/{n}/balance"))
    assert match == "/accounts/{owner}/balance"


def test_near_misses_stay_objects():
    assert list(learned(own("/accounts/{n}/balance", people=19))) == ["/accounts/{object}/balance"]
    others = [get(f"/accounts/{n + 1}/balance", f"{n}") for n in range(100, 125)]
    assert list(learned(others)) == ["/accounts/{object}/balance"]
    refused = own("/accounts/{n}/balance", status=403)
    assert list(learned(refused)) == ["/accounts/{object}/balance"]


def test_tenants_and_tokens():
    token = "a1" * 50
    assert list(learned([get("/orgs/7/users/8", "8"), get(f"/reset/{token}")])) == [
        "/orgs/{tenant}/users/{owner}",
        "/reset/*",
    ]


def test_counts():
    lines = [
        get("/orders/17", "u-1"),
        get("/orders/017", "u-1", status=404),
        get("/orders/b7f9", "u-2", method="DELETE"),
    ]
    (route,) = learned(lines).values()
    (variable,) = route.variables.values()
    assert (route.requests, route.proven, route.principals) == (3, 2, {"u-1", "u-2"})
    assert route.methods == {"GET": 2, "DELETE": 1}
    assert (variable.distinct, variable.kind) == ({"17", "b7f9"}, "mixed")
    assert route.example == "/orders/17"


def test_a_configured_wildcard_says_itself_where_its_ids_stand():
    routes = [{"match": "/wallets/{owner}/**"}]
    (route,) = learned([get("/wallets/7/a/b/c", "7")], routes=routes).values()
    assert (route.match(), route.variables) == ("/wallets/{owner}/**", {})


def test_routes_and_ids_are_bounded(monkeypatch):
    monkeypatch.setattr(route_learning, "MAX_ROUTES", 3)
    monkeypatch.setattr(route_learning, "_MAX_KNOWN", 2)
    court, learner = Court(), RouteLearner()
    for word in ("orders", "orders", "orders", "cards", "bills", "loans"):
        learner.add(court.event(get(f"/{word}/{court.offset + 100}", f"u-{court.offset}")))
    first = learner.learned()[0]
    (variable,) = first.variables.values()
    assert (len(learner.learned()), learner.events, learner.beyond) == (3, 6, 1)
    assert (len(variable.distinct), variable.more, len(first.principals)) == (2, True, 2)
