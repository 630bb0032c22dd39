from typing import Any

import pytest

from intake.line import Parsed, Unreadable
from intake.ownership import Grant, Tables
from intake.sessions import SHARED_ADDRESSES
from tests.intake._lines import Court, get

UUID = "550e8400-e29b-41d4-a716-446655440000"
NUMBERS = [str(number) for number in range(100, 160)]
PREFIXED = [f"u-{number}" for number in range(100, 160)]
NAMES = [f"name{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}" for n in range(60)]
UUIDS = [f"550e8400-e29b-41d4-a716-4466554400{n}" for n in range(10, 70)]

# name, crowd, caller, target, verdict, targets
PATHS = [
    ("own", NUMBERS, "17", "/users/17", "own", ("17",)),
    ("foreign", NUMBERS, "17", "/users/18", "foreign", ("18",)),
    *[
        (f"own, spelled {spelling}", NUMBERS, "17", f"/users/{spelling}", "own", ("17",))
        for spelling in ("017", "%31%37", "%2017", "17;x=1", "/17", "17.json", "17-bob", "17abc")
    ],
    *[
        (f"foreign, spelled {spelling}", NUMBERS, "17", f"/users/{spelling}", "foreign", ("18",))
        for spelling in ("018", "%31%38", "%2018", "18;x=1", "/18", "18.json", "18-bob", "18abc",
                         "%2531%2538", "17/../18", "+18", "18%00", "18%3Fx=1")
    ],
    ("encoded slash", NUMBERS, "17", "/users%2f18", "foreign", ("18",)),
    ("a batch", NUMBERS, "17", "/users?ids=17,18,19", "foreign", ("17", "18", "19")),
    ("an own batch", NUMBERS, "17", "/users?ids=17,017", "own", ("17",)),
    ("self", NUMBERS, "17", "/users/me/orders", "no_target", ()),
    ("no owner", NUMBERS, "17", "/health", "no_target", ()),
    ("an object", NUMBERS, "17", "/orders/18", "undetermined", ()),
    ("a word is no number", NUMBERS, "17", "/users/export-all", "no_target", ()),
    ("a service among numbers", NUMBERS, "batch", "/users/18", "foreign", ("18",)),
    ("UUID against number", UUIDS, UUID, "/users/18", "undetermined", ("18",)),
    ("UUIDs", UUIDS, UUID, f"/users/{UUIDS[0]}", "foreign", (UUIDS[0],)),
    ("own UUID in capitals", UUIDS, UUID, f"/users/{UUID.upper()}", "own", (UUID,)),
    ("own UUID without dashes", UUIDS, UUID, f"/users/{UUID.replace('-', '')}", "own", (UUID,)),
    ("UUID without dashes", UUIDS, UUID, f"/users/{UUIDS[0].replace('-', '')}", "foreign",
     (UUIDS[0],)),
    ("e-mail", [], "a@example.com", "/users/b%40example.com", "foreign", ("b@example.com",)),
    ("own e-mail in capitals", [], "a@example.com", "/users/A%40Example.com", "own",
     ("a@example.com",)),
    ("own prefix in capitals", PREFIXED, "u-17", "/users/U-17", "own", ("u-17",)),
    ("prefix in capitals", PREFIXED, "u-17", "/users/U-18", "foreign", ("u-18",)),
    ("number against prefix", PREFIXED, "u-17", "/users/18", "undetermined", ("18",)),
    ("a distinctive id on any route", PREFIXED, "u-17", "/wallets/u-18", "foreign", ("u-18",)),
    ("own distinctive id", PREFIXED, "u-17", "/wallets/u-17/pay", "own", ("u-17",)),
    ("a distinctive id beside a made-up one", PREFIXED, "u-17", "/wallets/u-18?uid=zz", "foreign",
     ("u-18",)),
    ("below a tenant", PREFIXED, "u-17", "/orgs/o-5/wallets/u-18", "foreign", ("u-18",)),
    ("in a query", PREFIXED, "u-17", "/wallets?user_id=u-18", "foreign", ("u-18",)),
    ("another prefix is an object", PREFIXED, "u-17", "/orders/o-18", "undetermined", ()),
    ("a name", NAMES, "alice", f"/users/{NAMES[0]}", "foreign", (NAMES[0],)),
    ("own name in capitals", NAMES, "alice", "/users/Alice", "own", ("alice",)),
    ("a name with a number", NAMES, "alice", "/users/bob7", "foreign", ("bob7",)),
    ("a word that is nobody", NAMES, "alice", "/users/search", "no_target", ()),
    ("a name among few", ["alice", "bob"], "alice", "/users/bob", "foreign", ("bob",)),
    ("a word among few names", ["alice", "bob"], "alice", "/users/carol", "no_target", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "crowd", "caller", "target", "verdict", "targets"), PATHS)
