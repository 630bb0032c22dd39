import json

from tests import _attack


def test_all_is_well(cli, gateway):
    said = cli("doctor")
    assert (said.code, said.err) == (0, "")
    assert "ok    gateway: answers, 0 addresses blocked; mode simulate\n" in said.out
    rows = [json.loads(line) for line in cli("doctor", "--json").out.splitlines()]
    assert {row["state"] for row in rows} == {"ok", "note"}
    assert rows[0]["what"] == "configured files"


def test_a_gateway_that_is_down_is_exit_3(cli, gateway):
    gateway.stop()
    said = cli("doctor")
    assert said.code == 3
    assert "FAIL  gateway: cannot connect: is it running" in said.out
    assert said.err == "Error: a configured dependency could not be reached\n"
    assert cli("doctor", "--json").code == 3


def test_what_is_wrong_here_is_exit_1(cli, tmp_path):
    (tmp_path / "var").write_text("")
    said = cli("doctor")
    assert (said.code, said.err) == (1, "")
    assert "FAIL  data directory: " in said.out


def test_a_broken_configuration_is_exit_2(cli, tmp_path):
    (tmp_path / "breachline.yaml").write_text("respond: {mode: enfroce}\n")
    said = cli("doctor")
    assert (said.code, said.out) == (2, "")


def test_what_the_log_does_not_say_comes_with_the_line_to_add(cli, tmp_path):
    lines = [
        _attack.entry(n, f"u-{n % 5}", f"/api/v1/orders/{n}?x=%1b[31m", session=None)
        for n in range(40)
    ]
    (tmp_path / "orders.log").write_text("".join(lines))
    assert cli("run", "orders.log", "--once").code == 0
    out = cli("doctor").out
    assert "note  the log: 40 events on /api/v1/orders/{object}: nobody says whose" in out
    assert "      add: intake: {ownership:" in out
    assert out.replace("\n", "").isprintable()
