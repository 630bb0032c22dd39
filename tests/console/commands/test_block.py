import json

import pytest

from console.person import user_name
from evidence.store import EmbeddedStore
from records.ids import iso
from records.incident import Guard
from streams.clock import SystemClock
from streams.live import lock
from tests._events import action
from tests.console._deployment import CONFIG


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


@pytest.fixture
def asked(tmp_path):
    """A block that the running service asks about, as its loop leaves it."""
    now_ms = SystemClock().now_ms()
    made = action(
        mode="enforce",
        guard=Guard("approve", "confidence 0.71 below 0.90"),
        decided_ms=now_ms,
        until_ms=now_ms + 3_600_000,
    )
    with EmbeddedStore.open(tmp_path / "var") as store, store.transaction():
        store.log.append_intent(made)
        store.outbox_add(made.id, now_ms)
        store.outbox_update(
            made.id, state="approval", attempts=0, next_attempt_ms=0, reason="would block"
        )
    return made


def test_what_waits_is_listed_with_the_command_that_approves_it(cli, gateway, asked):
    said = cli("blocks", "--pending")
    assert said.code == 0
    first, why, how = said.out.splitlines()
    assert first.startswith(
        "203.0.113.7  waits for approval (enforce)  gateway now: not blocked  until 20"
    )
    assert (why, how) == ("    would block", "    breachline block --approve act-1   (or --reject)")


def test_a_yes_blocks_and_says_who(cli, gateway, asked, tmp_path):
    said = cli("block", "--approve", "act-1", "--by", "ada", "--reason", "case 17")
    until = iso(asked.until_ms)
    assert (said.code, said.out) == (
        0, f"203.0.113.7 is blocked until {until}: blocked 203.0.113.7\n"
    )  # fmt: skip
    assert "only it lifts the block in time" in said.err
    assert gateway.blocked == ["203.0.113.7"]
    with EmbeddedStore.open_readonly(tmp_path / "var") as store:
        (one,) = store.log.approvals("act-1")
        details = [receipt.detail for receipt in store.log.receipts("act-1")]
    assert (one.approved, one.by, one.why) == (True, "ada", "case 17")
    assert details == ["approved by ada: case 17", "blocked 203.0.113.7"]
    assert cli("blocks", "--pending").out == "No block waits for approval.\n"


def test_a_no_needs_no_gateway(cli, asked, tmp_path):
    said = cli("block", "--reject", "act-1", "--json")
    who = user_name()
    assert json.loads(said.out) == {
        "ip": "203.0.113.7",
        "state": "expired",
        "detail": f"rejected by {who}: by hand",
        "action": "act-1",
    }
    again = cli("block", "--reject", "act-1")
    assert (again.code, again.out) == (2, "")
    assert again.err.startswith(f"Error: rejecting act-1: already rejected by {who} at 20")
    assert again.err.endswith("; `breachline blocks --pending` lists what waits\n")


def test_a_no_in_words(cli, asked):
    said = cli("block", "--reject", "act-1", "--by", "ada", "--reason", "ours\x1b[2J")
    assert said == (
        0, "203.0.113.7 will not be blocked by act-1: rejected by ada: ours\\x1b[2J\n", ""
    )  # fmt: skip


def test_what_is_down_is_approved_all_the_same(cli, gateway, asked):
    gateway.stop()
    said = cli("block", "--approve", "act-1")
    assert (said.code, said.out) == (3, "")
    assert said.err.endswith("(approved: `breachline run` tries it again)\n")
    assert "already approved" in cli("block", "--approve", "act-1").err


WRONG_WORDS = [
    ("nothing", [], "Give one of: an address, --approve ACTION, --reject ACTION."),
    ("two", ["203.0.113.7", "--approve", "act-1"], "Give one of: an address"),
    ("both", ["--approve", "act-1", "--reject", "act-1"], "Give one of: an address"),
    ("a time", ["--approve", "act-1", "--for", "1h"], "--for goes with an address"),
    ("a name", ["203.0.113.7", "--by", "ada"], "--by goes with --approve or --reject"),
    ("unknown", ["--approve", "act-9"], "approving act-9: there is no such action"),
    ("no such place", ["--reject", "act-1", "--data-dir", "nowhere"], "nothing was kept there yet"),
]


