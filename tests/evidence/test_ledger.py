import contextlib
from hashlib import sha256

import pytest

from evidence.checkpoint import parse
from evidence.store import EmbeddedStore

ORIGIN = "breachline/test/evidence"


class Stamp:
    """Signs by a digest: what is signed counts here, not how."""

    name, key_id = ORIGIN, b"stmp"

    def sign(self, message):
        return sha256(message).digest()


def enter(store, first, count, **changes):
    for n in range(first, first + count):
        store.log.append("read", f"read-{n}", n, "inc-1", {"n": n, **changes})


def sealed(path):
    store = EmbeddedStore.open(path)
    store.ledger.sign_with(ORIGIN, [Stamp()])
    return store


def naive(leaves):
    """RFC 6962, 2.1, word for word."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + naive(leaves[:k]) + naive(leaves[k:])).digest()


def proved(store):
    """(size, root) of every signed head, each held against the leaves it speaks of."""
    leaves = [entry.leaf for entry in store.log.entries()]
    found = []
    for head in store.ledger.heads():
        checkpoint, (signature,) = parse(head.note)
        assert (checkpoint.origin, checkpoint.size) == (ORIGIN, head.size)
        assert checkpoint.root == naive(leaves[: head.size])
        assert signature.signature == sha256(checkpoint.text.encode()).digest()
        found.append(head.size)
    return found


def test_every_commit_that_appends_has_a_head(tmp_path):
    with sealed(tmp_path) as store:
        enter(store, 0, 1)
        with store.transaction():
            enter(store, 1, 3)
        with store.transaction():
            store.save_state([("a", "b", b"c")])
        enter(store, 3, 1)
        assert proved(store) == [1, 4]
        assert store.ledger.head() == list(store.ledger.heads())[-1]
        assert [head.size for head in store.ledger.heads(1)] == [4]


@pytest.mark.parametrize("sizes", [[255, 1, 1], [256, 256], [300, 700], [70_000, 5]])
def test_what_is_kept_of_the_tree_changes_nothing(tmp_path, sizes):
    first = 0
    for size in sizes:
        # Another process goes on each time.
        with sealed(tmp_path) as store, store.transaction():
            enter(store, first, size)
            first += size
    with EmbeddedStore.open_readonly(tmp_path) as store:
        assert proved(store)[-1] == first
        (newest,) = store.ledger.heads(first - 1)
        assert parse(newest.note)[0].root == store.ledger.tree.root(first)
        kept = {level for level, _ in store.rows("", "SELECT level, number FROM node")}
        assert kept == {level for level in (8, 16) if first >= 1 << level}


def test_a_head_is_undone_with_its_transaction(tmp_path):
    with sealed(tmp_path) as store:
        enter(store, 0, 255)
        with contextlib.suppress(KeyError), store.transaction():
            enter(store, 255, 5)
            raise KeyError
        enter(store, 255, 5, other=True)
        assert proved(store) == list(range(1, 261))


def test_what_nobody_signed_is_signed_by_who_comes_next(tmp_path):
    with EmbeddedStore.open(tmp_path) as store:
        enter(store, 0, 9)
        assert (store.ledger.size, store.ledger.head()) == (9, None)
    with sealed(tmp_path) as store:
        assert proved(store) == [9]


def test_an_empty_log_has_no_head(tmp_path):
    with sealed(tmp_path) as store:
        assert (store.ledger.size, store.ledger.head()) == (0, None)
        assert store.ledger.tree.root(0) == sha256().digest()
