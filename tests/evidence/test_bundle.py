import base64
import hashlib
import json
import stat

import pytest

from evidence.bundle import export
from evidence.checkpoint import parse
from evidence.store import EmbeddedStore
from evidence.verify.bundle import check_bundle
from tests._ledger import (
    DOCUMENTS,
    NOW_MS,
    ORIGIN,
    E,
    exported,
    fill,
    key,
    line,
    sealed,
    signer,
)
from tests._ledger import unpack as parts


def problems(path):
    return [problem.says for problem in check_bundle(path, [key()]).problems]


@pytest.fixture
def full(tmp_path):
    """An incident, its actions, its lines: one masked, one not UTF-8, one not kept."""
    with sealed(tmp_path / "store") as store:
        yield fill(store)


@pytest.fixture
def bundle(full, tmp_path):
    return exported(full, tmp_path / "bundle.zip")


def test_an_id_with_a_line_break_is_one_person(full, tmp_path):
    odd = [{"user": "u-1\nu-2"}, {"user": "u-1\\nu-2"}]
    out = exported(full, tmp_path / "odd.zip", affected=odd)
    assert parts(out)["affected.txt"] == b'"u-1\\nu-2"\nu-1\\nu-2\n'
    assert problems(out) == []


def rows(data):
    return [json.loads(row) for row in data.splitlines()]


def test_bundle_holds_the_incident_and_verifies(bundle):
    files = parts(bundle)
    assert problems(bundle) == []
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert files["incident.json"] == '{"a":"é","b":1,"id":"inc-1"}'.encode()
    assert files["affected.txt"] == b"u-1\nu-2\n"
    assert files["objects.ndjson"] == b'{"object":"o-1"}\n'
    assert files["keys"] == f"{key()}\n".encode()
    ids = {
        name: [row[field] for row in rows(files[name])]
        for name, field in (
            ("affected.ndjson", "user"),
            ("actions.ndjson", "id"),
            ("receipts.ndjson", "action"),
            ("approvals.ndjson", "action"),
            ("captured.ndjson", "event"),
        )
    }
    assert ids == {
        "affected.ndjson": ["u-2", "u-1"],
        "actions.ndjson": ["act-1", "act-2"],
        "receipts.ndjson": ["act-1"],
        "approvals.ndjson": ["act-1"],
        "captured.ndjson": [E[0], E[1], E[2]],
    }
    assert rows(files["lines.ndjson"]) == [
        {
            "event": E[n],
            "source": "a1b2",
            "offset": n * 100,
            "sha256": line(n, data, masked).sha256,
            "masked": masked,
            "encoding": encoding,
            "line": text,
        }
        for n, data, masked, encoding, text in (
            (0, b"GET /users/7", False, "text", "GET /users/7"),
            (1, b"GET /users/7", True, "text", "GET /users/7"),
            (2, b"\xff\x00", False, "base64", base64.b64encode(b"\xff\x00").decode()),
        )
    ]


def test_the_manifest_lists_all_and_says_what_is_not_there(bundle):
    files = parts(bundle)
    assert list(files)[-2:] == ["manifest.json", "manifest.note"]
    assert json.loads(files["manifest.json"]) == {
        "format": "breachline-bundle/2",
        "created": "2026-09-21T14:15:00.000Z",
        "incident": "inc-1",
        "version": 3,
        "log": {"origin": ORIGIN, "size": 15},
        "entries": 12,
        "signed_by": [str(key())],
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in files.items()
            if not name.startswith("manifest.")
        },
        "left_out": {
            "entries_unsigned": 0,
            "findings_without_entry": [],
            "lines_not_kept": [E[4]],
            "lines_masked": 1,
            "lines_beyond_limits": 0,
        },
        "redactions": {},
    }


def test_entries_are_those_of_the_incident_its_findings_and_its_actions(full, bundle):
    entries = {entry.seq - 1: entry for entry in full.log.entries()}
    shown = rows(parts(bundle)["entries.ndjson"])
    assert [row["index"] for row in shown] == [1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 14]
    for row in shown:
        entry = entries[row["index"]]
        assert (row["id"], row["kind"], row["at"]) == (entry.entry_id, entry.kind, entry.at_ms)
        assert (row["salt"], row["payload"]) == (entry.salt.hex(), entry.payload.decode())
        assert row["leaf"] == entry.leaf.decode()
        proof = full.ledger.tree.inclusion(row["index"], 15)
        assert row["proof"] == [base64.b64encode(one).decode() for one in proof]


def test_same_contents_give_the_same_bytes(full, bundle, tmp_path):
    again = tmp_path / "again.zip"
    manifest = export(
        full, "inc-0", again, NOW_MS, **DOCUMENTS, keys=[signer().key], signers=[signer()]
    )
    assert again.read_bytes() == bundle.read_bytes()
    assert manifest == json.loads(parts(again)["manifest.json"])


