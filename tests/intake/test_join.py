from random import Random

import pytest

from intake.halves import half_of
from intake.join import HOLD_S, Joiner
from intake.line import Parsed
from intake.settings import Join
from tests.intake._lines import AT
from tests.intake._logs import JOIN, NOBODY, W3C, Logs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gateway.log", True),
        ("/var/log/gateway-1.log", True),
        ("/var/log/user-service.log", False),
        ("/var/log/gateway.log.1", None),
        ("other.log", None),
        ("", None),
    ],
)
def test_which_log_a_source_is(name, expected):
    assert Joiner(JOIN).is_gateway(name) is expected


def test_patterns_may_name_whole_paths():
    joiner = Joiner(Join(gateway=["/var/log/edge/*"], service=["/var/log/app/*.json"]))
    assert joiner.is_gateway("/var/log/edge/access.log") is True
    assert joiner.is_gateway("/var/log/app/users.json") is False
    assert joiner.is_gateway("access.log") is None


PAIRS = [
    # name, the gateway's line, the service's line
    ("request id", {"request": "r1"}, {"request": "r1"}),
    ("a UUID, with and without dashes",
     {"request": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
     {"request": "F81D4FAE7DEC11D0A76500A0C91E6BF6".lower()}),
    ("trace id", {"trace": W3C}, {"trace": W3C}),
    ("own request ids, one trace", {"request": "a", "trace": W3C}, {"request": "b", "trace": W3C}),
    ("a trace id in the place of the request id", {"request": W3C, "trace": W3C},
     {"request": W3C, "trace": W3C}),
    ("a request id that the service takes for a trace", {"request": W3C},
     {"request": W3C, "trace": W3C}),
    ("five seconds apart", {"request": "r1"}, {"request": "r1", "at_s": 5}),
    ("the service's clock is behind", {"request": "r1", "at_s": 5}, {"request": "r1"}),
    ("the gateway takes a prefix away",
     {"request": "r1", "path": "/api/v1/users/7"}, {"request": "r1", "path": "/users/7"}),
    ("the gateway puts a prefix before it",
     {"request": "r1", "path": "/users/7"}, {"request": "r1", "path": "/internal/users/7"}),
    ("another spelling of one path",
     {"request": "r1", "path": "/users/%37/?a=1"}, {"request": "r1", "path": "//users/7"}),
    ("the service logs no method", {"request": "r1"}, {"request": "r1", "method": ""}),
    ("the service logs no status", {"request": "r1"}, {"request": "r1", "status": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "gateway", "service"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_two_lines_of_one_request_are_joined_at_once(name, gateway, service):
    logs = Logs()
    assert (logs.gw(**gateway), logs.svc(**service)) == ([], ["gw-1+svc-1"])
    logs = Logs()
    assert (logs.svc(**service), logs.gw(**gateway)) == ([], ["gw-1+svc-1"])
    assert logs.joiner.waiting == 0
    assert logs.rest() == []


LAST = [
    # The status differs, or a path that is only the end of the other hangs on a trace id alone.
    ("the client was gone", {"request": "r", "status": 499}, {"request": "r", "status": 200}),
    ("the gateway gave up", {"request": "r", "status": 504}, {"request": "r", "status": 200}),
    ("a gateway's refusal of an answer",
     {"trace": W3C, "status": 403}, {"trace": W3C, "status": 200}),
    ("a prefix, by trace", {"trace": W3C, "path": "/api/users/7"}, {"trace": W3C}),
    ("the service leaves the query out of what it rewrites",
     {"request": "r", "path": "/users/7?a=1"}, {"request": "r", "path": "/users/7?a=2"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "gateway", "service"), LAST, ids=[pair[0] for pair in LAST])
def test_what_differs_is_joined_when_nobody_else_came(name, gateway, service):
    for order in ((0, 1), (1, 0)):
        logs = Logs()
        for which in order:
            assert (logs.svc(**service) if which else logs.gw(**gateway)) == []
        assert logs.rest() == ["gw-1+svc-1"]


APART = [
    ("no ids at all", {}, {}),
    ("another id", {"request": "a"}, {"request": "b"}),
    ("another path", {"request": "a", "path": "/users/7"}, {"request": "a", "path": "/users/8"}),
    ("another method", {"request": "a", "method": "GET"}, {"request": "a", "method": "POST"}),
    ("an end of a path, not of a segment",
     {"request": "a", "path": "/users/17"}, {"request": "a", "path": "7"}),
    ("the root is the end of nothing",
     {"request": "a", "path": "/users/"}, {"request": "a", "path": "/"}),
    ("no request at all (400)", {"request": "a", "path": ""}, {"request": "a", "path": "/users/7"}),
    ("outside of the window", {"request": "a"}, {"request": "a", "at_s": 10.5}),
    ("an id as long as a page", {"request": "a" * 300}, {"request": "a" * 300}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "gateway", "service"), APART, ids=[one[0] for one in APART])
def test_lines_of_two_requests_stay_apart(name, gateway, service):
    logs = Logs()
    logs.gw(**gateway)
    logs.svc(**service)
    logs.rest()
    assert sorted(logs.seen) == ["gw-1", "svc-1"]


def test_what_the_gateway_refused_waits_for_nobody():
    parsed = Parsed(AT, "203.0.113.7", "GET", "/x", 403, request_id="r", blocked_by="waf")
    half = half_of("gw", 1, b"", parsed, NOBODY, gateway=True, credentials="", late=False)
    assert [one.half for one in Joiner(JOIN).take(half, AT)] == [half]


def test_the_same_path_comes_before_the_end_of_a_path():
    """An inner service is asked with the edge's request id, and answers first."""
    logs = Logs()
    logs.svc("r1", path="/v1/users/7")
    logs.read("svc2", "r1", path="/users/7")
    assert logs.gw("r1", path="/users/7") == ["gw-1+svc2-1"]
    assert logs.rest() == ["svc-1"]


def test_of_several_tries_the_first_is_joined():
    logs = Logs()
    logs.svc("r1", who="u-1")
    logs.svc("r1", who="u-1")
    assert logs.gw("r1") == ["gw-1+svc-1"]
    assert logs.svc("r1", who="u-1") == ["svc-3"]
    assert logs.rest() == ["svc-2"]


def test_one_trace_of_several_requests_joins_none():
    logs = Logs()
    logs.gw(trace=W3C, path="/users/7")
    logs.gw(trace=W3C, path="/users/8")
    logs.svc(trace=W3C, path="/users/7")
    logs.svc(trace=W3C, path="/users/8")
    logs.gw(trace=W3C, path="/users/9")
    logs.rest()
    assert sorted(logs.seen) == ["gw-1", "gw-2", "gw-3", "svc-1", "svc-2"]


# Clients choose request ids.


def test_a_half_waits_until_both_logs_have_passed_its_window():
    logs = Logs()
    logs.gw("alone")
    logs.svc("x", at_s=1)
    assert logs.gw("y", at_s=40) == []
    assert logs.svc("z", at_s=15.9) == []
    assert logs.svc("z", at_s=16) == ["gw-1"]


def test_a_log_that_says_nothing_holds_up_nobody():
    logs = Logs()
    logs.gw("alone")
    assert logs.gw("x", at_s=HOLD_S) == []
    assert logs.gw("y", at_s=HOLD_S + 1) == ["gw-1"]


def test_of_two_services_the_one_that_was_read_least_counts():
    logs = Logs()
    logs.gw("r1")
    logs.svc("x", at_s=1)
    logs.read("svc2", "y", at_s=20)
    logs.gw("z", at_s=20)
    assert logs.svc("r1", at_s=3) == ["gw-1+svc-2"]


def test_who_comes_after_the_window_is_judged_at_once():
    logs = Logs()
    logs.gw("x", at_s=100)
    assert logs.gw("r1", at_s=20) == ["gw-2"]


def test_the_oldest_go_where_too_many_wait():
    logs = Logs(most_waiting=3)
    logs.gw("a", at_s=1)
    logs.gw("b", at_s=0)
    logs.gw("c", at_s=2)
    assert logs.gw("d", at_s=3) == ["gw-2"]
    assert logs.joiner.waiting == 3
    assert logs.rest() == ["gw-1", "gw-3", "gw-4"]


def test_the_oldest_go_where_too_many_bytes_wait():
    logs = Logs(most_bytes=11)
    for n, name in enumerate("abc"):
        logs.gw(name, at_s=n)
    assert (logs.seen, logs.joiner.waiting) == (["gw-1"], 2)
    logs.svc("b", at_s=2)
    assert logs.gw("d", at_s=3) == []
    assert logs.seen == ["gw-1", "gw-2+svc-1"]


def test_a_clock_that_runs_ahead_waits_no_longer_than_others():
    logs = Logs()
    half = half_of("gw", 99, b"line", Parsed(AT + 9_000_000, "", "GET", "/x", 200, request_id="r"),
                   NOBODY, gateway=True, credentials="", late=False)  # fmt: skip
    assert logs.joiner.take(half, AT) == []
    for second in range(HOLD_S + 2):
        logs.gw("", at_s=second)
    assert "gw-63" in logs.seen
    assert logs.joiner.waiting == 0


# State.


def test_a_restart_at_any_line_changes_nothing():
    rng = Random(7)
    steps = []
    for number in range(300):
        request = f"r{number % 170}"
        path = f"/users/{number % 11}"
        at_s = number / 9
        steps.append((at_s + rng.random() * 5, "gw", request, path, rng.choice((200, 200, 403))))
        if rng.random() < 0.9:
            steps.append((at_s + rng.random() * 5, "svc", request, path, 200))
    steps.sort()
    whole = Logs()
    for at_s, source, request, path, status in steps:
        whole.read(source, request, at_s, path, status=status, trace=request[:2])
    whole.rest()
    assert sum("+" in one for one in whole.seen) > 100

    broken, store = Logs(tracking=True), {}
    for number, (at_s, source, request, path, status) in enumerate(steps):
        broken.read(source, request, at_s, path, status=status, trace=request[:2])
        if number % 3 == 0:
            for space, key, value in broken.joiner.take_dirty():
                if value:
                    store[space, key] = value
                else:
                    store.pop((space, key), None)
            assert sum(space == "intake.join" for space, _ in store) == broken.joiner.waiting
            fresh = Joiner(JOIN, tracking=True)
            fresh.load(lambda wanted: ((k, v) for (s, k), v in store.items() if s == wanted))
            broken.joiner = fresh
    broken.rest()
    assert broken.seen == whole.seen
