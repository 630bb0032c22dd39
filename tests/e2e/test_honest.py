"""Honest people only, in logs that say little: nobody may come out of them as an attacker."""

from dataclasses import dataclass
from random import Random

import pytest

from tests.e2e._program import AGENT, by_time, ecs, nginx, run, scan, write

pytestmark = pytest.mark.stack

PEOPLE = 2000
OFFICE = "192.0.2.10"
AGENTS = [
    f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
    for system in ("Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Macintosh")
    for version in range(130, 145)
]


@dataclass(frozen=True)
class Day:
    """How so many people use the service."""

    name: str
    each: float
    """Requests a person, on average."""
    minutes: int
    office: int = 0
    """The first so many people have a desk behind one address."""
    at_desk: float = 1.0
    """Share of their requests from there; the rest is from home."""
    one_agent: bool = False
    """The office's machines are all alike."""
    carriers: int = 0
    """Everybody is on the phone, behind so many addresses that change."""
    early: float = 0
    """Share of the requests that come in the hour before all others arrive."""


DENSE_AND_ALIKE = Day("office, one agent, dense", 6, 15, office=800, one_agent=True)
DAYS = [
    Day("at home, sparse", 3, 360),
    Day("at home, dense", 6, 15),
    Day("office, many agents, sparse", 4, 240, office=800),
    Day("office, many agents, dense", 6, 15, office=800),
    Day("office, one agent, sparse", 4, 240, office=800, one_agent=True),
    DENSE_AND_ALIKE,
    Day("office and home, one agent", 6, 180, office=800, at_desk=0.5, one_agent=True),
    Day("office and home, many agents, dense", 6, 20, office=800, at_desk=0.5),
    Day("all in one office, one agent", 3, 60, office=2000, one_agent=True),
    Day("phones behind carriers", 5, 60, carriers=25),
    Day("phones behind carriers, dense", 4, 5, carriers=25),
    Day("office wakes up, one agent", 3, 30, office=800, one_agent=True, early=0.01),
    Day("office wakes up, many agents", 3, 10, office=800, early=0.01),
    Day("phones are woken by a push", 1, 1, carriers=25, early=0.05),
]


def requests(day, rng):
    """(second, person, address, agent) of everybody who reads their own profile."""
    agents = [rng.choice(AGENTS) for _ in range(PEOPLE)]
    for _ in range(int(PEOPLE * day.each)):
        person = rng.randrange(PEOPLE)
        second = rng.random() * day.minutes * 60
        if day.early:
            second = rng.random() * 3600 if rng.random() < day.early else 3600 + second
        address, agent = f"198.18.{person // 250}.{1 + person % 250}", agents[person]
        if day.carriers:
            address = f"100.64.0.{1 + rng.randrange(day.carriers)}"
        elif person < day.office and rng.random() < day.at_desk:
            address, agent = OFFICE, AGENT if day.one_agent else agent
        yield second, person, address, agent


def nobody_is_accused(result):
    __tracebackhide__ = True
    found = [(f["rule"]["id"], f["message"]) for f in result.findings]
    assert (found, result.incidents, result.actions) == ([], [], [])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.name)
def test_two_thousand_people_in_a_log_that_names_nobody(tmp_path, day, seed):
    """Must hold 2: nginx combined, `/users/{n}/profile`, no principal: no incident."""
    log = write(
        tmp_path / "access.log",
        by_time(
            (second, nginx(second, address, f"/users/{person + 1}/profile", agent=agent))
            for second, person, address, agent in requests(day, Random(seed))
        ),
    )
    result = scan(tmp_path, log)
    nobody_is_accused(result)
    assert result.counts == (PEOPLE * day.each, PEOPLE * day.each, 0, 0)
    assert result.judged["undetermined"] == PEOPLE * day.each
    assert "principal" in [hint["missing"] for hint in result.summary["hints"]]
    assert "log_format" in result.ran.out


UUID_HINT = "intake: {identities: {file: people.csv}}"


def uuid(rng):
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


