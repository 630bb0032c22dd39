import pytest

from intake.documents import event_document
from tests._events import event

FULL = event(
    7,
    path="/users/u-7/profile?fields=all&x=1",
    host="api.example.test",
    user_agent="agent/1",
    request_id="r-7",
    tenant="t-1",
    claimed="u-7",
    object="o-1",
    allowed="delegate",
    cross_site=True,
    late=True,
)


def test_an_event_with_everything():
    assert event_document(FULL, "access.log") == {
        "@timestamp": "2026-11-22T12:00:07.000Z",
        "event": {
            "kind": "event",
            "category": ["web"],
            "type": ["access"],
            "module": "breachline",
            "dataset": "breachline.access",
            "id": "a1b2-2bc",
            "outcome": "success",
        },
        "source": {"address": "203.0.113.7", "ip": "203.0.113.7"},
        "http": {
            "request": {"method": "GET", "id": "r-7"},
            "response": {"status_code": 200, "body": {"bytes": 512}},
        },
        "url": {
            "original": "/users/u-7/profile?fields=all&x=1",
            "path": "/users/u-7/profile",
            "query": "fields=all&x=1",
            "domain": "api.example.test",
        },
        "log": {"file": {"path": "access.log"}},
        "user": {"id": "u-66"},
        "user_agent": {"original": "agent/1"},
        "organization": {"id": "t-1"},
        "breachline": {
            "offset": 700,
            "session": "5e55",
            "route": "/users/{owner}/profile",
            "category": "contact",
            "effect": "read",
            "outcome": "proven",
            "verdict": "foreign",
            "authentication": "known",
            "address_trusted": True,
            "provenance": "gateway",
            "claimed_user": "u-7",
            "object": "o-1",
            "basis": "route",
            "allowed": "delegate",
            "targets": ["u-7"],
            "cross_site": True,
            "late": True,
        },
    }


def test_what_was_not_logged_is_absent():
    bare = event(
        0, status=0, bytes=-1, principal="", provenance="", authentication="unlogged", session="",
        targets=(), basis="", verdict="no_target",
    )  # fmt: skip
    document = event_document(bare, "access.log")
    assert set(document) == {
        "@timestamp", "breachline", "event", "http", "log", "source", "url"
    }  # fmt: skip
    assert document["http"] == {"request": {"method": "GET"}}
    assert document["url"] == {"original": "/users/u-0/profile", "path": "/users/u-0/profile"}
    assert set(document["breachline"]) == {
        "address_trusted", "authentication", "category", "effect", "offset", "outcome", "route",
        "verdict",
    }  # fmt: skip


OUTCOMES = [
    ("proven", "success"),
    ("metadata", "success"),
    ("denied", "failure"),
    ("possible", "unknown"),
    ("ignored", "unknown"),
]


@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES)
def test_the_outcome_in_ecs(outcome, expected):
    assert event_document(event(0, outcome=outcome), "x")["event"]["outcome"] == expected


BODIES = [
    ("no bytes logged", 200, -1, {"status_code": 200}),
    ("none sent", 204, 0, {"status_code": 204, "body": {"bytes": 0}}),
    ("bytes without a status", 0, 7, {"body": {"bytes": 7}}),
]


@pytest.mark.parametrize(("name", "status", "size", "expected"), BODIES)
def test_the_response_has_what_was_logged(name, status, size, expected):
    document = event_document(event(0, status=status, bytes=size), "x")
    assert document["http"]["response"] == expected, name


ADDRESSES = [
    ("203.0.113.7", True),
    ("2001:db8::7", True),
    ("::ffff:203.0.113.7", True),
    ("client.example.test", False),
    ("unix", False),
    ("unix:/run/gateway.sock", False),
    ("1.2.3.4.5", False),
    ("203.0.113.999", False),
    ("12345", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "is_address"), ADDRESSES)
def test_only_an_address_is_typed_as_one(text, is_address):
    source = event_document(event(0, ip=text), "x")["source"]
    assert source == ({"address": text, "ip": text} if is_address else {"address": text})
