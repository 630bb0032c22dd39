import json
import zipfile

import pytest

from evidence.log import Captured
from evidence.store import EmbeddedStore
from records.event import RawLine
from tests import _attack
from tests._events import finding, incident
from tests.console._deployment import CONFIG, remember


def test_lines_in_the_order_of_the_log(cli, result, case, scanned):
    said = cli("evidence", "list", case, "--from", result)
    rows = [line.split() for line in said.out.splitlines()]
    offsets = [int(row[1].rpartition(":")[2]) for row in rows]
    assert (said.code, len(rows)) == (0, 12)
    assert offsets == sorted(offsets)
    show = f"Show one: breachline evidence show {rows[0][0]} --from {result}"
    assert said.err == f"12 lines.\n{show}\n"
    log = (scanned / "access.log").read_bytes()
    documents = cli("evidence", "list", case, "--from", result, "--json").out.splitlines()
    first = json.loads(documents[0])
    assert (first["event"], first["offset"], first["masked"]) == (rows[0][0], offsets[0], True)
    assert log[first["offset"] :].startswith(b'{"@timestamp": "2026-11-22T10:10:00Z"')


def test_one_line(cli, result, case):
    event = cli("evidence", "list", case, "--from", result).out.split()[0]
    said = cli("evidence", "show", event, "--from", result)
    assert said.code == 0
    assert said.out.startswith(f"event    {event}\n")
    assert "/api/v1/wallets/u-10/x" in said.out
    assert "s-u-66" not in said.out
    assert json.loads(cli("evidence", "show", event, "--from", result, "--json").out)[
        "event"
    ] == event  # fmt: skip


def test_a_bundle_that_proves_itself_and_one_that_does_not(cli, result, case, tmp_path):
    said = cli("evidence", "export", case, "-o", "case.zip", "--from", result)
    assert (said.code, said.err) == (0, "")
    assert "12 lines of evidence" in said.out
    with zipfile.ZipFile(tmp_path / "case.zip") as bundle:
        lines = bundle.read("lines.ndjson").splitlines()
        assert bundle.read("affected.txt").decode().split() == _attack.VICTIMS
    assert len(lines) == 12
    said = cli("evidence", "verify", "case.zip")
    assert (said.code, said.err) == (0, "")
    assert "nothing was altered, moved or inserted, and nothing is missing.\n" in said.out
    data = bytearray((tmp_path / "case.zip").read_bytes())
    data[200] ^= 1
    (tmp_path / "case.zip").write_bytes(data)
    altered = cli("evidence", "verify", "case.zip")
    assert (altered.code, altered.out) == (1, "")
    assert altered.err.startswith("case.zip: not intact\n  ")


WRONG = [
    ("an unknown incident", ["list", "inc-zz", "--from", "{result}"], "no incident 'inc-zz'"),
    (
        "an unknown event",
        ["show", "ab-1", "--from", "{result}"],
        "no line is kept for event 'ab-",
    ),
    ("nothing kept yet", ["list", "inc-1"], "nothing was kept there yet"),
    ("no output named", ["export", "{case}", "--from", "{result}"], "Missing option '-o'"),
    ("no such place", ["export", "{case}", "-o", "no/x.zip", "--from", "{result}"], "no/x.zip"),
    ("a folder as output", ["export", "{case}", "-o", ".", "--from", "{result}"], "directory"),
    ("no bundle", ["verify", "nowhere.zip"], "Error: nowhere.zip: no such file or directory"),
    ("a directory", ["verify", "."], "checking .: there is no store"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, case, name, args, says):
    said = cli("evidence", *(arg.format(result=result, case=case) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_something_that_is_no_bundle_does_not_verify(cli, tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    said = cli("evidence", "verify", "x.zip")
    assert said.code == 1
    assert "no readable zip" in said.err


def test_what_is_no_longer_kept_is_counted_and_hostile_lines_are_shown(cli, tmp_path):
    with EmbeddedStore.open(tmp_path / "var") as store:
        store.put_source("a1b2", "log\x1b[2J.log", 0, b"", b"")
        store.put_findings([finding()])
        store.put_incidents([incident()])
        store.add_lines([RawLine("a1b2-0", "00", b"\x1b[31m \xff", masked=False)])
    said = cli("evidence", "list", "inc-1")
    assert said.out == "a1b2-0  log\\x1b[2J.log:0  sha256 00\n"
    assert said.err.startswith("1 line, 1 more are no longer kept.\n")
    assert "line     \\x1b[31m \\xff\n" in cli("evidence", "show", "a1b2-0").out


def test_of_a_deployment(cli, tmp_path, result, case):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    remember(tmp_path / "var", result)
    said = cli("evidence", "list", case, "--offline", "--config", "breachline.yaml")
    assert said.out == cli("evidence", "list", case, "--from", result).out
    event = said.out.split()[0]
    assert f"breachline evidence show {event} --config breachline.yaml\n" in said.err
    shown = cli("evidence", "show", event, "--offline").out
    assert shown == cli("evidence", "show", event, "--from", result).out
    assert cli("evidence", "export", case, "-o", "case.zip", "--offline").code == 0
    assert cli("evidence", "verify", "case.zip").code == 0


@pytest.fixture
def besides(cli, tmp_path):
    """A run over a log in which the attacker reads their own as well; the incident's id."""
    own = [
        _attack.entry(600 + n, "u-66", f"/api/v1/users/u-66/x?n={n}", _attack.ATTACKER_IP)
        for n in range(3)
    ]
    (tmp_path / "breachline.yaml").write_text(_attack.CONFIG + "capture: {max_lines: 10}\n")
    log = tmp_path / "access.log"
    ordinary = _attack.ordinary()
    log.write_text("".join([*ordinary[:120], *own, *ordinary[120:], *_attack.walk()]))
    assert cli("run", log, "--once").code == 0
    with EmbeddedStore.open_readonly(tmp_path / "var") as store:
        (one,) = store.incidents()
    return one.id


def test_what_the_actor_did_besides_and_what_was_left_out(cli, besides, tmp_path):
    listed = cli("evidence", "list", besides)
    assert len(listed.out.splitlines()) == 12
    assert listed.err.startswith(
        "12 lines.\n2 of them are beyond the limits of capture, and not in the log: raise "
        "capture.max_lines or capture.max_bytes.\n"
        "And 3 other requests of its actors: add --others.\n"
    )
    others = cli("evidence", "list", besides, "--others")
    assert (len(others.out.splitlines()), others.err.splitlines()[0]) == (3, "3 lines.")
    lines = [
        json.loads(row)
        for row in cli("evidence", "list", besides, "--others", "--json").out.splitlines()
    ]
    assert [f"u-66/x?n={n}" in one["line"] for n, one in enumerate(lines)] == [True] * 3


def test_what_was_understood_stands_for_a_line_that_is_gone(cli, besides, tmp_path):
    with EmbeddedStore.open(tmp_path / "var") as store:
        store.log.append_kept(
            Captured(
                event="a1b2-9", sha256="", masked=True, incident=besides, at_ms=1, role="other",
                columns={"path": "/x"},
            )
        )  # fmt: skip
    found = cli("evidence", "list", besides, "--others", "--json").out.splitlines()
    (gone,) = [one for one in map(json.loads, found) if "columns" in one]
    assert (gone["event"], gone["offset"], gone["sha256"], gone["columns"]) == (
        "a1b2-9", 9, "", {"path": "/x"},
    )  # fmt: skip
