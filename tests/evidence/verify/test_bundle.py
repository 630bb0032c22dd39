"""What the check of a bundle says of one that was written anew in part, and of older formats.

Every flipped bit is in tests/contract/test_tamper_bundle.py.
"""

import json
import shutil
import warnings
import zipfile
from pathlib import Path

import pytest

from evidence.verify.bundle import check_bundle
from tests._ledger import E, covered, exported, fill, key, pack, published, sealed, unpack

GOLDEN = Path(__file__).parents[2] / "golden" / "bundle" / "format-1.zip"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """The bundle, and the notes of its log's heads."""
    folder = tmp_path_factory.mktemp("case")
    with sealed(folder / "store") as store:
        fill(store)
        notes = [head.note for head in store.ledger.heads()]
        return exported(store, folder / "case.zip", published=notes[1:2]), notes


@pytest.fixture
def old(tmp_path):
    """A bundle as the first version wrote them."""
    return Path(shutil.copy(GOLDEN, tmp_path / "old.zip"))


def says(path, *keys):
    return [problem.says for problem in check_bundle(path, list(keys) or None).problems]


def rewritten(path, change):
    files = unpack(path)
    change(files)
    pack(path, files)


def line_changed(before, after):
    return lambda f: covered(f, "lines.ndjson", f["lines.ndjson"].replace(before, after, 1))


def first_row(data):
    return data[: data.index(b"\n") + 1]


FORGERIES = [
    ("nothing", lambda f: None, []),
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
        ["manifest.json has format 'x'; this breachline knows 'breachline-bundle/2'"],
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
        lambda f: covered(
            f, "captured.ndjson", f["captured.ndjson"].replace(b'"sha256":"', b'"sha256":"0')
        ),
        [f"captured.ndjson:1: {E[2]} was captured with another SHA-256"],
    ),
    (
        "line twice",
        lambda f: covered(f, "lines.ndjson", f["lines.ndjson"] + first_row(f["lines.ndjson"])),
        [f"lines.ndjson:4: {E[0]} is there twice"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "problems"), FORGERIES, ids=[c[0] for c in FORGERIES])
def test_format_1_is_checked_as_before(old, name, change, problems):
    rewritten(old, change)
    assert says(old) == problems


def test_format_1_proves_no_more_than_that_it_fits_together(old):
    (unproven,) = check_bundle(old, [key()]).unproven
    assert unproven.startswith("a bundle of breachline-bundle/1 has no proofs")


UNREADABLE = [
    ("manifest", "manifest.json", b"{", "manifest.json is unreadable"),
    ("lines", "lines.ndjson", b"{}\n", "lines.ndjson:1 is unreadable"),
    ("captured", "captured.ndjson", b"x\n", "captured.ndjson:1 is unreadable"),
]


@pytest.mark.parametrize(("name", "member", "data", "words"), UNREADABLE, ids=["m", "l", "c"])
def test_what_is_unreadable_is_said(old, name, member, data, words):
    if member == "manifest.json":
        rewritten(old, lambda f: f.update({member: data}))
    else:
        rewritten(old, lambda f: covered(f, member, data))
    assert [problem[: len(words)] for problem in says(old)] == [words]


