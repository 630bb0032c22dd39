"""Real-shaped logs and what each line of them means, by format: golden/intake/FORMAT/*.log.

Beside each log stands .expected.ndjson: per line the fields that were found, or the reason why
none were. Regenerate with `PYTHONPATH=. .venv/bin/python tests/golden/test_golden_formats.py`,
then review the diff.
"""

from pathlib import Path

import msgspec
import orjson
import pytest

from intake.formats._base import detect, discover, is_blank
from intake.line import Unreadable
from intake.settings import IntakeSettings

HERE = Path(__file__).parent
LOGS = sorted((HERE / "intake").glob("*/*.log"))


def lines_of(log):
    return [line for line in log.read_bytes().split(b"\n") if not is_blank(line)]


def meaning(parse, line):
    """The fields of a line that say something."""
    try:
        parsed = parse(line)
    except Unreadable as why:
        return {"rejected": why.reason}
    said = {"bytes": parsed.bytes}
    silent = (None, "", (), False, -1)
    for name, value in msgspec.structs.asdict(parsed).items():
        if value not in silent or name == "status":
            said[name] = list(value) if isinstance(value, tuple) else value
    return {name: said[name] for name in parsed.__struct_fields__ if name in said}


def meanings(log, before=b"", after=b""):
    parse = discover()[log.parent.name].parser(IntakeSettings())
    return [meaning(parse, before + line + after) for line in lines_of(log)]


def expected_of(log):
    return log.with_suffix(".expected.ndjson")


@pytest.mark.parametrize("log", LOGS, ids=[f"{log.parent.name}/{log.name}" for log in LOGS])
def test_golden(log):
    expected = [orjson.loads(line) for line in expected_of(log).read_bytes().splitlines()]
    assert meanings(log) == expected
    found = detect(lines_of(log))
    assert found is not None
    assert found.name == log.parent.name


ROUND_A_LINE = [
    ("Windows' line end", b"", b"\r"),
    ("an editor's mark", b"\xef\xbb\xbf", b""),
    ("copytruncate", b"\0\0", b""),
    ("spaces behind", b"", b"  "),
]


@pytest.mark.parametrize(
    ("name", "before", "after"), ROUND_A_LINE, ids=[c[0] for c in ROUND_A_LINE]
)
@pytest.mark.parametrize("log", LOGS, ids=[f"{log.parent.name}/{log.name}" for log in LOGS])
def test_what_stands_round_a_line_is_no_part_of_it(log, name, before, after):
    assert meanings(log, before, after) == meanings(log)


def test_there_are_logs_of_every_format_in_the_folder():
    assert {log.parent.name for log in LOGS} == {
        folder.name for folder in (HERE / "intake").iterdir()
    }


if __name__ == "__main__":
    for path in LOGS:
        rows = [orjson.dumps(row) for row in meanings(path)]
        expected_of(path).write_bytes(b"\n".join(rows) + b"\n")
        print(f"wrote {expected_of(path).relative_to(HERE)}: {len(rows)} lines")
