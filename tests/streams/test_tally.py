from typing import Any

import msgspec
import pytest

from intake.frames import Batch
from records.event import Reject
from streams.tally import MAX_ROUTES, OTHER_ROUTES, Tally
from tests._events import event, finding


def reject(reason):
    return Reject("s", 0, reason, "00", "line")


def test_a_batch_is_counted_by_route_verdict_and_provenance():
    tally = Tally()
    events = [
        event(0, route="/a/{owner}", verdict="own", provenance="gateway", session="x"),
        event(1, route="/a/{owner}", verdict="foreign", provenance="gateway", allowed="delegate"),
        event(2, route="/a/{owner}", verdict="foreign", provenance="asserted", session="y"),
        event(3, route="/b", verdict="no_target", provenance="", session=""),
    ]
    tally.add(
        Batch(
            "s", lines=8, duplicate=1, late=0, events=events,
            rejects=[reject("not_json"), reject("not_json"), reject("binary")],
        )
    )  # fmt: skip
    tally.found([finding("fin-1", rule="canary"), finding("fin-2", rule="canary")])
    assert tally.document(2.0) == {
        "lines": 8,
        "events": 4,
        "rejected": {"not_json": 2, "binary": 1},
        "duplicate": 1,
        "late": 0,
        "judged": {
            "own": 1,
            "foreign": 2,
            "undetermined": 0,
            "no_target": 1,
            "allowed": 1,
            "by_route": {
                "/a/{owner}": {"own": 1, "foreign": 2, "allowed": 1},
                "/b": {"no_target": 1},
            },
        },
        "findings": {"canary": 2},
        "principals": {"gateway": 2, "asserted": 1, "": 1},
        "events_with_session": 3,
        "seconds": 2.0,
        "events_per_second": 2,
    }


def test_joined_lines_are_counted_where_logs_are_joined():
    assert "joined" not in Tally().document(1.0)
    tally, other = Tally(), Tally()
    tally.add(Batch("s", lines=5, duplicate=2, joined=2, events=[event(n) for n in range(3)],
                    unmatched={"service": 1}))  # fmt: skip
    other.add(Batch("s", lines=1, events=[event(0)], unmatched={"service": 1}))
    tally.merge(other)
    document = tally.document(1.0)
    assert (document["joined"], document["unmatched"]) == (2, {"gateway": 0, "service": 2})
    assert (document["lines"], document["events"], document["duplicate"]) == (6, 4, 2)


def test_lines_are_events_and_rejected_and_duplicates():
    tally = Tally()
    for n in range(3):
        tally.add(
            Batch("s", lines=4, duplicate=1, events=[event(n), event(n)], rejects=[reject("x")])
        )
    document: Any = tally.document(0)
    assert document["lines"] == 12
    assert document["lines"] == 6 + sum(document["rejected"].values()) + document["duplicate"]
    assert document["events_per_second"] == 0


TIMES = [
    # name, batches of (time, late), first, last
    ("nothing", [[]], (0, 0)),
    ("in order", [[(10, 0), (20, 0)], [(30, 0)]], (10, 30)),
    ("out of order within a batch", [[(20, 0), (10, 0), (30, 0), (25, 0)]], (10, 30)),
    ("an earlier batch later", [[(20, 0)], [(5, 0)]], (5, 20)),
    ("a late line of a clock that was never set", [[(20, 0), (1, 1)]], (20, 20)),
    ("only late ones", [[(20, 0)], [(1, 1)]], (20, 20)),
]


@pytest.mark.parametrize(("name", "batches", "expected"), TIMES, ids=[c[0] for c in TIMES])
def test_first_and_last_do_not_depend_on_how_lines_stand(name, batches, expected):
    tally = Tally()
    for rows in batches:
        events = [event(0, time_ms=time_ms, late=bool(late)) for time_ms, late in rows]
        tally.add(Batch("s", lines=len(rows), late=sum(r[1] for r in rows), events=events))
    assert (tally.first_ms, tally.last_ms) == expected


def test_routes_are_bounded_and_none_is_uncounted():
    tally = Tally()
    for start in range(0, MAX_ROUTES + 100, 100):
        events = [event(n, route=f"/r{n}", verdict="own") for n in range(start, start + 100)]
        tally.add(Batch("s", lines=100, events=events))
    assert len(tally.routes) == MAX_ROUTES + 1
    assert tally.routes[OTHER_ROUTES] == {"own": 100}
    assert tally.judged()["own"] == MAX_ROUTES + 100


def test_it_survives_a_restart():
    tally = Tally()
    tally.add(Batch("s", lines=2, events=[event(0), event(1)]))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(tally), type=Tally)
    assert again == tally
    again.add(Batch("s", lines=1, events=[event(2)]))
    assert again.events == 3


@pytest.mark.parametrize("cut", range(5))
def test_merged_counts_are_those_of_all_batches(cut):
    batches = [
        Batch(
            "s", lines=5 + n, duplicate=n, late=n % 2,
            events=[
                event(n, route=f"/{n % 2}", verdict="foreign", allowed="delegate", session="x"),
                event(n + 9, verdict="own", provenance="", late=bool(n % 2)),
            ],
            rejects=[reject(("binary", "not_json")[n % 2])],
        )
        for n in range(4)
    ]  # fmt: skip
    whole, first, second = Tally(), Tally(), Tally()
    for n, batch in enumerate(batches):
        whole.add(batch)
        (first if n < cut else second).add(batch)
    for tally in (whole, second):
        tally.found([finding("fin-1", rule="canary")])
    first.merge(second)
    assert first == whole


def test_merging_one_that_counted_nothing_changes_nothing():
    tally, other = Tally(), Tally()
    tally.add(Batch("s", lines=1, events=[event(0)]))
    before = msgspec.msgpack.encode(tally)
    tally.merge(Tally())
    assert msgspec.msgpack.encode(tally) == before
    other.merge(tally)
    assert other == tally


def test_merged_routes_are_bounded():
    tally, other = Tally(), Tally()
    tally.routes = {f"/{n}": {"own": 1} for n in range(MAX_ROUTES)}
    other.routes = {"/0": {"own": 2}, "/new": {"own": 3}, "/newer": {"foreign": 4}}
    tally.merge(other)
    assert len(tally.routes) == MAX_ROUTES + 1
    assert (tally.routes["/0"], tally.routes[OTHER_ROUTES]) == (
        {"own": 3},
        {"own": 3, "foreign": 4},
    )
    assert other.routes["/new"] == {"own": 3}, "what was merged stays as it was"
