import json

import pytest

from detectors.engine import discover

CASES = [
    # name, content of breachline.yaml (None: no file), arguments, code, stdout, stderr
    ("nothing", None, [], 0, "No configuration file: the defaults hold.", ""),
    ("good", "respond: {mode: simulate}\n", [], 0, "breachline.yaml: no problem found.\n", ""),
    ("by name", "respond: {}\n", ["breachline.yaml"], 0, "no problem found", ""),
    ("by option", "respond: {}\n", ["--config", "breachline.yaml"], 0, "no problem found", ""),
    ("wrong", "respond: {mode: enfroce}\n", [], 1, "", "breachline.yaml:1:17: respond.mode: "),
    ("no YAML", "a: [b\n", [], 1, "", "this is not YAML"),
    ("a hostile key", '"\\u001b[31m": 1\n', [], 1, "", "unknown key"),
    ("missing", None, ["no.yaml"], 2, "", "no.yaml: no such configuration file"),
    ("a directory", None, ["."], 2, "", "is a directory"),
]


@pytest.mark.parametrize(("name", "text", "args", "code", "out", "err"), CASES)
def test_a_configuration_is_checked(cli, tmp_path, name, text, args, code, out, err):
    if text is not None:
        (tmp_path / "breachline.yaml").write_text(text)
    said = cli("config", "check", *args)
    assert said.code == code, name
    assert out in said.out
    assert err in said.err
    assert "\x1b" not in said.err


def test_the_schema_knows_every_rule(cli):
    said = cli("config", "schema")
    schema = json.loads(said.out)
    assert said.code == 0
    assert set(schema["properties"]["detect"]["properties"]) >= {rule.id for rule in discover()}