@pytest.mark.parametrize(("name", "args", "says"), WRONG_WORDS, ids=[c[0] for c in WRONG_WORDS])
def test_what_cannot_be_decided_is_said(cli, gateway, asked, tmp_path, name, args, says):
    said = cli("block", *args)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert gateway.blocked == []
    assert not (tmp_path / "nowhere").exists()


def test_the_never_block_list_holds_for_an_approval_too(cli, gateway, asked, tmp_path):
    config = (tmp_path / "breachline.yaml").read_text().replace("192.0.2.0/24", "203.0.113.0/24")
    (tmp_path / "breachline.yaml").write_text(config)
    said = cli("block", "--approve", "act-1")
    assert (said.code, said.out) == (2, "")
    assert "approving act-1: 203.0.113.7 is on the never-block list" in said.err
    assert len(cli("blocks", "--pending").out.splitlines()) == 3


def test_the_command_that_approves_leads_to_the_same_data(cli, asked):
    said = cli("blocks", "--pending", "--data-dir", "var")
    assert said.out.splitlines()[2] == (
        "    breachline block --approve act-1 --data-dir var   (or --reject)"
    )


# -- where Kafka is configured


def test_a_deployment_is_given_the_order(cli, decider):
    said = cli("block", "::ffff:203.0.113.7", "--for", "15m", "--reason", "case 17")
    ((given, patience_s),) = decider.given
    action = given.action
    assert (given.kind, given.target, given.by, given.why, patience_s) == (
        "block", "203.0.113.7", user_name(), "case 17", 30.0
    )  # fmt: skip
    assert (action.until_ms - action.decided_ms, action.mode, action.reason) == (
        900_000, "enforce", "case 17"
    )  # fmt: skip
    until = iso(action.until_ms)
    assert said == (0, f"203.0.113.7 is blocked until {until}: blocked it\n", "")


def test_a_deployments_answer_as_json(cli, decider):
    answer = json.loads(cli("block", "203.0.113.7", "--json").out)
    assert answer.pop("action").startswith("act-")
    assert answer == {"ip": "203.0.113.7", "state": "confirmed", "detail": "blocked it"}


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_a_persons_word_is_given_to_the_deployment(cli, decider, asked, word):
    said = cli("block", f"--{word}", "act-1", "--by", "ada", "--reason", "ours")
    ((given, _),) = decider.given
    assert (given.kind, given.action, given.target, given.by, given.why) == (
        word, None, "act-1", "ada", "ours"
    )  # fmt: skip
    assert said == (
        0,
        f"203.0.113.7 is blocked until {iso(asked.until_ms)}: blocked it\n"
        if word == "approve"
        else "203.0.113.7 will not be blocked by act-1: blocked it\n",
        "",
    )


NOT_GIVEN = [
    ("never", ["192.0.2.9"], "192.0.2.9 is on the never-block list: 192.0.2.0/24 (head office)"),
    ("ourselves", ["127.0.0.1"], "a trusted proxy or our own address"),
    ("unknown", ["--approve", "act-9"], "approving act-9: there is no such action; `breachline b"),
    ("no time", ["203.0.113.7", "--timeout", "soon"], "'soon' is not a duration"),
    ("too long", ["203.0.113.7", "--timeout", "2h"], "waiting for 2h: write a time from 1s to 60m"),
]


@pytest.mark.parametrize(("name", "args", "says"), NOT_GIVEN, ids=[c[0] for c in NOT_GIVEN])
def test_what_is_wrong_is_no_order(cli, decider, asked, name, args, says):
    said = cli("block", *args)
    assert (said.code, said.out, decider.given) == (2, "", [])
    assert says in said.err


def test_the_never_block_list_holds_for_an_approval_of_a_deployment(cli, decider, asked, tmp_path):
    config = (tmp_path / "breachline.yaml").read_text().replace("192.0.2.0/24", "203.0.113.0/24")
    (tmp_path / "breachline.yaml").write_text(config)
    said = cli("block", "--approve", "act-1")
    assert (said.code, decider.given) == (2, [])
    assert "approving act-1: 203.0.113.7 is on the never-block list" in said.err


@pytest.mark.parametrize(
    "words",
    [("block", "203.0.113.7"), ("block", "--approve", "act-1"), ("block", "--reject", "act-1")],
)
def test_a_deployment_that_is_down(cli, tmp_path, words):
    (tmp_path / "breachline.yaml").write_text(CONFIG)
    said = cli(*words)
    assert (said.code, said.out) == (3, "")
    assert "Kafka at 127.0.0.1:9: nothing listens there" in said.err
