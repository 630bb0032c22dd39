"""No server outlives its test, whatever ends the test; no two tests are given one port."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.stack._process import Process, free_ports

SAYS_AND_STAYS = (sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)")
OWNER = f"""
import signal, sys, time
from pathlib import Path
from tests.stack._process import Process
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
server = Process({SAYS_AND_STAYS!r}, Path(sys.argv[1]))
server.wait_for("ready", 30)
print(server.pid, flush=True)
if sys.argv[2] == "return":
    sys.exit()
time.sleep(600)
"""


def is_alive(pid):
    """Whether it runs; a zombie, which nobody has asked for its status yet, does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 -- a file that may vanish
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", ["return", signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_its_owner(tmp_path, end):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path / "log", str(end)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": "."},
    ) as owner:  # fmt: skip
        try:
            assert owner.stdout is not None
            pid = int(owner.stdout.readline())
            if end != "return":
                assert is_alive(pid)
                owner.send_signal(end)
            owner.wait(30)
        finally:
            owner.kill()
    for _ in range(300):
        if not is_alive(pid):
            break
        time.sleep(0.1)
    assert not is_alive(pid)


def test_the_output_of_an_earlier_run_does_not_count(tmp_path):
    first = Process([sys.executable, "-c", "print('ready')"], tmp_path / "log")
    assert first.wait(30) == 0
    second = Process([sys.executable, "-c", "print('sorry')"], tmp_path / "log")
    with pytest.raises(RuntimeError, match=r"(?s)waiting for 'ready': it ended, .*sorry"):
        second.wait_for("ready", 30)
    second.wait(30)
    assert (tmp_path / "log").read_text() == "ready\nsorry\n"


def test_one_that_never_says_so_is_killed(tmp_path):
    silent = Process(SAYS_AND_STAYS, tmp_path / "log")
    with pytest.raises(RuntimeError, match=r"waiting for 'started': 0\.1 s, "):
        silent.wait_for("started", 0.1)
    assert not silent.is_running


def test_one_that_ignores_sigterm_is_killed_and_reported(tmp_path):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SAYS_AND_STAYS[2]
    process = Process([sys.executable, "-c", deaf], tmp_path / "log")
    process.wait_for("ready", 30)
    with pytest.raises(RuntimeError, match=r"stopping: 0\.1 s, "):
        process.stop(timeout_s=0.1)
    assert not process.is_running


def test_ports_are_free_and_given_once():
    ports = free_ports(5) + free_ports(5)
    assert len(set(ports)) == 10
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass
    other = (
        "from tests.stack._process import _lock_of; import sys; print(_lock_of(int(sys.argv[1])))"
    )
    told = subprocess.run(
        [sys.executable, "-c", other, str(ports[0])],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": "."},
    ).stdout  # fmt: skip
    assert told == "None\n"
