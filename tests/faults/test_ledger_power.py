"""Power goes at any write of the log: what was acknowledged is there, whole, and its heads hold.

What SQLite writes is copied and cut at each boundary and inside of each frame, as a disk leaves it
when the power goes; and a process that appends is killed while it does.
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from evidence.store import EmbeddedStore
from evidence.verify.store import check_store, read_heads, read_leaves
from tests._ledger import sealed, trust

ROOT = Path(__file__).parents[2]
DB, WAL = "breachline.db", "breachline.db-wal"
WAL_HEADER, FRAME_HEADER = 32, 24


def enter(store, first, count):
    """One commit."""
    with store.transaction():
        for n in range(first, first + count):
            said = {"incident": "inc-1", "why": "x" * (n % 7 * 400)}
            store.log.append("read", f"rd-{n}", n, "inc-1", said)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file as it was, all that was written to the -wal since, and what was acknowledged when.

    Acknowledged: (bytes of the -wal, entries) after each commit.
    """
    folder = tmp_path_factory.mktemp("written")
    with sealed(folder) as store:
        enter(store, 0, 5)
        assert store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        store._db.execute("PRAGMA wal_autocheckpoint=0")
        before = (folder / DB).read_bytes()
        acknowledged = [(0, 5)]
        for count in (1, 3, 1, 2, 250, 1, 4, 1):
            enter(store, acknowledged[-1][1], count)
            acknowledged.append(((folder / WAL).stat().st_size, acknowledged[-1][1] + count))
        assert (folder / DB).read_bytes() == before
        wal = (folder / WAL).read_bytes()
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        after = (folder / DB).read_bytes()
    return before, wal, after, acknowledged


def left_behind(folder, db, wal):
    """A store as the next start finds it; how many entries it then has."""
    for file in folder.iterdir():
        file.unlink()
    (folder / DB).write_bytes(db)
    (folder / WAL).write_bytes(wal)
    with EmbeddedStore.open(folder) as store:
        assert store.row("", "PRAGMA integrity_check") == ("ok",)
    report = check_store(folder, trust())
    assert (report.problems, report.unproven) == ([], [])
    ids = [entry_id for entry_id, _ in read_leaves(folder)]
    assert ids == [b"rd-%d" % n for n in range(len(ids))]
    assert read_heads(folder)[-1][0] == len(ids)
    return len(ids)


def kept(acknowledged, size):
    """What must be there when so many bytes of the -wal have reached the disk."""
    return max(entries for end, entries in acknowledged if end <= size)


def frames(wal):
    """Where each frame of a -wal begins, and where the last ends."""
    (page_bytes,) = struct.unpack(">I", wal[8:12])
    return range(WAL_HEADER, len(wal) + 1, FRAME_HEADER + page_bytes)


def test_the_writes_that_are_cut_are_many(written):
    _, wal, _, acknowledged = written
    assert len(frames(wal)) > 40
    assert frames(wal)[-1] == len(wal) == acknowledged[-1][0]
    assert {end for end, _ in acknowledged[1:]} < set(frames(wal))


def test_a_commit_waits_for_the_disk(tmp_path):
    """Cut files show what a disk has; that it has it before the answer, only this setting does."""
    with sealed(tmp_path) as store:
        assert store.row("", "PRAGMA synchronous") == (2,)
        assert store.row("", "PRAGMA journal_mode") == ("wal",)


def cuts(wal):
    """Every boundary of a frame, and places inside of each: its header, its page, its last byte."""
    places = {0, 1, WAL_HEADER - 1}
    for start in frames(wal):
        places |= {start, start + 1, start + 12, start + FRAME_HEADER, start + 4097, start - 1}
    return sorted(place for place in places if 0 <= place <= len(wal))


def test_a_log_whose_last_write_was_cut_holds_what_was_acknowledged(tmp_path, written):
    before, wal, _, acknowledged = written
    for size in cuts(wal):
        assert left_behind(tmp_path, before, wal[:size]) == kept(acknowledged, size), size


def test_sectors_that_did_not_reach_the_disk_take_nothing_acknowledged_with_them(tmp_path, written):
    """After the last sync, a disk may have written later sectors and not earlier ones."""
    before, wal, _, acknowledged = written
    rng = random.Random(11)
    for (start, entries), (end, _) in pairwise(acknowledged):
        for filler in (b"\0", b"\xff", None):
            torn = bytearray(wal[:end])
            # The header is synced with the first commit.
            first = max(start, WAL_HEADER)
            sectors = range(first, end, 512)
            for place in rng.sample(sectors, max(1, len(sectors) // 3)):
                stop = min(place + 512, end)
                torn[place:stop] = (filler or rng.randbytes(1)) * (stop - place)
            found = left_behind(tmp_path, before, bytes(torn))
            assert found == entries, (start, filler)


def test_a_checkpoint_that_was_cut_loses_nothing(tmp_path, written):
    """Pages of the -wal are copied to the file in any order; the -wal stands until all are."""
    before, wal, after, acknowledged = written
    (page_bytes,) = struct.unpack(">I", wal[8:12])
    pages = len(after) // page_bytes
    rng = random.Random(12)
    for count in (1, 2, pages // 2, pages - 1, pages):
        half = bytearray(before.ljust(len(after), b"\0"))
        for page in rng.sample(range(pages), count):
            place = page * page_bytes
            # The last of them in part.
            stop = place + page_bytes if page % 3 else place + 512
            half[place:stop] = after[place:stop]
        assert left_behind(tmp_path, bytes(half), wal) == acknowledged[-1][1]


APPENDER = """
import sys
from pathlib import Path

from tests._ledger import sealed

with sealed(Path(sys.argv[1])) as store:
    print("ready", store.log.last_seq, flush=True)
    while True:
        first = store.log.last_seq
        with store.transaction():
            for n in range(first, first + 1 + first % 4):
                store.log.append("read", f"rd-{n}", n, "inc-1", {"incident": "inc-1"})
        print("acknowledged", store.log.last_seq, flush=True)
"""


def append_and_kill(folder, after_s):
    """The size that was acknowledged last, by a process that lived so long."""
    child = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(folder)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
    )
    try:
        assert child.stdout is not None
        first = child.stdout.readline().split()
        assert first[:1] == [b"ready"]
        time.sleep(after_s)
    finally:
        child.send_signal(signal.SIGKILL)
        said, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL  # it did not end by an error of its own
    lines = [first, *(line.split() for line in said.split(b"\n")[:-1])]
    return int(lines[-1][1])


@pytest.mark.stack
def test_a_killed_process_has_lost_nothing_that_it_acknowledged(tmp_path):
    moments = random.Random(6)
    entries = 0
    for _ in range(20):
        acknowledged = append_and_kill(tmp_path, moments.uniform(0, 0.3))
        # As it was left, before anybody opens it for writing.
        report = check_store(tmp_path, trust())
        assert report.problems == []
        assert report.entries >= acknowledged >= entries
        entries = report.entries
        ids = [entry_id for entry_id, _ in read_leaves(tmp_path)]
        assert ids == [b"rd-%d" % n for n in range(entries)]
        assert [size for size, _ in read_heads(tmp_path)][-1] == entries
    assert entries > 20
