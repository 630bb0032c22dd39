import json
import re
from pathlib import Path

import pytest

from evidence.elastic import kibana
from evidence.elastic.templates import ECS, INDICES, OWN, STREAMS

FILE = Path(kibana.__file__).with_name("kibana.ndjson")
OBJECTS = [json.loads(line) for line in FILE.read_text().splitlines()]
BY_ID = {one["id"]: one for one in OBJECTS}
SPECIAL = {"___records___"}
FIELD = re.compile(r"@timestamp|[a-z]+(?:\.[a-z_]+)+|\bmessage\b")
TEXT = re.compile(r'"[^"]*"')


def of_type(kind):
    return [one for one in OBJECTS if one["type"] == kind]


def source(one):
    return json.loads(one["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])


def columns(one):
    (layer,) = one["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    return layer


def fields(one):
    """Every field that an object uses."""
    attributes = one["attributes"]
    if one["type"] == "index-pattern":
        return {attributes["timeFieldName"]}
    if one["type"] == "lens":
        used = {column["sourceField"] for column in columns(one)["columns"].values()}
        return used | set(FIELD.findall(TEXT.sub("", attributes["state"]["query"]["query"])))
    if one["type"] == "search":
        asked = source(one)["query"]
        text = asked["query"] if "query" in asked else asked["esql"].partition("\n")[2]
        return {*attributes["columns"], *FIELD.findall(TEXT.sub("", text))}
    return set()


def test_the_file_is_what_the_code_makes():
    assert FILE.read_text() == kibana.ndjson(), (
        "write it again: python -c 'from evidence.elastic import kibana; "
        'print(kibana.ndjson(), end="")\' > evidence/elastic/kibana.ndjson'
    )


def test_ids_are_unique_and_stay():
    assert len(BY_ID) == len(OBJECTS)
    assert sorted(BY_ID) == sorted(
        """
        breachline-actions breachline-cases breachline-evidence breachline-findings
        breachline-overview
        breachline-search-actions breachline-search-findings breachline-search-incidents
        breachline-search-lines
        breachline-esql-attackers breachline-esql-deadlines breachline-esql-outcomes
        breachline-esql-readers
        breachline-lens-affected breachline-lens-attackers breachline-lens-blocks
        breachline-lens-breaches breachline-lens-findings breachline-lens-open
        breachline-lens-rules breachline-lens-victims
        """.split()
    )


def test_every_reference_leads_to_an_object_before_it():
    seen = set()
    for one in OBJECTS:
        for reference in one["references"]:
            assert (reference["type"], reference["id"]) in seen, one["id"]
        seen.add((one["type"], one["id"]))


@pytest.mark.parametrize("one", OBJECTS, ids=BY_ID)
def test_every_field_that_is_used_is_mapped(one):
    assert fields(one) <= {*ECS, *OWN, *SPECIAL}


def test_the_fields_are_found():
    assert fields(BY_ID["breachline-esql-attackers"]) == {
        "@timestamp", "breachline.actors", "breachline.victims",
    }  # fmt: skip
    assert fields(BY_ID["breachline-lens-blocks"]) == {
        "breachline.action.id", "breachline.receipt.read_back", "breachline.receipt.state",
    }  # fmt: skip
    assert "event.original" in fields(BY_ID["breachline-search-lines"])


def test_the_views_show_what_is_written():
    patterns = {one["attributes"]["title"] for one in of_type("index-pattern")}
    streams = {f"{stream.rpartition('-')[0]}-*" for stream in STREAMS}
    assert patterns == {*streams, INDICES[0]}
    for one in of_type("search"):
        if "esql" in source(one)["query"]:
            begin = source(one)["query"]["esql"].partition("\n")[0]
            assert begin.removeprefix("FROM ") in patterns


@pytest.mark.parametrize("one", of_type("lens"), ids=lambda one: one["id"])
def test_a_chart_shows_columns_that_it_has(one):
    layer = columns(one)
    order = [layer["columns"][name]["isBucketed"] for name in layer["columnOrder"]]
    assert order == sorted(order, reverse=True), "Lens wants what groups before what counts"
    assert sorted(layer["columnOrder"]) == sorted(layer["columns"])
    shown = one["attributes"]["state"]["visualization"]
    text = json.dumps(shown)
    accessors = set(re.findall(r'"((?:number\d|time|split|rows))"', text))
    assert accessors == set(layer["columns"])
    for column in layer["columns"].values():
        if column["operationType"] == "terms":
            assert column["params"]["orderBy"]["columnId"] in layer["columns"]
    (reference,) = one["references"]
    (name,) = one["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]
    assert reference["name"] == f"indexpattern-datasource-layer-{name}"


def test_a_chart_adds_up_numbers_and_groups_by_what_can_be_grouped():
    kinds = {**ECS, **OWN}
    for one in of_type("lens"):
        for column in columns(one)["columns"].values():
            kind = kinds.get(column["sourceField"], "")
            allowed = {
                "terms": {"keyword"}, "unique_count": {"keyword"}, "sum": {"long"},
                "max": {"long", "date"}, "date_histogram": {"date"}, "count": {""},
            }  # fmt: skip
            assert kind in allowed[column["operationType"]], one["id"]


def test_the_dashboard_shows_each_panel_once_and_none_over_another():
    (one,) = of_type("dashboard")
    panels = json.loads(one["attributes"]["panelsJSON"])
    names = [reference["name"] for reference in one["references"]]
    assert names == [f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels]
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridData"]
        assert at["x"] + at["w"] <= 48
        taken = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert cells.isdisjoint(taken)
        cells |= taken
