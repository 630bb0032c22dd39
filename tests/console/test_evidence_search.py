import json

import pytest

from console import orders
from console.evidence_search import line
from evidence.query.fields import DOCUMENTS
from tests.evidence.elastic._searched import Searched


def ids(said):
    assert said.code == 0, said.err
    return [json.loads(one)["event"]["id"] for one in said.out.splitlines()]


def datasets(said):
    return {json.loads(one)["event"]["dataset"] for one in said.out.splitlines()}


def test_lines_for_people(cli, result, case):
    said = cli("evidence", "search", "breachline.incident.breach:true", "--from", result)
    assert said.out == (
        f"2026-11-22 10:10:11 incident  SEV1     {case} u-66 reached the data of 12 people "
        "(cross_user_read, identity_fanout)\n"
    )
    assert said.err == "1 document.\n"


FOUND = [
    ("findings", "event.dataset:breachline.finding", 4, {"breachline.finding"}),
    ("severe ones", "breachline.severity:(high OR critical) AND rule.id:cross*", 2,
     {"breachline.finding"}),
    ("words of a message", 'message:"read financial data"', 2,
     {"breachline.finding", "breachline.action"}),
    ("numbers of a rule", "breachline.explain.limit:3 AND user.id:u-66", 2, {"breachline.finding"}),
    ("an action", "breachline.action.kind:block_ip", 1, {"breachline.action"}),
    ("lines that are kept", "event.action:captured", 12, {"breachline.evidence"}),
    ("nobody", "user.id:nobody", 0, set()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "query", "count", "kinds"), FOUND, ids=[c[0] for c in FOUND])
def test_what_is_asked_is_found(cli, result, name, query, count, kinds):
    said = cli("evidence", "search", query, "--json", "--from", result)
    assert len(ids(said)) == count
    assert datasets(said) == kinds


def test_by_time_and_no_more_than_asked_for(cli, result):
    every = [
        json.loads(one)
        for one in cli("evidence", "search", "*", "--json", "--from", result).out.splitlines()
    ]
    keys = [(one["@timestamp"], one["event"]["id"]) for one in every]
    assert keys == sorted(keys)
    first = cli("evidence", "search", "*", "--limit", "3", "--json", "--from", result)
    assert ids(first) == [one["event"]["id"] for one in every[:3]]
    since = ["--since", "2026-11-22T10:10:02Z", "--until", "2026-11-22T10:10:04Z"]
    found = ids(cli("evidence", "search", "*", *since, "--json", "--from", result))
    inside = [k for k in keys if "2026-11-22T10:10:02" <= k[0] < "2026-11-22T10:10:04"]
    assert found == [name for _, name in inside]
    assert len(found) > 2


def test_an_address_without_a_field_is_found_anywhere(cli, result):
    found = datasets(cli("evidence", "search", "203.0.113.7", "--json", "--from", result))
    assert found == {"breachline.finding", "breachline.incident", "breachline.action"}


def test_who_asked_what_stands_in_the_log(cli, result):
    cli("evidence", "search", "user.id:u-66", "--why", "case 7", "--from", result)
    said = cli("evidence", "search", "event.action:read", "--json", "--from", result)
    (read,) = [json.loads(one) for one in said.out.splitlines()]
    payload = read["breachline"]["ledger"]["payload"]
    assert (payload["what"], payload["why"]) == ("evidence search", "case 7")
    assert payload["question"]["query"] == "user.id:u-66"


def test_the_fields_are_listed(cli):
    said = cli("evidence", "search", "--fields")
    assert (said.code, said.err) == (0, "")
    assert [one.split()[0] for one in said.out.splitlines()] == list(DOCUMENTS)


WRONG = [
    ("no query", [], "Give one of QUERY, --esql."),
    ("two", ["x", "--esql", "FROM x"], "Give one of QUERY, --esql."),
    ("a field of events", ["url.path:/x"], "reading the query: at character 1: there is no field"),
    ("no such server", ["x", "--in", "elasticsearch"], "no Elasticsearch is configured: add"),
    ("nor for ES|QL", ["--esql", "FROM x"], "no Elasticsearch is configured: add"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, name, args, says):
    said = cli("evidence", "search", *args, "--from", result)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_a_line_says_what_a_document_has():
    entry = {
        "@timestamp": "2026-11-22T10:10:11.000Z",
        "event": {"dataset": "breachline.evidence", "id": "hld-1", "action": "hold"},
        "breachline": {"incident": {"id": "inc-1"}},
    }
    assert line(entry) == "2026-11-22 10:10:11 evidence           hld-1 hold inc-1"


def test_a_deployment_answers_from_elasticsearch(cli, tmp_path, monkeypatch):
    entered = []
    monkeypatch.setattr(orders, "tell", lambda _settings, read: entered.append(read))
    event = {"id": "fin-1", "dataset": "breachline.finding"}
    document = {
        "@timestamp": "2026-11-22T10:00:00.000Z", "event": event, "message": "m", "breachline": {},
    }  # fmt: skip
    with Searched([document]) as server:
        (host,) = server.options.hosts
        (tmp_path / "breachline.yaml").write_text(
            f'kafka: {{brokers: ["127.0.0.1:9"]}}\nelasticsearch: {{hosts: ["{host}"]}}\n'
        )
        said = cli("evidence", "search", "rule.id:canary", "--json", "--why", "case 7")
        assert ids(said) == ["fin-1"]
        assert server.asked[0]["query"] == {"term": {"rule.id": {"value": "canary"}}}
    (read,) = entered
    assert (read.what, read.why, read.count) == ("evidence search", "case 7", 1)


def test_out_of_reach(cli, tmp_path):
    (tmp_path / "breachline.yaml").write_text('elasticsearch: {hosts: ["http://127.0.0.1:9"]}\n')
    said = cli("evidence", "search", "u-1", "--in", "elasticsearch")
    assert (said.code, said.out) == (3, "")
    assert "nobody answers at 127.0.0.1:9" in said.err
