import hashlib
import json

from evidence.entry import Entry, canonical, commit, leaf, new_salt

SALT = bytes(range(16))


def test_a_leaf_is_canonical_json_of_what_gives_nothing_away():
    payload = canonical({"target": "203.0.113.7", "id": "act-1"})
    digest = hashlib.sha256(SALT + b"act-1\n" + payload).digest()
    assert commit(SALT, "act-1", payload) == digest
    entry = Entry(7, "act-1", "intent", 1_700_000_000_000, digest, SALT, payload)
    assert entry.leaf == leaf("intent", 1_700_000_000_000, digest)
    assert entry.leaf == canonical(
        {"at": 1_700_000_000_000, "commitment": digest.hex(), "kind": "intent"}
    )
    assert json.loads(entry.leaf)["kind"] == "intent"


def test_an_entry_that_was_erased_has_the_same_leaf():
    digest = commit(SALT, "act-1", b"{}")
    kept = Entry(1, "act-1", "intent", 5, digest, SALT, b"{}")
    assert Entry(1, "act-1", "intent", 5, digest, None, None).leaf == kept.leaf


def test_salts_differ():
    assert len({new_salt() for _ in range(100)}) == 100
    assert {len(new_salt()) for _ in range(10)} == {16}
