"""`kill -9` of `run` while shippers send: what was answered is there, once; the rest is sent again.

Three shippers send bulk calls with ids, as Filebeat does: each sends a batch until it is answered.
The service is killed at random moments and started anew. In the end it must have come to what one
undisturbed reading of the same lines comes to.
"""

import contextlib
import json
import os
import sqlite3
import subprocess
import threading
import time
from random import Random

import httpx
import pytest

from tests import _attack
from tests.e2e._program import command, run

KILLS = 8
SHIPPERS = 3
BATCH = 20
TOKEN = "t0ken-of-the-tests"
CONFIG = _attack.CONFIG + "\nlisten: {http: {address: 127.0.0.1:0, token_env: INTAKE_TOKEN}}\n"


class Service:
    """`breachline run`, started anew whenever it was killed."""

    def __init__(self, folder):
        self._words = command("run", "--data-dir", folder / "var", "--config", folder / "b.yaml")
        self.url = ""

    def start(self):
        self._child = subprocess.Popen(
            self._words,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "INTAKE_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"},
        )
        pipe = self._child.stdout
        assert pipe is not None
        self._said = pipe
        first = self._said.readline()
        assert first.startswith("Listening: HTTP on "), first + self._said.read()
        self.url = "http://" + first.removeprefix("Listening: HTTP on ").rstrip(".\n")
        self._follows = threading.Event()
        # Or it would wait for somebody to read what it says.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._said:
            if line.startswith("Following:"):
                self._follows.set()

    def kill(self):
        self._child.kill()
        self.wait()

    def end(self):
        # A signal that comes while it still starts ends it as it ends any program.
        assert self._follows.wait(60)
        self._child.terminate()
        return self.wait()

    def wait(self):
        code = self._child.wait(60)
        self._reader.join(10)
        self._said.close()
        return code


class Shipper(threading.Thread):
    """Sends its batches in order, each until it is answered; counts how often it had to."""

    def __init__(self, service, batches, again):
        super().__init__(daemon=True)
        self._service, self._batches, self._again = service, batches, again
        self.answered = 0
        self.refused = 0
        self.repeated = 0

    def run(self):
        for batch in self._batches:
            while not self._send(batch):
                self.refused += 1
                time.sleep(0.02)
            self.answered += 1
            if self._again.random() < 0.2:
                # The answer was lost on its way.
                self.repeated += self._send(batch)

    def _send(self, batch):
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.post(
                f"{self._service.url}/_bulk", content=batch, auth=("shipper", TOKEN), timeout=30
            )
            return answer.status_code == 200 and not answer.json()["errors"]
        return False


def batches_of(lines):
    """Bulk bodies in which every document has an id."""
    for start in range(0, len(lines), BATCH):
        yield "".join(
            json.dumps({"create": {"_index": "logs", "_id": f"{number}"}}) + "\n" + line
            for number, line in lines[start : start + BATCH]
        )


@pytest.mark.stack
def test_kills_lose_nothing_that_was_answered_and_double_nothing_that_was_not(tmp_path):
    rng = Random(20261122)
    (tmp_path / "b.yaml").write_text(CONFIG)
    lines = list(enumerate(_attack.ordinary(100) + _attack.walk(start_s=100 * 60)))
    # Each has every third minute: what they send overlaps, and arrives in any order.
    shares: list[list[tuple[int, str]]] = [[] for _ in range(SHIPPERS)]
    for number, line in lines:
        shares[number // 12 % SHIPPERS].append((number, line))
    service = Service(tmp_path)
    service.start()
    shippers = [Shipper(service, [*batches_of(share)], Random(n)) for n, share in enumerate(shares)]
    for shipper in shippers:
        shipper.start()
    for _ in range(KILLS):
        time.sleep(0.2 + rng.random() * 0.4)
        service.kill()
        service.start()
    for shipper in shippers:
        shipper.join(120)
        assert not shipper.is_alive()
    # One that the service ends by itself loses nothing either.
    assert service.end() == 0
    assert sum(shipper.refused for shipper in shippers) > 0
    data = tmp_path / "var"
    count = "SELECT count(*) AS events, count(DISTINCT event) AS distinct_events FROM events"
    where = ("--data-dir", data, "--config", tmp_path / "b.yaml")
    assert run("history", "--sql", count, *where).documents == [
        {"events": len(lines), "distinct_events": len(lines)}
    ]
    (incident,) = run("incidents", "--json", *where).documents
    assert incident["affected_count"] == len(_attack.VICTIMS)
    with contextlib.closing(sqlite3.connect(data / "breachline.db")) as store:
        assert store.execute("SELECT count(*) FROM seen").fetchone() == (len(lines),)
