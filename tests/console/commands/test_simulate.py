import json

import pytest


def test_a_log_its_truth_and_the_scan_that_finds_it(cli, tmp_path):
    said = cli("simulate", "--out", "world", "--lines", "3000", "--users", "200", "--seed", "7",
               "--office-users", "20", "--attackers", "1", "--attack", "wallet_walk")  # fmt: skip
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("world/access.log: 3,000 lines, 1 attackers.\n")
    (truth,) = (tmp_path / "world" / "affected").glob("*.txt")
    assert cli("scan", "world/access.log", "--config", "world/breachline.yaml").code == 0
    found = {path.read_text() for path in (tmp_path / "var/scans/last/affected").glob("*.txt")}
    assert truth.read_text() in found


def test_as_json_and_the_same_seed(cli, tmp_path):
    args = ["--lines", "300", "--users", "50", "--attackers", "0", "--office-users", "5", "--json"]
    answers = [json.loads(cli("simulate", "--out", name, *args).out) for name in ("a", "b")]
    assert [answer["lines"] for answer in answers] == [300, 300]
    logs = [(tmp_path / name / "access.log").read_bytes() for name in ("a", "b")]
    assert logs[0] == logs[1]


WRONG = [
    ("nowhere to write", [], "Missing option '--out'"),
    ("an unknown attack", ["--attack", "rain"], "attack 'rain': write one of"),
    ("no lines", ["--lines", "-5"], "ask for at least one"),
    ("no time", ["--start", "noon"], "'noon' is no time: write 2026-11-22T09:00:00Z"),
    ("an unknown format", ["--format", "cobol"], "'cobol' is not one of"),
    ("no such place", ["--out", "/proc/nope"], "/proc/nope"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, name, args, says):
    out = [] if name == "nowhere to write" or "--out" in args else ["--out", "world"]
    said = cli("simulate", *args, *out)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
