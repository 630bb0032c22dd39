import json

import pytest

from tests import _attack
from tests.console._deployment import CONFIG, remember


def test_why_an_attacker_was_flagged(cli, result, case):
    said = cli("explain", "--ip", "::FFFF:203.0.113.7", "--from", result)
    assert (said.code, said.err) == (0, "")
    for part in (
        "About ip 203.0.113.7\n",
        "Events kept: 12 foreign proven\n",
        "critical cross_user_read: u-66 read financial data of 3 other users",
        "targets=3, limit=3",
        f"SEV1 {case}: u-66 reached the data of 12 people",
        "block_ip 203.0.113.7 (simulate): guard pass\n",
        "Rules that did not fire, and what they look for:\n",
    ):
        assert part in said.out


def test_why_not(cli, result):
    said = cli("explain", "--principal", "u-10", "--from", result)
    assert "Not flagged: no rule's limit was passed.\n" in said.out


def test_where_kibana_shows_it(cli, result, case, tmp_path):
    config = tmp_path / "kibana.yaml"
    config.write_text(
        "elasticsearch: {hosts: ['http://127.0.0.1:9'], kibana: 'https://kibana.example'}\n"
    )
    said = cli("explain", "--incident", case, "--from", result, "--config", config)
    (link,) = said.err.splitlines()
    assert link.startswith("In Kibana: https://kibana.example/app/discover")
    assert "fin-" in link
    assert cli("explain", "--ip", "192.0.2.250", "--from", result, "--config", config).err == ""


def test_as_json(cli, result, case):
    answer = json.loads(cli("explain", "--incident", case, "--from", result, "--json").out)
    assert (answer["about"], len(answer["findings"])) == (f"incident {case}", 4)
    by_principal = cli("explain", "--principal", _attack.ATTACKER, "--from", result, "--json")
    assert json.loads(by_principal.out)["events"] == {"foreign proven": 12}


WRONG = [
    ("nothing", [], "Give one of --ip, --principal, --session, --finding, --incident."),
    ("two", ["--ip", "192.0.2.1", "--principal", "u-1"], "Give one of"),
    ("an empty one", ["--ip", ""], "Give one of"),
    ("an unknown finding", ["--finding", "fin-zz"], "no finding 'fin-zz'"),
    ("an ambiguous finding", ["--finding", "fin-"], "begins more than one finding"),
    ("an unknown incident", ["--incident", "inc-zz"], "no incident 'inc-zz'"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, name, args, says):
    said = cli("explain", *args, "--from", result)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_what_was_asked_is_shown_not_obeyed(cli, result):
    out = cli("explain", "--principal", "\x1b[31mu", "--from", result).out
    assert out.startswith("About principal \\x1b[31mu\n")


@pytest.mark.parametrize(
    ("option", "value", "events"),
    [
        ("--ip", _attack.ATTACKER_IP, {"foreign proven": 12}),
        ("--principal", _attack.ATTACKER, {"foreign proven": 12}),
        ("--principal", "u-10", {}),
    ],
)
def test_of_a_deployment_which_keeps_no_ordinary_events(
    cli, tmp_path, result, option, value, events
):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    remember(tmp_path / "var", result)
    answer = json.loads(cli("explain", option, value, "--json", "--offline").out)
    same = json.loads(cli("explain", option, value, "--json", "--from", result).out)
    assert answer == same | {"events": events}
