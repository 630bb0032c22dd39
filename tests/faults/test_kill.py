"""`kill -9` at random points of `run`: what was not committed did not happen, and then it does.

Must hold 4: after a restart, findings, incidents, actions and affected users equal those of an
uninterrupted run. The log grows meanwhile, in pieces that end anywhere, and is rotated once.
"""

import contextlib
import re
import shutil
import sqlite3
import subprocess
import time
from random import Random

import pytest

from tests.e2e._program import command, run

KILLS = 20
ROTATE_AT = 11
LINES = 12_000
JUNK = b'{"half a line\n\xff\xfe\x00\nGET / HTTP/1.1\n'


class Log:
    """A log that somebody writes: the rest of it comes piece by piece, each ending anywhere."""

    def __init__(self, path, content, rng):
        self.path, self._rest, self._rng = path, content, rng
        self._kept = len(content) // 3
        """So that every life has something new to read."""
        self._file = path.open("ab", buffering=0)

    def surge(self):
        """A hundred lines or so."""
        self._write(self._rng.randrange(20_000, 60_000))

    def trickle(self):
        """A few lines, or a part of one."""
        if len(self._rest) > self._kept:
            self._write(self._rng.randrange(4000))

    def finish(self):
        self._write(len(self._rest))

    def rotate(self):
        """As logrotate does it: the server finishes its line and goes on in a new file."""
        self._write(self._rest.index(b"\n") + 1)
        self._file.close()
        self.path.rename(self.path.with_name(self.path.name + ".1"))
        self._file = self.path.open("ab", buffering=0)

    def close(self):
        self._file.close()

    def _write(self, size):
        self._file.write(self._rest[:size])
        self._rest = self._rest[size:]


def position(data):
    """How far the service has committed, in bytes over all sources; 0 before there is a store."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(
            sqlite3.connect(f"file:{data / 'breachline.db'}?mode=ro", uri=True)
        ) as store,
    ):
        return store.execute("SELECT sum(position) FROM source").fetchone()[0] or 0
    return 0


def run_and_kill(words, log, data, rng, *, by_events, rotate):
    """One life: it ends after a random time, or once more of the log is committed."""
    before = position(data)
    said = data.with_name("said")
    with said.open("wb") as output:
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=output)
    try:
        lasts_s = 60.0 if by_events else 0.1 + rng.random() * 1.6
        ends_s = time.monotonic() + lasts_s
        log.surge()
        while time.monotonic() < ends_s and not (by_events and position(data) > before):
            log.trickle()
            time.sleep(rng.random() * 0.06)
        if rotate:
            log.rotate()
        time.sleep(rng.random() * 0.2)
        assert child.poll() is None, said.read_text()
    finally:
        child.kill()
        child.wait()
    assert position(data) > before or not by_events, "nothing was read in a minute"


def outcome(folder, data, printed):
    """What a run came to, but for the times at which it was decided."""
    where = ("--data-dir", data, "--config", folder / "sim" / "breachline.yaml")
    incidents = run("incidents", "--json", *where).documents
    for incident in incidents:
        # When it was noticed and in how many steps it grew is the only thing that may differ.
        del incident["clocks"], incident["version"]
    with contextlib.closing(
        sqlite3.connect(f"file:{data / 'breachline.db'}?mode=ro", uri=True)
    ) as s:
        findings = sorted(name for (name,) in s.execute("SELECT id FROM finding"))
        bodies = dict(s.execute("SELECT id, body FROM finding"))
        intents = s.execute("SELECT subject FROM body WHERE kind = 'intent'").fetchall()
    count = "SELECT count(*) AS events, count(DISTINCT event) AS distinct_events FROM events"
    names = [incident["id"] for incident in incidents]
    return {
        "incidents": sorted(incidents, key=lambda incident: incident["id"]),
        "affected": {name: run("affected", name, *where).out for name in names},
        "evidence": {
            name: sorted(
                d["event"] for d in run("evidence", "list", name, "--json", *where).documents
            )
            for name in names
        },
        "findings": findings,
        "bodies": bodies,
        "blocks": sorted(d["action"] for d in run("blocks", "--json", *where).documents),
        "intents": sorted(intents),
        "history": run("history", "--sql", count, *where).documents,
        "counts": re.findall(r"Read [\d,]+ lines: .*", printed),
    }


@pytest.mark.stack
def test_twenty_kills_change_nothing(tmp_path):
    """Must hold 4, and 6: each event exactly once, lines = events + rejected + duplicate."""
    rng = Random(20261122)
    sizes = ("--lines", LINES, "--users", 600, "--office-users", 100, "--hours", 2, "--seed", 4)
    assert run("simulate", "--out", tmp_path / "sim", *sizes).code == 0
    content = (tmp_path / "sim" / "access.log").read_bytes()
    half = content.index(b"\n", len(content) // 2) + 1
    content = content[:half] + JUNK + content[half:]
    log = Log(tmp_path / "access.log", content, rng)
    log.surge()
    data, config = tmp_path / "killed", tmp_path / "sim" / "breachline.yaml"
    words = command("run", log.path, "--data-dir", data, "--config", config)
    with contextlib.closing(log):
        for number in range(KILLS):
            by_events = number % 2 == 1
            run_and_kill(words, log, data, rng, by_events=by_events, rotate=number == ROTATE_AT)
        log.finish()
    final = run("run", log.path, "--once", "--data-dir", data, "--config", config)
    assert (final.code, final.err) == (0, "")

    whole = tmp_path / "whole"
    shutil.copytree(data / "keys", whole / "keys")  # the same key, the same digests and ids
    logs = (log.path.with_name("access.log.1"), log.path)
    undisturbed = run("run", *logs, "--once", "--data-dir", whole, "--config", config)
    assert (undisturbed.code, undisturbed.err) == (0, "")
    expected = outcome(tmp_path, whole, undisturbed.out)
    assert outcome(tmp_path, data, final.out) == expected
    assert expected["history"] == [{"events": LINES, "distinct_events": LINES}]
    assert expected["counts"] == [
        "Read 12,003 lines: 12,000 events, 3 rejected, 0 duplicate, 0 late."
    ]
    assert len(expected["incidents"]) >= 10
