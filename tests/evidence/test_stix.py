import json
import uuid
from typing import Any, get_args

import pytest
import stix2  # type: ignore[import-untyped]
from stix2patterns.validator import run_validator  # type: ignore[import-untyped]

from detectors.engine import discover
from evidence.stix import stix_bundle
from evidence.stix_terms import ACTIONS, EXTENSION, NAMES_A_TARGET, PATTERNS, TLP
from incidents.documents import action_document, finding_document, incident_document
from records.event import Actor
from records.ids import iso
from records.incident import Account, Guard
from records.kinds import ActionKind
from tests._events import HERE, NOON_MS, action, finding, incident

NOW_MS = NOON_MS + 7_200_000
WHO = Actor("principal", "u-66")
VICTIMS = ["victim-17", "victim-18"]
LINE = ("gateway.log", 100, "5ec0de" * 10 + "5ec0")
FOUND = finding(
    principal="u-66",
    users=tuple(VICTIMS),
    message="u-66 got data of 2 other users: victim-17, victim-18",
    explain={"targets": 2, "limit": 2, "who": "victim-17", "ids": VICTIMS, "first": True},
    evidence=("a1b2-0", "a1b2-64"),
)
ATTACK = incident(actors=(WHO, Actor("session", "5e55"), HERE), categories=("financial",))
BLOCK = action(reason=f"identity_fanout (high): {FOUND.message}")


def answer(state, at_ms, action_id="act-1"):
    return {"action": action_id, "state": state, "at_ms": at_ms, "point": "gateway", "detail": "-"}


def text(one=ATTACK, found=(FOUND,), actions=(BLOCK,), receipts=(), **options):
    return stix_bundle(
        incident_document(one),
        [finding_document(each, {"a1b2-64": LINE}) for each in found],
        map(action_document, actions),
        receipts,
        **{"now_ms": NOW_MS, **options},
    )


def bundle(*args, **options):
    """The objects by type, after the library's own strict reading."""
    written = text(*args, **options)
    read = stix2.parse(written, allow_custom=False)
    objects = json.loads(written)["objects"]
    ids = [one["id"] for one in objects]
    assert ids == sorted(set(ids)) == [one.id for one in read.objects]
    assert_whole(objects)
    by_type: dict[str, list[dict[str, Any]]] = {}
    for one in objects:
        by_type.setdefault(one["type"], []).append(one)
    return by_type


def assert_whole(objects):
    """Every reference leads to an object of the bundle, and every pattern is one."""
    there = {one["id"] for one in objects}
    for one in objects:
        for name, value in one.items():
            if name.endswith("_ref"):
                assert value in there, f"{one['id']}: {name}"
            if name.endswith("_refs"):
                assert set(value) <= there, f"{one['id']}: {name}"
        if one["type"] == "indicator":
            assert run_validator(one["pattern"], "2.1") == []


def relations(found):
    """(type, how, type) of each relationship."""
    return sorted(
        (
            one["source_ref"].split("--")[0],
            one["relationship_type"],
            one["target_ref"].split("--")[0],
        )
        for one in found["relationship"]
    )