def test_no_zip_and_no_file(tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(b"hello")
    (problem,) = says(path)
    assert problem.startswith("b.zip is no readable zip")
    with pytest.raises(FileNotFoundError):
        check_bundle(tmp_path / "none.zip")
    with pytest.raises(IsADirectoryError):
        check_bundle(tmp_path)


def test_member_twice(old):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(old, "a", zipfile.ZIP_DEFLATED) as out:
            out.writestr("affected.txt", b"u-1\nu-2\n")
    assert "affected.txt is in the bundle more than once" in says(old)


def edited(path, name, change):
    """A row of a file changed, under a manifest that says so."""

    def forge(files):
        rows = [json.loads(row) for row in files[name].splitlines()]
        change(rows)
        data = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        covered(files, name, data)

    rewritten(path, forge)


FORGED = [
    ("an action", "actions.ndjson", lambda r: r[0].update(target="192.0.2.1"),
     "actions.ndjson:1: no entry of the log says this"),
    ("no receipt", "receipts.ndjson", lambda r: r.clear(),
     "receipts.ndjson: an entry of the log is not in it"),
    ("another finding", "findings.ndjson", lambda r: r[0]["event"].update(id="fin-2"),
     "findings.ndjson:1: no entry of the log is of finding fin-2"),
    ("no line", "lines.ndjson", lambda r: r.pop(0), "entries.ndjson:3: the line of a1b2-0 is"),
    ("masked or not", "lines.ndjson", lambda r: r[1].update(masked=False),
     "entries.ndjson:4: the line of a1b2-64 was altered: whether it was masked"),
    ("another encoding", "lines.ndjson", lambda r: r[1].update(encoding="x"),
     "lines.ndjson:2 is unreadable: it is no x"),
    ("redacted unsaid", "lines.ndjson", lambda r: r[1].update(encoding="redacted", line=""),
     "lines.ndjson: 1 lines are without content, the manifest says 0"),
    ("content gone", "entries.ndjson", lambda r: r[0].update(salt="", payload=""),
     "1 entries are without content, and the manifest says 0"),
    ("its kind", "entries.ndjson", lambda r: r[0].update(kind="incident"),
     "entry 1 (fin-1) was altered: its kind or time is not that of its leaf"),
    ("its salt", "entries.ndjson", lambda r: r[0].update(salt=r[0]["salt"].upper() + "x"),
     "entry 1 (fin-1) was altered: its content is not what its leaf commits to"),
    ("no leaf", "entries.ndjson", lambda r: r[0].update(leaf="x"),
     "entry 1 (fin-1) was altered: neither its leaf nor its content is in the log"),
    ("an entry of another log", "entries.ndjson", lambda r: r[0].update(proof=r[1]["proof"]),
     "entry 1 (fin-1) was inserted: the log does not have it at its place"),
    ("a proof of anything", "published.ndjson", lambda r: r[0].update(proof=["x"]),
     "published.ndjson:1: the log does not begin with what this head is over"),
    ("a head that is none", "published.ndjson", lambda r: r[0].update(note="x"),
     "checkpoint or signature: it has no signatures"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "member", "change", "problem"), FORGED, ids=[
    c[0] for c in FORGED
])  # fmt: skip
def test_what_a_forger_wrote_is_said(case, tmp_path, name, member, change, problem):
    path = Path(shutil.copy(case[0], tmp_path / "case.zip"))
    edited(path, member, change)
    found = says(path, key())
    assert [one for one in found if one.startswith(problem)]
    assert "the manifest is not the one that was signed" in found


def test_heads_that_were_published_are_held_against_it(case):
    path, notes = case
    report = check_bundle(path, [key()], published(notes[1], notes[-1]))
    assert (report.published, report.problems, report.unproven) == (2, [], [])
    report = check_bundle(path, [key()], published(notes[0]))
    assert report.problems == []
    assert [one[:30] for one in report.unproven] == ["that it is of the log whose he"]


def test_a_key_in_it_proves_nobody(case):
    report = check_bundle(case[0])
    assert report.problems == []
    (unproven,) = report.unproven
    assert unproven.startswith("who signed it: the key is the bundle's own.")
    assert str(key()) in unproven


def test_a_redacted_bundle_whose_actions_are_others_is_found(tmp_path):
    with sealed(tmp_path / "store") as store:
        fill(store)
        path = exported(store, tmp_path / "case.zip", redact=True)
    assert says(path, key()) == []
    edited(path, "actions.ndjson", lambda rows: rows[0].update(id="act-9"))
    assert [
        f"actions.ndjson and the entries differ in {one}" in says(path, key())
        for one in ("act-1", "act-9")
    ] == [True, True]


def test_without_any_key_it_is_said_that_no_signature_was_checked(tmp_path):
    with sealed(tmp_path / "store") as store:
        fill(store)
        path = exported(store, tmp_path / "case.zip", keys=[], signers=[])
    report = check_bundle(path)
    assert (report.problems, report.signed_by) == ([], [])
    assert [one[:45] for one in report.unproven] == [
        "who signed it, and whether it is signed at al",
        "nobody has signed the manifest: only what ent",
    ]
    assert check_bundle(path, [key()]).signed_by == [str(key())]
