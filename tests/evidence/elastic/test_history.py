"""How it asks and what it makes of the answer; the contract of histories is in tests/stack."""

import pytest

from evidence.elastic.history import ElasticHistory
from evidence.query.fields import EVENTS
from evidence.query.parse import parse
from evidence.query.tree import EVERYTHING
from intake.settings import IntakeSettings
from records.event import Actor
from records.ids import event_place
from tests._events import NOON_MS
from tests._histories import document, reader
from tests.evidence.elastic._searched import Searched


def history_of(server, **changes):
    return ElasticHistory(server.options, ["logs-*"], IntakeSettings(), reader, **changes)


def test_every_line_through_the_intake_by_time():
    with Searched([document(n) for n in (5, 3, 4, 0, 1, 2)]) as server:
        rows = list(history_of(server).search(EVERYTHING))
        assert [row["bytes"] for row in rows] == [0, 1, 2, 3, 4, 5]
        assert {row["verdict"] for row in rows} == {"own", "foreign"}
        assert server.open == set()
        sample, asked = server.asked
        assert sample["sort"][0]["@timestamp"]["order"] == "desc"
        assert asked["query"] == {"bool": {"filter": []}}


def test_time_and_address_are_asked_for_and_the_rest_is_held_against_events():
    with Searched([document(n) for n in range(20)]) as server:
        node = parse("source.ip:192.0.2.1 AND breachline.verdict:foreign", EVENTS, NOON_MS)
        found = list(history_of(server).search(node, since_ms=NOON_MS, until_ms=NOON_MS + 2000))
        assert [row["bytes"] for row in found] == [1, 2, 3]
        time, address = server.asked[-1]["query"]["bool"]["filter"]
        assert time == {
            "range": {
                "@timestamp": {"gte": NOON_MS, "lt": NOON_MS + 2000, "format": "epoch_millis"}
            }
        }
        assert "source.ip" in str(address)


def without(one, *path):
    """The document without one of its fields."""
    head, *rest = path
    if not rest:
        return {name: value for name, value in one.items() if name != head}
    return one | {head: without(one[head], *rest)}


def places(server):
    return [event_place(row["event"]) for row in history_of(server).search(EVERYTHING)]


def test_a_line_is_known_by_its_file_and_place_else_by_its_document():
    rotated = document(0) | {
        "log": {"file": {"path": "/var/log/nginx/access.log", "inode": "7"}, "offset": 0}
    }
    dotted = without(document(1), "log") | {
        "log.file.path": "/var/log/nginx/access.log", "log.offset": 100,
    }  # fmt: skip
    with Searched([document(0), document(1)]) as server:
        (file, first), (same, second) = places(server)
        assert (file, first, second) == (same, 0, 100)
    with Searched([rotated]) as server:
        ((other, start),) = places(server)
        assert (other != file, start) == (True, 0)
    with Searched([dotted]) as server:
        assert places(server) == [(file, 100)]
    with Searched([without(document(0), "log"), without(document(1), "log")]) as server:
        (index, one), (same, two) = places(server)
        assert index == same != file
        assert one != two


def test_offsets_that_begin_anew_lose_nothing():
    made = [document(n) | {"log": document(3 - n)["log"]} for n in range(4)]
    with Searched(made) as server:
        assert sorted(row["bytes"] for row in history_of(server).search(EVERYTHING)) == [0, 1, 2, 3]


def test_a_line_that_comes_twice_is_one():
    with Searched([document(1), document(1), document(2)]) as server:
        assert [row["bytes"] for row in history_of(server).search(EVERYTHING)] == [1, 2]


def test_what_is_left_out_is_said():
    other = {"@timestamp": document(0)["@timestamp"], "message": "started"}
    with Searched([other, document(0), *map(document, range(3, 9))]) as server:
        history = history_of(server, most=5)
        assert len(list(history.search(EVERYTHING))) == 4
        bounded, rejected = history.left_out
        assert bounded.startswith("5 lines were read, and there are more after them")
        assert rejected == "1 document is no access event (no_request 1)"
        list(history.search(EVERYTHING, limit=1))
        server.documents = [document(0)]
        list(history.search(EVERYTHING))
        assert history.left_out == ()


def test_only_actors_that_a_history_knows():
    with Searched([]) as server, pytest.raises(ValueError, match="looking back for service:x"):
        next(history_of(server).look_back(Actor("service", "x")))
