import msgspec
import pytest

from intake.ownership import Grant, Tables
from intake.signals import Judged, Signals, exposures, is_notable
from records.event import Actor
from tests.intake._lines import AT, Court, get

CROWD = [str(number) for number in range(100, 160)]


def heard(target="/users/18/wallet", user="17", **fields):
    return Court(crowd=CROWD).hear(get(target, user, **fields))


def test_a_signal_holds_all_that_detectors_see():
    event, signal, exposed = heard(user_agent="curl/8", session="s", claimed="18")
    facts = {
        "event": event.id, "time_ms": AT, "ip": "192.0.2.7", "subnet": "192.0.2.0/24",
        "principal": "17", "provenance": "gateway", "authentication": "known",
        "session": event.session, "claimed": "18", "route": "/users/{owner}/wallet",
        "method": "GET", "status": 200, "targets": ("18",), "category": "financial",
        "effect": "read", "outcome": "proven", "certainty": "proven", "basis": "route",
        "verdict": "foreign", "mismatch": True, "credentials": "gateway", "crawler": False,
    }  # fmt: skip
    assert {name: getattr(signal, name) for name in facts} == facts
    assert [(e.target, e.actor, e.certainty) for e in exposed] == [
        ("18", Actor("principal", "17"), "proven")
    ]


@pytest.mark.parametrize(
    ("agent", "crawler"),
    [
        ("Mozilla/5.0 (compatible; ExampleBot/2.1)", True),
        ("facebookexternalhit/1.1", True),
        ("Mozilla/5.0 (X11; Linux) Firefox/120", False),
        (None, False),
    ],
)
def test_crawlers(agent, crawler):
    assert heard(user_agent=agent)[1].crawler is crawler


def test_a_fingerprint_is_of_the_user_agent():
    one, same, other = (heard(user_agent=a)[1].fingerprint for a in ("a", "a", "b"))
    assert one == same != other


# verdict, allowed, targets, claimed, object, outcome, status
NOTABLE = [
    ("foreign", "", ("18",), "", "", "denied", 403, True),
    ("foreign", "delegate", ("18",), "", "", "proven", 200, False),
    ("undetermined", "delegate", ("18",), "18", "", "proven", 200, False),
    ("own", "", ("17",), "", "", "denied", 403, False),
    ("no_target", "", (), "", "", "proven", 200, False),
    ("undetermined", "", ("18",), "", "", "proven", 200, True),
    ("undetermined", "", (), "18", "", "proven", 200, True),
    ("undetermined", "", (), "", "5", "denied", 404, True),
    ("undetermined", "", (), "", "5", "proven", 200, False),
    ("undetermined", "", ("18",), "", "", "denied", 401, False),
]


@pytest.mark.parametrize(
    ("verdict", "allowed", "targets", "claimed", "item", "outcome", "status", "expected"), NOTABLE
)
def test_what_is_notable(verdict, allowed, targets, claimed, item, outcome, status, expected):
    event = msgspec.structs.replace(
        heard()[0], verdict=verdict, allowed=allowed, targets=targets, claimed=claimed,
        object=item, outcome=outcome, status=status,
    )  # fmt: skip
    assert is_notable(event) is expected


def test_exposures_of_owner_and_claim():
    signal = msgspec.structs.replace(heard()[1], targets=("18", "19"), claimed="19")
    judged = Judged(("17", "18", "19"), ("18", "19"), "route", "foreign", claims=("19",))
    assert [(e.target, e.certainty, e.basis) for e in exposures(signal, judged)] == [
        ("18", "proven", "route"),
        ("19", "presumed", "claimed"),
    ]


def test_an_object_of_unknown_owner_is_exposed_as_itself():
    _, signal, exposed = heard("/orders/55", status=404)
    assert (signal.verdict, signal.targets) == ("undetermined", ())
    assert [(e.target, e.object, e.certainty) for e in exposed] == [("", "55", "attempted")]


SOURCES = [
    {"route": "/cards/{object}", "http": "https://cards.example/{object}"},
    {"route": "/orders/{object}/**", "file": "orders.csv"},
]
ORDERS = Tables(owners={"/orders/{object}/**": {"1": ("17",), "2": ("18",)}})


def unnamed(target, user="17", before=(), *, signals=False, **fields):
    """Exposures of a line on routes with sources, as (target, object, route, basis, verdict)."""
    court = Court(crowd=[*CROWD, *before], ownership=SOURCES, tables=ORDERS)
    _, signal, exposed = court.hear(get(target, user, **fields))
    assert (signal is not None) is signals
    return [(e.target, e.object, e.route, e.basis, e.verdict, e.principal) for e in exposed]