def test_whose_data(name, crowd, caller, target, verdict, targets):
    event, signal, exposed = Court(crowd=crowd).hear(get(target, caller))
    assert (event.verdict, event.targets) == (verdict, targets), name
    foreign = [t for t in targets if t != caller] if verdict == "foreign" else []
    if verdict in {"own", "no_target"}:
        assert (signal, exposed) == (None, [])
    elif verdict == "foreign":
        assert [e.target for e in exposed] == foreign == list(signal.targets)


# name, settings, fields of the line, verdict, basis, targets
CALLERS: list[tuple[Any, ...]] = [
    ("unlogged", {}, {}, "undetermined", "route", ("18",)),
    ("401", {}, {"user": "17", "status": 401}, "undetermined", "route", ("18",)),
    ("only a claim, own", {}, {"claimed": "18"}, "undetermined", "route", ("18",)),
    ("only a claim, other", {}, {"claimed": "19"}, "foreign", "route", ("18", "19")),
    ("owner and claim disagree", {}, {"user": "18", "claimed": "19"}, "foreign", "route",
     ("18", "19")),
    ("a logged owner overrules", {}, {"user": "18", "owners": ("18",), "claimed": "19"}, "own",
     "owner_logged", ("18",)),
    ("a logged owner is foreign", {}, {"user": "18", "owners": ("019",)}, "foreign",
     "owner_logged", ("19",)),
    ("own tenant", {}, {"user": "18", "tenant": "acme"}, "own", "route", ("18",)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "intake", "fields", "verdict", "basis", "targets"), CALLERS)
def test_who_asks(name, intake, fields, verdict, basis, targets):
    event = Court(**intake).event(get("/users/18", **fields))
    assert (event.verdict, event.basis, event.targets) == (verdict, basis, targets), name


def test_nobody_is_anonymous_only_where_credentials_are_logged():
    court = Court()
    assert court.event(get("/users/18")).verdict == "undetermined"
    court.hear(get("/users/17", "17"))
    event, _, exposed = court.hear(get("/users/18"))
    assert (event.verdict, event.authentication) == ("foreign", "anonymous")
    assert [(e.target, e.certainty) for e in exposed] == [("18", "proven")]


def test_who_may_act_for_others_may_where_ids_cannot_be_compared():
    court = Court(crowd=NUMBERS, delegates=["support-*"])
    line = get(f"/users/{UUID}", "support-1", claimed=UUID)
    event, signal, exposed = court.hear(line)
    assert (event.verdict, event.allowed) == ("undetermined", "delegate")
    assert (signal, exposed) == (None, [])


@pytest.mark.parametrize(
    ("name", "line", "mismatch"),
    [
        ("other user", get("/me", "17", claimed="18"), True),
        ("own", get("/me", "17", claimed="017"), False),
        ("other space", get("/me", "17", claimed=UUID), False),
        ("several", get("/me", "17", claimed="17,18"), True),
        ("on a public route", get("/avatars/18", "17", claimed="18"), True),
        ("delegate", get("/me", "support-1", claimed="18"), False),
        ("asserted principal", get("/me", asserted="17", claimed="18"), True),
    ],
)
def test_header_mismatch(name, line, mismatch):
    court = Court(
        crowd=NUMBERS,
        delegates=["support-*"],
        routes=[{"match": "/avatars/{owner}", "public": True}],
    )
    signal = court.hear(line)[1]
    assert bool(signal and signal.mismatch) is mismatch, name


INTAKE = {
    "delegates": ["support-*"],
    "service_accounts": [{"id": "batch", "from": ["198.18.0.0/15"]}],
    "routes": [{"match": "/avatars/{owner}", "public": True}],
}
GRANTS = Tables(grants=[Grant("17", "18", "/users/**", None, None)])

# name, line, allowed, signalled foreign targets, out of bounds
ALLOWED = [
    ("delegate", get("/users/18", "support-7"), "delegate", None, ""),
    ("a delegate that clients wrote", get("/users/18", asserted="support-7"), "", ("18",), ""),
    ("service", get("/users/18", "batch", peer="198.18.0.9"), "service", None, ""),
    ("service out of bounds", get("/users/18", "batch"), "", ("18",), "batch"),
    ("public", get("/avatars/18", "17"), "public", None, ""),
    ("granted", get("/users/18", "17"), "grant", None, ""),
    ("granted in part", get("/users/18,19", "17"), "", ("19",), ""),
    ("money sent to someone", get("/users/19/deposits", "17", method="POST"), "incoming", None, ""),
    ("a deposit undone", get("/users/19/deposits", "17", method="DELETE"), "", ("19",), ""),
    ("a deposit overridden",
     get("/users/19/deposits", "17", method="POST", override_method="DELETE"), "", ("19",), ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "line", "allowed", "targets", "out_of_bounds"), ALLOWED)
