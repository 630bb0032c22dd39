import pytest

from intake.frames import Batch
from streams.hints import Hint, Unsaid, hints
from streams.tally import Tally
from tests._events import event


def tally_of(*events):
    tally = Tally()
    tally.add(Batch("s", lines=len(events), events=list(events)))
    return tally


GOOD = [event(n, verdict="own") for n in range(4)]
NOBODY = [
    event(n, principal="", provenance="", authentication="unlogged", verdict="undetermined")
    for n in range(4)
]
ASSERTED = [event(n, provenance="asserted", verdict="own") for n in range(4)]
NO_SESSION = [event(n, session="", verdict="own") for n in range(4)]
ORDERS = [
    event(n, route="/orders/{object}", object="7", targets=(), verdict="undetermined")
    for n in range(4)
]
QUERIES = [
    event(n, route="/orders?ids={object}", object="7", targets=(), verdict="undetermined")
    for n in range(4)
]

CASES = [
    # name, events, formats, what is missing, words in what to add
    ("nothing read", [], {"nginx"}, [], ""),
    ("everything is there", GOOD, {"ecs"}, [], ""),
    ("nginx names nobody", NOBODY, {"nginx"}, ["principal"], "log_format breachline"),
    ("apache names nobody", NOBODY, {"apache"}, ["principal"], 'LogFormat "{'),
    ("JSON names nobody", NOBODY, {"json"}, ["principal"], "fields: {principal:"),
    ("one in two names nobody", [*GOOD, *NOBODY], {"ecs"}, [], ""),
    ("nobody vouches for the user", ASSERTED, {"nginx"}, ["trust"], "trust: {principal: gateway}"),
    ("no session in JSON", NO_SESSION, {"json"}, ["session"], "fields: {session:"),
    ("no session in nginx", NO_SESSION, {"nginx"}, ["session"], "$cookie_session"),
    ("no session in Kong", NO_SESSION, {"kong"}, ["session"], "fields: {session: session_id}"),
    ("no user in HAProxy", NOBODY, {"haproxy"}, ["principal"], "captured.response.1"),
    ("an owner that nobody knows", [*GOOD, *ORDERS], {"ecs"}, ["owner"], '"/orders/{object}"'),
    (
        "or the owner's own id",
        [*GOOD, *ORDERS],
        {"ecs"},
        ["owner"],
        '\nor, if these are ids of users: intake: {routes: [{match: "/orders/{owner}"}]}',
    ),
    ("an id in the query", QUERIES, {"ecs"}, ["owner"], 'route: "/orders?ids={object}"'),
]


@pytest.mark.parametrize(("name", "events", "formats", "missing", "add"), CASES)
def test_what_a_log_does_not_say_is_said(name, events, formats, missing, add):
    found = hints(tally_of(*events), formats, {})
    assert [hint.missing for hint in found] == missing, name
    assert add in "".join(hint.add for hint in found)


def test_the_most_blinding_comes_first():
    events = [
        event(n, principal="", provenance="", session="", route="/orders/{object}", targets=(),
              verdict="undetermined")
        for n in range(3)
    ]  # fmt: skip
    found = hints(tally_of(*events), {"nginx"}, {})
    assert [hint.missing for hint in found] == ["principal", "session", "owner"]
    assert [hint.events for hint in found] == [3, 3, 3]


SPACES = [
    ("integer", "integers"),
    ("uuid", "UUIDs"),
    ("prefix:u-", "ids like u-17"),
    ("", "of no clear kind"),
]


@pytest.mark.parametrize(("space", "words"), SPACES)
def test_ids_that_cannot_be_compared_are_named_with_both_kinds(space, words):
    found = hints(tally_of(*GOOD), {"ecs"}, {"/users/{owner}": (7, space, "email")})
    assert found == [
        Hint(
            "comparable_ids",
            7,
            f"7 events on /users/{{owner}}: principals are {words}, the ids there are e-mail "
            "addresses. They cannot be compared, so these are undetermined.",
            "intake: {identities: {file: people.csv}}    # columns id,user",
        )
    ]


