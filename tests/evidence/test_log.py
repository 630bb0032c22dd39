import json
import sqlite3
from hashlib import sha256

import pytest

from evidence.entry import Entry, canonical, commit
from evidence.log import Approval, Captured


def test_entries_are_numbered_without_gaps_and_once_an_id(store, make):
    log = store.log
    action, receipt = make.action(), make.receipt()
    approval = Approval(action="act-1", approved=True, by="ada", why="seen", at_ms=9)
    numbers = [
        log.append_intent(action),
        log.append_intent(action),
        log.append_receipt(receipt),
        log.append_receipt(receipt),
        log.append_captured(make.line(1), "inc-1", 7),
        log.append_captured(make.line(1), "inc-1", 8),
        log.append_approval(approval),
        log.append_intent(make.action("act-2")),
    ]
    assert numbers == [1, 1, 2, 2, 3, 3, 4, 5]
    entries = list(log.entries())
    assert [(e.seq, e.kind, e.at_ms) for e in entries] == [
        (1, "intent", action.decided_ms),
        (2, "receipt", receipt.at_ms),
        (3, "captured", 7),
        (4, "approval", 9),
        (5, "intent", action.decided_ms),
    ]
    payload, salt = canonical(action), entries[0].salt
    assert entries[0] == Entry(
        1, "act-1", "intent", action.decided_ms, commit(salt, "act-1", payload), salt, payload
    )
    assert list(log.entries(4)) == entries[4:]


def test_first_intent_of_an_id_stands(store, make):
    store.log.append_intent(make.action())
    store.log.append_intent(make.action(target="198.51.100.9"))
    assert store.log.action("act-1") == make.action()


def test_records_come_back(store, make):
    log = store.log
    actions = [make.action("act-b"), make.action("act-a", guard=make.action().guard)]
    receipts = [
        make.receipt("act-b", state="failed", retry_after_s=1.5),
        make.receipt("act-a"),
        make.receipt("act-b", attempt=2, read_back="present"),
    ]
    approvals = [Approval(action="act-b", approved=False, by="ada", why="no", at_ms=1)]
    for action in actions:
        log.append_intent(action)
    for receipt in receipts:
        log.append_receipt(receipt)
    log.append_approval(approvals[0])
    line = make.line(3, masked=True)
    log.append_captured(line, "inc-1", 4)
    assert list(log.actions()) == actions
    assert log.action("act-a") == actions[1]
    assert log.action("act-x") is None
    assert list(log.receipts()) == receipts
    assert list(log.receipts("act-b")) == [receipts[0], receipts[2]]
    assert list(log.approvals()) == approvals
    assert list(log.approvals("act-a")) == []
    captured = Captured(
        event=line.event, sha256=line.sha256, masked=True, incident="inc-1", at_ms=4,
        kept_sha256=sha256(line.data).hexdigest(),
    )  # fmt: skip
    assert list(log.captured("inc-1")) == list(log.captured()) == [captured]
    assert list(log.captured("inc-2")) == []


def test_append_is_undone_with_its_transaction(store, make):
    def undone():
        with store.transaction():
            store.log.append_intent(make.action())
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    assert list(store.log.entries()) == []
    assert store.log.append_intent(make.action()) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log SET at_ms = 0", "DELETE FROM log", "UPDATE body SET payload = ''",
        "DELETE FROM body", "INSERT OR REPLACE INTO body SELECT * FROM body",
        "INSERT OR REPLACE INTO log SELECT * FROM log",
    ],
)  # fmt: skip
def test_entries_never_change(store, make, change):
    store.log.append_intent(make.action())
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        store._db.execute(change)


def test_canonical_json_is_sorted_and_tight(make):
    text = canonical(make.action()).decode()
    assert text == json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert (
        canonical({"b": 1, "a": {"d": "é", "c": None}}) == '{"a":{"c":null,"d":"é"},"b":1}'.encode()
    )


def test_the_last_number_is_that_of_the_newest_entry(store, make):
    assert store.log.last_seq == 0
    store.log.append_intent(make.action("act-1"))
    store.log.append_intent(make.action("act-1"))
    store.log.append_intent(make.action("act-2"))
    assert store.log.last_seq == 2 == max(entry.seq for entry in store.log.entries())


def test_other_records_are_found_by_what_they_are_of(store):
    log = store.log
    first = {"id": "fin-1", "rule": "canary"}
    assert log.append("finding", "fin-1", 5, "inc-1", first) == 1
    assert log.append("finding", "fin-1", 6, "inc-2", {}) == 1
    assert log.append("read", "read-1", 7, "inc-1", {"by": "ada", "why": "case 17"}) == 2
    assert list(log.payloads("finding", "inc-1")) == [canonical(first)]
    assert list(log.payloads("read")) == [b'{"by":"ada","why":"case 17"}']
    assert list(log.payloads("read", "inc-2")) == []


def test_what_is_entered_as_erased_can_go_and_its_leaf_stays(store, make):
    store.log.append_intent(make.action("act-1"))
    store.log.append_intent(make.action("act-2"))
    before = list(store.log.entries())
    store._db.execute("INSERT INTO erased VALUES (1, 2)")
    store._db.execute("DELETE FROM body WHERE seq = 1")
    after = list(store.log.entries())
    assert [(e.seq, e.entry_id, e.leaf) for e in after] == [
        (e.seq, e.entry_id, e.leaf) for e in before
    ]
    assert (after[0].salt, after[0].payload, after[1]) == (None, None, before[1])
    assert [action.id for action in store.log.actions()] == ["act-2"]
