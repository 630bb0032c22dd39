import pytest

from intake.ownership import (
    PENDING,
    Grant,
    Ownerships,
    Permissions,
    Tables,
    Tenure,
    grants_of,
    owners_of,
    people_of,
)
from intake.routes import Routes
from intake.settings import Ownership
from intake.signals import Judged
from tests.intake._lines import settings

NOON = 1_795_348_800_000  # 2026-11-22T12:00:00Z


def test_people():
    rows = [{"id": "017", "user": "u-17"}, {"id": " A@Example.com", "user": "u-17"}]
    assert people_of(rows) == {"17": "u-17", "a@example.com": "u-17"}


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([], {"5": ("17", "18"), "6": ()}),
        (["buyer", "seller"], {"5": ("19", "20"), "6": ("21",)}),
    ],
)
def test_owners(roles, expected):
    rows = [
        {"oid": "05", "owner": "17", "buyer": "19", "seller": "20"},
        {"oid": "5", "owner": "018", "buyer": "19", "seller": ""},
        {"oid": "6", "owner": " ", "buyer": "", "seller": "21"},
    ]
    assert owners_of(rows, Ownership(route="/o/{object}", object="oid"), roles) == expected


SOLD = [
    {"id": "5", "user": "17", "from": "", "to": "2026-11-22T12:00:00Z"},
    {"id": "5", "user": "18", "from": "2026-11-22T13:00:00+01:00", "to": " "},
    {"id": "6", "user": "17", "from": "", "to": ""},
]


def test_owners_for_a_time():
    source = Ownership(route="/o/{object}", object="id", owner="user")
    sold = {"5": (Tenure("17", None, NOON), Tenure("18", NOON, None)), "6": ("17",)}
    assert owners_of(SOLD, source, []) == sold
    renamed = [{**row, "until": row["to"]} for row in SOLD]
    assert owners_of([{k: v for k, v in r.items() if k != "to"} for r in renamed], source, []) == (
        sold
    )
    with pytest.raises(ValueError, match="yesterday"):
        owners_of([{**SOLD[0], "from": "yesterday"}], source, [])


def test_columns_that_own_say_no_time():
    rows = [{"id": "5", "from": "17", "to": "18", "until": ""}]
    source = Ownership(route="/o/{object}", object="id")
    assert owners_of(rows, source, ["from", "to"]) == {"5": ("17", "18")}


@pytest.mark.parametrize(
    ("item", "time_ms", "expected"),
    [
        ("5", NOON - 1, ("17",)),
        ("5", NOON, ("18",)),
        ("5", NOON + 10**12, ("18",)),
        ("6", 0, ("17",)),
        ("7", NOON - 1, PENDING),
        ("7", NOON, ("17", "19")),
        ("7", NOON + 999, ("17", "19")),
        ("7", NOON + 1000, ("19",)),
    ],
)
def test_whose_it_was_at_the_time(item, time_ms, expected):
    route = "/o/{object}"
    rows: dict[str, tuple[str | Tenure, ...]] = {
        "5": (Tenure("17", None, NOON), Tenure("18", NOON, None)),
        "6": ("17",),
        "7": (Tenure("17", NOON, NOON + 1000), Tenure("19", NOON, None)),
    }
    owners = Ownerships(settings(ownership=[{"route": route}]), Tables(owners={route: rows}))
    assert owners.owners(route, item, time_ms) == expected


def test_grants():
    row = {"principal": " 017", "owner": "*", "routes": "", "from": "", "until": " "}
    bound = {
        "principal": "a", "owner": "018", "routes": "/x/**", "from": "2026-11-22T12:00:00",
        "until": "2026-11-22T14:00:00+01:00",
    }  # fmt: skip
    assert grants_of([row, bound]) == [
        Grant("17", "*", "/**", None, None),
        Grant("a", "18", "/x/**", NOON, NOON + 3_600_000),
    ]
    with pytest.raises(ValueError, match="'tomorrow' is no time: write 2026-11-22T09:00:00Z"):
        grants_of([bound | {"until": "tomorrow"}])


ROUTE, ASKED, MADE = "/orders/{object}", "/cards/{object}", "/notes/{object}"


def ownerships():
    tables = Tables(
        people={"17": "u-17"}, owners={ROUTE: {"5": ("17", "u-17"), "6": (), "8": ("18", "17")}}
    )
    sources = [{"route": ROUTE}, {"route": ASKED, "http": "http://x"}, {"route": MADE, "learn": 1}]
    return Ownerships(settings(ownership=sources), tables)


