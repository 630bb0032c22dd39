import json

import pytest

from tests import _attack


def test_events_as_ecs(cli, attack):
    said = cli("parse", attack, "--config", attack.parent / "breachline.yaml")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, said.err, len(rows)) == (0, "", 852)
    assert [row["breachline"]["verdict"] for row in rows].count("foreign") == 12
    last = rows[-1]
    assert last["@timestamp"] == "2026-11-22T10:10:11.000Z"
    assert last["user"] == {"id": _attack.ATTACKER}
    assert last["breachline"]["targets"] == ["u-21"]
    assert last["log"]["file"] == {"path": str(attack)}


def test_rejects_instead(cli, attack):
    with attack.open("a") as log:
        log.write("{nonsense\n")
    said = cli("parse", attack, "--rejects")
    (row,) = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, row["line"]) == (0, "{nonsense")
    assert row["offset"] == attack.stat().st_size - len("{nonsense\n")


def test_a_copy_is_not_printed_again(cli, attack, tmp_path):
    (tmp_path / "copy.log").write_bytes(attack.read_bytes())
    assert len(cli("parse", attack, "copy.log").out.splitlines()) == 852


def test_nothing_understood_is_a_negative_answer(cli, tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary\n" * 3)
    said = cli("parse", "notes.txt")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("None of 3 lines was understood: see breachline parse --rejects")
    assert len(cli("parse", "notes.txt", "--rejects").out.splitlines()) == 3


def test_an_empty_log_is_no_error(cli, tmp_path):
    (tmp_path / "empty.log").touch()
    assert cli("parse", "empty.log") == (0, "", "")


WRONG = [
    ("missing", ["nowhere.log"], "Error: reading nowhere.log: no such file"),
    ("a directory", ["."], "Error: reading .: it is a directory"),
    ("an unknown format", ["{log}", "--format", "cobol"], "Error: unknown format 'cobol'; known: "),
    ("no log", [], "Missing argument 'LOG...'"),
    ("no place for the key", ["{log}", "--data-dir", "/proc/nope"], "Error: /proc/nope"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, attack, name, args, says):
    said = cli("parse", *(arg.format(log=attack) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err
