import json

import click
import pytest

from console import main
from console.commands.deadletter import command
from streams.kafka import deadletter
from streams.kafka.deadletter import Line, Listed, Replayed, Wanted
from tests.console._deployment import CONFIG


@pytest.fixture
def cli(cli, monkeypatch):
    monkeypatch.setitem(main.COMMANDS, "deadletter", "List rejected lines, and send them again.")
    return cli


@pytest.fixture
def deployed(tmp_path):
    (tmp_path / "breachline.yaml").write_text(CONFIG)


WRONG = [
    ("no Kafka", ["list"], "", "Rejected lines are on Kafka: set kafka.brokers in --config."),
    ("no word", ["replay"], CONFIG, "Give one of --yes, --dry-run."),
    ("two words", ["replay", "--yes", "--dry-run"], CONFIG, "Give one of --yes, --dry-run."),
    ("no time", ["list", "--since", "noon"], CONFIG, "'noon' is no time: write 2026-"),
    ("none at all", ["list", "--limit", "0"], CONFIG, "--limit"),
]


@pytest.mark.parametrize(
    ("args", "config", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_wrong_usage(cli, tmp_path, args, config, says):
    (tmp_path / "breachline.yaml").write_text(config)
    said = cli("deadletter", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


@pytest.mark.parametrize(
    "args", [["list"], ["replay", "--yes"], ["replay", "--dry-run"]], ids=" ".join
)
def test_brokers_that_are_down(cli, deployed, args):
    said = cli("deadletter", *args)
    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "Error: Kafka at 127.0.0.1:9: nothing listens there: "
        "is it running, and is kafka.brokers right?\n"
    )


def answering(monkeypatch, name, answer):
    """Has the deployment answer so; what it was asked."""
    asked = []

    async def call(kafka, environ, *args, **more):
        asked.append((kafka.brokers, *args, *more.values()))
        return answer

    monkeypatch.setattr(deadletter, name, call)
    return asked


HOSTILE = b"\x1b[31m[bold]x[/bold]" + b"y" * 300
LINES = [
    Line(at=4, time_ms=1_795_341_600_000, reason="no_time", source="a1", name="a.log", place=70,
         sha256="00", data=HOSTILE),
    Line(at=6, time_ms=1_795_341_661_000, reason="too_long", source="a1", name="\x1b[2J", place=99,
         sha256="00", data=b"x"),
]  # fmt: skip


def test_a_table_for_people(cli, deployed, monkeypatch):
    asked = answering(monkeypatch, "listed", Listed(LINES, 7, frozenset({4})))
    said = cli("deadletter", "list", "--reason", "no_time", "--limit", "2")
    assert asked == [(["127.0.0.1:9"], Wanted(reason="no_time"), 2)]
    heading, first, second = said.out.splitlines()
    assert heading.split() == ["time", "reason", "source", "offset", "line"]
    assert first.startswith("2026-11-22 10:00:00  no_time   a.log     ")
    assert "\\x1b[31m[bold]x" in first
    assert len(first) <= 80
    assert "too_long  \\x1b[2J" in second
    assert said.err == "7 rejected lines, the newest 2 of them here; 1 was replayed.\n"


def test_whole_lines_for_programs(cli, deployed, monkeypatch):
    asked = answering(monkeypatch, "listed", Listed(LINES[:1], 1, frozenset({4})))
    said = cli("deadletter", "list", "--json", "--since", "2026-11-22T10:00:00Z", "--source", "a1")
    assert asked == [(["127.0.0.1:9"], Wanted(source="a1", since_ms=1_795_341_600_000), 100)]
    assert json.loads(said.out) == {
        "time": "2026-11-22T10:00:00.000Z", "reason": "no_time", "source": "a1", "name": "a.log",
        "offset": 70, "sha256": "00", "replayed": True, "cut": False, "line": HOSTILE.decode(),
    }  # fmt: skip


def test_nothing_was_rejected(cli, deployed, monkeypatch):
    answering(monkeypatch, "listed", Listed([], 0, frozenset()))
    assert cli("deadletter", "list") == (0, "", "0 rejected lines; 0 were replayed.\n")
    assert cli("deadletter", "list", "--json") == (0, "", "")


REPLAYED = [
    (["--yes"], Replayed(2, 0, 0, 0), 0, "2 lines replayed.\n"),
    (["--dry-run"], Replayed(1, 0, 0, 0), 0, "1 line would be replayed.\n"),
    (
        ["--yes"], Replayed(5, 2, 1, 3), 0,
        (
            "5 lines replayed.\n"
            "2 of them without secrets, which are not kept.\n"
            "3 lines left out: replayed before (--again sends them).\n"
            "1 line left out: cut to 4,096 bytes, their end is only in the log itself.\n"
        ),
    ),
    (
        ["--yes"], Replayed(0, 0, 2, 0), 1,
        (
            "0 lines replayed.\n"
            "2 lines left out: cut to 4,096 bytes, their end is only in the log itself.\n"
        ),
    ),
    (
        ["--yes", "--json"], Replayed(5, 2, 1, 3), 0,
        '{"sent":5,"masked":2,"cut":1,"before":3}\n',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("args", "told", "code", "says"), REPLAYED)
def test_what_was_sent_and_what_was_not(cli, deployed, monkeypatch, args, told, code, says):
    asked = answering(monkeypatch, "replay", told)
    assert cli("deadletter", "replay", "--reason", "no_time", *args) == (code, says, "")
    dry = "--dry-run" in args
    assert asked == [(["127.0.0.1:9"], Wanted(reason="no_time"), False, dry)]


def test_its_help_has_an_example():
    assert isinstance(command, click.Group)
    for name in ("list", "replay"):
        word = command.commands[name]
        text = word.get_help(click.Context(word))
        assert f"breachline deadletter {name}" in text
