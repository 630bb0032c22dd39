import gzip
import io
import json
import sys

import pytest

from tests import _attack

HOSTILE = "\x1b[31m[bold]x[/bold]\x9b2J\u202e"


def test_a_summary_that_a_person_can_act_on(cli, attack, tmp_path):
    said = cli("scan", attack, "--config", attack.parent / "breachline.yaml")
    assert (said.code, said.err) == (0, "")
    for part in (
        "access.log (ecs), in ",
        "Read 852 lines: 852 events, 0 rejected, 0 duplicate, 0 late.\n",
        "1 incident, 1 breach\n",
        "12 people affected, a breach\n",
        "would block 203.0.113.7 for 1 h (mode simulate: nothing is sent)\n",
        "--from var/scans/last\n",
        "Result: var/scans/last/\n",
    ):
        assert part in said.out
    assert "\x1b" not in said.out
    assert cli("incidents").out.count("SEV1") == 1


def test_as_json_findings_are_one_a_line(cli, attack, tmp_path):
    said = cli("scan", attack, "--json", "--out", "case 17")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, {row["event"]["kind"] for row in rows}) == (0, {"alert"})
    written = (tmp_path / "case 17" / "findings.ndjson").read_text()
    assert said.out == written
    assert len(rows) >= 3


FAIL_ON = [("low", 1), ("high", 1), ("critical", 1)]


@pytest.mark.parametrize(("severity", "code"), FAIL_ON)
def test_fail_on_a_severity(cli, attack, severity, code):
    config = ["--config", attack.parent / "breachline.yaml"]
    said = cli("scan", attack, *config, "--fail-on", severity)
    assert said.code == code
    assert f"There is a finding of severity {severity} or above." in said.err
    assert cli("scan", attack, *config, "--fail-on", severity, "--json").err == ""


def test_fail_on_what_is_not_reached(cli, attack):
    attack.write_text("".join([*_attack.ordinary(), *_attack.walk(["u-10"])]))
    said = cli("scan", attack, "--fail-on", "high")
    assert (said.code, said.err) == (0, "")
    assert cli("scan", attack, "--fail-on", "medium").code == 1


def test_standard_input(cli, attack, monkeypatch):
    read = io.TextIOWrapper(io.BufferedReader(io.BytesIO(attack.read_bytes())))
    monkeypatch.setattr(sys, "stdin", read)
    said = cli("scan", "-")
    assert "- (ecs), in" in said.out
    assert "852 events" in said.out


def test_several_logs_and_an_archive(cli, attack, tmp_path):
    lines = attack.read_text().splitlines(keepends=True)
    attack.write_text("".join(lines[500:]))
    (tmp_path / "old.log.gz").write_bytes(gzip.compress("".join(lines[:500]).encode()))
    said = cli("scan", attack, "old.log.gz")
    assert "Read 852 lines: 852 events" in said.out


def test_damage_is_a_warning_not_an_end(cli, attack, tmp_path):
    packed = gzip.compress(attack.read_bytes())
    (tmp_path / "cut.log.gz").write_bytes(packed[: len(packed) // 2])
    said = cli("scan", "cut.log.gz")
    assert said.code == 0
    assert said.err.startswith("Warning: cut.log.gz: truncated_archive at byte ")
    assert "Rejected: truncated_archive 1" in said.out


def test_nothing_understood_is_a_negative_answer(cli, tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary\n" * 3)
    said = cli("scan", "notes.txt")
    assert said.code == 1
    assert "notes.txt (nothing understood)" in said.out
    assert "No line was understood, so nothing could be judged." in said.out
    assert "No incident" not in said.out
    assert said.err.startswith("Every line was rejected")


def test_an_empty_log_is_no_error_and_not_safe(cli, tmp_path):
    (tmp_path / "empty.log").touch()
    said = cli("scan", "empty.log")
    assert said.code == 0
    assert "There is no line yet" in said.out


WRONG = [
    ("missing", ["nowhere.log"], "Error: reading nowhere.log: no such file"),
    ("a directory", ["."], "Error: reading .: it is a directory"),
    ("one of two missing", ["{log}", "nowhere.log"], "Error: reading nowhere.log"),
    ("a device", ["/dev/null"], "Error: reading /dev/null: it is not a regular file"),
    ("an unknown format", ["{log}", "--format", "cobol"], "Error: unknown format 'cobol'; known: "),
    ("no configuration", ["{log}", "--config", "no.yaml"], "Error: no.yaml: no such configuratio"),
    ("a file as --out", ["{log}", "--out", "{log}"], "is a file"),
    ("somebody's folder", ["{log}", "--out", "mine"], "Error: writing to mine: it holds thesis"),
    ("no such place", ["{log}", "--out", "/proc/nope/out"], "Error: /proc/nope"),
    ("no log", [], "Missing argument 'LOG...'"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage_is_said_before_anything_is_read(cli, attack, tmp_path, name, args, says):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    said = cli("scan", *(arg.format(log=attack) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert not (tmp_path / "var").exists()


def test_a_data_directory_is_never_replaced(cli, attack):
    assert cli("run", attack, "--once").code == 0
    said = cli("scan", attack, "--out", "var")
    assert said.code == 2
    assert "which no scan wrote" in said.err
    assert "852 lines that earlier runs read" in cli("run", attack, "--once").out


def test_a_scan_that_ends_early_leaves_no_half_result(cli, attack, tmp_path, monkeypatch):
    assert cli("scan", attack).code == 0

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("streams.scan.write_results", interrupted)
    assert cli("scan", attack) == (130, "", "Stopped.\n")
    assert list((tmp_path / "var" / "scans" / "last").iterdir()) == []
    assert cli("incidents").code == 2


def test_a_hostile_log_cannot_paint_the_screen(cli, tmp_path):
    lines = [
        _attack.entry(n, "u-1" + HOSTILE, f"/api/v1/users/u-{n}{HOSTILE}/profile", session=HOSTILE)
        for n in range(30)
    ]
    name = f"{HOSTILE.replace('/', '')}.log"
    (tmp_path / name).write_text("".join(lines))
    said = cli("scan", name)
    assert "SEV" in said.out
    assert "\\x1b[31m[bold]x[/bold]\\x9b2J\\u202e" in said.out
    for text in (said.out, said.err):
        assert text.replace("\n", "").isprintable()
