"""Somebody else's access log in Elasticsearch answers as our own history does."""

import asyncio
import json

import pytest

from evidence.elastic.bulk import Bulk, Document
from evidence.elastic.client import Options, connect
from evidence.elastic.history import ElasticHistory
from evidence.query.fields import EVENTS
from evidence.query.parse import parse
from evidence.query.tree import EVERYTHING
from intake.settings import IntakeSettings
from records.event import Actor
from tests._events import NOON_MS
from tests._histories import DOCUMENTS, MAPPING, Contract, document, reader


def fill(elasticsearch, index, sources):
    elasticsearch.ask("PUT", index, {"mappings": MAPPING})

    async def send():
        async with connect(Options(hosts=(elasticsearch.url,))) as client:
            made = [
                Document(index, str(n), json.dumps(one).encode()) for n, one in enumerate(sources)
            ]
            return await Bulk(client).send(made)

    sent = asyncio.run(send())
    assert (sent.stored, sent.trouble) == (len(sources), None)
    elasticsearch.ask("POST", f"{index}/_refresh")


def history_of(elasticsearch, pattern, **changes):
    options = Options(hosts=(elasticsearch.url,))
    return ElasticHistory(options, [pattern], IntakeSettings(), reader, **changes)


def open_views(elasticsearch):
    (node,) = elasticsearch.ask("GET", "_nodes/stats/indices/search")[1]["nodes"].values()
    return node["indices"]["search"]["open_contexts"]


@pytest.fixture(scope="module")
def history(elasticsearch):
    fill(elasticsearch, "logs-nginx.access-1", DOCUMENTS[:40])
    fill(elasticsearch, "logs-nginx.access-2", DOCUMENTS[40:])
    yield history_of(elasticsearch, "logs-nginx.access-*")
    assert open_views(elasticsearch) == 0


class TestElasticsearch(Contract):
    pass


def test_nothing_stops_at_ten_thousand(elasticsearch):
    fill(elasticsearch, "many-1", [document(n) for n in range(10_050)])
    history = history_of(elasticsearch, "many-*")
    assert {row["offset"] for row in history.search(EVERYTHING)} == {n * 100 for n in range(10_050)}
    assert history.left_out == ()
    assert open_views(elasticsearch) == 0


def test_an_end_that_is_set_is_said(elasticsearch):
    fill(elasticsearch, "bounded-1", [document(n) for n in range(30)])
    history = history_of(elasticsearch, "bounded-*", most=20)
    assert len(list(history.search(EVERYTHING))) == 20
    (said,) = history.left_out
    assert said.startswith("20 lines were read, and there are more after them: ask for a shorter")
    # What is asked for is bounded, not what there is.
    assert len(list(history.look_back(Actor("principal", "u-1")))) == 6
    assert history.left_out == ()


def test_what_is_no_access_event_is_counted(elasticsearch):
    other = {"@timestamp": document(0)["@timestamp"], "message": "[error] upstream timed out"}
    fill(elasticsearch, "mixed-1", [document(0), other, {"no": "time"}])
    history = history_of(elasticsearch, "mixed-*")
    assert len(list(history.search(EVERYTHING))) == 1
    assert len(history.left_out) == 1
    assert history.left_out[0].startswith("2 documents are no access events (")


def test_a_line_that_was_shipped_twice_is_one_event(elasticsearch):
    fill(elasticsearch, "twice-1", [document(1), document(2)])
    fill(elasticsearch, "twice-2", [document(2), document(3)])
    history = history_of(elasticsearch, "twice-*")
    assert [row["bytes"] for row in history.search(EVERYTHING)] == [1, 2, 3]


def test_an_index_that_is_not_there_has_nothing(elasticsearch):
    history = history_of(elasticsearch, "absent-*")
    assert list(history.search(EVERYTHING)) == []


FORWARDED = {
    "http": {
        "request": {
            "method": "GET",
            "headers": {"x-forwarded-for": "198.51.100.7, 192.0.2.9"},
        },
        "response": {"status_code": 200, "body": {"bytes": 0}},
    }
}


@pytest.mark.parametrize("query", ["source.ip:198.51.100.7", "source.ip:198.51.100.0/24"])
def test_an_address_behind_a_proxy_is_found(elasticsearch, query):
    name = f"proxied-{query[-1]}"
    fill(elasticsearch, name, [document(0) | FORWARDED, document(1)])
    settings = IntakeSettings(trusted_proxies=["192.0.2.0/24"])

    def behind():
        from intake.frames import Reader
        from intake.judge import Judge
        from intake.ownership import Tables

        return Reader(settings, Judge(settings, [], Tables({}, {}, []), lambda text: text), "ecs")

    history = ElasticHistory(Options(hosts=(elasticsearch.url,)), [name], settings, behind)
    found = list(history.search(parse(query, EVENTS, NOON_MS)))
    assert [(row["ip"], row["bytes"]) for row in found] == [("198.51.100.7", 0)]
