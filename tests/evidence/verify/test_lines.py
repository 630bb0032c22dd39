"""Lines of a bundle, one by one."""

import base64
import hashlib
import io
import json
import zipfile

import pytest

from evidence.verify.contents import Captured
from evidence.verify.lines import Lines
from evidence.verify.package import NEW, OLD, File, LeftOut, Manifest
from evidence.verify.report import Report

DATA = b"GET /users/7"
SHA = hashlib.sha256(DATA).hexdigest()
ROW = {
    "event": "a1b2-64", "source": "a1b2", "offset": 100, "sha256": SHA, "masked": False,
    "encoding": "text", "line": DATA.decode(),
}  # fmt: skip


def checked(row, captured=None, *, form=NEW, **manifest):
    data = json.dumps({**ROW, **row}).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        bundle.writestr("lines.ndjson", data)
    report = Report("x", "bundle")
    with zipfile.ZipFile(out) as bundle:
        said = Manifest(form, {"lines.ndjson": File("", len(data))}, **manifest)
        lines = Lines(bundle, said, report)
        lines.read()
        if captured:
            lines.check(captured, "here", 3, "cap-1")
    return [(problem.what, problem.index) for problem in report.problems]


ONE = Captured("a1b2-64", SHA, False)
GONE = Captured("a1b2-0", SHA, False)
CASES = [
    ("as it was", {}, ONE, {}, []),
    ("as base64", {"encoding": "base64", "line": base64.b64encode(DATA).decode()}, ONE, {}, []),
    ("no base64", {"encoding": "base64", "line": "?"}, None, {}, [("unreadable", None)]),
    ("elsewhere", {"offset": 101}, None, {}, [("moved", None)]),
    ("another line", {"line": "x"}, None, {}, [("altered", None)]),
    ("another digest", {"sha256": "00", "masked": True}, ONE, {}, [("altered", 3)]),
    ("not there", {}, GONE, {}, [("missing", 3)]),
    ("not there, and said so", {}, GONE, {"left_out": LeftOut(["a1b2-0"])}, []),
    ("not there, format 1", {}, GONE, {"form": OLD}, []),
    ("redacted", {"encoding": "redacted", "line": ""}, ONE, {"redactions": {"lines": 1}}, []),
    ("redacted, with a line", {"encoding": "redacted"}, None, {"redactions": {"lines": 1}},
     [("unreadable", None), ("missing", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "captured", "more", "says"), CASES, ids=[
    c[0] for c in CASES
])  # fmt: skip
def test_a_line(name, row, captured, more, says):
    assert checked(row, captured, **more) == says