def test_of_many_routes_the_busiest_are_named():
    tally = tally_of(*GOOD)
    routes = {f"/r{n}/{{owner}}": (n, "integer", "uuid") for n in range(1, 20)}
    found = hints(tally, {"ecs"}, routes)
    assert [hint.events for hint in found] == [19, 18, 17, 16, 15]
    for n in range(20):
        tally.routes[f"/o{n}/{{object}}"] = {"undetermined": n}
    assert [hint.events for hint in hints(tally, {"ecs"}, {})] == [19, 18, 17, 16, 15]


def test_a_route_that_cannot_be_compared_is_not_named_twice():
    incomparable = {"/orders/{object}": (4, "integer", "uuid")}
    found = hints(tally_of(*ORDERS), {"ecs"}, incomparable)
    assert [hint.missing for hint in found] == ["comparable_ids"]


PAIRS = [("550e8400-e29b-41d4-a716-446655440000", "17")]
UNSAID = [
    # name, unsaid, incomparable, what is missing, words in what to add
    ("another issuer", Unsaid(apart={"https://b.example": 4}), {}, ["issuer"],
     "intake: {jwt: {issuers: [https://b.example]}}"),
    ("the issuer of most", Unsaid(apart={"https://a.example": 1, "https://b.example": 4}), {},
     ["issuer"], "issuers: [https://b.example]"),
    ("an issuer beside our own", Unsaid(apart={"https://b.example": 4}, home=["https://a.example"]),
     {}, ["issuer"], "issuers: [https://a.example, https://b.example]"),
    ("one tenant", Unsaid(tenants={"acme": 4}), {}, [], ""),
    ("tenants", Unsaid(tenants={"acme": 4, "umbrella": 2}), {}, ["tenant"],
     "fields: {tenant: organization.id}"),
    ("ids that came together", Unsaid(pairs=PAIRS), {"/users/{owner}": (4, "uuid", "integer")},
     ["comparable_ids"], "rows for ids that always came together (1): 550e8400-e29b-41d4-a716-"),
    ("many ids that came together", Unsaid({"https://b.example": 4}, {}, PAIRS * 9), {}, ["issuer"],
     " ..."),
    ("ids that came together, and are compared", Unsaid(pairs=PAIRS), {}, [], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unsaid", "incomparable", "missing", "add"), UNSAID, ids=[case[0] for case in UNSAID]
)
def test_what_no_configuration_explains_is_said(name, unsaid, incomparable, missing, add):
    found = hints(tally_of(*GOOD), {"ecs"}, incomparable, unsaid)
    assert [hint.missing for hint in found] == missing, name
    assert add in "".join(hint.add for hint in found)


TOO_MANY = "requests named more than 10,000 ids each, and what was beyond that was not judged."


def test_requests_with_too_many_ids_are_told_of():
    unsaid = Unsaid(excess={"/users/{owner}": 7, "/a/{object}": 1200})
    found = [
        hint for hint in hints(tally_of(*GOOD), {"ecs"}, {}, unsaid) if hint.missing == "batch"
    ]
    assert [(hint.events, hint.says) for hint in found] == [
        (1200, f"1,200 ids on /a/{{object}}: {TOO_MANY}"),
        (7, f"7 ids on /users/{{owner}}: {TOO_MANY}"),
    ]


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("file", ["objects that stand in no row of its owners file."]),
        ("learn", ["objects of unknown owners, made before the log began."]),
        (
            "nothing_learned",
            [
                (
                    "whoever makes an object there owns it, and no line says that one was "
                    "made: neither a PUT nor a POST with a Location was answered 201."
                )
            ],
        ),
        (
            "http",
            [
                (
                    "their owners are asked for only where an incident rests on them. Reads of "
                    "others' objects there open none by themselves."
                )
            ],
        ),
    ],
)
def test_a_source_that_does_not_know_is_told_of_in_its_way(way, says):
    unsaid = Unsaid(sources={"/orders/{object}/**": way, "/cards/{object}": "file"})
    tally = tally_of(*GOOD)
    tally.routes = {"/orders/{object}": {"undetermined": 117}}
    owner = [hint.says for hint in hints(tally, {"ecs"}, {}, unsaid) if hint.missing == "owner"]
    assert owner == [f"117 events on /orders/{{object}}: {words}" for words in says]
