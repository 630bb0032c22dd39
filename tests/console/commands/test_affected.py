import json

import pytest

from tests import _attack
from tests.console._deployment import CONFIG, remember
from tests.console.commands.test_scan import HOSTILE

VICTIMS = "".join(f"{user}\n" for user in _attack.VICTIMS)


def test_ids_one_a_line_sorted_and_nothing_else(cli, result, case):
    assert cli("affected", case, "--from", result) == (0, VICTIMS, "")
    assert cli("affected", case[4:10], "--from", result).out == VICTIMS
    assert (result / "affected" / f"{case}.txt").read_text() == VICTIMS


def test_as_json_what_when_and_where(cli, result, case):
    said = cli("affected", case, "--from", result, "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["user"] for row in rows] == _attack.VICTIMS
    first = rows[0]
    events = first.pop("events")
    assert len(events) == 1
    assert first == {
        "user": "u-10",
        "certainty": "proven",
        "categories": ["financial"],
        "reads": 1,
        "writes": 0,
        "first": "2026-11-22T10:10:00.000Z",
        "last": "2026-11-22T10:10:00.000Z",
    }
    assert said.out == (result / "affected" / f"{case}.ndjson").read_text()


def test_objects_of_unknown_owners(cli, result, case):
    assert cli("affected", case, "--objects", "--from", result) == (0, "", "")


WRONG = [
    ("unknown", ["inc-zz"], "Error: no incident 'inc-zz': `breachline incidents` lists them"),
    ("empty", [""], "Error: no incident ''"),
    ("nothing given", [], "Missing argument 'INCIDENT'"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, name, args, says):
    said = cli("affected", *args, "--from", result)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_before_anything_was_read(cli):
    said = cli("affected", "inc-1")
    assert said.code == 2
    assert "run `breachline scan LOG` or `breachline run LOG` first" in said.err


def test_an_id_cannot_be_two_people_nor_paint_the_screen(cli, tmp_path):
    odd = f"%0Au-10{HOSTILE.replace('/', '')}"
    lines = [_attack.entry(n, f"u-1{odd}", f"/api/v1/users/u-{n}{odd}/profile") for n in range(30)]
    log = _attack.write(tmp_path / "evil", lines)
    assert cli("scan", log, "--config", log.parent / "breachline.yaml", "--out", "out").code == 0
    (case,) = (path.stem for path in (tmp_path / "out" / "affected").glob("*.txt"))
    said = cli("affected", case, "--from", "out")
    ids = said.out.splitlines()
    assert len(ids) >= 28
    assert all(
        json.loads(name).startswith("u-") and "\\nu-10\\u001b[31m[bold]" in name for name in ids
    )
    assert said.out.replace("\n", "").isprintable()


def test_of_a_deployment(cli, tmp_path, result, case):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    remember(tmp_path / "var", result)
    assert cli("affected", case, "--offline").out == VICTIMS
    assert cli("affected", case).code == 3
