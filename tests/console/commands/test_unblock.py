import json

import pytest

from tests.console._deployment import CONFIG


def test_a_block_is_lifted(cli, gateway):
    cli("block", "203.0.113.7")
    said = cli("unblock", "203.0.113.7", "--reason", "head office")
    assert said == (0, "203.0.113.7 is not blocked any more: lifted 203.0.113.7\n", "")
    assert gateway.blocked == []


def test_as_json_also_what_nobody_here_blocked(cli, gateway):
    gateway.blocked.append("203.0.113.9")
    said = cli("unblock", "203.0.113.9", "--json")
    assert json.loads(said.out) == {
        "ip": "203.0.113.9", "state": "expired", "detail": "lifted 203.0.113.9"
    }  # fmt: skip


WRONG = [("office", 2, "give one IPv4"), ("203.0.113.0/24", 2, "give one IPv4")]


@pytest.mark.parametrize(("ip", "code", "says"), WRONG)
def test_wrong_usage(cli, gateway, ip, code, says):
    said = cli("unblock", ip)
    assert (said.code, says in said.err) == (code, True)


def test_without_a_gateway_and_with_one_that_is_down(cli, gateway, tmp_path):
    gateway.stop()
    said = cli("unblock", "203.0.113.7")
    assert (said.code, said.out) == (3, "")
    assert "unblocking 203.0.113.7: cannot connect" in said.err
    (tmp_path / "breachline.yaml").unlink()
    assert cli("unblock", "203.0.113.7").code == 2


def test_a_deployment_takes_no_orders_by_hand(cli, gateway, tmp_path):
    with (tmp_path / "breachline.yaml").open("a") as file:
        file.write(CONFIG)
    said = cli("unblock", "203.0.113.7")
    assert (said.code, said.out, gateway.blocked) == (2, "", [])
    assert "which takes no orders by hand in this version; nothing was done." in said.err
    assert not (tmp_path / "var").exists()
