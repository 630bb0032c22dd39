import json

import pytest

from console.config import Checked, check, schema
from streams.settings import RULES


def checked(folder, text):
    (folder / "breachline.yaml").write_text(text)
    return check(None, {}, folder)


def test_a_sound_configuration_has_no_problems(tmp_path):
    (tmp_path / "people.csv").write_text("id,user\na,u-1\n")
    (tmp_path / "keys.json").write_text('{"keys": []}')
    text = "intake: {identities: {file: people.csv}}"
    assert checked(tmp_path, text) == Checked(tmp_path / "breachline.yaml", (), ())


def test_without_a_file_the_defaults_are_sound(tmp_path):
    assert check(None, {}, tmp_path) == Checked(None, (), ())


def test_what_the_loader_refuses_is_the_answer(tmp_path):
    assert checked(tmp_path, "intak: 1").problems == (
        "breachline.yaml:1:1: intak: unknown key 'intak': did you mean 'intake'?",
    )


def test_warnings_are_passed_on(tmp_path):
    assert checked(tmp_path, "") == Checked(
        tmp_path / "breachline.yaml",
        (),
        ("breachline.yaml: the file is empty; the defaults hold",),
    )


def test_every_file_is_looked_into(tmp_path):
    files = {
        "people.csv": "id,name\n",
        "grants.csv": "principal,owner,until\na,b,soon\n",
        "owners.csv": "order_id,user_id\n",
        "roles.csv": "object,buyer_id\n",
        "keys.json": '{"key": []}',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    answer = checked(
        tmp_path,
        """\
intake:
  identities: {file: people.csv}
  grants: {file: grants.csv}
  routes: [{match: "/b/{object}", owner: [buyer_id, seller_id]}]
  ownership:
    - {route: "/a/{object}", file: owners.csv}
    - {route: "/b/{object}", file: roles.csv}
  jwt: {jwks: keys.json}
""",
    )
    named = [(name, text) for name in files for text in answer.problems if name in text]
    assert [name for name, _ in named] == list(files)
    assert len(answer.problems) == 5
    told = dict(named)
    assert "no column user" in told["people.csv"]
    assert "'soon'" in told["grants.csv"]
    assert "no column object, owner" in told["owners.csv"]
    assert "no column seller_id" in told["roles.csv"]
    assert told["keys.json"] == (
        f'reading keys from {tmp_path}/keys.json: no list of "keys": a key set looks like '
        '{"keys": [...]}'
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"keys": []}', ""),
        (b"keys", "not JSON ("),
        (b"\xff\xfe\x00", "not JSON ("),
        (b"[" * 100_000, "not JSON ("),
        (b"[]", 'no list of "keys": a key set looks like {"keys": [...]}'),
        (b'{"keys": [{"kty": "oct", "k": "YQ"}]}', "key 1: a shared secret"),
    ],
)
def test_key_sets(tmp_path, content, problem):
    (tmp_path / "keys.json").write_bytes(content)
    problems = checked(tmp_path, "intake: {jwt: {jwks: keys.json}}").problems
    assert len(problems) == bool(problem)
    assert "".join(problems).startswith(
        f"reading keys from {tmp_path}/keys.json" if problem else ""
    )
    assert problem in "".join(problems)


def test_the_schema_is_json_and_knows_every_block_and_every_rule():
    document = schema()
    assert json.loads(json.dumps(document)) == document
    assert sorted(document["properties"]) == [
        "canaries", "capture", "console", "data_dir", "detect", "elasticsearch", "history",
        "intake", "kafka", "ledger", "listen", "metrics", "respond",
    ]  # fmt: skip
    assert document["additionalProperties"] is False
    detect = document["properties"]["detect"]
    assert set(RULES) <= set(detect["properties"])
    assert detect["additionalProperties"] is False
    assert {"enabled", "mode"} <= set(detect["properties"]["cross_user_read"]["properties"])


def test_every_reference_of_the_schema_leads_somewhere():
    document = schema()
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert named <= set(document["$defs"])
    assert named


def test_the_schema_takes_what_people_write():
    definitions = schema()["$defs"]
    duration = {
        "anyOf": [
            {"type": "number"},
            {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[smhdw]?\s*$"},
        ]
    }
    assert definitions["Respond"]["properties"]["stale_after"] == {
        **duration,
        "default": 600,
        "title": "Stale After",
    }
    accounts = definitions["IntakeSettings"]["properties"]["service_accounts"]
    assert accounts["items"] == {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/ServiceAccount"}]}
    assert "from" in definitions["ServiceAccount"]["properties"]
