"""The commands that search, against the real server: both stores give the same answers."""

import asyncio
import json

import pytest

from evidence.elastic.bulk import Bulk, Document
from evidence.elastic.client import Options, connect
from evidence.elastic.setup import set_up
from evidence.elastic.templates import FINDINGS
from evidence.store import EmbeddedStore
from streams.projection import of_entries, of_incidents
from tests._histories import DOCUMENTS, MAPPING
from tests.console.conftest import cli, result, scanned

__all__ = ["cli", "result", "scanned"]


def options(elasticsearch):
    return Options(hosts=(elasticsearch.url,))


async def index(elasticsearch, documents):
    async with connect(options(elasticsearch)) as client:
        sent = await Bulk(client).send(documents)
        assert (sent.done, sent.refused, sent.trouble) == (len(documents), [], None)
        await client.indices.refresh(index="_all")


@pytest.fixture(scope="module")
def indexed(elasticsearch, scanned):
    """Everything that the scan kept."""

    async def prepare():
        async with connect(options(elasticsearch)) as client:
            await set_up(client, 86_400)

    asyncio.run(prepare())
    with EmbeddedStore.open_readonly(scanned / "out") as store:
        parts = [
            *of_entries(store, list(store.log.entries())),
            *of_incidents(store, store.incident_versions()),
        ]
    asyncio.run(index(elasticsearch, [one for part in parts for one in part.documents]))


@pytest.fixture
def asked(cli, result, indexed, elasticsearch, tmp_path):
    """Asks one of the stores, and gives its documents."""
    (tmp_path / "breachline.yaml").write_text(
        f'elasticsearch: {{hosts: ["{elasticsearch.url}"], history: ["searched-access-*"], '
        'kibana: "http://127.0.0.1:5601"}\n'
    )

    def ask(place, *args):
        said = cli("evidence", "search", *args, "--in", place, "--json", "--from", result)
        assert said.code == 0, said.err
        return [json.loads(one) for one in said.out.splitlines()]

    return ask


QUERIES = [
    "*", "rule.id:*", "event.dataset:breachline.finding AND event.severity:>=73", "203.0.113.7",
    "related.ip:203.0.113.0/24", "u-66", "NOT user.id:u-66", 'message:"data of 3 other"',
    "message:finan*", "breachline.explain.limit:3", "breachline.confidence:[0.7 TO 0.8]",
    "breachline.incident.breach:true", "breachline.action.kind:block_*", "event.action:captured",
    "breachline.ledger.index:<5", "@timestamp:[2026-11-22T10:10:02 TO 2026-11-22T10:10:04]",
    "breachline.evidence.masked:* AND log.file.path:*", "nobody",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_both_stores_answer_alike(asked, query):
    found = asked("store", query)
    assert asked("elasticsearch", query) == found
    assert bool(found) is (query != "nobody")


def test_time_and_limit_mean_the_same(asked):
    args = ["*", "--since", "2026-11-22T10:10:02Z", "--until", "2026-11-22T10:10:11.001Z"]
    assert asked("elasticsearch", *args) == asked("store", *args)
    assert asked("elasticsearch", *args, "--limit", "7") == asked("store", *args)[:7]


def test_nothing_stops_at_ten_thousand(asked, elasticsearch):
    one = {"@timestamp": "2025-01-01T00:00:00.000Z", "data_stream": {"type": "logs",
           "dataset": "breachline.finding", "namespace": "default"}}  # fmt: skip
    made = [
        Document(FINDINGS, f"fin-x{n}", json.dumps(
            one | {"event": {"id": f"fin-x{n}", "dataset": "breachline.finding"},
                   "rule": {"id": "many"}}).encode())
        for n in range(10_050)
    ]  # fmt: skip
    asyncio.run(index(elasticsearch, made))
    found = asked("elasticsearch", "rule.id:many")
    assert [doc["event"]["id"] for doc in found] == sorted(f"fin-x{n}" for n in range(10_050))


def test_a_pattern_that_it_refuses_is_said(cli, asked):
    query = f"user.id:*a{'?' * 20}"
    said = cli("evidence", "search", query, "--in", "elasticsearch")
    assert (said.code, said.out) == (2, "")
    assert "a pattern is too long for it after its first *" in said.err


def test_a_server_without_esql_says_so(cli, asked):
    said = cli("evidence", "search", "--esql", "FROM logs-breachline.* | LIMIT 1")
    assert (said.code, said.out) == (2, "")
    assert "this Elasticsearch does not speak ES|QL" in said.err


def test_a_link_to_kibana(cli, asked, result):
    said = cli("evidence", "search", "event.action:captured", "--in", "elasticsearch")
    assert "In Kibana: http://127.0.0.1:5601/app/discover#/?_g=" in said.err
    assert "index:breachline-evidence" in said.err


def test_the_history_of_theirs(cli, asked, elasticsearch):
    elasticsearch.ask("PUT", "searched-access-1", {"mappings": MAPPING})
    made = [
        Document("searched-access-1", str(n), json.dumps(one).encode())
        for n, one in enumerate(DOCUMENTS)
    ]
    asyncio.run(index(elasticsearch, made))
    query = "user.id:u-2 AND breachline.verdict:foreign"
    said = cli("history", "search", query, "--in", "theirs", "--json")
    assert said.code == 0, said.err
    found = [json.loads(one) for one in said.out.splitlines()]
    assert len(found) > 3
    for one in found:
        assert (one["user"]["id"], one["breachline"]["verdict"]) == ("u-2", "foreign")