def test_further_events_bring_their_lines_and_say_what_is_not_kept(full, tmp_path):
    out = exported(full, tmp_path / "more.zip", events=[E[5], E[0], E[3]])
    files = parts(out)
    assert sorted(row["event"] for row in rows(files["lines.ndjson"])) == sorted(
        [E[0], E[1], E[2], E[5]]
    )
    assert json.loads(files["manifest.json"])["left_out"]["lines_not_kept"] == [E[3], E[4]]
    assert problems(out) == []


def test_a_redacted_bundle_verifies_and_names_nobody(full, bundle, tmp_path):
    out = exported(full, tmp_path / "redacted.zip", redact=True)
    files, whole = parts(out), parts(bundle)
    assert problems(out) == []
    assert json.loads(files["manifest.json"])["redactions"] == {
        "people": 2, "lines": 3, "entries": 9,
    }  # fmt: skip
    for name, data in files.items():
        if name != "captured.ndjson":
            assert b"u-1\n" not in data, name
            assert b'"u-1"' not in data, name
            assert b'"u-2"' not in data, name
            assert b"GET /users" not in data, name
    assert files["affected.txt"] == b"user-1\nuser-2\n"
    (finding,) = rows(files["findings.ndjson"])
    assert (finding["user"], finding["message"]) == ({"id": "user-2"}, "user-1 and u-12")
    for row, full_row in zip(
        rows(files["entries.ndjson"]), rows(whole["entries.ndjson"]), strict=True
    ):
        assert (row["leaf"], row["proof"]) == (full_row["leaf"], full_row["proof"])
        kept = row["kind"] == "captured"
        assert (row["salt"], row["payload"]) == (
            (full_row["salt"], full_row["payload"]) if kept else ("", "")
        )
    digests = [row["sha256"] for row in rows(files["lines.ndjson"])]
    assert digests == [row["sha256"] for row in rows(whole["lines.ndjson"])]


def test_a_log_that_nobody_signed_is_signed_for_the_bundle_under_a_name_of_its_own(tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as store:
        fill(store)
        out = tmp_path / "bundle.zip"
        with pytest.raises(ValueError, match="nobody has signed its log"):
            exported(store, out, signers=[])
        exported(store, out, keys=[])
    assert problems(out) == []
    checkpoint, _ = parse(parts(out)["checkpoint"].decode())
    assert (checkpoint.size, checkpoint.origin[:32]) == (15, f"{ORIGIN}/export/")


def test_without_the_key_at_hand_the_manifest_is_not_signed_and_that_is_said(full, tmp_path):
    out = exported(full, tmp_path / "unsigned.zip", signers=[])
    assert "manifest.note" not in parts(out)
    says = "nobody has signed the manifest: only what entries hold is proven"
    report = check_bundle(out)
    assert (report.problems, says in report.unproven) == ([], True)
    assert problems(out) == [f"manifest.note is missing: {says}"]


def test_what_came_after_the_newest_head_is_left_out_where_nobody_can_sign_it(full, tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as store:
        store.log.append("read", "rd-late", 9, "inc-1", {"incident": "inc-1"})
        out = exported(store, tmp_path / "late.zip", signers=[])
        assert json.loads(parts(out)["manifest.json"])["left_out"]["entries_unsigned"] == 1
        assert check_bundle(out).problems == []
        out = exported(store, tmp_path / "signed.zip")
        assert "rd-late" in {row["id"] for row in rows(parts(out)["entries.ndjson"])}
        assert problems(out) == []


def test_published_heads_are_tied_to_the_bundle(full, tmp_path):
    notes = [head.note for head in full.ledger.heads()]
    out = exported(full, tmp_path / "tied.zip", published=notes)
    assert [row["note"] for row in rows(parts(out)["published.ndjson"])] == notes
    assert problems(out) == []


def test_unknown_incident(store, tmp_path):
    with pytest.raises(LookupError, match="exporting inc-9: no such incident"):
        export(store, "inc-9", tmp_path / "b.zip", NOW_MS, **DOCUMENTS)
    assert not (tmp_path / "b.zip").exists()


def test_failed_export_leaves_the_old_bundle(full, bundle):
    before = bundle.read_bytes()
    with pytest.raises(KeyError, match="user"):
        export(full, "inc-1", bundle, NOW_MS, **DOCUMENTS | {"affected": [{}]})
    with pytest.raises(TypeError):
        export(full, "inc-1", bundle, NOW_MS, **DOCUMENTS | {"objects": [{"a": object()}]})
    assert bundle.read_bytes() == before
    assert [p.name for p in bundle.parent.glob("*.tmp")] == []
