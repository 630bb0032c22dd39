import json

import pytest

from evidence.checkpoint import Checkpoint, note
from evidence.verify.published import published_marks, read_published
from evidence.verify.report import Report
from evidence.verify.trace import Mark
from tests._ledger import ORIGIN, signer, trust

R = [bytes([n]) * 32 for n in range(9)]


def head(size, root=None, *, origin=ORIGIN, by=1):
    return note(Checkpoint(origin, size, root or R[size]), [signer(by)])


def lines(*notes):
    return [(n, json.dumps({"note": text}).encode()) for n, text in enumerate(notes, 1)]


def mark(size, number):
    return Mark(size, R[size], f"the published head over {size} (line {number})")


def read(found):
    report = Report("x", "store")
    marks = published_marks(found, ORIGIN, trust(), report)
    return marks, [problem.what for problem in report.problems]


CASES = [
    ("none", [], ([], [])),
    ("by size, each once", lines(head(5), head(2), head(5)), ([mark(2, 2), mark(5, 1)], [])),
    ("of another log too", lines(head(5), head(2, origin=f"{ORIGIN}/scan/1")), ([mark(5, 1)], [])),
    ("of another log only", lines(head(2, origin=f"{ORIGIN}/scan/1")), ([], ["rewritten"])),
    ("by another", lines(head(5, by=101), head(2)), ([mark(2, 2)], ["unknown key"])),
    ("changed", lines(head(5).replace("\n5\n", "\n6\n"), head(2)), ([mark(2, 2)], ["forged head"])),
    ("two of one size", lines(head(5), head(5, R[4])), ([mark(5, 1)], ["rewritten"])),
    ("no JSON", [(1, b"x"), *lines(head(2))], ([mark(2, 1)], ["forged head"])),
    ("no note", [(1, b'{"note":"x"}'), *lines(head(2))], ([mark(2, 1)], ["forged head"])),
    ("no UTF-8", [(1, b'{"note":"\xff"}'), *lines(head(2))], ([mark(2, 1)], ["forged head"])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "found", "expected"), CASES, ids=[c[0] for c in CASES])
def test_marks_of_published_heads(name, found, expected):
    assert read(found) == expected


def test_the_file_is_lines_with_numbers(tmp_path):
    path = tmp_path / "heads.ndjson"
    path.write_bytes(b'{"note":"a"}\n\n{"note":"b"}\n')
    assert list(read_published(path)) == [(1, b'{"note":"a"}\n'), (3, b'{"note":"b"}\n')]
    with pytest.raises(FileNotFoundError):
        list(read_published(tmp_path / "none"))
