import json
from collections import Counter
from random import Random
from typing import Any

import pytest

from console.simulate.lines import line_of
from console.simulate.traffic import Ordinary, ordinary_steps, staff_and_machines
from console.simulate.world import DELEGATE, OFFICE_IP, SERVICE, build_world

START_S = 1_795_341_600


def world(users=200, principals="gateway"):
    return build_world(
        Random("w"), users=users, office_users=40, ids="prefix", principals=principals, prefix="/v1"
    )


def events(count=20_000, principals="gateway", per_second=200):
    ordinary = Ordinary(world(principals=principals), Random("t"), line_of("ecs"), per_second=200)
    for second in range(count // per_second):
        for _, line in sorted(ordinary.second(START_S + second, per_second)):
            yield json.loads(line)


def owner_in(path):
    for word in ("/users/", "/wallets/"):
        _, found, rest = path.partition(word)
        if found and not rest.startswith("me/"):
            return rest.split("/")[0]
    return path.partition("ids=")[2]


def test_honest_people_ask_for_nobody_else():
    foreign = [
        event
        for event in events()
        if (owner := owner_in(event["url"]["original"]))
        and event.get("user", {"id": owner})["id"] != owner
    ]
    assert foreign == []


def test_orders_are_ones_own_and_in_a_row():
    built = world()
    by_session: dict[str, list[int]] = {}
    owners: dict[tuple[str, str], bool] = {}
    for event in events(60_000):
        _, found, order = event["url"]["original"].partition("/orders/")
        if found:
            by_session.setdefault(event["session"]["id"], []).append(int(order))
            owners.setdefault((event["user"]["id"], built.owner_of(int(order)).id), True)
    assert {user == owner for user, owner in owners} == {True}
    longest = max(by_session.values(), key=len)
    assert len(longest) >= 3
    assert longest == list(range(longest[0], longest[0] + len(longest)))


def test_everything_that_ordinary_logs_have_is_there():
    seen: Counter[Any] = Counter()
    for event in events(60_000):
        request, path = event["http"]["request"], event["url"]["original"]
        seen[request["method"], event["http"]["response"]["status_code"]] += 1
        seen["search"] += "/search?q=" in path
        seen["static"] += path.startswith("/static/")
        seen["header"] += "x-user-id" in request.get("headers", {})
        seen["cross-site"] += request.get("headers", {}).get("sec-fetch-site") == "cross-site"
        seen["office"] += event["source"]["ip"] == OFFICE_IP
        seen["anonymous"] += "user" not in event
    wanted = [
        ("GET", 200), ("GET", 304), ("GET", 401), ("GET", 404), ("GET", 429), ("GET", 499),
        ("GET", 500), ("GET", 502), ("GET", 403), ("HEAD", 200), ("OPTIONS", 204), ("PUT", 200),
        ("PUT", 204), ("PUT", 400), ("PATCH", 200), ("DELETE", 204), ("POST", 201), ("POST", 202),
        ("POST", 401), "search", "static", "header", "cross-site", "office", "anonymous",
    ]  # fmt: skip
    assert [what for what in wanted if not seen[what]] == []


def test_an_expired_token_loops_on_the_own_profile_and_then_is_renewed():
    loops: dict[str, list[tuple[str, int]]] = {}
    for event in events(100_000):
        status, path = event["http"]["response"]["status_code"], event["url"]["original"]
        if (status == 401 and "login" not in path) or path == "/v1/auth/refresh":
            assert "user" not in event
            loops.setdefault(event["session"]["id"], []).append((path, status))
    whole = [loop for loop in loops.values() if loop[-1] == ("/v1/auth/refresh", 200)]
    assert len(whole) > 10
    for loop in whole:
        assert len(loop) >= 6
        assert len({path for path, _ in loop[:5]}) == 1


def test_a_failed_request_is_tried_again_by_the_same_session():
    failed, again = {}, 0
    for n, event in enumerate(events(60_000)):
        key = (event.get("session", {}).get("id"), event["url"]["original"])
        if event["http"]["response"]["status_code"] in {429, 499, 500, 502}:
            failed[key] = n
        elif key in failed and n - failed[key] < 1000:
            again += 1
            del failed[key]
    assert again > 0.9 * (again + len(failed))


def test_without_principals_nobody_has_a_session_or_a_header_either():
    logged = set()
    for event in events(5_000, "none"):
        logged |= event.keys() | event["http"]["request"].get("headers", {}).keys()
    wanted = {"@timestamp", "source", "http", "url", "user_agent", "sec-fetch-site"}
    assert logged == wanted


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_second_has_as_many_lines_as_asked_all_within_it(count):
    ordinary = Ordinary(world(), Random("t"), line_of("ecs"), per_second=50)
    for second in range(20):
        entries = ordinary.second(START_S + second, count)
        assert len(entries) == count
        assert all(0 <= ms < 1000 for ms, _ in entries)


def test_request_ids_are_unique():
    seen = [event["http"]["request"]["id"] for event in events()]
    assert len(set(seen)) == len(seen) == 20_000


def test_steps_are_as_likely_as_their_shares_and_vary():
    steps = ordinary_steps("/v1")
    own = Counter((step[0], step[1] + "@" + step[2]) for step in steps if step[2] is not None)
    assert own["GET", "/v1/users/@/profile"] == 190 + 3 + 2 + 2 + 3
    assert own["GET", "/v1/users?ids=@"] == 6
    searches = {step[1] for step in steps if "/search?q=" in step[1]}
    assert len(searches) > 50


@pytest.mark.parametrize(
    ("principals", "expected"),
    [
        ("gateway", {"kube-probe", "ExampleBot", DELEGATE, SERVICE}),
        ("none", {"kube-probe", "ExampleBot"}),
    ],
)
def test_staff_and_machines_by_time(principals, expected):
    start, end = START_S * 1000, START_S * 1000 + 3_600_000
    built = world(principals=principals)
    requests = list(staff_and_machines(built, Random("s"), start, end, share=600))
    times = [request.time_ms for request in requests]
    assert times == sorted(times)
    assert start <= times[0] <= times[-1] < end
    assert len(requests) <= 600
    who = set()
    for request in requests:
        agent = request.client.user_agent
        name = next((word for word in ("kube-probe", "ExampleBot") if word in agent), "")
        who.add(request.client.principal or name)
    assert who == expected


def test_the_delegate_reads_at_a_human_pace_and_the_batch_account_everybody_in_turn():
    start, end = START_S * 1000, START_S * 1000 + 3_600_000
    requests = list(staff_and_machines(world(), Random("s"), start, end, share=4000))
    support = [r for r in requests if r.client.principal == DELEGATE]
    assert len(support) == 60
    batch = [r.path for r in requests if r.client.principal == SERVICE]
    assert batch[:2] == ["/v1/wallets/u-00001/transactions", "/v1/wallets/u-00002/transactions"]
    assert len(set(batch)) == 200
