"""What is concluded stands in the log: findings once, incidents when they change, settings."""

import hashlib
from importlib.metadata import version

import msgspec
import pytest
from msgspec.structs import replace

from evidence.store import EmbeddedStore
from incidents.documents import incident_document
from incidents.settings import NeverBlock
from intake.frames import Batch
from streams.decider import Decider
from streams.entries import COUNTS_MS, Entries, configuration_document, enter_configuration
from streams.settings import Settings
from tests._events import NOON_MS, finding, incident, receipt
from tests.incidents._world import T0, foreign, principal
from tests.incidents._world import finding as found

ONE = incident()
MORE = {"affected_count": 6, "affected_upper": 7, "title": "6 people", "last_seen_ms": NOON_MS + 9}


def entered(store, kind="incident"):
    return [entry.entry_id for entry in store.log.entries() if entry.kind == kind]


def feed(store, *steps, entries=None):
    """(incident or None, watermark) one after the other, each in its own transaction."""
    entries = entries or Entries(store)
    for one, watermark_ms in steps:
        with store.transaction():
            changed = [one] if one is not None else []
            store.put_incidents(changed)
            entries.incidents(changed, NOON_MS, watermark_ms)
    return entries


def versions(*changes):
    return [replace(ONE, version=n, **change) for n, change in enumerate(changes, 1)]


