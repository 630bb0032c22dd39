"""The zip around a bundle; what is in it is in test_bundle.py."""

import io
import zipfile

import pytest

from evidence.verify.package import check_packing, digest_before, read_manifest, rows, text
from evidence.verify.report import Report
from tests._ledger import exported, fill, pack, sealed, unpack


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    with sealed(folder / "store") as store:
        fill(store)
        return exported(store, folder / "case.zip").read_bytes()


def packing(data):
    report = Report("x", "bundle")
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        readable = check_packing(io.BytesIO(data), bundle, report)
    return readable, [problem.says for problem in report.problems]


def with_zip(data, change):
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as bundle:
        change(bundle)
    return out.getvalue()


def comment(bundle):
    bundle.comment = b"x"


def stored(bundle):
    bundle.writestr(zipfile.ZipInfo("x"), b"x")


def deflated(bundle):
    bundle.writestr(zipfile.ZipInfo("x"), b"x", zipfile.ZIP_DEFLATED)


def odd(bundle):
    bundle.writestr(zipfile.ZipInfo("x"), b"x", zipfile.ZIP_BZIP2)


DIRECTORY = "its directory is not packed as an export packs it"
MEMBER = "{} is not packed as an export packs it"
CASES = [
    ("as it was", lambda d: d, (True, [])),
    ("something behind it", lambda d: d + b"x", (True, [DIRECTORY])),
    ("something before it", lambda d: b"x" + d, (True, [MEMBER.format("incident.json")])),
    ("a comment", lambda d: with_zip(d, comment), (True, [DIRECTORY])),
    ("a file of another tool", lambda d: with_zip(d, deflated), (True, [MEMBER.format("x")])),
    ("a file that is not packed", lambda d: with_zip(d, stored), (True, [MEMBER.format("x")])),
    ("a file that no export packs so", lambda d: with_zip(d, odd), (False, [MEMBER.format("x")])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "says"), CASES, ids=[c[0] for c in CASES])
def test_how_it_is_packed(case, name, change, says):
    assert packing(change(case)) == says


def test_the_same_parts_packed_by_the_same_rules_are_the_same(case, tmp_path):
    (tmp_path / "a.zip").write_bytes(case)
    pack(tmp_path / "b.zip", unpack(tmp_path / "a.zip"))
    assert (tmp_path / "b.zip").read_bytes() == case


def test_a_manifest_and_its_rows(case):
    report = Report("x", "bundle")
    with zipfile.ZipFile(io.BytesIO(case)) as bundle:
        read = read_manifest(bundle, report)
        assert read is not None
        manifest, data = read
        assert data == bundle.read("manifest.json")
        found = list(rows(bundle, "objects.ndjson", dict, manifest, report))
        assert found == [("objects.ndjson:1", b'{"object":"o-1"}\n', {"object": "o-1"})]
        assert list(rows(bundle, "nothing", dict, manifest, report)) == []
        assert text(bundle, "affected.txt", report) == "u-1\nu-2\n"
        assert text(bundle, "nothing", report) == ""
    assert report.intact


def test_the_digest_of_a_beginning():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_before(io.BytesIO(b"abc"), 0) == empty
    assert digest_before(io.BytesIO(b"abc"), 1)[:8] == "ca978112"
    assert digest_before(io.BytesIO(b"a"), 9)[:8] == "ca978112"
