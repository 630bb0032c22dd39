import base64
import hashlib
import json
import stat
import zipfile
from typing import Any

import pytest

from evidence.bundle import export, verify
from evidence.log import Approval
from records.ids import event_id

NOW_MS = 1_790_000_100_000
E = [event_id("a1b2", n * 100) for n in range(6)]


@pytest.fixture
def full(store, make):
    """An incident, its actions, its lines: one masked, one not UTF-8, one not kept."""
    store.put_findings([make.finding(evidence=(E[0], E[1], E[4]))])
    store.put_incidents([make.incident(version=3, merged=("inc-0",))])
    lines = [make.line(0), make.line(1, masked=True), make.line(2, b"\xff\x00"), make.line(5)]
    store.add_lines(lines)
    store.log.append_captured(lines[2], "inc-0", NOW_MS)
    store.log.append_intent(make.action())
    store.log.append_intent(make.action("act-2", incident="inc-0"))
    store.log.append_intent(make.action("act-3", incident="inc-other"))
    store.log.append_receipt(make.receipt())
    store.log.append_receipt(make.receipt("act-3"))
    store.log.append_approval(
        Approval(action="act-1", approved=True, by="ada", why="yes", at_ms=NOW_MS)
    )
    return store


DOCUMENTS: dict[str, Any] = {
    "incident": {"id": "inc-1", "b": 1, "a": "é"},
    "findings": [{"id": "fin-1"}],
    "affected": [{"user": "u-2", "reads": 1}, {"user": "u-1", "reads": 2}],
    "objects": [{"object": "o-1"}],
}


@pytest.fixture
def bundle(full, tmp_path):
    out = tmp_path / "bundle.zip"
    export(full, "inc-1", out, NOW_MS, **DOCUMENTS)
    return out


def parts(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def test_an_id_with_a_line_break_is_one_person(full, tmp_path):
    out = tmp_path / "bundle.zip"
    odd = [{"user": "u-1\nu-2"}, {"user": "u-1\\nu-2"}]
    export(full, "inc-1", out, NOW_MS, **{**DOCUMENTS, "affected": odd})
    assert parts(out)["affected.txt"] == b'"u-1\\nu-2"\nu-1\\nu-2\n'
    assert verify(out) == []


def test_bundle_holds_the_incident_and_verifies(bundle, make):
    files = parts(bundle)
    manifest = json.loads(files["manifest.json"])
    assert verify(bundle) == []
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert files["incident.json"] == '{"a":"é","b":1,"id":"inc-1"}'.encode()
    assert files["affected.txt"] == b"u-1\nu-2\n"
    assert files["objects.ndjson"] == b'{"object":"o-1"}\n'
    ids = {
        name: [json.loads(row)[key] for row in files[name].splitlines()]
        for name, key in (
            ("findings.ndjson", "id"),
            ("affected.ndjson", "user"),
            ("actions.ndjson", "id"),
            ("receipts.ndjson", "action"),
            ("approvals.ndjson", "action"),
            ("captured.ndjson", "event"),
        )
    }
    assert ids == {
        "findings.ndjson": ["fin-1"],
        "affected.ndjson": ["u-2", "u-1"],
        "actions.ndjson": ["act-1", "act-2"],
        "receipts.ndjson": ["act-1"],
        "approvals.ndjson": ["act-1"],
        "captured.ndjson": [E[2]],
    }
    lines = [json.loads(row) for row in files["lines.ndjson"].splitlines()]
    assert lines == [
        {
            "event": E[n],
            "source": "a1b2",
            "offset": n * 100,
            "sha256": make.line(n, data, masked).sha256,
            "masked": masked,
            "encoding": encoding,
            "line": line,
        }
        for n, data, masked, encoding, line in (
            (0, b"GET /users/7", False, "text", "GET /users/7"),
            (1, b"GET /users/7", True, "text", "GET /users/7"),
            (2, b"\xff\x00", False, "base64", base64.b64encode(b"\xff\x00").decode()),
        )
    ]
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in files.items()
        if name != "manifest.json"
    }
    assert manifest == {
        "format": "breachline-bundle/1",
        "created": "2026-09-21T14:15:00.000Z",
        "incident": "inc-1",
        "version": 3,
        "files": listed,
        "left_out": {"lines_not_kept": [E[4]], "lines_masked": 1},
    }


def test_same_contents_give_the_same_bytes(full, bundle, tmp_path):
    again = tmp_path / "again.zip"
    manifest = export(full, "inc-0", again, NOW_MS, **DOCUMENTS)
    assert again.read_bytes() == bundle.read_bytes()
    assert manifest == json.loads(parts(again)["manifest.json"])


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


def rewritten(bundle, change) -> None:
    """The bundle with its parts changed."""
    files = parts(bundle)
    change(files)
    with zipfile.ZipFile(bundle, "w") as out:
        for name, data in files.items():
            out.writestr(name, data)


