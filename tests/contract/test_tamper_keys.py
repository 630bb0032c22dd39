"""Forged heads, swapped keys, older copies and other histories are found, if only by what was told
elsewhere: whoever has the key can make a log that is right in itself."""

import shutil

import pytest

from evidence.checkpoint import Checkpoint, note
from evidence.store import EmbeddedStore
from evidence.verify.bundle import check_bundle
from evidence.verify.store import check_store, read_heads, read_leaves
from tests._ledger import (
    ORIGIN,
    covered,
    exported,
    fill,
    found,
    key,
    pack,
    past_the_guards,
    published,
    sealed,
    signer,
    trust,
    unpack,
)


def forged(path, number):
    """A store with another history, signed by this key."""
    with sealed(path, number) as store:
        fill(store)
    return path


def test_a_head_signed_by_another_is_found(folder):
    with EmbeddedStore.open_readonly(folder) as store:
        root = store.ledger.tree.root(12)
    head = note(Checkpoint(ORIGIN, 12, root), [signer(101)])
    with past_the_guards(folder) as db:
        db.execute("UPDATE head SET note = ? WHERE size = 12", (head,))
    (problem,) = check_store(folder, trust()).problems
    assert problem.what == "unknown key"
    assert "head over 12" in problem.says


def test_a_log_that_was_written_anew_with_another_key_is_found(tmp_path, original):
    other = forged(tmp_path / "other", 101)
    # With the public key in its place it fits together: whose it is, only the right key says.
    assert check_store(other, trust(101)).intact
    report = check_store(other, trust())
    assert {problem.what for problem in report.problems} == {"unknown key"}
    heads = published(*(note for _, note in read_heads(original / "store")))
    report = check_store(other, trust(101), heads)
    assert {problem.what for problem in report.problems} == {"unknown key"}
    # And where the attacker left the right key beside the own one:
    both = trust(1)
    both.known.update(trust(101).known)
    (problem,) = check_store(other, both).problems
    assert (problem.what, str(key(101)) in problem.says) == ("unknown key", True)


def test_a_bundle_that_was_signed_anew_is_found(tmp_path, original):
    with EmbeddedStore.open(tmp_path / "other") as store:
        store.ledger.sign_with(ORIGIN, [signer(101)])
        fill(store)
        path = exported(store, tmp_path / "case.zip", signers=[signer(101)], keys=[signer(101).key])
    report = check_bundle(path)
    assert report.intact
    assert str(key(101)) in report.unproven[0]
    assert {p.what for p in check_bundle(path, [key()]).problems} == {"unknown key"}


def test_a_swapped_key_in_a_bundle_is_found(tmp_path, original):
    files = unpack(original / "case.zip")
    covered(files, "keys", f"{key(101)}\n".encode())
    pack(tmp_path / "case.zip", files)
    report = check_bundle(tmp_path / "case.zip")
    assert {p.what for p in report.problems} == {"unknown key"}


def test_a_key_that_the_old_one_has_signed_with_is_trusted(tmp_path):
    for numbers in ((1,), (1, 2), (2,)):
        with EmbeddedStore.open(tmp_path) as store:
            store.ledger.sign_with(ORIGIN, [signer(n) for n in numbers])
            name = "rd-" + "-".join(map(str, numbers))
            store.log.append("read", name, 5, "inc-1", {"incident": "inc-1"})
    for trusted in (1, 2):
        known = trust(trusted)
        known.known.update(trust(3 - trusted).known)
        assert check_store(tmp_path, known).intact
    assert not check_store(tmp_path, trust(1)).intact


def test_an_older_copy_put_back_is_found_by_what_was_published(tmp_path):
    with sealed(tmp_path / "store") as store:
        store.log.append("read", "rd-1", 5, "inc-1", {"incident": "inc-1"})
        shutil.copytree(tmp_path / "store", tmp_path / "copy")
        store.log.append("read", "rd-2", 5, "inc-1", {"incident": "inc-1"})
        store.log.append("read", "rd-3", 5, "inc-1", {"incident": "inc-1"})
        notes = [head.note for head in store.ledger.heads()]
    assert check_store(tmp_path / "copy", trust()).intact
    report = check_store(tmp_path / "copy", trust(), published(notes[0], notes[2]))
    assert found(report) == [("rolled back", 1)]
    records = list(read_leaves(tmp_path / "copy"))
    assert check_store(tmp_path / "store", trust(), published(*notes)).intact
    assert len(records) == 1


@pytest.mark.parametrize("index", range(1, 9))
def test_a_history_that_was_rewritten_with_the_right_key_is_found_by_what_was_published(
    tmp_path, monkeypatch, index
):
    """Nothing in the store itself can show it; of two copies the published head names one."""
    monkeypatch.setattr("evidence.log.new_salt", lambda: b"s" * 16)
    for name in ("true", "other"):
        with sealed(tmp_path / name) as store:
            for n in range(1, 9):
                said = "changed" if name == "other" and n == index else "first"
                store.log.append("read", f"rd-{n}", n, "inc-1", {"incident": "inc-1", "by": said})
    heads = [note for _, note in read_heads(tmp_path / "true")]
    assert check_store(tmp_path / "other", trust()).intact
    report = check_store(tmp_path / "other", trust(), published(*heads))
    assert found(report) == [("rewritten", index - 1)]
    some = check_store(tmp_path / "other", trust(), published(heads[2], heads[5], heads[7]))
    assert found(some) == [("rewritten", max(n for n in (0, 3, 6) if n < index))]


def test_a_bundle_of_a_rewritten_history_is_found_by_what_was_published(tmp_path, original):
    notes = [note for _, note in read_heads(original / "store")]
    with sealed(tmp_path / "other") as store:
        store.log.append("read", "rd-9", 5, "inc-1", {"incident": "inc-1"})
        fill(store)
        path = exported(store, tmp_path / "case.zip", published=[notes[0]])
    assert "rewritten" in {p.what for p in check_bundle(path, [key()]).problems}
    with EmbeddedStore.open(tmp_path / "other") as store:
        path = exported(store, tmp_path / "case.zip")
    assert check_bundle(path, [key()]).intact
    assert check_bundle(path, [key()], published(*notes)).unproven != []