@pytest.mark.parametrize(
    "day", [DAYS[0], DAYS[3], DENSE_AND_ALIKE, DAYS[6]], ids=lambda day: day.name
)
def test_principals_that_cannot_be_compared(tmp_path, day):
    """Must hold 2: the same with UUID principals: undetermined, and the hint printed."""
    rng = Random(7)
    people = [uuid(rng) for _ in range(PEOPLE)]
    log = write(
        tmp_path / "access.ndjson",
        by_time(
            (second, ecs(second, address, f"/users/{person + 1}/profile", user=people[person]))
            for second, person, address, _ in requests(day, rng)
        ),
    )
    result = scan(tmp_path, log)
    nobody_is_accused(result)
    lines = PEOPLE * day.each
    wanted = dict.fromkeys(("own", "foreign", "no_target", "allowed"), 0)
    assert result.judged == wanted | {"undetermined": lines}
    hints = {hint["missing"]: hint for hint in result.summary["hints"]}
    assert hints["comparable_ids"]["events"] == lines
    assert UUID_HINT in hints["comparable_ids"]["add"]
    assert UUID_HINT in result.ran.out


def test_the_map_that_the_hint_asks_for_makes_them_comparable(tmp_path):
    """Must hold 2: and with it, everybody's own is own."""
    rng = Random(8)
    people = [uuid(rng) for _ in range(PEOPLE)]
    rows = "".join(f"{people[n]},{n + 1}\n" for n in range(PEOPLE))
    (tmp_path / "people.csv").write_text("id,user\n" + rows)
    log = write(
        tmp_path / "access.ndjson",
        by_time(
            (second, ecs(second, address, f"/users/{person + 1}/profile", user=people[person]))
            for second, person, address, _ in requests(DAYS[0], rng)
        ),
    )
    result = scan(tmp_path, log, config=UUID_HINT + "\n")
    nobody_is_accused(result)
    assert result.judged["own"] == PEOPLE * DAYS[0].each
    assert "comparable_ids" not in [hint["missing"] for hint in result.summary["hints"]]


def test_the_delegate_and_the_batch_account_where_ids_cannot_be_compared(tmp_path):
    """Must hold 2: those who may read everybody are no incident in the UUID world either."""
    rng = Random(9)
    people = [uuid(rng) for _ in range(PEOPLE)]
    pairs = [
        (second, ecs(second, address, f"/users/{person + 1}/profile", user=people[person]))
        for second, person, address, _ in requests(DAYS[0], rng)
    ]
    pairs += [
        (n * 2, ecs(n * 2, "198.19.254.3", f"/users/{n + 1}/profile", user="batch-reports"))
        for n in range(PEOPLE)
    ]
    # Support, at a desk: a customer every two minutes, three pages of each.
    for call in range(90):
        person = 1 + rng.randrange(PEOPLE)
        for page, what in enumerate(("profile", "settings", "orders")):
            second = call * 120 + page * 6
            target = f"/users/{person}/{what}"
            pairs.append((second, ecs(second, OFFICE, target, user="support-7", session="desk-7")))
    config = (
        "intake:\n"
        "  service_accounts:\n"
        '    - {id: batch-reports, from: [198.19.254.0/28], routes: ["/users/**"]}\n'
        "  delegates: [support-*]\n"
    )
    nobody_is_accused(
        scan(tmp_path, write(tmp_path / "access.ndjson", by_time(pairs)), config=config)
    )


def test_a_simulated_service_without_attackers(tmp_path):
    """Must hold 1 and 2: everything that honest traffic has, and no attack in it."""
    for principals, format_ in (("gateway", "ecs"), ("uuid", "ecs"), ("none", "nginx")):
        sim = tmp_path / principals
        words = ("--attackers", 0, "--lines", 12_000, "--users", 2000, "--principals", principals)
        ran = run("simulate", "--out", sim, "--format", format_, *words)
        assert ran.code == 0, ran.err
        nobody_is_accused(scan(sim, sim / "access.log", config=sim / "breachline.yaml"))