FIRST, SECOND, THIRD = versions({}, MORE, {**MORE, "affected_count": 9})
ROSE = replace(SECOND, severity="SEV2", version=2)
CLOSED = replace(SECOND, status="closed")
NEAR, FAR = NOON_MS + COUNTS_MS - 1, NOON_MS + COUNTS_MS
CASES = [
    ("the first", [(FIRST, NOON_MS)], ["inc-1@1"]),
    ("counts within a minute wait", [(FIRST, NOON_MS), (SECOND, NEAR)], ["inc-1@1"]),
    ("counts after a minute", [(FIRST, NOON_MS), (SECOND, FAR)], ["inc-1@1", "inc-1@2"]),
    ("the last of them when the minute is over",
     [(FIRST, NOON_MS), (SECOND, NEAR), (THIRD, NEAR), (None, FAR)], ["inc-1@1", "inc-1@3"]),
    ("nothing waits twice", [(FIRST, NOON_MS), (SECOND, NEAR), (None, FAR), (None, FAR * 2)],
     ["inc-1@1", "inc-1@2"]),
    ("more than counts, at once", [(FIRST, NOON_MS), (ROSE, NOON_MS)], ["inc-1@1", "inc-1@2"]),
    ("its end", [(FIRST, NOON_MS), (CLOSED, NOON_MS), (None, FAR)], ["inc-1@1", "inc-1@2"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "steps", "expected"), CASES, ids=[case[0] for case in CASES])
def test_versions_of_an_incident(store, name, steps, expected):
    feed(store, *steps)
    assert entered(store) == expected, name


@pytest.mark.parametrize(("name", "steps", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_restart_between_any_two_changes_nothing(tmp_path, name, steps, expected):
    for step in steps:
        with EmbeddedStore.open(tmp_path / "restarted") as store:
            feed(store, step)
    with EmbeddedStore.open(tmp_path / "restarted") as store:
        assert entered(store) == expected, name


def test_an_entry_holds_the_document(store):
    feed(store, (FIRST, NOON_MS))
    (payload,) = store.log.payloads("incident", "inc-1")
    assert msgspec.json.decode(payload) == incident_document(FIRST)


def test_what_waits_and_was_absorbed_is_not_entered_as_another(store):
    feed(store, (FIRST, NOON_MS), (SECOND, NEAR))
    other = incident("inc-2", merged=("inc-1",))
    feed(store, (other, NEAR), (None, FAR))
    assert entered(store) == ["inc-1@1", "inc-2@1"]


def test_a_finding_is_entered_once_with_the_numbers_that_decided(store):
    entries = Entries(store)
    with store.transaction():
        store.put_source("a1b2", "/var/log/access.log", 0, b"", b"")
        for one in [finding(), finding()]:
            entries.findings(store.put_findings([one]), NOON_MS)
    assert entered(store, "finding") == ["fin-1"]
    (payload,) = store.log.payloads("finding", "fin-1")
    document = msgspec.json.decode(payload)
    assert (document["rule"]["version"], document["breachline"]["explain"]) == (
        "1", {"limit": 5, "targets": 5},
    )  # fmt: skip


def configurations(store):
    return [msgspec.json.decode(p) for p in store.log.payloads("configuration")]


def test_settings_are_entered_at_each_start_else_when_they_change(store):
    plain, other = Settings(), Settings.model_validate({"canaries": {"ids": ["u-9"]}})
    for settings, at_ms, starts in [
        (plain, 1, True), (plain, 2, False), (other, 3, False), (plain, 4, False), (plain, 5, True),
    ]:  # fmt: skip
        enter_configuration(store, settings, at_ms, starts=starts)
    assert [entry.at_ms for entry in store.log.entries()] == [1, 3, 4, 5]
    first, changed, *_ = configurations(store)
    assert first == configuration_document(plain)
    assert changed["effective"]["canaries"] == {"ids": ["u-9"]}


def test_a_configuration_says_what_judges_and_gives_no_secret_away(tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("id,user\n")
    (tmp_path / "token").write_text("hunter2")
    settings = Settings.model_validate(
        {
            "intake": {"identities": {"file": people}},
            "respond": {"gateway": {"url": "http://192.0.2.1", "token_file": tmp_path / "token"}},
            "ledger": {"publish": {"webhook": "https://hooks.example.org/services/T0/hunter2"}},
        }
    )
    document = configuration_document(settings)
    assert document["software"] == version("breachline")
    assert document["rules"]["cross_user_read"] == "1"
    assert document["files"] == {"intake.identities.file": hashlib.sha256(b"id,user\n").hexdigest()}
    assert document["effective"]["ledger"]["publish"]["webhook"] == "https://hooks.example.org"
    assert b"hunter2" not in msgspec.json.encode(document)
    people.unlink()
    assert configuration_document(settings)["files"] == {
        "intake.identities.file": "unreadable: No such file or directory"
    }


def test_the_decider_enters_all_of_them(store):
    decider, who = Decider(Settings(), store), principal("u-17")
    batch = Batch("a1b2", exposures=[foreign(who, T0, "v1")])
    with store.transaction():
        decider.note(batch)
        step = decider.decide(batch, [found(who, T0)], T0, 0, T0)
    assert [entry.kind for entry in store.log.entries()][:3] == [
        "configuration", "finding", "incident",
    ]  # fmt: skip
    (name,) = entered(store)
    assert name == f"{step.incidents[0].id}@1"
    with store.transaction():
        decider.relist([NeverBlock(cidr="192.0.2.0/24", reason="head office")], T0)
        decider.relist([NeverBlock(cidr="192.0.2.0/24", reason="head office")], T0 + 1)
    assert [c["effective"]["respond"]["never_block"] for c in configurations(store)] == [
        [], [{"cidr": "192.0.2.0/24", "reason": "head office", "until": None}],
    ]  # fmt: skip


def test_a_receipt_that_contains_an_incident_is_a_version_of_it(store):
    settings = Settings.model_validate({"respond": {"mode": "enforce"}})
    decider, who = Decider(settings, store), principal("u-17")
    reads = [foreign(who, T0 + n, f"v{n}", ip="203.0.113.7") for n in range(12)]
    finds = found(who, T0, severity="critical", confidence=0.97, ips=("203.0.113.7",))
    with store.transaction():
        decider.note(Batch("a1b2", exposures=reads))
        step = decider.decide(Batch("a1b2", exposures=reads), [finds], T0, T0 - 10**8, T0)
        (block,) = [action for action in step.actions if action.kind == "block_ip"]
        assert decider.apply(receipt("act-unknown")) is None
        contained = decider.apply(receipt(block.id, at_ms=T0 + 5))
    assert contained is not None
    assert contained == store.incident(contained.id)
    assert contained.status == "contained"
    assert entered(store) == [f"{contained.id}@1", f"{contained.id}@2"]
