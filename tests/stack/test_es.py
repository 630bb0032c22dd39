"""Setup, and one document of each kind, on a real Elasticsearch."""

import asyncio
import json

import msgspec
import pytest

from console.main import run
from evidence.elastic import documents
from evidence.elastic.bulk import Bulk
from evidence.elastic.client import Options, connect
from evidence.elastic.setup import set_up
from evidence.elastic.templates import ECS, FAMILY, INDICES, OWN, STREAMS
from evidence.entry import Entry, canonical, commit
from evidence.ledger import Head
from evidence.log import Captured
from incidents.documents import action_document, finding_document, incident_document
from records.event import RawLine
from tests._events import NOON_MS, action, finding, incident, receipt
from tests.stack._elasticsearch import Elasticsearch

EVERYWHERE = ",".join((*STREAMS, *INDICES))
NOTE = "breachline/default/evidence\n12\nqqo=\n\n\N{EM DASH} breachline/default/evidence c2ln\n"
LINE = RawLine("a1b2-64", "ab" * 32, b"GET /users/7 " + b"x" * 100_000, masked=True)


def one_of_each():
    captured = Captured(
        event=LINE.event, sha256=LINE.sha256, masked=True, incident="inc-1", at_ms=NOON_MS
    )
    payload, salt = canonical(captured), bytes(16)
    entry = Entry(1, "cap-1", "captured", NOON_MS, commit(salt, "cap-1", payload), salt, payload)
    found = finding(
        explain={"targets": 5, "limit": 5.5, "ids": ["a", "b"], "said": "x" * 50_000},
        ips=("203.0.113.7", "client.example"),
        users=("u-1", "u-2"),
    )
    return [
        documents.finding(finding_document(found, {LINE.event: ("gateway.log", 100, "ab" * 32)})),
        documents.incident(incident_document(incident())),
        documents.action(action_document(action())),
        documents.receipt(msgspec.to_builtins(receipt())),
        documents.entry(entry, LINE, "gateway.log"),
        documents.head(Head(12, NOTE), NOON_MS),
    ]


@pytest.fixture(scope="module")
def written(elasticsearch_runs, tmp_path_factory):
    """A server of our own, set up by the command, with one document of each kind."""
    folder = tmp_path_factory.mktemp("es")
    with Elasticsearch(folder / "server") as server:
        config = folder / "breachline.yaml"
        config.write_text(f'elasticsearch: {{hosts: ["{server.url}"], retention: 30d}}\n')
        args = ["--config", str(config), "--data-dir", str(folder / "var")]
        assert run(["es", "setup", *args]) == 0
        sent = asyncio.run(send(server))
        assert (sent.stored, sent.refused, sent.trouble) == (len(one_of_each()), [], None)
        assert server.ask("POST", f"{EVERYWHERE}/_refresh")[0] == 200
        yield server, args


async def send(server):
    async with connect(Options(hosts=(server.url,))) as client:
        return await Bulk(client).send(one_of_each())


def test_sent_twice_is_stored_once(written):
    server, _ = written
    sent = asyncio.run(send(server))
    assert (sent.stored, sent.already) == (0, len(one_of_each()))


def test_setup_again_changes_nothing(written, capsys):
    _, args = written
    assert run(["es", "setup", "--json", *args]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["state"] for row in rows} == {"unchanged"}
    assert {row["name"] for row in rows} >= {*STREAMS, *INDICES}


def test_check_finds_nothing_wrong(written, capsys):
    _, args = written
    assert run(["es", "check", "--json", *args]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["state"] for row in rows] == ["ok", "note", "ok"]
    assert rows[0]["says"] == "Elasticsearch 9.5.3"


def test_streams_are_streams_and_indices_are_not(written):
    server, _ = written
    for name in STREAMS:
        (index,) = server.ask("GET", f"{name}/_mapping")[1]
        assert index.startswith(f".ds-{name}-")
    for name in INDICES:
        assert set(server.ask("GET", f"{name}/_mapping")[1]) == {name}


