import hashlib
import json

import msgspec
import pytest
from msgspec.structs import replace

from evidence.custody import Read
from evidence.elastic import documents
from evidence.elastic.bulk import Document
from evidence.entry import Entry, canonical, commit
from evidence.ledger import Head
from evidence.log import Approval, Captured
from evidence.merkle import leaf_hash
from records.event import RawLine
from records.ids import digest
from tests._events import NOON_MS, action, receipt

NOON = "2026-11-22T12:00:00.000Z"
ECS = {"version": "9.4.0"}
FINDING = {
    "@timestamp": NOON,
    "event": {"kind": "alert", "id": "fin-1"},
    "user": {"id": "u-66"},
    "related": {"ip": ["203.0.113.7"], "user": ["u-1", "u-2", "u-66"]},
    "message": "u-66 read the data of others",
    "breachline": {"actor": {"type": "principal", "value": "u-66"}, "affected_count": 2},
}
INCIDENT = {
    "id": "inc-1",
    "version": 3,
    "title": "203.0.113.7 reached the data of 5 people",
    "severity": "SEV1",
    "status": "open",
    "actors": [
        {"type": "ip", "value": "203.0.113.7"},
        {"type": "ip", "value": "client.example"},
        {"type": "principal", "value": "u-66"},
        {"type": "session", "value": "5e55"},
    ],
    "first_seen": "2026-11-22T11:00:00.000Z",
    "last_seen": NOON,
    "affected_count": 5,
}
ACTION = {
    "id": "act-1",
    "kind": "block_ip",
    "target": "203.0.113.7",
    "until": "2026-11-22T13:00:00.000Z",
    "mode": "enforce",
    "reason": "identity_fanout (high)",
    "incident": "inc-1",
    "findings": ["fin-1"],
    "guard": {"verdict": "pass", "why": "all guards passed"},
    "decided": NOON,
}


def stream(dataset):
    return {"type": "logs", "dataset": f"breachline.{dataset}", "namespace": "default"}


def event(dataset, name, category="intrusion_detection", type_="info", kind="event"):
    return {
        "kind": kind,
        "category": [category],
        "type": [type_],
        "module": "breachline",
        "dataset": f"breachline.{dataset}",
        "id": name,
    }


def read(document: Document):
    return document.index, document.id, document.op, document.version, json.loads(document.source)


def test_a_finding_keeps_its_form_and_says_who_and_whose():
    before = json.dumps(FINDING)
    assert read(documents.finding(FINDING)) == (
        "logs-breachline.finding-default", "fin-1", "create", None,
        FINDING | {
            "breachline": {
                "actor": {"type": "principal", "value": "u-66"},
                "affected_count": 2,
                "actors": ["principal:u-66"],
                "victims": ["u-1", "u-2"],
            },
            "ecs": ECS,
            "data_stream": stream("finding"),
        },
    )  # fmt: skip
    assert json.dumps(FINDING) == before


def test_a_finding_without_people():
    bare = {key: FINDING[key] for key in ("@timestamp", "event", "message", "breachline")}
    *_, source = read(documents.finding(bare))
    assert source["breachline"]["victims"] == []
    assert "related" not in source


def test_an_incident_is_written_again_with_a_higher_version():
    index, name, op, version, source = read(documents.incident(INCIDENT))
    assert (index, name, op, version) == ("breachline-incidents", "inc-1", "index", 3)
    kept = {key: value for key, value in INCIDENT.items() if key != "actors"}
    assert source == {
        "@timestamp": NOON,
        "event": {
            **event("incident", "inc-1", kind="state"),
            "severity": 99,
            "start": "2026-11-22T11:00:00.000Z",
            "end": NOON,
        },
        "message": "203.0.113.7 reached the data of 5 people",
        "related": {"ip": ["203.0.113.7"], "hosts": ["client.example"], "user": ["u-66"]},
        "breachline": {
            "actors": ["ip:203.0.113.7", "ip:client.example", "principal:u-66", "session:5e55"],
            "incident": kept,
        },
        "ecs": ECS,
    }


def test_an_incident_that_nobody_did():
    *_, source = read(documents.incident(INCIDENT | {"actors": []}))
    assert "related" not in source
    assert source["breachline"]["actors"] == []