def signed(files, name, data) -> None:
    """A change that the manifest covers, as a forger would make it."""
    files[name] = data
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    files["manifest.json"] = json.dumps(manifest).encode()


def line_changed(old: bytes, new: bytes):
    return lambda files: signed(files, "lines.ndjson", files["lines.ndjson"].replace(old, new, 1))


def first_row(data: bytes) -> bytes:
    return data[: data.index(b"\n") + 1]


FORGERIES = [
    ("missing file", lambda f: f.pop("affected.txt"), ["affected.txt is missing"]),
    ("extra file", lambda f: f.update({"x": b""}), ["x is not in the manifest"]),
    (
        "changed, same size",
        lambda f: f.update({"affected.txt": b"u-1\nu-3\n"}),
        ["affected.txt was changed: its SHA-256 is not the manifest's"],
    ),
    (
        "victim removed",
        lambda f: f.update({"affected.txt": b"u-1\n"}),
        ["affected.txt was changed: its size is not the manifest's 8"],
    ),
    (
        "longer",
        lambda f: f.update({"affected.txt": b"u" * 5_000_000}),
        ["affected.txt was changed: its size is not the manifest's 8"],
    ),
    (
        "no manifest",
        lambda f: f.pop("manifest.json"),
        ["manifest.json is missing: nothing else can be checked"],
    ),
    (
        "other format",
        lambda f: f.update({"manifest.json": b'{"format":"x","files":{}}'}),
        ["manifest.json has format 'x'; this breachline knows 'breachline-bundle/1'"],
    ),
    (
        "line rewritten under a new manifest",
        line_changed(b"users/7", b"users/8"),
        [f"lines.ndjson:1: the line of {E[0]} has not the SHA-256 beside it"],
    ),
    (
        "line moved to another event",
        line_changed(E[0].encode(), b"a1b2-7"),
        ["lines.ndjson:1: a1b2-7 is not at a1b2, 0"],
    ),
    (
        "captured under another digest",
        lambda f: signed(
            f, "captured.ndjson", f["captured.ndjson"].replace(b'"sha256":"', b'"sha256":"0')
        ),
        [f"captured.ndjson:1: {E[2]} was captured with another SHA-256"],
    ),
    (
        "line twice",
        lambda f: signed(f, "lines.ndjson", f["lines.ndjson"] + first_row(f["lines.ndjson"])),
        [f"lines.ndjson:4: {E[0]} is there twice"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "problems"), FORGERIES, ids=[c[0] for c in FORGERIES])
def test_verify_says_what_was_changed(bundle, name, change, problems):
    rewritten(bundle, change)
    assert verify(bundle) == problems


UNREADABLE = [
    ("manifest", "manifest.json", b"{", "manifest.json is unreadable"),
    ("lines", "lines.ndjson", b"{}\n", "lines.ndjson:1 is unreadable"),
    ("captured", "captured.ndjson", b"x\n", "captured.ndjson:1 is unreadable"),
]


@pytest.mark.parametrize(("name", "member", "data", "words"), UNREADABLE, ids=["m", "l", "c"])
def test_verify_says_what_is_unreadable(bundle, name, member, data, words):
    if member == "manifest.json":
        rewritten(bundle, lambda f: f.update({member: data}))
    else:
        rewritten(bundle, lambda f: signed(f, member, data))
    assert [problem[: len(words)] for problem in verify(bundle)] == [words]


def test_any_changed_byte_of_a_line_is_found(bundle):
    rewritten(bundle, lambda _: None)  # not compressed
    assert verify(bundle) == []
    data = bundle.read_bytes()
    lines = parts(bundle)["lines.ndjson"]
    start = data.index(lines)
    for place in range(start, start + len(lines)):
        changed = bytearray(data)
        changed[place] ^= 1
        bundle.write_bytes(changed)
        assert len(verify(bundle)) == 1


def test_file_that_is_no_zip(tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(b"hello")
    (problem,) = verify(path)
    assert problem.startswith("b.zip is no readable zip")
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none.zip")


def test_member_twice(bundle):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(bundle, "a") as out:
        out.writestr("affected.txt", b"u-1\nu-2\n")
    assert "affected.txt is in the bundle more than once" in verify(bundle)


def test_further_events_bring_their_lines_and_say_what_is_not_kept(full, tmp_path):
    out = tmp_path / "bundle.zip"
    manifest = export(full, "inc-1", out, NOW_MS, **DOCUMENTS, events=[E[5], E[0], E[3]])
    lines = [json.loads(row)["event"] for row in parts(out)["lines.ndjson"].splitlines()]
    assert sorted(lines) == sorted([E[0], E[1], E[2], E[5]])
    assert manifest["left_out"]["lines_not_kept"] == [E[3], E[4]]
    assert verify(out) == []
