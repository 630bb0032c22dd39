import json

import pytest

from streams.live import lock


def test_an_address_is_blocked_whatever_the_mode(cli, gateway):
    said = cli("block", "203.0.113.7", "--for", "15m", "--reason", "case 17")
    assert said.code == 0
    assert said.out.startswith("203.0.113.7 is blocked until 20")
    assert said.out.endswith(": blocked 203.0.113.7\n")
    assert gateway.blocked == ["203.0.113.7"]
    assert "only it lifts the block in time" in said.err


def test_where_a_service_runs_there_is_nothing_to_warn_of(cli, gateway, tmp_path):
    with lock(tmp_path / "var"):
        assert cli("block", "203.0.113.7").err == ""


def test_as_json(cli, gateway):
    said = cli("block", "::ffff:203.0.113.7", "--json")
    answer = json.loads(said.out)
    assert answer.pop("action").startswith("act-")
    assert answer == {"ip": "203.0.113.7", "state": "confirmed", "detail": "blocked 203.0.113.7"}


WRONG = [
    ("no address", ["office"], "blocking 'office'"),
    ("a network", ["203.0.113.0/24"], "give one IPv4 or IPv6 address"),
    ("no duration", ["203.0.113.7", "--for", "forever"], "'forever' is not a duration"),
    ("without end", ["203.0.113.7", "--for", "520w"], "write a time from 1s to 30d"),
    ("never to be blocked", ["192.0.2.9"], "on the never-block list: 192.0.2.0/24 (head office)"),
    ("ourselves", ["127.0.0.1"], "a trusted proxy or our own address"),
    ("no such place", ["203.0.113.7", "--data-dir", "/proc/nope"], "/proc/nope"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_what_is_refused(cli, gateway, name, args, says):
    said = cli("block", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert gateway.blocked == []


def test_without_a_gateway_nothing_is_made(cli, tmp_path):
    said = cli("block", "203.0.113.7")
    assert said.code == 2
    assert "set respond.gateway.url in breachline.yaml" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_gateway_that_is_down_is_unreachable(cli, gateway):
    gateway.stop()
    said = cli("block", "203.0.113.7")
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "Error: blocking 203.0.113.7: cannot connect: is it running, and is respond.gateway.url "
        "right? (kept: `breachline run` tries it again)\n"
    )