def test_an_action():
    assert read(documents.action(ACTION)) == (
        "logs-breachline.action-default", "act-1", "create", None,
        {
            "@timestamp": NOON,
            "event": {
                **event("action", "act-1"),
                "action": "block_ip",
                "reason": "identity_fanout (high)",
            },
            "message": "block_ip 203.0.113.7 (enforce): identity_fanout (high)",
            "source": {"ip": "203.0.113.7"},
            "related": {"ip": ["203.0.113.7"]},
            "breachline": {
                "action": {
                    "id": "act-1",
                    "kind": "block_ip",
                    "target": "203.0.113.7",
                    "mode": "enforce",
                    "findings": ["fin-1"],
                    "guard": {"verdict": "pass", "why": "all guards passed"},
                    "until": "2026-11-22T13:00:00.000Z",
                },
                "incident": {"id": "inc-1"},
            },
            "ecs": ECS,
            "data_stream": stream("action"),
        },
    )  # fmt: skip


TARGETS = [
    ("a network", "block_ip", "203.0.113.0/24", {}),
    (
        "a person",
        "block_principal",
        "u-66",
        {"user": {"id": "u-66"}, "related": {"user": ["u-66"]}},
    ),
    ("an incident", "capture_evidence", "inc-1", {}),
]


@pytest.mark.parametrize(("name", "kind", "target", "expected"), TARGETS)
def test_whom_an_action_is_about(name, kind, target, expected):
    given = ACTION | {"kind": kind, "target": target, "until": None}
    *_, source = read(documents.action(given))
    assert {key: source[key] for key in ("source", "user", "related") if key in source} == expected
    assert "until" not in source["breachline"]["action"], name


OUTCOMES = [
    ("confirmed", "success"),
    ("drifted", "failure"),
    ("failed", "failure"),
    ("wanted", "unknown"),
    ("expired", "unknown"),
]


@pytest.mark.parametrize(("state", "outcome"), OUTCOMES)
def test_a_receipt(state, outcome):
    one = receipt(state=state, read_back="present", retry_after_s=1.5)
    name = "rcp-" + digest(canonical(one).decode())
    assert read(documents.receipt(msgspec.to_builtins(one))) == (
        "logs-breachline.action-default", name, "create", None,
        {
            "@timestamp": NOON,
            "event": {
                **event("action", name),
                "action": "receipt",
                "outcome": outcome,
                "reason": "blocked",
            },
            "message": f"gateway: {state}: blocked",
            "breachline": {
                "action": {"id": "act-1"},
                "receipt": {
                    "state": state,
                    "point": "gateway",
                    "detail": "blocked",
                    "read_back": "present",
                    "attempt": 1,
                    "retry_after_s": 1.5,
                },
            },
            "ecs": ECS,
            "data_stream": stream("action"),
        },
    )  # fmt: skip


def test_a_receipt_has_the_id_that_it_has_in_the_log(store):
    store.log.append_intent(action())
    store.log.append_receipt(receipt())
    *_, last = store.log.entries()
    assert documents.receipt(msgspec.json.decode(last.payload)).id == last.entry_id


def made(kind, record, seq=1, entry_id="x-1"):
    payload = canonical(record)
    salt = bytes(16)
    return Entry(seq, entry_id, kind, NOON_MS, commit(salt, entry_id, payload), salt, payload)


def ledger(one, **more):
    return {
        "index": one.seq - 1,
        "kind": one.kind,
        "commitment": one.commitment.hex(),
        "leaf_hash": leaf_hash(one.leaf).hex(),
        "erased": False,
        **more,
    }


def test_a_captured_line():
    line = RawLine("a1b2-64", hashlib.sha256(b"whole").hexdigest(), b"GET /users/7 \xff", True)
    record = Captured(
        event=line.event, sha256=line.sha256, masked=True, incident="inc-1", at_ms=NOON_MS
    )
    one = made("captured", record, seq=7, entry_id="cap-1")
    assert read(documents.entry(one, line, "gateway.log")) == (
        "logs-breachline.evidence-default", "cap-1", "create", None,
        {
            "@timestamp": NOON,
            "event": {
                **event("evidence", "cap-1", "web", "access"),
                "action": "captured",
                "sequence": 7,
                "hash": line.sha256,
                "original": "GET /users/7 \\xff",
            },
            "log": {"file": {"path": "gateway.log"}},
            "related": {"hash": [line.sha256]},
            "breachline": {
                "incident": {"id": "inc-1"},
                "evidence": {
                    "event": "a1b2-64",
                    "sha256": line.sha256,
                    "masked": True,
                    "offset": 100,
                    "source": "gateway.log",
                },
                "ledger": ledger(one, payload=msgspec.to_builtins(record)),
            },
            "ecs": ECS,
            "data_stream": stream("evidence"),
        },
    )  # fmt: skip