def test_every_field_has_its_type_and_none_has_two(written):
    server, _ = written
    _, answer = server.ask("GET", f"{EVERYWHERE}/_field_caps?fields=*")
    assert len(answer["indices"]) == len(STREAMS) + len(INDICES)
    kinds = {path: set(types) for path, types in answer["fields"].items()}
    # What Elasticsearch says of a type is its family, also of those that this server lacks.
    expected = {path: {FAMILY.get(kind, kind)} for path, kind in {**ECS, **OWN}.items()}
    assert {path: kinds.get(path) for path in expected} == expected
    others = {path for path in kinds if path not in expected and not path.startswith("_")}
    assert {kind for path in others for kind in kinds[path]} <= {"object"}


def test_nothing_was_ignored_but_what_is_too_long_to_search(written):
    server, _ = written
    _, answer = server.ask("GET", f"{EVERYWHERE}/_search?q=_exists_:_ignored&_source=false")
    ignored = {path for hit in answer["hits"]["hits"] for path in hit["_ignored"]}
    assert ignored <= {"breachline.explain._keyed", "breachline.explain"}


SEARCHES = [
    ("a network", STREAMS[0], 'source.ip:"203.0.113.0/24"', "fin-1"),
    ("a victim", STREAMS[0], 'breachline.victims:"u-1"', "fin-1"),
    ("an open shape", STREAMS[0], "breachline.explain.targets:5", "fin-1"),
    ("words of a message", INDICES[0], "message:people", "inc-1"),
    ("an actor", INDICES[0], 'breachline.actors:"ip:203.0.113.7"', "inc-1"),
    ("what was done", STREAMS[2], "event.action:block_ip", "act-1"),
    ("what an entry says", STREAMS[1], "breachline.ledger.payload.incident:inc-1", "cap-1"),
    ("a head", INDICES[1], "breachline.head.size:12", "breachline/default/evidence@12"),
    ("a line is kept, not searched", STREAMS[1], "event.original:*", None),
]


@pytest.mark.parametrize(("name", "place", "query", "expected"), SEARCHES)
def test_what_analysts_ask_for(written, name, place, query, expected):
    server, _ = written
    body = {"query": {"query_string": {"query": query}}, "_source": False}
    status, answer = server.ask("POST", f"{place}/_search", body)
    assert status == 200
    found = [hit["_id"] for hit in answer["hits"]["hits"]]
    assert found == ([expected] if expected else []), name


def test_the_source_comes_back_as_it_was_written(written):
    server, _ = written
    for one in one_of_each():
        body = {"query": {"ids": {"values": [one.id]}}}
        _, answer = server.ask("POST", f"{one.index}/_search", body)
        assert [hit["_source"] for hit in answer["hits"]["hits"]] == [json.loads(one.source)]


def test_a_stream_that_was_begun_without_templates_is_rolled_over(written):
    server, _ = written
    name = STREAMS[2]
    path = f"{name}/_mapping"

    async def put(days):
        async with connect(Options(hosts=(server.url,))) as client:
            return await set_up(client, days * 86_400)

    template = "_index_template/logs-breachline.action"
    bare = {"index_patterns": ["logs-breachline.action-*"], "data_stream": {}, "priority": 250}
    assert server.ask("PUT", template, bare)[0] == 200
    assert server.ask("POST", f"{name}/_rollover")[0] == 200
    assert "breachline" not in _newest(server.ask("GET", path)[1])["properties"]
    steps = asyncio.run(put(30))
    changed = {(step.name, step.state) for step in steps if step.state != "unchanged"}
    assert changed == {("logs-breachline.action", "updated"), (name, "updated")}
    assert "breachline" in _newest(server.ask("GET", path)[1])["properties"]
    assert {step.state for step in asyncio.run(put(30))} == {"unchanged"}


def _newest(answer):
    return answer[max(answer, key=lambda index: index[-6:])]["mappings"]
