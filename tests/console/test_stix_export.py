import json
import stat
import subprocess
import sys

import pytest
import stix2  # type: ignore[import-untyped]

from tests import _attack
from tests.console._deployment import CONFIG, remember


def values(written, kind, name):
    return sorted(one[name] for one in json.loads(written)["objects"] if one["type"] == kind)


def test_an_incident_for_others(cli, result, case):
    said = cli("evidence", "stix", case, "--from", result)
    assert (said.code, said.err) == (0, "")
    stix2.parse(said.out, allow_custom=False)
    assert values(said.out, "user-account", "user_id") == [_attack.ATTACKER]
    assert values(said.out, "indicator", "pattern") == [
        f"[ipv4-addr:value = '{_attack.ATTACKER_IP}']"
    ]
    assert values(said.out, "marking-definition", "name") == ["TLP:AMBER"]
    assert values(said.out, "identity", "name") == ["Breachline"]
    assert [user for user in _attack.VICTIMS if user in said.out] == []


def test_options(cli, result, case, tmp_path):
    options = ["--tlp", "amber+strict", "--with-victims", "--producer", " Example Bank "]
    said = cli("evidence", "stix", case, "-o", "case.json", "--from", result, *options)
    words = "case.json: TLP:AMBER+STRICT, its affected users are named in it.\n"
    assert said == (0, words, "")
    assert [path.name for path in tmp_path.glob("case*")] == ["case.json"]
    assert stat.S_IMODE((tmp_path / "case.json").stat().st_mode) == 0o600
    written = (tmp_path / "case.json").read_text()
    accounts = values(written, "user-account", "user_id")
    assert accounts == sorted([*_attack.VICTIMS, _attack.ATTACKER])
    assert values(written, "identity", "name") == ["Breachline", "Example Bank"]


def test_a_file_says_whom_it_names(cli, result, case):
    said = cli("evidence", "stix", case, "-o", "case.json", "--from", result)
    assert said == (0, "case.json: TLP:AMBER, no affected user is named.\n", "")


WRONG = [
    ("an unknown incident", ["inc-zz", "--from", "{result}"], "no incident 'inc-zz'"),
    ("nothing kept yet", ["inc-1"], "nothing was kept there yet"),
    ("a level that TLP has not", ["{case}", "--tlp", "white"], "'white' is not one of 'clear', "),
    ("no such place", ["{case}", "-o", "no/x.json", "--from", "{result}"], "no folder no; make"),
    ("a folder as output", ["{case}", "-o", ".", "--from", "{result}"], "is a directory"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, case, tmp_path, name, args, says):
    said = cli("evidence", "stix", *(arg.format(result=result, case=case) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert list(tmp_path.glob("*.json*")) == []


def test_of_a_deployment(cli, tmp_path, result, case):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    remember(tmp_path / "var", result)
    said = cli("evidence", "stix", case, "--offline")
    assert said.code == 0
    assert values(said.out, "user-account", "user_id") == [_attack.ATTACKER]


@pytest.mark.stack
def test_other_commands_do_not_wait_for_the_library():
    code = "import sys, console.commands.evidence; sys.exit('stix2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
