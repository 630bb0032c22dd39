from typing import get_args

from evidence.elastic.templates import templates
from evidence.query.fields import DOCUMENTS, EVENTS, field_of, known, nearest
from evidence.query.tree import Field, Kind
from evidence.rows import row_document, row_of
from tests._events import event


def mapped(properties, path=""):
    for name, body in properties.items():
        if "properties" in body:
            yield from mapped(body["properties"], f"{path}{name}.")
        else:
            yield f"{path}{name}", body


def test_types_are_those_of_the_index_templates():
    core = {"constant_keyword", "match_only_text", "wildcard"}
    expected = {}
    for template in templates(86_400, frozenset(core)):
        mappings = template.body.get("template", {}).get("mappings", {})
        for name, body in mapped(mappings.get("properties", {})):
            if body.get("index", True):
                expected[name] = (body["type"], body.get("ignore_above", 0))
    assert {field.name: (field.kind, field.longest) for field in DOCUMENTS.values()} == expected
    assert {field.kind for field in DOCUMENTS.values()} <= set(get_args(Kind))


def leaves(document, path=""):
    for name, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_events_have_every_field_of_the_documents_that_history_prints():
    full = event(
        0, request_id="r", claimed="c", tenant="t", object="o", host="h", user_agent="a", late=True,
        allowed="grant", path="/x?q=1",
    )  # fmt: skip
    assert set(leaves(row_document(row_of(full)))) == set(EVENTS)
    assert all(field.column for field in EVENTS.values())


def test_a_key_below_an_object_is_a_field():
    assert field_of(DOCUMENTS, "breachline.explain.limit") == Field(
        "breachline.explain.limit", "flattened", longest=1024, root="breachline.explain"
    )
    assert field_of(DOCUMENTS, "breachline.explainer") is None
    assert field_of(EVENTS, "user.id.x") is None


def test_what_was_probably_meant():
    assert nearest("USER.ID", EVENTS) == "user.id"
    assert nearest("userid", EVENTS) == "user.id"
    assert nearest("ip", EVENTS) == "source.ip"
    assert nearest("status", EVENTS) == "http.response.status_code"
    assert nearest("x.verdict", EVENTS) == "breachline.verdict"
    assert nearest("zzz", EVENTS) is None
    assert known(EVENTS).startswith("fields such as event.id, ")
