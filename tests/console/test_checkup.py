import asyncio

import pytest

from console.checkup import examine
from streams.settings import Settings
from tests._gateway import TOKEN, Gateway


@pytest.fixture
def look(tmp_path):
    """Results of a configuration by what was looked at: (state, says, do)."""

    def do(environ=None, **blocks):
        settings = Settings.model_validate({"data_dir": tmp_path / "var", **blocks})
        found = asyncio.run(examine(settings, environ or {}, 0))
        return {result.what: (result.state, result.says, result.do) for result in found}

    return do


def states(found):
    return {what: state for what, (state, _, _) in found.items()}


def test_a_fresh_machine(look, tmp_path):
    found = look()
    assert states(found) == {
        "configured files": "ok",
        "data directory": "ok",
        "digest key": "note",
        "store": "note",
        "gateway": "note",
    }
    assert list(tmp_path.iterdir()) == []


def test_after_a_run(look, cli, attack, tmp_path):
    assert cli("run", attack, "--once").code == 0
    found = look()
    assert states(found)["digest key"] == "ok"
    assert found["store"] == ("ok", "1 log followed", "")


def test_what_the_log_does_not_say(look, cli, tmp_path):
    log = tmp_path / "nobody.log"
    log.write_text('203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5\n')
    assert cli("run", log, "--once").code == 0
    found = look()
    assert found["the log"][0] == "note"
    assert found["the log"][2].startswith("add: ")


DAMAGED = [
    ("digest key", "keys/digest.key", b"short", "wrong"),
    ("store", "breachline.db", b"x" * 5000, "wrong"),
    ("store", "breachline.db", b"", "note"),
]


@pytest.mark.parametrize(("what", "name", "data", "state"), DAMAGED)
def test_what_is_damaged_is_said(look, tmp_path, what, name, data, state):
    path = tmp_path / "var" / name
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(data)
    path.chmod(0o600)
    said = look()[what]
    assert said[0] == state
    assert "[Errno" not in said[1]


def test_a_data_directory_that_is_a_file(look, tmp_path):
    (tmp_path / "var").write_text("")
    assert look()["data directory"][0] == "wrong"


def test_a_table_that_cannot_be_read(look, tmp_path):
    (tmp_path / "people.csv").write_text("a,b\n")
    found = look(intake={"identities": {"file": tmp_path / "people.csv"}})
    assert found["configured files"][0] == "wrong"
    assert "no column id, user" in found["configured files"][1]


GATEWAYS = [
    ("answers", None, TOKEN, "ok", "answers, 1 address blocked; mode enforce"),
    ("refuses the token", None, "synthetic-other", "wrong", "refused the token"),
    ("has no list", "404", TOKEN, "note", "they cannot be read back"),
    ("is broken", "500", TOKEN, "wrong", "500"),
    ("is no gateway", "nonsense", TOKEN, "wrong", "its answer is not"),
    ("breaks off", "reset", TOKEN, "unreachable", ""),
]


@pytest.mark.parametrize(("name", "trouble", "token", "state", "says"), GATEWAYS)
def test_a_gateway_that(look, name, trouble, token, state, says):
    with Gateway() as gateway:
        gateway.blocked.append("203.0.113.7")
        gateway.trouble = trouble
        respond = {"mode": "enforce", "gateway": {"url": gateway.url, "token_env": "T"}}
        found = look({"T": token}, respond=respond)["gateway"]
    assert found[0] == state, name
    assert says in found[1]


def test_a_gateway_that_is_down_or_missing(look):
    with Gateway() as gateway:
        url = gateway.url
    down = look(respond={"gateway": {"url": url}})["gateway"]
    assert down[0] == "unreachable"
    assert "is it running" in down[1]
    missing = look(respond={"mode": "enforce"})["gateway"]
    assert (missing[0], missing[2]) == (
        "wrong", "set respond.gateway.url, or nothing can be blocked"
    )  # fmt: skip


def test_what_this_version_does_not_use_is_said(look):
    found = look(kafka={"brokers": ["127.0.0.1:9092"]})
    assert found["kafka"][0] == "note"
