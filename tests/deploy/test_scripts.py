"""deploy/*.sh: what make up does, and how a container says that it is well."""

import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.prepare import PASSWORDS, prepare
from tests.deploy._double import serving

pytestmark = pytest.mark.stack

DEPLOY = Path(__file__).parents[2] / "deploy"


def healthy(port):
    words = [f"{DEPLOY}/healthy.sh", str(port)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_health_is_what_the_worker_says():
    for code, wanted in ((200, True), (503, False), (404, False)):
        with serving({"/healthz": (code, {})}) as server:
            assert healthy(server.server_port) is wanted
    assert not healthy(server.server_port), "nobody listens there any more"


def test_a_shipper_is_well_while_it_is_connected():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words = [f"{DEPLOY}/connected.sh", str(port)]
        assert subprocess.run(words, check=False).returncode != 0
        with socket.create_connection(("127.0.0.1", port)) as shipper:
            assert subprocess.run(words, check=False).returncode == 0
            server.accept()[0].close()
            assert shipper.recv(1) == b"", "the broker hung up"
            assert subprocess.run(words, check=False).returncode != 0


ENGINE = '#!/bin/bash\n[[ $* == "compose version" ]] || printf "%s\\n" "$*" >>"$CALLS"\n'


@pytest.fixture
def house(tmp_path):
    """A copy of the scripts, with a container engine that only notes what it is told."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns(".env*"))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "docker").write_text(ENGINE)
    (bin_ / "docker").chmod(0o755)
    for tool in ("bash", "dirname", "basename", "od", "tr", "grep", "mv", "chmod"):
        (bin_ / tool).symlink_to(shutil.which(tool) or tool)
    logs = tmp_path / "the logs"
    logs.mkdir()
    (logs / "access.log").touch()
    return tmp_path


def up(house, *words):
    env = {"PATH": str(house / "bin"), "CALLS": str(house / "calls")}
    done = subprocess.run(
        [house / "deploy/up.sh", *words], env=env, cwd=house, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    calls = house / "calls"
    return done.returncode, done.stdout + done.stderr, calls.read_text() if calls.exists() else ""


def env_of(house):
    lines = (house / "deploy/.env").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line and line[0] != "#"]
    assert len(pairs) == len(dict(pairs)), "a name stands twice"
    return {name: value.strip("'") for name, value in pairs}


def test_up_makes_passwords_once_and_starts(house):
    told = "compose --env-file deploy/.env up --build --detach\n"
    code, said, calls = up(house, "up", "the logs/access.log")
    assert (code, calls) == (0, told)
    first = env_of(house)
    assert not any(first[name] in said for name in PASSWORDS)
    assert stat.S_IMODE((house / "deploy/.env").stat().st_mode) == 0o600
    assert first["BREACHLINE_LOGS"] == f"{house}/the logs"
    assert first["BREACHLINE_LOG"] == "access.log"
    assert len({first[name] for name in PASSWORDS}) == len(PASSWORDS)
    prepare(house / "run", first)
    (house / "other.log").touch()
    assert up(house, "up", "other.log")[0] == up(house, "up", "")[0] == 0
    assert env_of(house) == first | {"BREACHLINE_LOGS": str(house), "BREACHLINE_LOG": "other.log"}
    assert up(house, "down")[2] == told * 3 + "compose --env-file deploy/.env down\n"


def test_up_fills_in_the_example(house):
    shutil.copy(house / "deploy/env.example", house / "deploy/.env")
    assert up(house, "up", "the logs/access.log")[0] == 0
    prepare(house / "run", env_of(house))
    assert stat.S_IMODE((house / "deploy/.env").stat().st_mode) == 0o600


def test_up_says_what_is_missing(house):
    assert up(house, "up", "no.log") == (2, "make up: LOG=no.log is no readable file\n", "")
    asks = "make up: which log shall be watched? make up LOG=/path/to/access.log\n"
    assert up(house, "up", "") == (2, asks, "")
    nothing = "make down: there is no deploy/.env, so nothing was started from here\n"
    assert up(house, "down") == (2, nothing, "")
    (house / "bin/docker").unlink()
    code, said, calls = up(house, "up", "the logs/access.log")
    assert (code, calls) == (2, "")
    assert said.startswith("make up: neither 'docker compose' nor 'podman compose' works here.")
    assert not (house / "deploy/.env").exists()