def test_who_may(name, line, allowed, targets, out_of_bounds):
    event, signal, exposed = Court(crowd=NUMBERS, tables=GRANTS, **INTAKE).hear(line)
    assert event.allowed == allowed, name
    if targets is None:
        assert (signal, exposed) == (None, [])
    else:
        assert (signal.targets, signal.out_of_bounds) == (targets, out_of_bounds)
        assert tuple(e.target for e in exposed) == targets


ORDERS = {"/orders/{object}": {"5": ("17", "18"), "6": ("19",), "7": ("17",)}}


@pytest.mark.parametrize(
    ("target", "verdict", "targets", "basis"),
    [
        ("/orders/5", "own", ("17", "18"), "ownership"),
        ("/orders/7,5", "own", ("17", "18"), "ownership"),
        ("/orders/6", "foreign", ("19",), "ownership"),
        ("/orders/06", "foreign", ("19",), "ownership"),
        ("/orders/5,6", "foreign", ("19",), "ownership"),
        ("/orders/8", "undetermined", (), ""),
        ("/orders/7,8", "undetermined", (), ""),
        ("/orders/6,8", "foreign", ("19",), "ownership"),
    ],
)
def test_ownership(target, verdict, targets, basis):
    court = Court(tables=Tables(owners=ORDERS), ownership=[{"route": "/orders/{object}"}])
    event = court.event(get(target, "17", claimed="17"))
    assert (event.verdict, event.targets, event.basis) == (verdict, targets, basis)


def test_identities_make_ids_comparable():
    tables = Tables(people={"17": "p1", UUID: "p1", "18": "p2"})
    court = Court(tables=tables)
    assert court.event(get("/users/17", UUID)).verdict == "own"
    event = court.event(get("/users/18", UUID))
    assert (event.verdict, event.targets) == ("foreign", ("p2",))
    assert court.hear(get("/me", UUID, claimed="18"))[1].mismatch


def test_what_cannot_be_compared_is_counted_by_route(monkeypatch):
    monkeypatch.setattr("intake.comparison._MAX_ROUTES", 3)
    court = Court(crowd=UUIDS)
    for number in range(9):
        court.hear(get("/users/18", UUID))
        court.hear(get(f"/x-{number}-y/users/18", UUID))
    assert court.judge.incomparable["/users/{owner}"] == 9
    assert len(court.judge.incomparable) == 3


@pytest.mark.parametrize(
    ("name", "tenant", "principal", "verdict", "targets"),
    [
        ("own", "acme", "17", "own", ("acme/17",)),
        ("the right user of the wrong tenant", "umbrella", "17", "foreign", ("acme/17",)),
        ("tenants of different spaces", "5", "17", "own", ("acme/17",)),
        ("nobody knows", "umbrella", None, "undetermined", ("acme/17",)),
    ],
)
def test_tenants(name, tenant, principal, verdict, targets):
    court = Court(routes=[{"match": "/t/{tenant}/users/{owner}"}])
    event = court.event(get("/t/acme/users/17", principal, tenant=tenant))
    assert (event.verdict, event.targets, event.tenant) == (verdict, targets, tenant), name


@pytest.mark.parametrize(
    ("name", "fields", "effect", "outcome"),
    [
        ("read", {}, "read", "proven"),
        ("lower case", {"method": "get"}, "read", "proven"),
        ("write", {"method": "PUT"}, "write", "proven"),
        ("HEAD", {"method": "HEAD"}, "read", "metadata"),
        ("OPTIONS", {"method": "OPTIONS"}, "read", "ignored"),
        ("an override hides nothing", {"override_method": "OPTIONS"}, "read", "proven"),
        ("an override adds", {"method": "POST", "override_method": "delete"}, "write", "proven"),
        ("no bytes", {"size": 0}, "read", "metadata"),
        ("unlogged bytes", {"size": -1}, "read", "proven"),
        ("refused", {"status": 403}, "read", "denied"),
    ],
)
def test_what_happened(name, fields, effect, outcome):
    event, signal, _ = Court(crowd=NUMBERS).hear(get("/users/18", "17", **fields))
    assert (event.effect, event.outcome) == (effect, outcome), name
    assert (signal is None) is (outcome == "ignored")


def test_the_known_size_of_an_error_is_no_proof():
    court = Court(crowd=NUMBERS, routes=[{"match": "/users/{owner}", "error_bytes": 31}])
    sizes = [court.event(get("/users/18", "17", size=size)).outcome for size in (31, 512)]
    assert sizes == ["possible", "proven"]


def test_what_another_site_sent_is_marked():
    court = Court(crowd=NUMBERS)
    event, signal, _ = court.hear(get("/users/18", "17", fetch_site="cross-site"))
    assert (event.cross_site, signal.cross_site) == (True, True)
    assert not court.event(get("/users/18", "17", fetch_site="same-origin")).cross_site


