import json

import pytest

from evidence.elastic.kibana import ndjson
from evidence.elastic.roles import ROLES
from tests.evidence.elastic._server import Server, refusal

TEMPLATES = [
    "component template breachline@settings",
    "component template breachline-ecs@mappings",
    "component template breachline@mappings",
    "index template logs-breachline.finding",
    "index template logs-breachline.evidence",
    "index template logs-breachline.action",
    "index template breachline-incidents",
    "index template breachline-heads",
]


@pytest.fixture
def server(tmp_path):
    """A server that the configuration in the working directory names."""
    with Server() as running:
        (tmp_path / "breachline.yaml").write_text(
            f'elasticsearch: {{hosts: ["{running.url}"], retention: 30d}}\n'
        )
        yield running


def lines(state):
    return [f"{state:<16}  {name}" for name in TEMPLATES]


def test_setup_twice(cli, server):
    said = cli("es", "setup")
    *told, last = said.out.splitlines()
    assert (said.code, told) == (0, lines("created"))
    assert "breachline es kibana > breachline.ndjson" in last
    retention = server.templates["/_index_template/logs-breachline.finding"]["template"]
    assert retention["lifecycle"]["data_retention"] == "30d"
    again = cli("es", "setup")
    assert (again.code, again.out.splitlines()[:-1]) == (0, lines("unchanged"))


def test_a_dry_run(cli, server):
    said = cli("es", "setup", "--dry-run")
    assert (said.code, said.out.splitlines()[:-1]) == (0, lines("would be created"))
    assert server.changed == []


def test_setup_as_json(cli, server):
    rows = [json.loads(line) for line in cli("es", "setup", "--json").out.splitlines()]
    assert [f"{row['what']} {row['name']}" for row in rows] == TEMPLATES
    assert {row["state"] for row in rows} == {"created"}


def test_what_a_person_must_mend_is_exit_1(cli, server):
    name = "logs-breachline.evidence-default"
    server.mappings[name] = {name: {"properties": {}}}
    server.without.add("_lifecycle")
    said = cli("es", "setup")
    assert said.code == 1
    assert f"FAIL              index {name}: an index has this name" in said.out
    assert "\n      reindex it under another name" in said.out


def test_check(cli, server):
    assert cli("es", "check").code == 1
    cli("es", "setup")
    said = cli("es", "check")
    assert said.code == 0
    assert said.out.splitlines() == [
        "ok    elasticsearch: Elasticsearch 9.5.3",
        "ok    elasticsearch permission: may write what it must",
        "ok    elasticsearch templates: 8 templates and indices",
    ]
    rows = [json.loads(line) for line in cli("es", "check", "--json").out.splitlines()]
    assert {row["state"] for row in rows} == {"ok"}


def test_check_says_what_to_do(cli, server):
    said = cli("es", "check")
    assert "FAIL  elasticsearch templates: not there: breachline@settings, " in said.out
    assert "\n      run `breachline es setup`\n" in said.out


@pytest.mark.parametrize("verb", ["setup", "check"])
def test_nobody_there_is_exit_3(cli, tmp_path, verb):
    (tmp_path / "breachline.yaml").write_text('elasticsearch: {hosts: ["http://127.0.0.1:9"]}\n')
    said = cli("es", verb)
    assert said.code == 3
    assert "127.0.0.1:9" in said.out + said.err


def test_a_refusal_is_exit_1(cli, server):
    server.refuses["/_component"] = refusal(403, "security_exception", "unauthorized")
    assert cli("es", "setup").code == 1


@pytest.mark.parametrize("verb", ["setup", "check"])
def test_none_is_configured(cli, verb):
    said = cli("es", verb)
    assert (said.code, said.out) == (2, "")
    assert "add elasticsearch: {hosts: [https://host:9200]}" in said.err


def test_kibana_and_roles_need_no_server(cli):
    assert cli("es", "kibana") == (0, ndjson(), "")
    rows = [json.loads(line) for line in cli("es", "roles").out.splitlines()]
    assert {row["name"]: row["role"] for row in rows} == ROLES
