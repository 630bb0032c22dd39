from typing import Any

import pytest

from evidence.elastic import templates as module
from evidence.elastic.templates import (
    ECS,
    FAMILY,
    HEADS,
    INCIDENTS,
    INDICES,
    OWN,
    STREAMS,
    VERSION,
    duration,
    templates,
)

TWO_YEARS_S = 730 * 86_400
ALL = {one.name: one for one in templates(TWO_YEARS_S)}


def leaves(mapping, path=""):
    """(dotted path, definition) of every field of a mapping."""
    for name, field in mapping.get("properties", {}).items():
        here = f"{path}{name}"
        if "type" in field:
            yield here, field
        yield from leaves(field, f"{here}.")


def mapped(made):
    found: dict[str, Any] = {}
    for one in made:
        found |= (
            dict(leaves(one.body["template"].get("mappings", {})))
            if one.body.get("template")
            else {}
        )
    return found


def test_what_is_put_and_in_which_order():
    assert [(one.kind, one.path) for one in templates(60)] == [
        ("component", "/_component_template/breachline@settings"),
        ("component", "/_component_template/breachline-ecs@mappings"),
        ("component", "/_component_template/breachline@mappings"),
        ("index", "/_index_template/logs-breachline.finding"),
        ("index", "/_index_template/logs-breachline.evidence"),
        ("index", "/_index_template/logs-breachline.action"),
        ("index", "/_index_template/breachline-incidents"),
        ("index", "/_index_template/breachline-heads"),
    ]


def test_every_template_says_whose_it_is_and_its_version():
    for one in ALL.values():
        assert one.body["version"] == VERSION
        assert one.body["_meta"]["managed_by"] == "breachline"
        assert one.body["_meta"]["ecs"] == "9.4.0"


@pytest.mark.parametrize("name", STREAMS)
def test_each_stream_has_a_template_above_elastics_own(name):
    body = ALL[name.rpartition("-")[0]].body
    assert body["index_patterns"] == [f"{name.rpartition('-')[0]}-*"]
    assert body["data_stream"] == {}
    assert body["priority"] > 200


@pytest.mark.parametrize("name", INDICES)
def test_incidents_and_heads_are_plain_indices(name):
    body = ALL[name].body
    assert body["index_patterns"] == [name]
    assert "data_stream" not in body
    assert "lifecycle" not in body.get("template", {})


def test_findings_and_actions_age_and_evidence_does_not():
    lifecycles = {
        name: one.body["template"]["lifecycle"]
        for name, one in ALL.items()
        if "data_stream" in one.body
    }
    assert lifecycles == {
        "logs-breachline.finding": {"enabled": True, "data_retention": "730d"},
        "logs-breachline.evidence": {"enabled": True},
        "logs-breachline.action": {"enabled": True, "data_retention": "730d"},
    }


def test_what_an_index_is_made_of_is_put_before_it_but_for_the_operators_part():
    known: set[str] = set()
    for one in templates(60):
        parts = set(one.body.get("composed_of", ()))
        assert parts - known == set(one.body.get("ignore_missing_component_templates", ()))
        known.add(one.name)


def test_one_node_is_green_and_the_source_stays_as_it_was_written():
    index = ALL["breachline@settings"].body["template"]["settings"]["index"]
    assert index["auto_expand_replicas"] == "0-1"
    assert index["mode"] == "standard"


def test_every_field_is_mapped_and_nothing_else_is_indexed():
    assert {path: field["type"] for path, field in mapped(ALL.values()).items()} == {**ECS, **OWN}
    for name in ("breachline-ecs@mappings", "breachline@mappings"):
        assert ALL[name].body["template"]["mappings"]["dynamic"] == "false"


def test_no_keyword_can_be_too_long_for_lucene():
    for path, field in mapped(ALL.values()).items():
        if field["type"] in {"keyword", "flattened"}:
            assert field.get("ignore_above") == 1024 or field["index"] is False, path


def test_a_server_without_a_type_gets_the_core_one_of_its_family():
    plain = mapped(templates(60, frozenset(FAMILY)))
    special = mapped(templates(60))
    assert {field["type"] for field in plain.values()}.isdisjoint(FAMILY)
    for path, field in special.items():
        assert plain[path]["type"] == FAMILY.get(field["type"], field["type"])
    only_text = mapped(templates(60, frozenset({"match_only_text"})))
    assert only_text["message"] == {"type": "text"}
    assert only_text["data_stream.type"] == {"type": "constant_keyword"}


DURATIONS = [
    (730 * 86_400, "730d"),
    (86_400 + 3600, "25h"),
    (90 * 60, "90m"),
    (61, "61s"),
]


@pytest.mark.parametrize(("seconds", "expected"), DURATIONS)
def test_duration(seconds, expected):
    assert duration(seconds) == expected


def test_the_names_are_the_contracts():
    assert (*STREAMS, INCIDENTS, HEADS) == (
        "logs-breachline.finding-default",
        "logs-breachline.evidence-default",
        "logs-breachline.action-default",
        "breachline-incidents",
        "breachline-heads",
    )
    assert module.ECS_VERSION == "9.4.0"
