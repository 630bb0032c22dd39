import pytest

from tests.detectors._events import at, judged, severities

RULE = "denied_burst"


def refused(count, every_s=10, start_s=0, **facts):
    return [at(start_s + i * every_s).user("a").denied(f"u-{i}", **facts) for i in range(count)]


def unknown(count, who=at, status=404, **facts):
    missed = {"outcome": "denied", "certainty": "attempted", "status": status}
    return [who(i).looks(object=f"o-{i}", **missed, **facts) for i in range(count)]


OPENED = at(100).user("a").read("u-99")
CASES = [
    ("eight", refused(8), ["medium"]),
    ("near miss: seven", refused(7), []),
    ("near miss: one person eight times", [at(i).user("a").denied("b") for i in range(8)], []),
    ("near miss: eight in six minutes", refused(8, every_s=52), []),
    ("eight in five minutes", refused(8, every_s=42), ["medium"]),
    ("a success on the route soon after", [*refused(8), OPENED], ["medium", "high"]),
    ("a success on the route soon before", [at(-100).user("a").read("u-9"), *refused(8)],
        ["medium", "high"]),
    ("near miss of high: on another route", [*refused(8), at(100).user("a").route("/b").read("b")],
        ["medium"]),
    ("near miss of high: over ten minutes later", [*refused(8), at(671).user("a").read("b")],
        ["medium"]),
    ("near miss of high: without a burst", [*refused(7), OPENED], []),
    ("objects of unknown owner", unknown(8), ["medium"]),
    ("near miss: expired tokens", unknown(30, status=401), []),
    ("near miss: too many requests", unknown(30, status=429), []),
    ("too many requests for others' data", refused(8, status=429), ["medium"]),
    ("near miss: an office's many browsers", [at(i).agent(f"f{i}").looks(str(i), status=404,
        outcome="denied") for i in range(30)], []),
    ("forty that another site sent", [at(i).user("a").elsewhere().denied(f"u-{i}")
        for i in range(40)], ["medium"]),
    ("ordinary: reads", [at(i).user("a").read(f"u-{i}") for i in range(20)], []),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_levels(signals, expected):
    assert severities(RULE, signals) == expected


def test_sure_only_where_all_are_foreign():
    confidences = [
        [f.confidence for f in judged(RULE, signals)]
        for signals in (
            [*refused(8), OPENED],
            [*refused(7), *unknown(1, lambda s: at(s).user("a")), OPENED],
            [at(s.time_ms / 1000 - at(0).time_ms / 1000).elsewhere().user("a").denied(*s.targets)
             for s in refused(40, every_s=1)],
        )
    ]  # fmt: skip
    assert confidences == [[0.75, 0.93], [0.7, 0.7], [0.5]]


def test_objects_are_no_users():
    (finding,) = judged(RULE, unknown(8, lambda s: at(s).user("a")))
    assert finding.users == ()
    assert finding.explain["targets"] == 8
    assert finding.message == (
        "a was refused 8 targets in 7 s (limit 8 in 5 min): "
        "object:o-0, object:o-1, object:o-2, object:o-3, object:o-4 and 3 more"
    )


def test_high_names_what_opened():
    signals = [*refused(8), OPENED]
    high = judged(RULE, signals)[-1]
    assert high.severity == "high"
    assert high.evidence == tuple(signal.event for signal in signals)
    assert high.users == ("u-0", "u-1", "u-2", "u-3", "u-4", "u-5", "u-6", "u-7", "u-99")


def test_routes_are_bounded():
    from tests.detectors._events import only

    engine = only(RULE)
    engine.observe(at(i).user("a").route(f"/r{i}").read("b") for i in range(500))
    ((_, _, value),) = engine.take_dirty()
    assert len(value) < 16_384


NET = "subnet:2001:db8::/64"


def rotated(count, opens=(), agent="f1"):
    for i in range(count):
        who = at(i).ip(f"2001:db8::{i + 1:x}").agent(agent)
        yield who.anonymous().read(f"u-{i}") if i in opens else who.anonymous().denied(f"u-{i}")


NETS = [
    ("eight from eight addresses", [*rotated(8)], [(NET, "medium")]),
    ("and a ninth opens", [*rotated(9, opens=[8])], [(NET, "medium"), (NET, "high")]),
    ("near miss: seven", [*rotated(7)], []),
    ("eight from one address are that address's", [at(i).ip("2001:db8::7").anonymous()
        .denied(f"u-{i}") for i in range(8)], [("ip:2001:db8::7", "medium")]),
    ("near miss: each with another user agent", [s for i in range(8)
        for s in [*rotated(8, agent=f"f{i}")][i : i + 1]], []),
]  # fmt: skip


@pytest.mark.parametrize(("signals", "expected"), [c[1:] for c in NETS], ids=[c[0] for c in NETS])
def test_an_ipv6_client_has_a_64_to_itself(signals, expected):
    assert [(str(f.actor), f.severity) for f in judged(RULE, signals)] == expected
