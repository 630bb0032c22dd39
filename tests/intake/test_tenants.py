import pytest

from intake.identity import Caller
from intake.ownership import Grant, Tables
from intake.signals import Judged
from intake.tenants import Tenants, is_other_tenant, tenants_of
from tests.intake._lines import Court, get, settings

NUMBERS = [str(number) for number in range(100, 160)]
FIELD = {"fields": {"tenant": "organization.id"}}
ROUTE = {"routes": [{"match": "/t/{tenant}/users/{owner}"}]}
UUID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    ("intake", "named"),
    [({}, False), (FIELD, True), (ROUTE, True), ({"routes": [{"match": "/u/{owner}"}]}, False)],
)
def test_whether_tenants_are_named(intake, named):
    assert Tenants(settings(**intake), {}).named is named


@pytest.mark.parametrize(
    ("logged", "place", "expected"),
    [
        (None, "", ("", "")),
        ("acme", "", ("acme", "acme")),
        ("acme", "ACME", ("acme", "acme")),
        ("acme", "umbrella", ("acme", "umbrella")),
        (None, "acme", ("", "acme")),
        (" 05 ", "5", ("5", "5")),
    ],
)
def test_tenants_of(logged, place, expected):
    assert tenants_of(logged, place) == expected


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [("acme", "Acme", False), ("acme", "umbrella", True), ("5", "acme", False), ("5", "6", True)],
)
def test_is_other_tenant(own, asked, expected):
    assert is_other_tenant(own, asked) is expected


# name, fields of the line, target, principal, verdict, targets
LINES = [
    ("own", {"user": "17", "tenant": "acme"}, "/users/17", "acme/17", "own", ("acme/17",)),
    ("foreign", {"user": "17", "tenant": "acme"}, "/users/18", "acme/17", "foreign",
     ("acme/18",)),
    ("the other 17", {"user": "17", "tenant": "umbrella"}, "/users/17", "umbrella/17", "own",
     ("umbrella/17",)),
    ("odd spelling", {"user": "17", "tenant": "acme"}, "/users/017", "acme/17", "own",
     ("acme/17",)),
    ("no tenant logged", {"user": "17"}, "/users/18", "17", "foreign", ("18",)),
    ("nobody", {"tenant": "acme"}, "/users/18", "", "foreign", ("acme/18",)),
    ("the other tenant's", {"user": "17", "tenant": "acme"}, "/t/umbrella/users/17", "acme/17",
     "foreign", ("umbrella/17",)),
    ("the path's, none logged", {"user": "17"}, "/t/acme/users/18", "17", "foreign",
     ("acme/18",)),
    ("a claim", {"user": "17", "tenant": "acme", "claimed": "18"}, "/t/umbrella/users/19",
     "acme/17", "foreign", ("umbrella/18", "umbrella/19")),
    ("a slash adds no tenant", {"user": "17", "tenant": "acme"}, "/users/17%2Fx", "acme/17",
     "own", ("acme/17",)),
    ("an owner who was logged", {"user": "17", "tenant": "acme", "owners": ("18",)}, "/x",
     "acme/17", "foreign", ("acme/18",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields", "target", "principal", "verdict", "targets"),
    LINES, ids=[case[0] for case in LINES],
)  # fmt: skip
def test_lines(name, fields, target, principal, verdict, targets):
    court = Court(crowd=NUMBERS, **FIELD, **ROUTE)
    event, signal, exposed = court.hear(get(target, **fields))
    assert (event.principal, event.verdict, event.targets) == (principal, verdict, targets), name
    if verdict == "foreign":
        assert tuple(e.target for e in exposed) == signal.targets == targets
        assert {e.principal for e in exposed} == {principal}


def test_a_claim_is_compared_before_it_is_qualified():
    court = Court(crowd=NUMBERS, **FIELD)
    own = court.hear(get("/me", "17", tenant="acme", claimed="017"))
    other = court.hear(get("/me", "17", tenant="acme", claimed="18"))
    assert (own[0].claimed, own[1]) == ("acme/17", None)
    assert (other[0].claimed, other[1].mismatch) == ("acme/18", True)


GRANTS = [Grant("acme/17", "acme/18", "/**", None, None), Grant("27", "28", "/**", None, None),
          Grant("acme/37", "umbrella/38", "/**", None, None)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "user", "tenant", "target", "allowed"),
    [
        ("in its tenant", "17", "acme", "/users/18", "grant"),
        ("in another", "17", "umbrella", "/users/18", ""),
        ("a plain row, in each", "27", "umbrella", "/users/28", "grant"),
        ("a plain row, across", "27", "acme", "/t/umbrella/users/28", ""),
        ("across", "37", "acme", "/t/umbrella/users/38", "grant"),
    ],
)
def test_grants(name, user, tenant, target, allowed):
    court = Court(crowd=NUMBERS, tables=Tables(grants=GRANTS), **FIELD, **ROUTE)
    assert court.event(get(target, user, tenant=tenant)).allowed == allowed, name


def test_rows_of_one_tenant_hold_there_alone():
    people = {f"acme/{UUID}": "p1", "acme/17": "p1"}
    court = Court(tables=Tables(people=people), **FIELD)
    mine = court.event(get("/users/17", UUID, tenant="acme"))
    assert (mine.verdict, mine.principal, mine.targets) == ("own", "p1", ("p1",))
    other = court.event(get("/users/17", UUID, tenant="umbrella"))
    assert (other.verdict, other.principal, other.targets) == (
        "undetermined", f"umbrella/{UUID}", ("umbrella/17",)
    )  # fmt: skip


def test_who_acts_for_somebody_does_not_in_another_tenant():
    tenants = Tenants(settings(**ROUTE), {})
    caller = Caller("40", "verified", "known", "", "", False, behalf="17")
    assert tenants.resolve(caller, "acme", "acme") == (caller, False)
    other, crossed = tenants.resolve(caller, "acme", "umbrella")
    assert (other.behalf, crossed) == ("", True)


def test_an_issuer_s_subject_keeps_its_name():
    tenants = Tenants(settings(**FIELD), {})
    caller = Caller("https://b.example#17", "gateway", "known", "", "", False, qualified=True)
    judged = Judged(("17",), (), "route", "undetermined")
    assert tenants.qualify(caller, judged, "acme", "").principal == "https://b.example#17"
    assert judged.targets == ("acme/17",)


def test_without_configuration_tenants_are_only_counted(monkeypatch):
    monkeypatch.setattr("intake.tenants._MAX_TENANTS", 3)
    court = Court(crowd=NUMBERS)
    for number in range(9):
        event = court.event(get("/users/18", "17", tenant=f"t{number % 5}"))
        assert (event.principal, event.targets, event.tenant) == ("17", ("18",), f"t{number % 5}")
    assert court.judge.tenants.seen == {"t0": 2, "t1": 2, "t2": 2}
