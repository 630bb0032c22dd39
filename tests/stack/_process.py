"""Server processes of the tests: started in their own session, ended by their pid, never left over.

A keeper process holds the pids and kills them when this process ends, however it ends: at Ctrl-C
or `kill -9` no finalizer runs here, and pytest-xdist ends its workers without atexit.
"""

import fcntl
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

PORTS = range(20_000, 32_000)
"""Below the ports that systems give to clients: one of those could take a stopped server's port."""

KEEPER = """
import os, signal, sys
alive = set()
for line in sys.stdin:
    (alive.add if line[0] == "+" else alive.discard)(int(line[1:]))
for pid in alive:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


@cache
def _keeper():
    # -I -S: starts in 10 ms and imports nothing of ours.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", KEEPER],
        stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True,
    )  # fmt: skip


@cache
def _lock_of(port):
    """An open file that keeps other processes from the port while this one lives, or None."""
    folder = Path(tempfile.gettempdir(), f"breachline-test-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    held = (folder / str(port)).open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        return None
    return held


def free_ports(count, _given=set()):  # noqa: B006 -- given once in the life of this process
    """That many loopback ports on which nobody listens; no other test process is given them."""
    found = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if port in _given or _lock_of(port) is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"finding {count} free ports in {PORTS}: all are taken")


class Process:
    """One run of a server, from its command to its end. Its output goes to the end of `log`."""

    def __init__(self, words, log, **popen):
        self.log = log
        with log.open("ab") as out:
            self._from = out.tell()
            self._run = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **popen,
            )  # fmt: skip
        _tell(f"+{self.pid}")

    @property
    def pid(self):
        return self._run.pid

    @property
    def is_running(self):
        return self._run.poll() is None

    def output(self):
        """What this run has written so far."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")

    def wait_for(self, words, timeout_s):
        """Until the log says so; RuntimeError with the log's end when it dies or never does."""
        deadline = time.monotonic() + timeout_s
        while words not in self.output():
            if not self.is_running:
                raise RuntimeError(f"waiting for {words!r}: {self._obituary('it ended')}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"waiting for {words!r}: {self._obituary(f'{timeout_s} s')}")
            time.sleep(0.05)

    def wait(self, timeout_s):
        """Until it has ended; the exit status. TimeoutExpired when it does not."""
        status = self._run.wait(timeout_s)
        _tell(f"-{self.pid}")
        return status

    def stop(self, timeout_s=30):
        """SIGTERM, and wait; RuntimeError (and SIGKILL) when it does not end by itself."""
        self._run.terminate()
        try:
            self.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"stopping: {self._obituary(f'{timeout_s} s')}") from None

    def kill(self):
        """SIGKILL, and wait."""
        self._run.kill()
        self.wait(30)

    def memory_mib(self):
        """What it holds in memory now (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") // 2**20

    def _obituary(self, how):
        return f"{how}, pid {self.pid}, log {self.log}\n{self.output()[-3000:]}"


def _tell(line):
    stdin = _keeper().stdin
    assert stdin is not None
    stdin.write(f"{line}\n")