def test_an_attack():
    found = bundle(receipts=[answer("confirmed", NOON_MS + 1000)], producer="Example Bank")
    (told,) = found["incident"]
    assert told["name"] == "SEV1: 203.0.113.7 reached the data of 5 people"
    assert (told["created"], told["modified"]) == (iso(NOON_MS + 1000), iso(NOW_MS))
    assert (told["labels"], told["confidence"]) == (["attack", "breach"], 97)
    assert told["extensions"][EXTENSION] == {
        "extension_type": "property-extension",
        "incident": "inc-1",
        **{
            name: value
            for name, value in incident_document(ATTACK).items()
            if name not in {"id", "title", "actors", "actor_accounts", "findings", "merged"}
        },
    }
    assert [one["value"] for one in found["ipv4-addr"]] == ["203.0.113.7"]
    assert [one["user_id"] for one in found["user-account"]] == ["u-66"]
    (seen,) = found["observed-data"]
    assert seen["object_refs"] == [found["ipv4-addr"][0]["id"], found["user-account"][0]["id"]]
    assert seen["number_observed"] == 2
    assert seen["extensions"][EXTENSION] == {
        "extension_type": "property-extension",
        "finding": "fin-1",
        "rule": "identity_fanout",
        "rule_version": "1",
        "severity": "high",
        "confidence": 0.97,
        "numbers": {"limit": 2, "targets": 2},
        "evidence": [
            {"event": "a1b2-0"},
            {"event": "a1b2-64", "source": "gateway.log", "offset": 100},
        ],
    }
    (warning,) = found["indicator"]
    assert {
        name: warning[name]
        for name in ("pattern", "valid_from", "valid_until", "confidence", "indicator_types")
    } == {
        "pattern": "[ipv4-addr:value = '203.0.113.7']",
        "valid_from": "2026-11-22T12:00:00Z",
        "valid_until": "2026-11-22T13:00:00Z",
        "confidence": 97,
        "indicator_types": ["malicious-activity"],
    }
    (measure,) = found["course-of-action"]
    assert measure["name"] == "Block the address 203.0.113.7"
    assert measure["description"] == (
        "Mode simulate. Guards: pass, all guards passed. Until 2026-11-22T13:00:00.000Z. "
        "Answers: gateway confirmed 2026-11-22T12:00:01.000Z."
    )
    (note,) = found["note"]
    assert note["content"] == (
        "identity_fanout, high, confidence 0.97, from 2026-11-22T12:00:00.000Z to "
        "2026-11-22T12:00:01.000Z: requests 2, people 2, limit 2, targets 2."
    )
    assert note["object_refs"] == [told["id"], seen["id"]]
    (pattern,) = found["attack-pattern"]
    assert [one["external_id"] for one in pattern["external_references"]] == [
        "CWE-639",
        "API1:2023",
    ]
    assert {one["sighting_of_ref"] for one in found["sighting"]} == {warning["id"], pattern["id"]}
    assert all(one["observed_data_refs"] == [seen["id"]] for one in found["sighting"])
    assert relations(found) == [
        ("course-of-action", "mitigates", "indicator"),
        ("course-of-action", "related-to", "incident"),
        ("incident", "related-to", "attack-pattern"),
        ("indicator", "based-on", "observed-data"),
        ("indicator", "indicates", "attack-pattern"),
        ("indicator", "related-to", "incident"),
        ("ipv4-addr", "related-to", "incident"),
        ("observed-data", "related-to", "incident"),
        ("user-account", "related-to", "incident"),
    ]


def test_everything_of_the_producer_is_marked_and_its_own():
    found = bundle(producer="Example Bank", tlp="red")
    (bank,) = [one for one in found["identity"] if one["name"] == "Example Bank"]
    for kind, objects in found.items():
        if kind in {"marking-definition", "extension-definition", "identity", "attack-pattern"}:
            continue
        for one in objects:
            assert one["object_marking_refs"] == [TLP["red"]]
            assert one.get("created_by_ref", bank["id"]) == bank["id"]


def test_equal_input_gives_equal_bytes_in_whatever_order():
    other = finding("fin-2", actor=WHO, evidence=("a1b2-c8",))
    second = action("act-2", findings=("fin-2",))
    receipts = [answer("wanted", NOON_MS), answer("confirmed", NOON_MS, "act-2")]
    one = text(found=[FOUND, other], actions=[BLOCK, second], receipts=receipts)
    same = text(found=[other, FOUND], actions=[second, BLOCK], receipts=receipts[::-1])
    assert one == same
    assert one.endswith("}\n")


def test_a_later_export_is_a_newer_version_of_the_same_objects():
    before = {one["id"]: one for one in json.loads(text())["objects"]}
    after = {one["id"]: one for one in json.loads(text(now_ms=NOW_MS + 1))["objects"]}
    assert before.keys() == after.keys()
    for name, one in before.items():
        if one != after[name]:
            assert after[name] == {**one, "modified": iso(NOW_MS + 1)}
    assert json.loads(text())["id"] != json.loads(text(now_ms=NOW_MS + 1))["id"]


