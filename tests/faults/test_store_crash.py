"""Power goes at any moment: what was committed is there, whole, and nothing else is."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evidence.history import History
from evidence.store import EmbeddedStore
from records.event import Actor

pytestmark = pytest.mark.stack

ACTOR = Actor("ip", "192.0.2.7")

RUNNER = """
import sys
from pathlib import Path

from evidence.history import History
from evidence.store import EmbeddedStore
from records.event import AccessEvent, Actor, Exposure
from records.ids import event_id

ACTOR = Actor("ip", "192.0.2.7")


def event(n):
    return AccessEvent(
        event_id("a1b2", n), "a1b2", n, 1_790_000_000_000 + n, "192.0.2.7", True, "GET", "/p", "/p",
        200, 1, "", "", "", "", "", "unlogged", "", "", "", ("u-%d" % n,), "", "unclassified",
        "read", "proven", "route", "undetermined", "", False, False,
    )


directory = Path(sys.argv[1])
with EmbeddedStore.open(directory / "store") as store:
    history = History(directory / "history", segment_rows=700)
    history.recover(store)
    position = next((s.position for s in store.sources()), 0)
    print("ready", flush=True)
    while True:
        rows = range(position, position + 50)
        position = rows.stop
        history.append([event(n) for n in rows])
        with store.transaction():
            store.add_exposures(
                [
                    Exposure(
                        event=event_id("a1b2", n), time_ms=n, actor=ACTOR, target="u-%d" % n
                    )
                    for n in rows
                ]
            )
            store.save_state([("space", "last", str(position).encode())])
            store.add_counts({"lines": len(rows)})
            history.stage(store)
            store.put_source("a1b2", "a.log", position, b"", b"")
        if position % 3500 == 0:
            history.compact()
"""


def run_and_kill(directory: Path, after_s: float) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(directory)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(after_s)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL  # it did not end by an error of its own


def test_position_and_rows_agree_after_every_kill(tmp_path):
    moments = random.Random(20)
    position = 0
    for _ in range(20):
        run_and_kill(tmp_path, moments.uniform(0, 0.4))
        with EmbeddedStore.open(tmp_path / "store") as store:
            before, position = position, next((s.position for s in store.sources()), 0)
            assert position >= before
            exposed = [x.time_ms for x in store.exposures_of([ACTOR], 0, 2**60)]
            assert exposed == list(range(position))
            assert store.counts() == ({"lines": position} if position else {})
            state = [("last", str(position).encode())] if position else []
            assert list(store.load_state("space")) == state
            assert store.row("", "PRAGMA integrity_check") == ("ok",)
        with EmbeddedStore.open_readonly(tmp_path / "store") as store:
            reader = History(tmp_path / "history")
            reader.load_staged(store)
            assert [row["offset"] for row in reader.search()] == list(range(position))
    assert position > 0
    assert list((tmp_path / "history").glob("*.parquet")) != []
