import json

import pytest

from intake.settings import IntakeSettings, RouteRule
from streams.openapi import read_openapi, with_routes

DOCUMENT = {"openapi": "3.1.0", "paths": {"/accounts/{userId}": {"get": {}}}}
YAML = """
openapi: 3.1.0
info: {title: Bank, version: 2026-11-22}
paths:
  /accounts/{userId}:
    get: {}
"""


@pytest.mark.parametrize("text", [json.dumps(DOCUMENT), YAML], ids=["JSON", "YAML"])
def test_routes_of_a_file(tmp_path, text):
    (tmp_path / "api").write_text(text)
    proposed = read_openapi(tmp_path / "api")
    assert [(one.rule.match, one.why) for one in proposed] == [
        ("/accounts/{owner}", "{userId} of /accounts/{userId}")
    ]
    ours = IntakeSettings(routes=[RouteRule(match="/accounts/{object}")])
    assert [rule.match for rule in with_routes(ours, proposed).routes] == [
        "/accounts/{object}",
        "/accounts/{owner}",
    ]
    assert with_routes(ours, []) is ours


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"a: [", "line 2: this is neither JSON nor YAML"),
        (b"\xff\xfe\x00", "neither JSON nor YAML"),
        (b"[" * 100_000, "nested more than 200 levels"),
        (b"!!python/object/apply:os.system [id]", "neither JSON nor YAML"),
        (b"notes: []", "no OpenAPI document"),
        (b"", "no OpenAPI document"),
    ],
)
def test_what_is_no_document(tmp_path, content, says):
    path = tmp_path / "api.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        read_openapi(path)
    assert str(path) in str(caught.value)