def test_ownerships():
    owners = ownerships()
    assert owners.owners(ROUTE, "5", NOON) == ("u-17",)
    assert owners.owners(ROUTE, "6", NOON) is PENDING
    assert owners.owners(ROUTE, "7", NOON) is PENDING
    assert owners.owners(ROUTE, "8", NOON) == ("18", "u-17")
    assert owners.owners(ASKED, "5", NOON) is PENDING
    assert owners.owners(MADE, "5", NOON) is PENDING


def unknown(*items, source, asks=False):
    return Judged((), (), "", "undetermined", unknown=items, source=source, asks=asks)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/orders/5", Judged(("u-17",), (), "ownership", "own")),
        ("/orders/5,8", Judged(("18", "u-17"), (), "ownership", "own")),
        ("/orders/7", unknown("7", source=ROUTE)),
        ("/orders/5,7", unknown("7", source=ROUTE)),
        ("/orders/7,9", unknown("7", "9", source=ROUTE)),
        ("/cards/1,2", unknown("1", "2", source=ASKED, asks=True)),
        ("/notes/1", unknown("1", source=MADE)),
    ],
)
def test_whose_objects_a_request_names(target, expected):
    place = Routes([], [], [ROUTE, ASKED, MADE]).place(target)
    assert ownerships().judged(place, "u-17", NOON) == expected


def test_what_is_foreign_stands_beside_what_nobody_names():
    place = Routes([], [], [ROUTE]).place("/orders/5,7,8")
    assert ownerships().judged(place, "19", NOON) == Judged(
        ("18", "u-17"), (), "ownership", "own", unknown=("7",), source=ROUTE
    )


INTAKE = {
    "service_accounts": [
        {"id": "batch", "from": ["198.18.0.0/15", "2001:db8::/64"], "routes": ["/api/a/**"]},
        "health",
        {"id": "017", "from": ["198.18.0.0/15"]},
    ],
    "delegates": ["support-*"],
}


@pytest.mark.parametrize(
    ("principal", "ip", "path", "expected"),
    [
        ("batch", "198.18.0.1", "/api/a/5?x=1", True),
        ("batch", "2001:db8::7", "/api/a", True),
        ("batch", "192.0.2.1", "/api/a/5", False),
        ("batch", "198.18.0.1", "/api/b", False),
        ("batch", "proxy.example", "/api/a", False),
        ("batch", "", "/api/a", True),
        ("batch", "", "/api/b", False),
        ("health", "192.0.2.1", "/any", True),
        ("p-17", "198.18.0.1", "/any", True),
        ("17", "198.18.0.1", "/any", None),
        ("alice", "198.18.0.1", "/api/a/5", None),
    ],
)
def test_services(principal, ip, path, expected):
    permissions = Permissions(settings(**INTAKE), Tables(people={"17": "p-17"}))
    assert permissions.service(principal, ip, path) is expected


def test_delegates():
    permissions = Permissions(settings(**INTAKE), Tables())
    names = ("support-1", "support-", "Support-1", "xsupport-1", "support")
    assert [permissions.is_delegate(name) for name in names] == [True, True, False, False, False]
    assert permissions.is_delegate("support-1")


@pytest.mark.parametrize(
    ("name", "grants", "path", "time_ms", "left"),
    [
        ("none", [], "/a/1", NOON, ("18", "19")),
        ("one", [("17", "18", "/a/**", None, None)], "/a/1?x", NOON, ("19",)),
        ("both", [("17", "18", "/**", None, None), ("17", "19", "/**", None, None)], "/a", 0, ()),
        ("everybody", [("17", "*", "/**", None, None)], "/a/1", NOON, ()),
        ("other path", [("17", "*", "/b/**", None, None)], "/a/1", NOON, ("18", "19")),
        ("someone else's", [("16", "*", "/**", None, None)], "/a/1", NOON, ("18", "19")),
        ("from", [("17", "*", "/**", NOON, None)], "/a", NOON, ()),
        ("not yet", [("17", "*", "/**", NOON, None)], "/a", NOON - 1, ("18", "19")),
        ("until", [("17", "*", "/**", None, NOON)], "/a", NOON - 1, ()),
        ("no more", [("17", "*", "/**", None, NOON)], "/a", NOON, ("18", "19")),
    ],
)
def test_ungranted(name, grants, path, time_ms, left):
    permissions = Permissions(settings(), Tables(grants=[Grant(*grant) for grant in grants]))
    assert permissions.ungranted("17", ("18", "19"), path, time_ms) == left, name


def test_grants_go_by_the_canonical_user():
    tables = Tables(
        people={"17": "u-17", "18": "u-18"}, grants=[Grant("17", "18", "/**", None, None)]
    )
    assert Permissions(settings(), tables).ungranted("u-17", ("u-18",), "/a", 0) == ()