def leaks(written):
    """What of the victims stands in a bundle: ids, and what is a function of them."""
    accounts = [stix2.UserAccount(user_id=victim).id for victim in VICTIMS]
    return [word for word in [*VICTIMS, *accounts, LINE[2]] if word in written]


UNNAMED = [
    ("an attack", {}),
    ("a notification to a victim", {"actions": [action(kind="notify_breach", target="victim-17")]}),
    (
        "a limit on a victim",
        {"actions": [action(kind="rate_limit", target="victim-17", until_ms=0)]},
    ),
    (
        "the block of an account that is no attacker's",
        {"actions": [action(kind="block_principal", target="victim-17")]},
    ),
    (
        "a victim whose account an attacker used",
        {
            "one": incident(
                actors=(Actor("principal", "victim-17"), HERE),
                actor_accounts=(Account("victim-17", "possibly_compromised"),),
            ),
            "found": [finding(actor=Actor("principal", "victim-17"), principal="victim-17")],
            "actions": [action(kind="block_principal", target="victim-17")],
        },
    ),
    (
        "a fault whose finding names a victim as actor",
        {
            "one": incident(cause="fault", actors=(Actor("principal", "victim-17"),)),
            "found": [finding(actor=Actor("principal", "victim-17"), principal="victim-17")],
        },
    ),
]


@pytest.mark.parametrize(("name", "given"), UNNAMED, ids=[c[0] for c in UNNAMED])
def test_no_victim_is_named_unasked(name, given):
    bundle(**given)
    assert leaks(text(**given)) == []


def test_victims_are_named_when_asked():
    found = bundle(victims=[*VICTIMS, "victim-17"])
    affected, observed = sorted(found["observed-data"], key=lambda one: "labels" not in one)
    accounts = {one["id"]: one["user_id"] for one in found["user-account"]}
    assert sorted(accounts[name] for name in affected["object_refs"]) == VICTIMS
    assert (affected["labels"], affected["number_observed"]) == (["affected"], 2)
    assert observed["extensions"][EXTENSION]["evidence"][1]["sha256"] == LINE[2]
    assert found["note"][0]["content"] == FOUND.message
    assert len(leaks(text(victims=VICTIMS))) == 5


def test_victims_of_an_attempt_are_none():
    assert [one.get("labels") for one in bundle(victims=[])["observed-data"]] == [None]


@pytest.mark.parametrize("cause", ["fault", "test"])
def test_nobody_is_named_where_nobody_attacked(cause):
    found = bundle(incident(cause=cause, actors=(WHO, HERE)))
    assert sorted(found) == [
        "course-of-action", "extension-definition", "identity", "incident", "marking-definition",
        "note", "relationship",
    ]  # fmt: skip
    assert found["course-of-action"][0]["name"] == "Block the address"
    assert relations(found) == [("course-of-action", "related-to", "incident")]
    written = text(incident(cause=cause, actors=(WHO, HERE), title="a fault"))
    assert "203.0.113.7" not in written
    assert "u-66" not in written


INDICATORS = [
    ("passed", {}, [], "malicious-activity", False),
    ("asks a person", {"guard": Guard("approve", "few")}, [], "anomalous-activity", False),
    ("refused", {"guard": Guard("refuse", "an office")}, [], None, False),
    ("confirmed", {}, ["wanted", "confirmed"], "malicious-activity", False),
    ("lifted before its time", {}, ["confirmed", "expired"], "malicious-activity", True),
    ("wanted again", {}, ["expired", "confirmed"], "malicious-activity", False),
    ("evidence", {"kind": "capture_evidence", "target": "inc-1"}, [], None, False),
    ("no address", {"target": "unix:"}, [], None, False),
    ("an attacker's account", {"kind": "block_principal", "target": "u-66"}, [],
     "malicious-activity", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "states", "kind", "revoked"), INDICATORS, ids=[c[0] for c in INDICATORS]
)
def test_what_is_an_indicator(name, changes, states, kind, revoked):
    receipts = [answer(state, NOON_MS + n) for n, state in enumerate(states)]
    found = bundle(actions=[action(**changes)], receipts=receipts).get("indicator", [])
    assert [(one["indicator_types"], one.get("revoked", False)) for one in found] == (
        [([kind], revoked)] if kind else []
    )


