import pytest

from intake.ownership import (
    PENDING,
    Grant,
    Ownerships,
    Permissions,
    Tables,
    grants_of,
    owners_of,
    people_of,
)
from intake.settings import Ownership
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
    with pytest.raises(ValueError, match="tomorrow"):
        grants_of([bound | {"until": "tomorrow"}])


def test_ownerships():
    route = "/orders/{object}"
    tables = Tables(people={"17": "u-17"}, owners={route: {"5": ("17", "u-17"), "6": ()}})
    owners = Ownerships(settings(ownership=[{"route": route}, {"route": "/x"}]), tables)
    assert owners.owners(route, "5") == ("u-17",)
    assert owners.owners(route, "6") is PENDING
    assert owners.owners(route, "7") is PENDING
    assert owners.owners("/x", "5") is PENDING


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
