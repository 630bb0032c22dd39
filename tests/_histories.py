"""What every history of access events must answer, whoever keeps it: see `EventHistory`.

The same log lines, as Elastic Agent writes them of nginx, stand in each; its own test file says how
they got there.
"""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.query.fields import EVENTS
from evidence.query.match import matcher
from evidence.query.parse import parse
from evidence.query.tree import EVERYTHING
from evidence.rows import row_document
from intake.addresses import subnet_of
from intake.frames import Reader, SourceState
from intake.judge import Judge
from intake.ownership import Tables
from intake.settings import IntakeSettings
from records.event import Actor
from records.ids import iso
from tests._events import NOON_MS
from tests.evidence.query._random import exact, ip, number, ranges, trees

USERS = ["u-1", "u-2", "u-3", "U-4", ""]
PLACES = ["/api/v1/users/u-1/orders?page=1", "/api/v1/users/u-2", "/api/v1/users/u-3", "/health"]
HERE = ["192.0.2.1", "192.0.2.130", "203.0.113.7", "2001:db8::1"]


def document(n):
    """The n-th line of the log: some have a user, some the same time as another."""
    user, place = USERS[n % len(USERS)], PLACES[n // 2 % len(PLACES)]
    path, _, query = place.partition("?")
    made = {
        "@timestamp": iso(NOON_MS + n // 3 * 1000),
        "agent": {"id": "a-1"},
        "ecs": {"version": "8.17.0"},
        "event": {"dataset": "nginx.access"},
        "log": {"file": {"path": "/var/log/nginx/access.log"}, "offset": n * 100},
        "source": {"ip": HERE[n // 4 % len(HERE)], "address": HERE[n // 4 % len(HERE)]},
        "http": {
            "request": {"method": "GET"},
            "response": {"status_code": 404 if n % 7 == 0 else 200, "body": {"bytes": n}},
        },
        "url": {"original": place, "path": path} | ({"query": query} if query else {}),
        "user_agent": {"original": "agent/1"},
    }
    if user:
        made["user"] = {"id": user}
    if n % 6 == 0:
        made["session"] = {"id": f"s-{n % 4}"}
    return made


LINES = 60
DOCUMENTS = [document(n) for n in range(LINES)]
MAPPING = {
    "properties": {
        "@timestamp": {"type": "date"},
        "source": {"properties": {"ip": {"type": "ip"}, "address": {"type": "keyword"}}},
        "user": {"properties": {"id": {"type": "keyword"}}},
        "http": {"properties": {"response": {"properties": {"status_code": {"type": "long"}}}}},
    }
}
"""Of the fields that decide; the integration maps many more."""


def reader():
    """One that has seen nothing, with the settings that hold without a configuration."""
    tables = Tables({}, {}, [])
    return Reader(IntakeSettings(), Judge(IntakeSettings(), [], tables, lambda text: text), "ecs")


def as_lines(documents):
    return [json.dumps(one).encode() for one in documents]


QUERIES = trees(
    exact(USERS).map("user.id:{}".format)
    | ranges(exact(USERS)).map("user.id:{}".format)
    | ip("source.ip")
    | exact(HERE).map("source.address:{}".format)
    | number("http.response.status_code", [0, 200, 404])
    | st.sampled_from(["url.path:/api/*", "url.query:page=1", 'url.original:"/health"'])
    | st.sampled_from(["breachline.verdict:foreign", "breachline.verdict:own", "user.id:*"])
    | st.sampled_from(["breachline.session:*", "breachline.targets:u-1"])
)
ACTORS = [
    Actor("principal", "u-1"), Actor("principal", "U-4"), Actor("session", "s-0"),
    Actor("ip", "203.0.113.7"), Actor("ip", "2001:db8::1"), Actor("subnet", "192.0.2.0/24"),
    Actor("subnet", "2001:db8::/64"), Actor("principal", "nobody"), Actor("route", "/health"),
]  # fmt: skip


class Contract:
    """Inherited by one class a store, whose fixture `history` holds DOCUMENTS."""

    def test_it_has_every_event_once_by_time(self, history):
        rows = list(history.search(EVERYTHING))
        assert sorted(row["bytes"] for row in rows) == list(range(LINES))
        assert rows == sorted(rows, key=lambda row: (row["time_ms"], row["event"]))
        assert history.left_out == ()

    def test_its_verdicts_are_ours(self, history):
        state = SourceState("a1b2", "access.log")
        events = reader().read_apart(state, as_lines(DOCUMENTS), range(LINES)).events
        told = {
            row["bytes"]: (row["verdict"], row["outcome"], row["targets"])
            for row in history.search(EVERYTHING)
        }
        assert told == {e.bytes: (e.verdict, e.outcome, list(e.targets)) for e in events}
        assert {verdict for verdict, *_ in told.values()} >= {"own", "foreign", "no_target"}

    # Each store's class inherits it, and draws its own examples.
    @settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors])
    @given(QUERIES)
    def test_a_query_means_what_it_says(self, history, query):
        node = parse(query, EVENTS, NOON_MS)
        fits = matcher(node)
        every = history.search(EVERYTHING)
        assert list(history.search(node)) == [row for row in every if fits(row_document(row))]

    def test_time_begins_with_and_ends_before(self, history):
        found = history.search(EVERYTHING, since_ms=NOON_MS + 2000, until_ms=NOON_MS + 4000)
        assert [row["time_ms"] - NOON_MS for row in found] == [2000] * 3 + [3000] * 3

    def test_a_limit_gives_the_earliest(self, history):
        node = parse("http.response.status_code:404", EVENTS, NOON_MS)
        every = list(history.search(node))
        assert len(every) > 4
        assert list(history.search(node, limit=4)) == every[:4]

    def test_an_actor_is_looked_back_for_without_its_neighbours(self, history):
        every = list(history.search(EVERYTHING))
        for actor in ACTORS:
            found = list(history.look_back(actor))
            assert found == [row for row in every if answers_for(actor, row)], actor
            assert bool(found) is (actor.value != "nobody"), actor
        since, until = NOON_MS + 5000, NOON_MS + 9000
        assert list(history.look_back(ACTORS[0], since, until)) == [
            row for row in every if answers_for(ACTORS[0], row) and since <= row["time_ms"] < until
        ]

    def test_an_answer_may_be_left_early(self, history):
        found = history.search(EVERYTHING)
        first = next(found)
        found.close()
        assert next(iter(history.search(EVERYTHING))) == first


def answers_for(actor, row):
    vouched = row["provenance"] in {"verified", "gateway"}
    match actor.type:
        case "principal":
            return vouched and row["principal"] == actor.value
        case "session":
            return not vouched and row["session"] == actor.value
        case "ip":
            return not vouched and not row["session"] and row["ip"] == actor.value
        case "subnet":
            if vouched or row["session"]:
                return False
            return subnet_of(row["ip"]) == actor.value
        case "route":
            return row["route"] == actor.value