def test_a_block_that_ended_in_its_time_is_not_revoked():
    (one,) = bundle(receipts=[answer("expired", BLOCK.until_ms)])["indicator"]
    assert "revoked" not in one


TARGETS = [
    ({}, "[ipv4-addr:value = '203.0.113.7']"),
    ({"target": "2001:DB8::7"}, "[ipv6-addr:value = '2001:db8::7']"),
    ({"target": "203.0.113.0/28"}, "[ipv4-addr:value ISSUBSET '203.0.113.0/28']"),
    ({"kind": "block_principal", "target": "o'neil"}, r"[user-account:user_id = 'o\'neil']"),
]


@pytest.mark.parametrize(("changes", "pattern"), TARGETS)
def test_pattern_of_a_target(changes, pattern):
    one = incident(actors=(Actor("principal", "o'neil"), HERE))
    (found,) = bundle(one, actions=[action(**changes)])["indicator"]
    assert found["pattern"] == pattern


def test_actors_that_are_addresses_or_accounts():
    actors = [
        WHO, HERE, Actor("ip", "2001:db8::7"), Actor("subnet", "198.51.100.0/24"),
        Actor("ip", "unknown"), Actor("session", "5e55"), Actor("route", "/users/{owner}"),
    ]  # fmt: skip
    found = bundle(incident(actors=tuple(actors)))
    assert sorted(one["value"] for one in found["ipv4-addr"]) == ["198.51.100.0/24", "203.0.113.7"]
    assert [one["value"] for one in found["ipv6-addr"]] == ["2001:db8::7"]


def test_an_address_that_a_client_may_have_written_is_nobody():
    forged = finding(ips=("192.0.2.9",), untrusted_ips=("192.0.2.9",), actor=WHO)
    refused = action(target="192.0.2.9", guard=Guard("refuse", "from a forwarding header"))
    found = bundle(incident(actors=(WHO,)), found=[forged], actions=[refused])
    assert "ipv4-addr" not in found
    assert "indicator" not in found
    assert len(found["observed-data"][0]["object_refs"]) == 1


def test_one_value_as_address_and_as_account_is_two_things():
    found = bundle(incident(actors=(Actor("principal", "203.0.113.7"),)))
    assert "observed-data" not in found
    assert [one["user_id"] for one in found["user-account"]] == ["203.0.113.7"]


def test_a_finding_of_which_no_actor_is_known_is_told_all_the_same():
    found = bundle(found=[finding(ips=(), actor=Actor("session", "5e55"))], actions=[])
    assert "observed-data" not in found
    assert [one.get("observed_data_refs") for one in found["sighting"]] == [None]
    assert found["note"][0]["object_refs"] == [found["incident"][0]["id"]]


def test_a_block_by_hand_rests_on_no_finding():
    (one,) = bundle(found=[], actions=[action(findings=())])["indicator"]
    assert "confidence" not in one
    assert one["valid_from"] == "2026-11-22T12:00:00Z"


def test_confidence_is_rounded_down():
    assert bundle(found=[finding(confidence=0.8999)])["incident"][0]["confidence"] == 89


def test_an_unknown_rule_is_no_attack_pattern():
    found = bundle(found=[finding(rule="anomaly")])
    assert "attack-pattern" not in found
    assert len(found["sighting"]) == 1


def test_each_rule_has_its_attack_pattern_and_each_action_its_words():
    assert {detector.id for detector in discover()} <= {*PATTERNS, "context_failure", "anomaly"}
    assert set(ACTIONS) == set(get_args(ActionKind))
    assert set(ACTIONS) > NAMES_A_TARGET
    assert {uuid.UUID(name.split("--")[1]).version for name in TLP.values()} == {4}
