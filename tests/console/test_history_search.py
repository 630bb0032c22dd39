import json

import pytest

from console import orders
from evidence.query.fields import EVENTS
from tests._histories import document
from tests.evidence.elastic._searched import Searched


def rows(said):
    assert said.code == 0, said.err
    return [json.loads(one) for one in said.out.splitlines()]


FOUND = [
    ("everything", "*", [], 852),
    ("a network", "source.ip:203.0.113.0/28", [], 12),
    ("a verdict", "breachline.verdict:foreign AND user.id:u-66", [], 12),
    ("all others", "source.ip:203.0.113.7 AND NOT breachline.verdict:foreign", [], 0),
    ("a path", "url.path:/api/v1/wallets/u-1*", ["--since", "2026-11-22T10:10Z"], 10),
    ("whose data", "breachline.targets:u-10", [], 71),
    ("a word", "203.0.113.7", [], 12),
    ("a limit", "user.id:*", ["--limit", "5"], 5),
    ("a time", "source.ip:203.0.113.7 AND @timestamp:>=2026-11-22T10:10:05Z", [], 7),
]


@pytest.mark.parametrize(("name", "query", "args", "count"), FOUND, ids=[c[0] for c in FOUND])
def test_what_is_asked_is_found(cli, result, name, query, args, count):
    found = rows(cli("history", "search", query, *args, "--json", "--from", result))
    assert len(found) == count
    times = [one["@timestamp"] for one in found]
    assert times == sorted(times)


def test_events_are_those_of_parse(cli, result, scanned):
    query = "source.ip:203.0.113.7"
    found = rows(cli("history", "search", query, "--json", "--from", result, "--limit", "1"))
    log = next(iter(scanned.glob("*.log")), None) or next(iter(scanned.glob("*.ndjson")))
    parsed = rows(cli("parse", log, "--config", scanned / "breachline.yaml"))
    (same,) = [one for one in parsed if one["event"]["id"] == found[0]["event"]["id"]]
    for name in ("authentication", "address_trusted", "basis"):
        same["breachline"].pop(name, None)
    assert found == [same]


def test_lines_for_people(cli, result):
    said = cli("history", "search", "source.ip:203.0.113.7", "--limit", "1", "--from", result)
    assert said.err == "1 event.\n"
    assert said.out == (
        "2026-11-22 10:10:00 203.0.113.7     u-66         foreign      proven   "
        "GET /api/v1/wallets/u-10/x 200\n"
    )


def test_that_nothing_was_found_is_said(cli, result):
    said = cli("history", "search", "source.ip:192.0.2.250", "--from", result)
    assert (said.code, said.out, said.err) == (0, "", "0 events.\n")


def test_the_fields_are_listed(cli):
    said = cli("history", "search", "--fields")
    assert [one.split()[0] for one in said.out.splitlines()] == list(EVENTS)


WRONG = [
    ("no query", [], "Give one of QUERY, --esql."),
    ("a field of findings", ["rule.id:x"], "there is no field 'rule.id'"),
    (
        "nobody's log",
        ["x", "--in", "theirs"],
        "add elasticsearch: {history: [logs-nginx.access-*]}",
    ),
    ("no Elasticsearch", ["--esql", "FROM x"], "no Elasticsearch is configured: add"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, name, args, says):
    said = cli("history", "search", *args, "--from", result)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_theirs_is_judged_as_ours_and_says_what_it_lacks(cli, tmp_path):
    other = {"@timestamp": document(0)["@timestamp"], "message": "started"}
    with Searched([other, *map(document, range(6))]) as server:
        (host,) = server.options.hosts
        (tmp_path / "breachline.yaml").write_text(
            f'elasticsearch: {{hosts: ["{host}"], history: [logs-nginx.*]}}\n'
        )
        said = cli("history", "search", "breachline.verdict:foreign", "--in", "theirs", "--json")
        assert {one["breachline"]["verdict"] for one in rows(said)} == {"foreign"}
        assert "Left out: 1 document is no access event (no_request 1).\n" in said.err
        assert server.open == set()


def test_theirs_out_of_reach(cli, tmp_path):
    (tmp_path / "breachline.yaml").write_text(
        'elasticsearch: {hosts: ["http://127.0.0.1:9"], history: [logs-nginx.*]}\n'
    )
    said = cli("history", "search", "user.id:u-1", "--in", "theirs")
    assert (said.code, said.out) == (3, "")
    assert "nobody answers at 127.0.0.1:9" in said.err


def test_a_deployment_is_asked_in_their_log_for_it_keeps_no_history(cli, tmp_path, monkeypatch):
    entered = []
    monkeypatch.setattr(orders, "tell", lambda _settings, read: entered.append(read.question))
    with Searched([document(n) for n in range(6)]) as server:
        (host,) = server.options.hosts
        (tmp_path / "breachline.yaml").write_text(
            'kafka: {brokers: ["127.0.0.1:9"]}\n'
            f'elasticsearch: {{hosts: ["{host}"], history: [logs-nginx.*]}}\n'
        )
        found = rows(cli("history", "search", "user.id:u-1", "--json"))
    assert {one["user"]["id"] for one in found} == {"u-1"}
    assert entered == [{"query": "user.id:u-1"}]
