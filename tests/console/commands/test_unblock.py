import json

import msgspec
import pytest

from console.person import user_name
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


def test_a_deployment_is_given_the_order(cli, decider):
    decider.receipt = msgspec.structs.replace(decider.receipt, state="expired", detail="lifted it")
    said = cli("unblock", "203.0.113.7", "--reason", "head office", "--timeout", "5s")
    assert said == (0, "203.0.113.7 is not blocked any more: lifted it\n", "")
    ((given, patience_s),) = decider.given
    assert (given.kind, given.target, given.why, given.by, patience_s) == (
        "unblock", "203.0.113.7", "head office", user_name(), 5.0
    )  # fmt: skip
    assert json.loads(cli("unblock", "203.0.113.7", "--json").out) == {
        "ip": "203.0.113.7", "state": "expired", "detail": "lifted it"
    }  # fmt: skip


def test_a_deployment_that_is_down(cli, tmp_path):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    said = cli("unblock", "203.0.113.7")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("Error: unblocking 203.0.113.7: Kafka at 127.0.0.1:9: nothing list")
    assert not (tmp_path / "var").exists()
