import json

import pytest

LINE = (
    '192.0.2.7 - - [22/Nov/2026:10:00:00 +0000] "GET /users/17?token=abcdefgh12345 HTTP/1.1" '
    '200 5 "-" "curl/8"'
)
CARRIED = "2026-11-22T10:00:00.5Z stdout F "


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "access.log"
    path.write_text(f"{CARRIED}starting up\n" + f"{CARRIED}{LINE}\n" * 4)
    return path


def test_the_list(cli):
    said = cli("formats")
    assert (said.code, said.err) == (0, "")
    assert "\nnginx\n  nginx: combined with any further fields" in said.out
    assert "says: address, user, session, claimed user, agent, bytes" in said.out
    assert said.out.endswith("What is understood of a log: breachline formats test LOG\n")


def test_the_list_as_json(cli):
    rows = [json.loads(line) for line in cli("formats", "--json").out.splitlines()]
    assert len(rows) >= 16
    assert all(set(row) == {"name", "is", "examples", "says"} for row in rows)


def test_a_log_line_by_line(cli, log, tmp_path):
    said = cli("formats", "test", log, "--lines", 1)
    assert (said.code, said.err) == (0, "")
    assert "      4 nginx in cri\n" in said.out
    assert "      1 not understood: not_this_format\n" in said.out
    assert "  format     nginx, carried in cri\n" in said.out
    assert "  client     192.0.2.7 (the direct peer)\n" in said.out
    assert "  whose data 17 (by the path)\n" in said.out
    assert "abcdefgh12345" not in said.out
    assert said.out.count("\nline ") == 2
    assert "What this log does not say" in said.out
    assert "add: log_format breachline escape=json" in said.out
    assert not (tmp_path / "var").exists(), "looking leaves nothing behind"


def test_a_log_as_json(cli, log):
    rows = [json.loads(line) for line in cli("formats", "test", log, "--json").out.splitlines()]
    assert [row.get("rejected", row.get("format", "hint")) for row in rows[:4]] == [
        "not_this_format", "nginx", "nginx", "nginx",
    ]  # fmt: skip
    assert {row["hint"]["missing"] for row in rows[4:]} == {"principal", "session"}


def test_what_the_configuration_says_counts(cli, log, tmp_path):
    (tmp_path / "breachline.yaml").write_text("intake: {trust: {principal: gateway}}\n")
    log.write_text(LINE.replace("- - [", "- 18 [") + "\n")
    said = cli("formats", "test", log)
    assert "  user       18 (your gateway vouches for it)\n" in said.out
    assert "  verdict    foreign\n" in said.out


def test_a_log_of_no_format(cli, tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary\n" * 3)
    said = cli("formats", "test", "notes.txt")
    assert (said.code, said.err) == (1, "No line was understood.\n")
    assert "None of 3 lines is of a format that is known" in said.out
    assert "add: intake: {log_format:" in said.out


def test_a_log_of_no_requests(cli, tmp_path):
    line = "Feb  6 12:12:09 lb haproxy[7]: Connect from 192.0.2.7:3312 to 192.0.2.1:80 (www/HTTP)\n"
    (tmp_path / "haproxy.log").write_text(line * 3)
    said = cli("formats", "test", "haproxy.log")
    assert said.code == 1
    assert "None of 3 lines tells of an HTTP request." in said.out
    assert "add: the access log of your server (of HAProxy: option httplog, " in said.out


def test_an_empty_log(cli, tmp_path):
    (tmp_path / "empty.log").touch()
    said = cli("formats", "test", "empty.log")
    assert (said.code, said.out) == (0, "empty.log: the first 0 lines\n")


WRONG = [
    ("missing", ["nowhere.log"], "Error: reading nowhere.log: no such file"),
    ("an unknown format", ["{log}", "--format", "cobol"], "Error: unknown format 'cobol'; known: "),
    ("no log", [], "Missing argument 'LOG'"),
    ("no lines", ["{log}", "--lines", "0"], "Invalid value for '--lines'"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, log, name, args, says):
    said = cli("formats", "test", *(arg.format(log=log) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err
