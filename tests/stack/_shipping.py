"""Lines that a real rsyslog ships to `breachline run`, which is killed on the way: what came of it.

Shared by the shortened test and by `python -m benchmarks.shipping`, which ships a million.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx

from streams.clock import SystemClock
from tests.stack._process import Process, free_ports
from tests.stack._rsyslog import BULK, TOKEN, Rsyslog

PROGRAM = Path(sys.executable).with_name("breachline")
_START_S = 60
_LOOK_S = 0.5
_LISTENING = "0A"
_QUIET_S = 8
_ACKNOWLEDGED = re.compile(
    r'^breachline_listen_lines_total\{[^}]*what="acknowledged"[^}]*\} ([\d.e+]+)$', re.MULTILINE
)
_COUNTED = re.compile(r"Read ([\d,]+) lines: ([\d,]+) events, ([\d,]+) rejected, ([\d,]+) dup")


class Shipped(NamedTuple):
    """What a campaign came to."""

    sent: int
    events: int
    distinct: int
    """Events of lines that are not the same line."""
    rejected: int
    repeated: int
    """Lines that came again and were counted as duplicates."""
    held_bytes: int
    """What the sockets held of lines when the receiver was killed, all kills together."""
    seconds: float
    errors: str

    @property
    def lost(self):
        return self.sent - self.distinct


def write_log(path, lines):
    """Ordinary traffic of the last minutes, each line another order."""
    start_s = SystemClock().now_ms() // 1000 - 600
    with path.open("w") as log:
        for number in range(lines):
            moment = datetime.fromtimestamp(start_s + number * 500 // lines, UTC)
            user = f"u-{number % 500}"
            log.write(
                f"198.51.100.{number % 250} - {user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "
                f'"GET /users/{user}/orders/{number + 1} HTTP/1.1" 200 {100 + number % 900} "-" '
                '"Mozilla/5.0 (\\x22quoted\\x22)"\n'
            )


class Receiver:
    """`breachline run` with one listener; begun again as often as it is killed."""

    def __init__(self, folder, how):
        self.folder = folder
        self.port, self.metrics = free_ports(2)
        listen: dict[str, object]
        if how is BULK:
            listen = {"http": {"address": f"127.0.0.1:{self.port}", "token_env": "SHIP_TOKEN"}}
        else:
            listen = {"syslog": [{"address": f"127.0.0.1:{self.port}", "protocol": "tcp"}]}
        settings = {
            "data_dir": str(folder / "var"),
            "listen": listen,
            "metrics": {"listen": f"127.0.0.1:{self.metrics}"},
        }
        self.config = folder / "breachline.yaml"
        self.config.write_text(json.dumps(settings))

    def begin(self):
        environment = {**os.environ, "SHIP_TOKEN": TOKEN}
        words = [PROGRAM, "run", "--config", self.config]
        self.process = Process(words, self.folder / "run.log", env=environment)
        self.process.wait_for("Following:", _START_S)

    def acknowledged(self):
        """Lines made durable since it was begun."""
        text = httpx.get(f"http://127.0.0.1:{self.metrics}/metrics", timeout=30).text
        found = _ACKNOWLEDGED.search(text)
        return int(float(found[1])) if found else 0

    def ask(self, sql):
        words = [str(PROGRAM), "history", "--config", str(self.config), "--sql", sql]
        said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
        return json.loads(said.stdout)

    def counted(self):
        """(lines, events, rejected, duplicates) as the next start says them."""
        self.begin()
        found = _COUNTED.search(self.process.output())
        self.process.stop()
        if found is None:
            raise RuntimeError(f"reading the start of run: {self.process.output()}")
        return tuple(int(number.replace(",", "")) for number in found.groups())


def ship(folder, lines, kills, how, timeout_s):
    """Ships them; the receiver is killed with SIGKILL that often while they come."""
    log = folder / "access.log"
    write_log(log, lines)
    receiver = Receiver(folder, how)
    receiver.begin()
    started, held_bytes = time.monotonic(), 0
    with Rsyslog(folder / "rsyslog", log, receiver.port, how) as rsyslog:
        try:
            for _ in range(kills):
                _until(receiver, lines // (2 * (kills + 1)), timeout_s)
                # Stopped first, so that nothing moves between the look and the kill.
                os.kill(receiver.process.pid, signal.SIGSTOP)
                time.sleep(_LOOK_S)
                held_bytes += in_sockets(receiver.port)
                receiver.process.kill()
                receiver.begin()
            _until_quiet(receiver, timeout_s)
        finally:
            seconds = time.monotonic() - started
            if receiver.process.is_running:
                receiver.process.stop()
        errors = rsyslog.errors
    _, _, rejected, repeated = receiver.counted()
    found = receiver.ask("SELECT count(*) AS events, count(DISTINCT path) AS paths FROM events")
    return Shipped(
        lines, found["events"], found["paths"], rejected, repeated, held_bytes, seconds, errors
    )


def in_sockets(port):
    """Bytes that connections to a loopback port hold, sent and not read (Linux)."""
    total = 0
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = row.split()
        to_send, to_read = (int(number, 16) for number in queues.split(":"))
        if state != _LISTENING:
            total += to_send * (int(remote.partition(":")[2], 16) == port)
            total += to_read * (int(local.partition(":")[2], 16) == port)
    return total


def _until(receiver, acknowledged, timeout_s):
    deadline = time.monotonic() + timeout_s
    while receiver.acknowledged() < acknowledged:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{acknowledged:,} lines were not durable after {timeout_s} s")
        time.sleep(0.05)


def _until_quiet(receiver, timeout_s):
    """Until nothing has come for a while: a sender waits a little before it tries again."""
    deadline = time.monotonic() + timeout_s
    before, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_S:
        if time.monotonic() > deadline:
            raise RuntimeError(f"lines still come after {timeout_s} s")
        now = receiver.acknowledged()
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(_LOOK_S)
