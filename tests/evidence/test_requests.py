"""An actor's requests: theirs alone, the newest, and how many there were."""

import pytest

from evidence.requests import Requests
from evidence.rows import row_of
from records.event import Actor
from tests._events import NOON_MS, event

NAMED = {"principal": "u-66", "provenance": "gateway", "session": "", "ip": "203.0.113.7"}
CLAIMED = {**NAMED, "provenance": "asserted"}
SESSION = {**CLAIMED, "session": "5e55"}
NOBODY = {"principal": "", "provenance": "", "session": "", "ip": "203.0.113.7"}
EVENTS = [
    event(0, **NAMED),
    event(1, **{**NAMED, "session": "5e55"}),
    event(2, **SESSION),
    event(3, **CLAIMED),
    event(4, **NOBODY),
    event(5, **{**NOBODY, "ip": "198.51.100.1"}),
    event(6, **{**NAMED, "principal": "u-67"}),
    event(7, **NAMED),
    event(8, **{**NOBODY, "ip": "2001:db8::1"}),
    event(9, **{**NOBODY, "ip": "2001:db8::1:2:3:4"}),
    event(10, **{**NOBODY, "ip": "2001:db8:0:1::1"}),
    event(11, **{**SESSION, "session": "0ff", "ip": "2001:db8::2"}),
]
WHO, BY, FROM = Actor("principal", "u-66"), Actor("session", "5e55"), Actor("ip", "203.0.113.7")

NET, SIDE = Actor("subnet", "2001:db8::/64"), Actor("ip", "2001:db8:0:1::1")


@pytest.fixture
def requests(tmp_path):
    with Requests(tmp_path / "history", segment_rows=3) as made:
        made.append(EVENTS)
        yield made


CASES = [
    # name, actors, since, known, limit, numbers of the events, how many match
    ("a principal that the log vouches for", [WHO], 0, [], 9, [0, 1, 7], 3),
    ("a session, whoever it was of", [BY], 0, [], 9, [1, 2], 2),
    ("an address, for those whom nothing else names", [FROM], 0, [], 9, [3, 4], 2),
    ("a /64, for those whom nothing else names", [NET], 0, [], 9, [8, 9], 2),
    ("a /64 and an address beside it", [NET, SIDE], 0, [], 9, [8, 9, 10], 3),
    ("several", [WHO, BY, FROM], 0, [], 9, [0, 1, 2, 3, 4, 7], 6),
    ("nobody", [], 0, [], 9, [], 0),
    ("from a time on", [WHO], NOON_MS + 1000, [], 9, [1, 7], 2),
    ("without what is known", [WHO], 0, [EVENTS[1].id], 9, [0, 7], 2),
    ("the newest, and how many in all", [WHO], 0, [], 2, [1, 7], 3),
    ("none, and how many in all", [WHO], 0, [], 0, [], 3),
    ("others know nothing of a route", [Actor("route", "u-66")], 0, [], 9, [], 0),
]


@pytest.mark.parametrize(
    ("name", "actors", "since", "known", "limit", "numbers", "total"),
    CASES,
    ids=[case[0] for case in CASES],
)
def test_of(requests, name, actors, since, known, limit, numbers, total):
    rows = [row_of(EVENTS[n]) for n in numbers]
    assert requests.of(actors, since, known, limit) == (rows, total), name
