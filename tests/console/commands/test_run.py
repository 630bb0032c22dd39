import json
import os
import signal

import pytest

from console.commands import run as run_module
from console.overview import Overview
from streams.clock import SystemClock
from streams.live import lock
from tests import _attack
from tests._gateway import TOKEN, Gateway


def test_once_and_once_again(cli, attack):
    config = ["--config", attack.parent / "breachline.yaml"]
    first = cli("run", attack, "--once", *config)
    assert (first.code, first.err) == (0, "")
    for part in (
        "Reading access.log.\n",
        "10:10:02  critical  cross_user_read: u-66 read financial data of 3 other users",
        "12 people affected, a breach\n",
        "\nKept in var/; the next run goes on from here.\n",
    ):
        assert part in first.out
    second = cli("run", attack, "--once", *config)
    assert second.code == 0
    assert "\n0 new lines. In all:\nRead 852 lines: 852 events" in second.out
    assert "12 people affected" in second.out
    assert "10:10:02" not in second.out


def test_as_json_only_new_findings_are_printed(cli, attack):
    first = cli("run", attack, "--once", "--json")
    assert {json.loads(line)["event"]["kind"] for line in first.out.splitlines()} == {"alert"}
    assert cli("run", attack, "--once", "--json") == (0, "", "")


def test_following_reports_what_was_there_and_ends_with_ctrl_c(cli, attack, monkeypatch):
    caught_up = Overview.caught_up

    def interrupting(overview):
        caught_up(overview)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Overview, "caught_up", interrupting)
    said = cli("run", attack)
    assert (said.code, said.err) == (130, "")
    assert "12 people affected" in said.out
    assert said.out.endswith(
        "Following: new findings appear here. Ctrl-C ends.\n"
        "\nKept in var/; the next run goes on from here.\n"
    )


WRONG = [
    ("nothing to follow", [], "Name a LOG to follow, or --example to see the bundled one."),
    ("two wishes", ["{log}", "--example"], "--example plays the bundled log"),
    ("missing", ["nowhere.log"], "Error: reading nowhere.log: no such file"),
    ("a directory", ["."], "Error: reading .: it is a directory"),
    ("nothing to end at", ["--once", "--config", "listen.yaml"], "Name a LOG to follow"),
    ("no token", ["--config", "listen.yaml"], "listen.http: the token is missing or empty: set $"),
    ("a broken configuration", ["{log}", "--config", "bad.yaml"], "Error: bad.yaml:1:17: respond"),
    ("no such place", ["{log}", "--data-dir", "/proc/nope"], "Error: /proc/nope"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, attack, tmp_path, name, args, says):
    (tmp_path / "bad.yaml").write_text("respond: {mode: enfroce}\n")
    (tmp_path / "listen.yaml").write_text("listen: {http: {token_env: NO_SUCH_TOKEN}}\n")
    said = cli("run", *(arg.format(log=attack) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert not (tmp_path / "var").exists()


def test_one_service_a_data_directory(cli, attack, tmp_path):
    with lock(tmp_path / "var"):
        said = cli("run", attack, "--once")
    assert said.code == 2
    assert "stop it, or give this one its own --data-dir" in said.err


def test_a_damaged_store_is_said(cli, attack, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "breachline.db").write_bytes(b"x" * 5000)
    said = cli("run", attack, "--once")
    assert said.code == 2
    assert "is not a database: move it away, or use another --data-dir" in said.err


@pytest.fixture
def enforcing(attack, monkeypatch):
    """A gateway, a configuration that enforces, and an attack that ended a moment ago."""
    monkeypatch.setenv("GATEWAY_TOKEN", TOKEN)
    attack.write_text("".join(_attack.as_of_now(SystemClock().now_ms())))
    with Gateway() as gateway:
        config = attack.parent / "enforce.yaml"
        config.write_text(
            f"{_attack.CONFIG}respond:\n  mode: enforce\n"
            f'  gateway: {{url: "{gateway.url}", token_env: GATEWAY_TOKEN}}\n'
        )
        yield gateway, config


def test_a_block_is_performed_once_and_contains_the_incident(cli, attack, enforcing):
    gateway, config = enforcing
    said = cli("run", attack, "--once", "--config", config)
    assert (said.code, said.err) == (0, "")
    assert f"blocks {_attack.ATTACKER_IP} for 1 h\n" in said.out
    assert f"gateway: confirmed: blocked {_attack.ATTACKER_IP}\n" in said.out
    incidents = cli("incidents", "--json").out
    assert json.loads(incidents)["status"] == "contained"
    assert cli("run", attack, "--once", "--config", config).code == 0
    assert (gateway.blocked, gateway.effects) == (
        [_attack.ATTACKER_IP], {("block", _attack.ATTACKER_IP): 1}
    )  # fmt: skip


def test_a_gateway_that_is_down_holds_nothing_up(cli, attack, enforcing):
    gateway, config = enforcing
    gateway.stop()
    said = cli("run", attack, "--once", "--config", config)
    assert said.code == 0
    assert "12 people affected" in said.out
    assert "gateway: failed: blocking 203.0.113.7: cannot connect" in said.out
    gateway.start()
    lines = [json.loads(line) for line in cli("blocks", "--json").out.splitlines()]
    assert [(row["target"], row["state"]) for row in lines] == [(_attack.ATTACKER_IP, "failed")]


def test_the_example_plays_and_plays_again(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "_PLAY_S", 0.25)
    for _ in range(2):
        said = cli("run", "--example")
        assert (said.code, said.err) == (0, "")
        assert "Playing the bundled example" in said.out
        assert "24 people affected, a breach" in said.out
        assert "would block 203.0.113.7" in said.out
        assert "make run LOG=/path/to/access.log" in said.out
        assert "lines that earlier runs read" not in said.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["var"]


def test_the_example_never_removes_what_is_not_its_own(cli, tmp_path):
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "thesis.txt").write_text("mine")
    said = cli("run", "--example", "--data-dir", ".")
    assert said.code == 2
    assert "it holds thesis.txt, which no play wrote" in said.err
    assert (tmp_path / "example" / "thesis.txt").read_text() == "mine"
