import pytest

import evidence._progress as module
from evidence._progress import Outbox, Source
from records.event import Reject
from records.stores import KeyedStore


def test_outbox_gives_what_is_due_longest_first(store):
    for action, due in (("act-b", 20), ("act-a", 20), ("act-c", 10), ("act-d", 21)):
        store.outbox_add(action, due)
    store.outbox_add("act-c", 99)  # it stays as it is
    assert [o.action for o in store.outbox_due(20)] == ["act-c", "act-a", "act-b"]
    assert store.outbox_due(10) == [Outbox("act-c", 0, 10, "", "waiting")]


def test_outbox_update(store):
    for action in ("act-a", "act-b", "act-c"):
        store.outbox_add(action, 1)
    store.outbox_update(
        "act-a", state="waiting", attempts=1, next_attempt_ms=50, reason="gateway: 503"
    )
    store.outbox_update("act-b", state="done", attempts=1, next_attempt_ms=0, reason="")
    store.outbox_update("act-c", state="approval", attempts=0, next_attempt_ms=0, reason="ask")
    assert store.outbox_due(49) == []
    assert store.outbox_due(50) == [Outbox("act-a", 1, 50, "gateway: 503", "waiting")]
    assert [o.state for o in store.outbox_all()] == ["waiting", "done", "approval"]
    with pytest.raises(LookupError, match="act-x is not in it"):
        store.outbox_update("act-x", state="done", attempts=1, next_attempt_ms=0, reason="")


def test_one_row_of_the_outbox(store):
    store.outbox_add("act-a", 5)
    assert store.outbox_row("act-a") == Outbox("act-a", 0, 5, "", "waiting")
    assert store.outbox_row("act-b") is None


def test_sources_are_replaced(store):
    store.put_source("s2", "b.log", 1, b"head", b"")
    store.put_source("s1", "a.log", 5, b"h\x00", b"p")
    store.put_source("s2", "b.log.1", 9, b"head", b"q")
    assert store.sources() == [
        Source("s1", "a.log", 5, b"h\x00", b"p"),
        Source("s2", "b.log.1", 9, b"head", b"q"),
    ]


def test_state_by_space_and_key(store):
    kept: KeyedStore = store
    store.save_state([("a", "k2", b"1"), ("a", "k1", b"2"), ("b", "k1", b"3"), ("a", "k3", b"")])
    assert list(kept.load_state("a")) == [("k1", b"2"), ("k2", b"1")]
    store.save_state(iter([("a", "k1", b""), ("a", "k2", b"8"), ("a", "k2", b"9")]))
    store.save_state([])
    assert list(kept.load_state("a")) == [("k2", b"9")]
    assert list(kept.load_state("b")) == [("k1", b"3")]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([("a", "k", b"1"), ("a", "k", b"")], []),
        ([("a", "k", b""), ("a", "k", b"1")], [("k", b"1")]),
    ],
)
def test_last_value_of_a_key_counts(store, items, expected):
    store.save_state(items)
    assert list(store.load_state("a")) == expected


def reject(n: int) -> Reject:
    return Reject("s1", n, "not_json", "0" * 64, f"line {n} \\xff")


def test_rejects_once_a_place_newest_kept(store, monkeypatch):
    store.add_rejects([reject(n) for n in range(5)])
    store.add_rejects([reject(4), reject(5)])
    assert list(store.rejects()) == [reject(n) for n in range(6)]
    assert list(store.rejects(2)) == [reject(4), reject(5)]
    assert list(store.rejects(0)) == []
    monkeypatch.setattr(module, "KEPT_REJECTS", 4)
    assert store.prune(0, 0)["rejects"] == 2
    assert list(store.rejects()) == [reject(n) for n in range(2, 6)]


def test_counts_add_up(store):
    store.add_counts({"lines": 10, "late": 0})
    store.add_counts({"lines": 5, "events": 2})
    assert store.counts() == {"events": 2, "late": 0, "lines": 15}


def test_staged_history_in_order_and_ids_only_grow(store):
    first = store.stage_history(b"a", 1)
    second = store.stage_history(b"b", 2)
    assert list(store.staged_history()) == [(first, 1, b"a"), (second, 2, b"b")]
    store.clear_staged(second)
    third = store.stage_history(b"c", 3)
    assert third > second > first
    store.clear_staged(second)
    assert list(store.staged_history()) == [(third, 3, b"c")]