@pytest.mark.parametrize(
    ("name", "line", "canaries"),
    [
        ("owner", get("/users/u-00000001", "u-17"), ("u-00000001",)),
        ("refused", get("/users/u-00000001", "u-17", status=404), ("u-00000001",)),
        ("401", get("/users/u-00000001", "u-17", status=401), ("u-00000001",)),
        ("claim", get("/me", "u-17", claimed="u-00000001"), ("u-00000001",)),
        ("logged owner", get("/x", "u-17", owners=("u-00000001",)), ("u-00000001",)),
        ("delegate", get("/users/u-00000001", "support-1"), ("u-00000001",)),
        ("anywhere", get("/x/U-00000001.pdf?y=5", "u-17"), ("u-00000001",)),
        ("preflight", get("/users/u-00000001", "u-17", method="OPTIONS"), None),
        ("none", get("/users/u-17", "u-17"), None),
    ],
)
def test_canaries(name, line, canaries):
    signal = Court(canaries=["u-00000001"], delegates=["support-*"]).hear(line)[1]
    assert (signal and signal.canaries) == canaries, name


def test_an_allowed_access_to_a_canary_exposes_nobody():
    court = Court(canaries=["u-00000001"], delegates=["support-*"])
    _, signal, exposed = court.hear(get("/users/u-00000001", "support-1"))
    assert (signal.verdict, exposed) == ("own", [])


def learn(court, route="/wallets/{}", people=30, cell=0):
    for number in range(people):
        court.hear(get(route.format(number), str(number), at_s=cell * 600))


def test_ids_of_a_route_become_owners_where_own_is_the_usual_case():
    court = Court()
    learn(court)
    early = court.event(get("/wallets/18", "17", at_s=1199))
    assert (early.verdict, early.targets) == ("undetermined", ())
    event, signal, exposed = court.hear(get("/wallets/18", "17", at_s=1200))
    assert (event.verdict, event.targets, event.basis) == ("foreign", ("18",), "route")
    assert (signal.certainty, exposed[0].certainty) == ("presumed", "presumed")
    assert court.event(get("/wallets/17", "17", at_s=1300)).verdict == "own"


@pytest.mark.parametrize(
    "target", ["/wallets/18?user_id=x", "/wallets/18/pay", "/wallets/018", "/wallets/18?uid=17"]
)
def test_learned_owners_cannot_be_evaded(target):
    court = Court()
    learn(court)
    assert court.event(get(target, "17", at_s=1300)).targets == ("18",)


def test_late_lines_and_bare_claims_teach_nothing():
    court = Court()
    for number in range(30):
        court.hear(get(f"/wallets/{number}", str(number)), late=True)
        court.hear(get(f"/cards/{number}", claimed=str(number)))
    for route in ("wallets", "cards"):
        assert court.event(get(f"/{route}/18", "17", at_s=1300)).targets == ()


def test_an_app_key_is_no_session_but_a_carried_one_is():
    def sessions(user_of):
        court = Court()
        for turn in range(3):
            for n in range(SHARED_ADDRESSES + 10):
                line = get(f"/users/{user_of(n, turn)}", session="s", peer=f"192.0.2.{n}")
                event = court.event(line)
        return event.session

    assert sessions(lambda n, _: n) == ""
    assert sessions(lambda n, turn: n * 7 + turn) != ""


def test_a_client_s_own_header_is_nobody_else_s_address():
    court = Court(trusted_proxies=["10.0.0.0/8"])
    forged = court.event(get("/x", peer="192.0.2.7", forwarded="198.51.100.1"))
    chain = court.event(get("/x", peer="10.0.0.1", forwarded="198.51.100.1, 203.0.113.5"))
    alone = court.event(get("/x", peer="", forwarded="198.51.100.1"))
    assert [(e.ip, e.ip_trusted) for e in (forged, chain, alone)] == [
        ("192.0.2.7", True), ("203.0.113.5", True), ("198.51.100.1", False),
    ]  # fmt: skip


def test_a_line_without_address_is_unreadable():
    with pytest.raises(Unreadable, match="no_address"):
        Court().hear(Parsed(0, "", "GET", "/", 200))


def test_learned_state_survives_a_restart():
    before, after = Court(), Court()
    learn(before)
    before.hear(get("/users/alice", "alice", session="s"))
    dirty = list(before.judge.take_dirty())
    assert list(before.judge.take_dirty()) == []
    after.judge.load(lambda space: iter([(k, v) for s, k, v in dirty if s == space]))
    assert {space for space, _, _ in dirty} == {"intake.spaces", "intake.promotion"}
    for line in (get("/wallets/18", "17", at_s=1300), get("/users/alice", "17", at_s=1300)):
        assert before.event(line).targets == after.event(line).targets != ()
