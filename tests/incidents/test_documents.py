import json

import msgspec

from incidents.documents import (
    action_document,
    affected_document,
    finding_document,
    incident_document,
    object_document,
)
from records.event import Actor
from records.incident import (
    Account,
    Action,
    Affected,
    Coverage,
    Guard,
    Incident,
    UnknownObject,
)
from tests.incidents._world import T0, address, finding, principal

ISO = "2026-11-18T10:00:00.000Z"
FINDING = finding(
    principal("u-1"), T0, end_ms=T0 + 3120, severity="high", id="fin-1", evidence=("e-1", "e-2")
)


def test_a_finding_is_an_ecs_alert():
    document = finding_document(FINDING, {"e-1": ("gateway.log", 10233, "ab" * 32)})
    assert document == {
        "@timestamp": "2026-11-18T10:00:03.120Z",
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "module": "breachline",
            "dataset": "breachline.finding",
            "id": "fin-1",
            "severity": 73,
            "start": ISO,
            "end": "2026-11-18T10:00:03.120Z",
        },
        "rule": {
            "id": "cross_user_read",
            "name": "Reads other people's data",
            "version": "1",
            "reference": "CWE-639",
        },
        "source": {"ip": "203.0.113.7"},
        "user": {"id": "u-1"},
        "related": {"ip": ["203.0.113.7"], "user": ["u-1", "v1", "v2"]},
        "message": "u-1 read the data of others",
        "breachline": {
            "actor": {"type": "principal", "value": "u-1"},
            "confidence": 0.95,
            "severity": "high",
            "affected_count": 2,
            "explain": {"targets": 2, "limit": 1},
            "evidence": [
                {"event": "e-1", "source": "gateway.log", "offset": 10233, "sha256": "ab" * 32},
                {"event": "e-2"},
            ],
        },
    }
    assert json.loads(json.dumps(document)) == document


def test_what_a_finding_lacks_is_absent():
    bare = msgspec.structs.replace(FINDING, ips=(), users=(), principal="")
    assert finding_document(bare, {}).keys().isdisjoint({"source", "user", "related"})
    unnamed = finding_document(finding(address("192.0.2.1"), T0), {})
    assert "user" not in unnamed
    assert unnamed["related"] == {"ip": ["192.0.2.1"], "user": ["v1", "v2"]}


def test_a_host_name_is_no_ip():
    names = ("client.example", "192.0.2.9", "2001:db8::9", "unix:")
    mixed = finding_document(msgspec.structs.replace(FINDING, ips=names), {})
    assert mixed["source"] == {"ip": "192.0.2.9"}
    assert mixed["related"]["ip"] == ["192.0.2.9", "2001:db8::9"]
    assert mixed["related"]["hosts"] == ["client.example", "unix:"]
    only = finding_document(msgspec.structs.replace(FINDING, ips=names[:1]), {})
    assert only["source"] == {"address": "client.example"}
    assert only["related"] == {"hosts": ["client.example"], "user": ["u-1", "v1", "v2"]}


def test_incident_document():
    incident = Incident(
        id="inc-1",
        version=2,
        severity="SEV1",
        status="open",
        cause="attack",
        breach=True,
        title="u-1 reached the data of 1 person (canary)",
        actors=(Actor("principal", "u-1"), Actor("ip", "192.0.2.1")),
        actor_accounts=(Account("u-1", "own"),),
        findings=("fin-1",),
        rules=("canary",),
        first_seen_ms=T0,
        last_seen_ms=T0,
        awareness_ms=T0,
        affected_count=1,
        affected_upper=2,
        attempted_count=3,
        unknown_objects=4,
        records_count=5,
        categories=("profile",),
        coverage=Coverage(from_ms=T0, complete=False),
        merged=("inc-2",),
    )
    assert incident_document(incident) == {
        "id": "inc-1",
        "version": 2,
        "title": "u-1 reached the data of 1 person (canary)",
        "severity": "SEV1",
        "status": "open",
        "cause": "attack",
        "breach": True,
        "actors": [{"type": "principal", "value": "u-1"}, {"type": "ip", "value": "192.0.2.1"}],
        "actor_accounts": [{"id": "u-1", "relation": "own"}],
        "findings": ["fin-1"],
        "rules": ["canary"],
        "first_seen": ISO,
        "last_seen": ISO,
        "affected_count": 1,
        "affected_upper": 2,
        "attempted_count": 3,
        "unknown_objects": 4,
        "records_count": 5,
        "categories": ["profile"],
        "coverage": {"from": ISO, "complete": False, "gaps": [], "late": 0, "rejected": 0},
        "clocks": {"awareness": ISO, "authority_deadline": "2026-11-21T10:00:00.000Z"},
        "merged": ["inc-2"],
    }


def test_action_document():
    action = Action(
        id="act-1",
        kind="block_ip",
        target="192.0.2.1",
        until_ms=T0,
        mode="simulate",
        reason="why",
        incident="inc-1",
        findings=("fin-1",),
        guard=Guard("pass", "all guards passed"),
        decided_ms=T0,
    )
    expected = {
        "id": "act-1",
        "kind": "block_ip",
        "target": "192.0.2.1",
        "until": ISO,
        "mode": "simulate",
        "reason": "why",
        "incident": "inc-1",
        "findings": ["fin-1"],
        "guard": {"verdict": "pass", "why": "all guards passed"},
        "decided": ISO,
    }
    assert action_document(action) == expected
    endless = msgspec.structs.replace(action, until_ms=0)
    assert action_document(endless) == {**expected, "until": None}


def test_rows():
    row = Affected(
        user="v1",
        certainty="proven",
        categories=("profile",),
        reads=1,
        writes=2,
        first_ms=T0,
        last_ms=T0,
        events=("e-1",),
    )
    assert affected_document(row) == {
        "user": "v1",
        "certainty": "proven",
        "categories": ["profile"],
        "reads": 1,
        "writes": 2,
        "first": ISO,
        "last": ISO,
        "events": ["e-1"],
    }
    item = UnknownObject(object="o1", route="/o/{object}", effect="read", first_ms=T0, events=())
    assert object_document(item) == {
        "object": "o1",
        "route": "/o/{object}",
        "effect": "read",
        "first": ISO,
        "events": [],
    }
