import json

from evidence.store import EmbeddedStore
from records.incident import Guard
from tests._events import action
from tests.console._deployment import CONFIG, remember


def test_every_block_and_what_the_gateway_lists(cli, gateway):
    cli("block", "203.0.113.7")
    cli("block", "203.0.113.8")
    gateway.blocked.remove("203.0.113.7")
    rows = [json.loads(line) for line in cli("blocks", "--json").out.splitlines()]
    assert [(row["target"], row["state"], row["gateway"]) for row in rows] == [
        ("203.0.113.8", "confirmed", "blocked"),
        ("203.0.113.7", "confirmed", "not blocked"),
    ]
    said = cli("blocks")
    first, reason = said.out.splitlines()[:2]
    assert said.code == 0
    assert first.startswith("203.0.113.8  confirmed (enforce)  gateway now: blocked  until 20")
    assert reason == "    blocked 203.0.113.8"


def test_a_gateway_that_is_down_leaves_it_unknown(cli, gateway):
    cli("block", "203.0.113.7")
    gateway.stop()
    said = cli("blocks")
    assert (said.code, "gateway now: unknown" in said.out) == (0, True)


def test_of_a_scan(cli, result):
    said = cli("blocks", "--from", result)
    assert said.out.startswith("203.0.113.7  decided (simulate)  gateway now: unknown  until 2026-")


def test_none_and_none_yet(cli, tmp_path):
    assert cli("blocks").code == 2
    with EmbeddedStore.open(tmp_path / "var"):
        pass
    assert cli("blocks") == (0, "No block was decided.\n", "")


def test_nobody_paints_the_screen(cli, tmp_path):
    with EmbeddedStore.open(tmp_path / "var") as store:
        store.log.append_intent(action(target="\x1b[2J", guard=Guard("refuse", "\x1b[31m[bold]")))
    out = cli("blocks").out
    assert out.startswith("\\x1b[2J  refused (simulate)")
    assert out.endswith("    \\x1b[31m[bold]\n")


def test_of_a_deployment(cli, tmp_path, result):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    remember(tmp_path / "var", result)
    assert cli("blocks", "--offline").out == cli("blocks", "--from", result).out
    assert cli("blocks").code == 3


def test_what_waits_on_a_deployment_is_listed_with_the_command_too(cli, tmp_path):
    with EmbeddedStore.open(tmp_path / "store") as store:
        waits = action(mode="approval", until_ms=1 << 45, guard=Guard("approve", "asked"))
        store.log.append_intent(waits)
        store.outbox_add(waits.id, 0)
        store.outbox_update(
            waits.id, state="approval", attempts=0, next_attempt_ms=0, reason="asked"
        )
    assert "block --approve" in cli("blocks", "--data-dir", "store").out
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    remember(tmp_path / "var", tmp_path / "store")
    said = cli("blocks", "--pending", "--offline").out
    assert said.splitlines()[2] == "    breachline block --approve act-1   (or --reject)"
