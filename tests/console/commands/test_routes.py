import json

import pytest
import yaml

from intake.settings import IntakeSettings

API = {"openapi": "3.1.0", "paths": {"/api/v1/wallets/{userId}/x": {"get": {}}}}


@pytest.fixture
def api(tmp_path):
    path = tmp_path / "api.json"
    path.write_text(json.dumps(API))
    return path


def test_a_newcomer_can_paste_what_is_printed(cli, attack):
    said = cli("routes", attack)
    assert (said.code, said.err) == (0, "")
    settings = IntakeSettings.model_validate(yaml.safe_load(said.out))
    assert "/api/v1/users/{owner}/profile" in [rule.match for rule in settings.routes]
    assert "852 events" in said.out


def test_a_log_against_an_openapi_file(cli, attack, api):
    said = cli("routes", attack, "--openapi", api, "--json")
    rows = {row["match"]: row for row in map(json.loads, said.out.splitlines())}
    assert rows["/api/v1/wallets/{owner}/x"]["in_openapi"] is True
    assert rows["/api/v1/wallets/{owner}/x"]["requests"] == 12
    assert rows["/api/v1/users/{owner}/profile"]["in_openapi"] is False


def test_a_file_alone(cli, api):
    said = cli("routes", "--openapi", api)
    assert (said.code, said.err) == (0, "")
    assert '{match: "/api/v1/wallets/{owner}/x"}' in said.out


def test_nothing_understood_is_a_negative_answer(cli, tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary\n" * 3)
    said = cli("routes", "notes.txt")
    assert said.code == 1
    assert "None of 3 lines was understood" in said.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Name a LOG to learn from, or --openapi FILE"),
        (["nowhere.log"], "reading nowhere.log: no such file"),
        (["--openapi", "nowhere.yaml"], "reading nowhere.yaml: No such file"),
    ],
)
def test_wrong_usage(cli, args, says):
    said = cli("routes", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_scan_and_parse_take_the_files_routes_too(cli, attack, api):
    routes = {row["route"] for row in _parsed(cli("parse", attack))}
    assert "/api/v1/wallets/{object}/x" in routes
    routes = {row["route"] for row in _parsed(cli("parse", attack, "--openapi", api))}
    assert "/api/v1/wallets/{owner}/x" in routes
    assert cli("scan", attack, "--openapi", "nowhere.yaml").code == 2


def _parsed(said):
    return [json.loads(line)["breachline"] for line in said.out.splitlines()]