CARD = ("/cards/{object}", "ownership", "undetermined", "17")
ORDER = ("/orders/{object}/**", "", "undetermined", "17")
UNNAMED = [
    # name, target, user, exposures
    ("asked for later", "/cards/5", "17", [("", "5", *CARD)]),
    ("each of a list", "/cards/5,6,05", "17", [("", "5", *CARD), ("", "6", *CARD)]),
    ("of nobody known", "/orders/3/items", "17", [("", "3", *ORDER)]),
    ("beside one's own", "/orders/1,3", "17", [("", "3", *ORDER)]),
    ("one's own", "/orders/1", "17", []),
    ("anonymous", "/cards/5", None,
     [("", "5", "/cards/{object}", "ownership", "foreign", "")]),
    ("anonymous, nobody is asked", "/orders/3", None,
     [("", "3", "/orders/{object}/**", "", "undetermined", "")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "user", "expected"), [c[1:] for c in UNNAMED], ids=[c[0] for c in UNNAMED]
)
def test_objects_whose_owner_nobody_names(target, user, expected):
    assert unnamed(target, user) == expected


def test_those_beside_somebody_else_s():
    exposed = unnamed("/orders/2,3", signals=True)
    assert exposed == [("18", "2,3", *KNOWN), ("", "3", *ORDER)]


KNOWN = ("/orders/{object}", "ownership", "foreign", "17")


def test_a_claim_can_turn_out_to_be_nobody():
    court = Court(ownership=SOURCES, tables=ORDERS)
    _, signal, exposed = court.hear(get("/cards/5", None, claimed="17", session="s"))
    assert (signal.verdict, signal.principal, signal.targets) == ("undetermined", "17", ())
    (one,) = exposed
    assert (one.principal, one.verdict, one.actor.type) == ("", "undetermined", "session")


def test_tenants_have_objects_of_their_own():
    court = Court(
        ownership=[*SOURCES, {"route": "/notes/{object}", "learn": True}], tables=ORDERS,
        fields={"tenant": "org"},
    )  # fmt: skip
    _, _, exposed = court.hear(get("/cards/5", "17", tenant="acme"))
    assert [(e.route, e.principal) for e in exposed] == [("/cards/{object}#acme", "acme/17")]
    court.hear(get("/notes/7", "17", method="PUT", status=201, tenant="acme"))
    court.hear(get("/notes/7", "18", method="PUT", status=201, tenant="globex"))
    asked = [("17", "acme"), ("18", "globex"), ("18", "acme")]
    found = [court.event(get("/notes/7", user, tenant=tenant)) for user, tenant in asked]
    assert [(e.verdict, e.targets) for e in found] == [
        ("own", ("acme/17",)), ("own", ("globex/18",)), ("foreign", ("acme/17",)),
    ]  # fmt: skip


ALLOWED = [
    ("a service account", {"service_accounts": ["17"]}, {}, "service"),
    ("a delegate", {"delegates": ["1*"]}, {}, "delegate"),
    ("a grant for all", {}, {"grants": [Grant("17", "*", "/**", None, AT + 1)]}, "grant"),
    ("a grant that is over", {}, {"grants": [Grant("17", "*", "/**", None, AT)]}, ""),
    ("a grant for one", {}, {"grants": [Grant("17", "18", "/**", None, None)]}, ""),
    ("a public route", {"routes": [{"match": "/cards/**", "public": True}]}, {}, "public"),
]


@pytest.mark.parametrize(
    ("intake", "tables", "why"), [c[1:] for c in ALLOWED], ids=[c[0] for c in ALLOWED]
)
def test_who_may_see_what_is_nobody_s_yet(intake, tables, why):
    court = Court(crowd=CROWD, ownership=SOURCES, tables=Tables(**tables), **intake)
    event, signal, exposed = court.hear(get("/cards/5", "17"))
    assert (event.allowed, signal, bool(exposed)) == (why, None, not why)


def test_a_line_that_was_not_accepted_asks_for_nothing():
    assert unnamed("/cards/5", status=401) == []


@pytest.mark.parametrize("verdict", ["own", "no_target"])
def test_what_is_one_s_own_exposes_nothing(verdict):
    signal = msgspec.structs.replace(heard()[1], verdict=verdict)
    assert exposures(signal, Judged(("17",), (), "route", verdict)) == []


def test_user_agents_are_bounded(monkeypatch):
    monkeypatch.setattr("intake.signals._MAX_FINGERPRINTS", 10)
    signals = Signals()
    for number in range(100):
        signals._agent(f"agent {number}")
        signals._agent(f"{number}" * 2000)
    assert len(signals._agents) <= 10


@pytest.mark.parametrize(
    ("home", "asker", "expected"),
    [
        ("192.0.2.7", "192.0.2.8", ("18",)),
        ("2001:db8::7", "2001:db8::8", ()),
        ("2001:db8::7", "2001:db8:0:1::8", ("18",)),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8", ("18",)),
        ("web:1", "web:2", ("18",)),
    ],
)
def test_an_ipv6_device_is_at_home_in_its_64(home, asker, expected):
    court = Court()
    court.hear(get("/users/18/profile", peer=home))
    _, signal, _ = court.hear(get("/users/18/profile", peer=asker, at_s=120))
    assert signal.elsewhere == expected
