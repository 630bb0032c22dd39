import pytest

from incidents.denials import MOST_PRINCIPALS, Denials
from tests._events import NOON_MS, event
from tests.intake._lines import AT, Court, get

MINUTE, HOUR = 60_000, 3_600_000
IP = "203.0.113.7"
WHO = frozenset({"u-1", "u-2"})


def denied(minute, principal="u-1", **changes):
    changes = {"status": 403, "verdict": "own", "ip": IP, **changes}
    return event(time_ms=NOON_MS + minute * MINUTE + 1, principal=principal, **changes)


CASES = [
    # name, events, minutes from the block to now, (before, after)
    ("nobody", [], 10, (0, 0)),
    ("before and after", [denied(-3), denied(4)], 10, (1, 1)),
    ("a person counts once", [denied(1), denied(2), denied(3)], 10, (0, 1)),
    ("two people", [denied(1), denied(2, "u-2")], 10, (0, 2)),
    ("too many requests", [denied(1, status=429)], 10, (0, 1)),
    ("an address of the same /64", [denied(1, ip="2001:db8::2")], 10, (0, 0)),
    ("the minute of the block is neither", [denied(0)], 10, (0, 0)),
    ("equal spans: too long before", [denied(-11), denied(1)], 10, (0, 1)),
    ("a success", [denied(1, status=200)], 10, (0, 0)),
    ("a page that is not there", [denied(1, status=404)], 10, (0, 0)),
    ("a stranger", [denied(1, "u-9")], 10, (0, 0)),
    ("somebody else's data", [denied(1, verdict="foreign")], 10, (0, 0)),
    ("one whom nobody vouches for", [denied(1, provenance="asserted")], 10, (0, 0)),
    ("another address", [denied(1, ip="203.0.113.8")], 10, (0, 0)),
    ("an hour at most", [denied(-61), denied(61)], 90, (0, 0)),
]


@pytest.mark.parametrize(
    ("name", "events", "minutes", "expected"), CASES, ids=[c[0] for c in CASES]
)
@pytest.mark.parametrize("restarts", [False, True])
def test_who_was_refused(name, events, minutes, expected, restarts):
    denials = Denials()
    denials.note(events)
    if restarts:
        kept = denials.take_dirty()
        denials = Denials()
        denials.load(kept)
    assert denials.around(IP, WHO, NOON_MS, NOON_MS + minutes * MINUTE) == expected, name


def test_a_64_counts_as_one_address():
    denials = Denials()
    denials.note([denied(1, ip="2001:db8::2")])
    assert denials.around("2001:db8::1", WHO, NOON_MS, NOON_MS + HOUR) == (0, 1)
    assert denials.around("2001:db8::/64", WHO, NOON_MS, NOON_MS + HOUR) == (0, 1)
    assert denials.around("2001:db8:0:1::/64", WHO, NOON_MS, NOON_MS + HOUR) == (0, 0)


def test_what_is_fresh_is_told_once_and_again_after_a_restart():
    denials = Denials()
    denials.note([denied(1)])
    assert (denials.take_fresh(), denials.take_fresh()) == (frozenset({IP}), frozenset[str]())
    restarted = Denials()
    restarted.load(denials.take_dirty())
    assert restarted.take_fresh() == {IP}


def test_what_is_too_old_is_forgotten():
    denials = Denials()
    denials.note([denied(1)])
    denials.take_dirty()
    denials.note(denied(minute, ip="203.0.113.8") for minute in range(60, 300, 30))
    assert (IP, b"") in denials.take_dirty()


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("incidents.denials.MOST_ADDRESSES", 3)
    denials = Denials()
    denials.note(denied(1, f"u-{n}") for n in range(MOST_PRINCIPALS + 9))
    everybody = frozenset(f"u-{n}" for n in range(MOST_PRINCIPALS + 9))
    assert denials.around(IP, everybody, NOON_MS, NOON_MS + HOUR) == (0, MOST_PRINCIPALS)
    denials.note(denied(2 + n, ip=f"198.51.100.{n}") for n in range(3))
    assert denials.around(IP, everybody, NOON_MS, NOON_MS + HOUR) == (0, 0)


def test_what_our_own_block_answered_is_seen_of_the_innocent_alone():
    court = Court(
        crowd=[str(n) for n in range(100, 160)], own_blocks=[{"status": 403, "bytes": 19}]
    )
    asked = [
        get("/users/17", "17", status=403, size=19, at_s=60),
        get("/users/19", "18", status=403, size=19, at_s=60),
        get("/users/19", "18", status=403, size=20, at_s=60),
    ]
    events = [court.event(line) for line in asked]
    assert [(e.outcome, e.verdict) for e in events] == [
        ("ignored", "no_target"), ("ignored", "no_target"), ("denied", "foreign"),
    ]  # fmt: skip
    denials = Denials()
    denials.note(events)
    assert denials.take_fresh() == {"192.0.2.7"}
    # Who attacked is none of the innocent that are counted.
    assert denials.around("192.0.2.7", {"17"}, AT, AT + 120_000) == (0, 1)