def own_orders(rng, *, first_s=0, people=60, orders=40):
    """Everybody goes through their own orders, which are numbered in a row."""
    for person in range(people):
        start = first_s + rng.random() * 300
        for n in range(orders):
            order = 70_000 + person * orders + n
            yield start + n * 1.5, f"u-{person:03d}", f"198.18.1.{1 + person}", f"/orders/{order}"


def habit(people=60, minutes=90):
    """An hour and a half of everybody's own: so that who is usual here is known."""
    for second in range(0, minutes * 60, 10):
        person = (second // 10) % people
        user = f"u-{person:03d}"
        yield (
            second,
            ecs(
                second,
                f"198.18.1.{1 + person}",
                f"/users/{user}/profile",
                user=user,
                session=f"s{user}",
            ),
        )


@pytest.mark.parametrize("owner", [False, True], ids=["owner unknown", "owner logged"])
def test_own_objects_in_a_row(tmp_path, owner):
    """Must hold 2: own sequential objects: nobody blocked."""
    pairs = list(habit())
    for second, user, address, target in own_orders(Random(3), first_s=5400):
        more = {"labels": {"resource_owner": user}} if owner else {}
        pairs.append((second, ecs(second, address, target, user=user, session=f"s{user}", **more)))
        below = f"/users/{user}/invoices/{target.rpartition('/')[2]}"
        pairs.append((second + 1, ecs(second + 1, address, below, user=user, session=f"s{user}")))
    config = "intake: {fields: {target_user: labels.resource_owner}}\n" if owner else None
    result = scan(tmp_path, write(tmp_path / "access.ndjson", by_time(pairs)), config=config)
    nobody_is_accused(result)
    assert result.judged["foreign"] == 0


def test_own_objects_in_a_row_in_a_log_that_names_nobody(tmp_path):
    """Must hold 2: an export of one's own orders is no walk through people."""
    pairs = [
        (second, nginx(second, address, target))
        for second, _, address, target in own_orders(Random(4))
    ]
    nobody_is_accused(scan(tmp_path, write(tmp_path / "access.log", by_time(pairs))))


@pytest.mark.parametrize("format_", ["nginx", "ecs", "ecs, sessions"])
def test_a_storm_of_expired_tokens(tmp_path, format_):
    """Must hold 2: an expired-token storm of 401s behind one NAT: nobody blocked."""
    rng = Random(5)
    pairs = []
    for person in range(400):
        start = 5400 + rng.random() * 240
        for attempt in range(20):
            second, target = start + attempt * 0.7, f"/users/{person + 1}/profile"
            if format_ == "nginx":
                line = nginx(second, OFFICE, target, status=401, size=44)
            else:
                session = f"s{person}" if "sessions" in format_ else ""
                line = ecs(second, OFFICE, target, status=401, size=44, session=session)
            pairs.append((second, line))
    if format_ != "nginx":
        pairs += habit()
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(pairs)))
    nobody_is_accused(result)


@pytest.mark.parametrize("mode", ["simulate", "enforce"])
@pytest.mark.parametrize("where", ["own profiles", "own orders", "both"])
def test_a_deployment_that_answers_403_to_everybody(tmp_path, where, mode):
    """Must hold 2: a deployment bug that answers 403 to all: nobody blocked, no breach."""
    rng = Random(6)
    pairs = list(habit(people=200))
    for person in range(200):
        user, address, start = f"u-{person:03d}", f"198.18.1.{1 + person}", 5400 + rng.random() * 60
        for n in range(12):
            second = start + n * 4
            if where != "own profiles":
                order = f"/orders/{70_000 + person * 12 + n}"
                pairs.append((second, refused(second, address, order, user)))
            if where != "own orders":
                own = f"/users/{user}/profile"
                pairs.append((second + 1, refused(second + 1, address, own, user)))
    config = f"respond: {{mode: {mode}}}\n"
    result = scan(tmp_path, write(tmp_path / "access.ndjson", by_time(pairs)), config=config)
    assert (result.passed, [i for i in result.incidents if i["breach"]]) == (set(), [])
    assert [i["affected_count"] for i in result.incidents if i["affected_count"]] == []


def refused(second, address, target, user):
    return ecs(second, address, target, user=user, session=f"s{user}", status=403, size=60)