def test_a_captured_line_whose_bytes_are_gone_is_still_an_entry():
    record = Captured(event="a1b2-64", sha256="ab", masked=False, incident="inc-1", at_ms=NOON_MS)
    *_, source = read(documents.entry(made("captured", record)))
    assert "original" not in source["event"]
    assert "log" not in source
    assert source["event"]["hash"] == "ab"


def test_a_persons_word_names_the_person_and_why():
    record = Approval(action="act-1", approved=True, by="alice", why="seen it", at_ms=NOON_MS)
    one = made("approval", record)
    *_, source = read(documents.entry(one))
    assert source["user"] == {"name": "alice"}
    assert source["related"] == {"user": ["alice"]}
    assert source["event"]["reason"] == "seen it"
    assert source["breachline"] == {
        "action": {"id": "act-1"},
        "ledger": ledger(one, payload=msgspec.to_builtins(record)),
    }


KINDS = [
    ("intent", "intrusion_detection", "info"),
    ("receipt", "intrusion_detection", "info"),
    ("approval", "intrusion_detection", "info"),
    ("finding", "intrusion_detection", "info"),
    ("configuration", "configuration", "info"),
    ("export", "database", "access"),
    ("read", "database", "access"),
    ("hold", "configuration", "change"),
    ("release", "configuration", "change"),
    ("erasure", "database", "change"),
    ("key", "configuration", "change"),
]


@pytest.mark.parametrize(("kind", "category", "type_"), KINDS)
def test_every_kind_of_entry(kind, category, type_):
    one = made(kind, {"incident": "inc-1", "n": 1})
    *_, source = read(documents.entry(one))
    assert source["event"] == {
        **event("evidence", "x-1", category, type_),
        "action": kind,
        "sequence": 1,
    }
    assert source["breachline"]["incident"] == {"id": "inc-1"}


def test_an_incident_is_found_by_its_id_in_the_ledger_too():
    one = made("incident", INCIDENT, entry_id="inc-1@3")
    *_, source = read(documents.entry(one))
    assert source["event"]["id"] == "inc-1@3"
    assert source["breachline"] == {
        "incident": {"id": "inc-1", "version": 3},
        "ledger": ledger(one, payload=INCIDENT),
    }


def test_an_export_names_its_file_and_what_is_empty_is_left_out():
    said = Read(kind="export", by="alice", why="", at_ms=NOON_MS, what="evidence", sha256="ab")
    *_, source = read(documents.entry(made("export", said)))
    assert source["related"] == {"user": ["alice"], "hash": ["ab"]}
    assert "reason" not in source["event"]
    assert set(source["breachline"]) == {"ledger"}


def test_an_erased_entry_holds_what_its_leaf_holds():
    one = replace(made("captured", {"event": "a-1"}), salt=None, payload=None)
    *_, source = read(documents.entry(one))
    assert source["breachline"] == {"ledger": ledger(one, erased=True)}
    assert source["event"] == {
        **event("evidence", "x-1", "web", "access"),
        "action": "captured",
        "sequence": 1,
    }


def test_a_head():
    note = "breachline/default/evidence\n12\nqqo=\n\n\N{EM DASH} breachline/default/evidence c2ln\n"
    assert read(documents.head(Head(12, note), NOON_MS)) == (
        "breachline-heads", "breachline/default/evidence@12", "create", None,
        {
            "@timestamp": NOON,
            "event": event(
                "head", "breachline/default/evidence@12", "configuration", kind="state"
            ),
            "message": "breachline/default/evidence: 12 entries, root aaaa",
            "breachline": {
                "head": {
                    "origin": "breachline/default/evidence",
                    "size": 12,
                    "root": "aaaa",
                    "note": note,
                }
            },
            "ecs": ECS,
        },
    )  # fmt: skip
