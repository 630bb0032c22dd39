import json

import pytest

from evidence.people import id_lines

CASES = [
    # name, ids, lines
    ("nobody", [], []),
    ("sorted and unique", ["u-2", "u-1", "u-2"], ["u-1", "u-2"]),
    ("as it is", ["CORP\\anna", "ö@example.test", "a b", 'it"s'],
     ["CORP\\anna", "a b", 'it"s', "ö@example.test"]),
    ("a line break", ["u-1\nu-2"], ['"u-1\\nu-2"']),
    ("a line break and its escape", ["u\n1", "u\\n1"], ['"u\\n1"', "u\\n1"]),
    ("what only looks like JSON", ['"u\\n1"', "u\n1"], ['"\\"u\\\\n1\\""', '"u\\n1"']),
    ("every kind of line end", ["a\rb", "a\x0bb", "a\x85b", "a\u2028b"],
     ['"a\\rb"', '"a\\u000bb"', '"a\\u0085b"', '"a\\u2028b"']),
    ("steers a terminal", ["\x1b[2J\u202e"], ['"\\u001b[2J\\u202e"']),
    ("half a character", ["\ud800"], ['"\\ud800"']),
    ("empty", [""], ['""']),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ids", "expected"), CASES, ids=[c[0] for c in CASES])
def test_one_id_is_one_line(name, ids, expected):
    assert id_lines(ids) == expected
    assert "".join(f"{line}\n" for line in expected).encode().decode().splitlines() == expected


@pytest.mark.parametrize(("name", "ids", "expected"), CASES, ids=[c[0] for c in CASES])
def test_every_id_can_be_read_back(name, ids, expected):
    back = {json.loads(line) if line.startswith('"') else line for line in id_lines(ids)}
    assert back == set(ids)
