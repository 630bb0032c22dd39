import json

import pytest
import stix2  # type: ignore[import-untyped]
from stix2patterns.v21.pattern import Pattern  # type: ignore[import-untyped]
from stix2patterns.validator import run_validator  # type: ignore[import-untyped]

from evidence._stix_objects import Address, Objects, address, extension, object_id, observation
from evidence.stix_terms import EXTENSION, PATTERNS, TLP, TLP_EXTENSION

NOW = "2026-11-22T12:00:00.000Z"
EARLIER = "2026-11-22T11:00:00.000Z"
LATER = "2026-11-22T13:00:00.000Z"


@pytest.fixture
def objects():
    return Objects(NOW, "Example Bank", "amber")


def shown(objects):
    """Objects of the text by id, after the library's own strict reading of it."""
    stix2.parse(objects.text(), allow_custom=False)
    return {one["id"]: one for one in json.loads(objects.text())["objects"]}


def test_what_is_in_every_bundle(objects):
    by_type = {one["type"]: one for one in shown(objects).values() if one["type"] != "identity"}
    assert by_type["marking-definition"] == {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
        "created": "2022-10-01T00:00:00.000Z",
        "name": "TLP:AMBER",
        "extensions": {TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": "amber"}},
    }
    assert by_type["extension-definition"]["id"] == EXTENSION
    assert {
        (one["name"], one["identity_class"])
        for one in shown(objects).values()
        if one["type"] == "identity"
    } == {("Breachline", "system"), ("Example Bank", "organization")}


@pytest.mark.parametrize("level", TLP)
def test_each_level_marks_what_the_producer_says(level):
    objects = Objects(NOW, "", level)
    name = objects.observable(stix2.UserAccount, user_id="u-66")
    found = shown(objects)
    assert found[name]["object_marking_refs"] == [TLP[level]]
    assert found[TLP[level]]["name"] == f"TLP:{level.upper()}"


def test_a_level_that_tlp_has_not():
    with pytest.raises(KeyError, match="white"):
        Objects(NOW, "", "white")


TIMES = [("made before", EARLIER, NOW), ("made after the export", LATER, LATER)]


@pytest.mark.parametrize(("name", "created", "modified"), TIMES, ids=[c[0] for c in TIMES])
def test_an_object_is_never_changed_before_it_is_made(objects, name, created, modified):
    made = objects.add(stix2.Incident, ("inc-1",), created, name="x")
    found = shown(objects)[made]
    assert (found["created"], found["modified"]) == (created, modified)
    assert found["created_by_ref"] == objects.producer


def test_without_an_organization_the_software_is_the_producer():
    objects = Objects(NOW, "", "amber")
    assert objects.producer == objects.software
    assert [one["name"] for one in shown(objects).values() if one["type"] == "identity"] == [
        "Breachline"
    ]


def test_two_producers_never_give_one_id_to_two_objects():
    ids = [
        Objects(NOW, producer, "amber").add(stix2.Incident, ("inc-1",), NOW, name="x")
        for producer in ("", "Example Bank", "Example Shop", "Example Bank")
    ]
    assert ids[1] == ids[3]
    assert len(set(ids)) == 3


def test_names_are_not_run_together():
    assert object_id("note", "ab", "c") != object_id("note", "a", "bc")
    assert object_id("note", "ab", "c") == "note--87a10a55-ba23-5d68-81bf-96e4f1dfc7b0"


def test_a_relationship_is_there_once(objects):
    one = objects.add(stix2.Incident, ("inc-1",), NOW, name="x")
    other = objects.attack_pattern(PATTERNS["canary"])
    before = len(shown(objects))
    objects.relate(one, "related-to", other, NOW)
    objects.relate(one, "related-to", other, NOW)
    assert len(shown(objects)) == before + 1


def test_every_attack_pattern_is_read_and_the_same_in_every_bundle(objects):
    of_another = Objects(LATER, "", "red")
    for pattern in PATTERNS.values():
        name = objects.attack_pattern(pattern)
        assert of_another.attack_pattern(pattern) == name
        assert shown(objects)[name] == shown(of_another)[name]


def test_our_values_stand_in_our_extension():
    assert extension({"a": 1}) == {EXTENSION: {"extension_type": "property-extension", "a": 1}}


ADDRESSES = [
    ("203.0.113.7", Address("ipv4-addr", "203.0.113.7", False)),
    ("203.0.113.0/24", Address("ipv4-addr", "203.0.113.0/24", True)),
    ("203.0.113.7/32", Address("ipv4-addr", "203.0.113.7", False)),
    ("203.0.113.7/24", Address("ipv4-addr", "203.0.113.0/24", True)),
    ("2001:DB8:0::1", Address("ipv6-addr", "2001:db8::1", False)),
    ("2001:db8::/64", Address("ipv6-addr", "2001:db8::/64", True)),
    ("unix:", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_address(text, expected):
    assert address(text) == expected


VALUES = [
    ("203.0.113.7", "'203.0.113.7'"),
    ("o'neil", r"'o\'neil'"),
    ("a\\", r"'a\\'"),
    ("a'] OR [url:value = 'x", r"'a\'] OR [url:value = \'x'"),
    ("a\\'] OR [url:value = 'x", r"'a\\\'] OR [url:value = \'x'"),
    ("line\nbreak", "'line\nbreak'"),
    ("é", "'é'"),
    ("", "''"),
]


@pytest.mark.parametrize(("value", "written"), VALUES)
@pytest.mark.parametrize(("network", "operator"), [(False, "="), (True, "ISSUBSET")])
def test_a_pattern_is_one_comparison_whatever_the_value(value, written, network, operator):
    pattern = observation("user-account:user_id", value, network=network)
    assert pattern == f"[user-account:user_id {operator} {written}]"
    assert run_validator(pattern, "2.1") == []
    assert Pattern(pattern).inspect().comparisons.keys() == {"user-account"}
