import json

import pytest

from console.commands.incidents import lacks
from evidence.store import EmbeddedStore
from records.incident import Coverage
from tests._events import action, finding, incident, receipt
from tests.console._deployment import CONFIG, remember


def test_a_list_for_people_and_one_for_programs(cli, result, case):
    said = cli("incidents", "--from", result)
    assert said.code == 0
    assert said.out.startswith("\n1 incident, 1 breach\n")
    assert f"SEV1 {case}  12 people affected, a breach\n" in said.out
    as_json = cli("incidents", "--from", result, "--json").out
    assert as_json == (result / "incidents.ndjson").read_text()


def test_one_in_full(cli, result, case):
    said = cli("incidents", case[:9], "--from", result)
    for part in (
        f"incident   {case} (version",
        "severity   SEV1, a breach",
        "12 people for certain, at most 12; 0 more were tried",
        "actors     principal:u-66, session:",
        "Findings\n",
        "critical cross_user_read: u-66 read financial data of 3 other users",
        "Actions\n",
        "  block_ip 203.0.113.7 (simulate) pass: all guards passed\n",
    ):
        assert part in said.out
    as_json = json.loads(cli("incidents", case, "--from", result, "--json").out)
    assert (as_json["id"], as_json["affected_count"]) == (case, 12)


WRONG = [
    ("unknown", ["inc-zz", "--from", "{result}"], "no incident 'inc-zz'"),
    ("a folder without a result", ["--from", "."], "Error: reading .: nothing was kept there yet"),
    ("a file", ["--from", "{result}/summary.json"], "is a file"),
    ("nothing yet", [], "nothing was kept there yet"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG, ids=[c[0] for c in WRONG])
def test_wrong_usage(cli, result, name, args, says):
    said = cli("incidents", *(arg.format(result=result) for arg in args))
    assert (said.code, said.out) == (2, "")
    assert says in said.err


LACKS = [
    ("nothing", {"complete": True}, "complete"),
    ("the past", {}, "incomplete: it may begin before what is kept"),
    ("late lines", {"late": 1}, "incomplete: 1 line came too late for the rules"),
    (
        "several things",
        {"late": 2, "rejected": 3, "gaps": ("a.log: bytes 1 to 9 never came",)},
        (
            "incomplete: 2 lines came too late for the rules; 3 lines could not be read; "
            "a.log: bytes 1 to 9 never came"
        ),
    ),
]


@pytest.mark.parametrize(("name", "given", "says"), LACKS, ids=[row[0] for row in LACKS])
def test_what_its_logs_lack_is_said(name, given, says):
    assert lacks(Coverage(**{"from_ms": 0, "complete": False} | given)) == says


HOSTILE = "\x1b[31m[bold]x[/bold]:100:\u202e"


@pytest.fixture
def folder(tmp_path):
    """A store in which everything that a client may have written is hostile."""
    from records.incident import Account, Guard

    with EmbeddedStore.open(tmp_path / "var") as store:
        one = incident(
            "inc-aa1", title=HOSTILE, categories=(HOSTILE,),
            actor_accounts=(Account(HOSTILE, "own"),),
        )  # fmt: skip
        store.put_incidents([one, incident("inc-aa2")])
        store.put_findings([finding(message=HOSTILE)])
        store.log.append_intent(
            action(incident="inc-aa1", target=HOSTILE, guard=Guard("refuse", HOSTILE))
        )
        store.log.append_receipt(receipt(detail=HOSTILE))
    return tmp_path / "var"


def test_an_ambiguous_beginning_is_named(cli, folder):
    said = cli("incidents", "inc-aa")
    assert said.code == 2
    assert "begins more than one incident (inc-aa1, inc-aa2): type more of it" in said.err


@pytest.mark.parametrize("columns", ["60", "200"])
def test_a_client_cannot_paint_the_screen(cli, folder, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    for args in ([], ["inc-aa1"]):
        out = cli("incidents", *args).out
        assert out.replace("\n", "").isprintable()
    assert out.replace("\n", "").replace(" ", "").count("\\x1b[31m[bold]x[/bold]:100:\\u202e") >= 5


def test_of_a_deployment(cli, tmp_path, result):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    down = cli("incidents")
    assert (down.code, down.out) == (3, "")
    assert down.err == (
        "Error: Kafka at 127.0.0.1:9: nothing listens there: "
        "is it running, and is kafka.brokers right?\n"
    )
    remember(tmp_path / "var", result)
    known = cli("incidents", "--json", "--offline")
    assert (known.code, known.out) == (0, (result / "incidents.ndjson").read_text())
