"""What the actor did besides is kept, up to limits, and said; and nobody waits for it."""

import asyncio
import json
from random import Random

import pytest

from evidence.history import History
from evidence.settings import Capture
from evidence.store import EmbeddedStore
from responders.capture_evidence import CaptureEvidence
from streams.capture import LOOK_BACK, StoreCapture
from streams.clock import HandClock
from streams.live import Live, Outbox
from streams.lookback import LookBack
from streams.settings import Settings
from tests import _attack

NOW_MS = _attack.START_MS + 71 * 60_000
OWN = [f"/api/v1/users/u-66/profile?n={n}" for n in range(5)]
WALK = [f"/api/v1/wallets/{user}/x" for user in _attack.VICTIMS]


@pytest.fixture
def log(tmp_path):
    """Everybody's own; the attacker's, at minutes 10 to 14; then the walk."""
    own = [
        _attack.entry(60 * (10 + n), "u-66", path, _attack.ATTACKER_IP)
        for n, path in enumerate(OWN)
    ]
    lines = sorted([*_attack.ordinary(), *own], key=lambda line: json.loads(line)["@timestamp"])
    path = tmp_path / "access.log"
    path.write_text("".join([*lines, *_attack.walk()]))
    return path


@pytest.fixture
def data(tmp_path):
    return tmp_path / "var"


@pytest.fixture
def run(data, pipeline_on, settings):
    """One life of the service over a log, with who looks back beside it."""

    def once(log, limits=None, *, looks=True):
        limits = limits or Capture()
        with (
            EmbeddedStore.open(data) as store,
            History(data / "history") as history,
        ):
            history.recover(store)
            pipeline = pipeline_on(
                store, settings=settings, performer=Outbox(store, limits), history=history,
                event_time=False,
            )  # fmt: skip
            pipeline.restore()
            capture = StoreCapture(store, lambda: NOW_MS, limits, looks_back=True)
            beside = [LookBack(store, data, Settings().intake, limits)] if looks else []
            live = Live(
                pipeline, store, history, [CaptureEvidence(capture)], HandClock(NOW_MS), Random(1),
                beside=beside,
            )  # fmt: skip
            asyncio.run(asyncio.wait_for(live.follow([str(log)], once=True), 60))

    return once


class Kept:
    """What the log holds of the one incident's captured lines, by role."""

    def __init__(self, data):
        with EmbeddedStore.open_readonly(data) as store:
            captured = list(store.log.captured())
            lines = {line.event: line.data for line in store.lines(c.event for c in captured)}
            self.waiting = list(store.load_state(LOOK_BACK))
            self.told = [one.detail for one in store.log.receipts() if one.point == "evidence"]
            self.others = [one for one in captured if one.role == "other"]
            self.paths = {
                role: sorted(
                    json.loads(lines[one.event])["url"]["original"]
                    for one in captured
                    if one.role == role and one.event in lines
                )
                for role in ("contributing", "other")
            }


def test_the_actors_other_requests_are_kept_as_they_were_logged(run, log, data):
    run(log)
    kept = Kept(data)
    assert kept.paths == {"contributing": sorted(WALK), "other": OWN}
    assert kept.waiting == []
    assert kept.told == [
        "kept 12 lines, 0 could not be read back; other requests of its actors are looked up",
        "other requests of its actors: kept 5 lines",
    ]
    assert {one.names for one in kept.others} == {("u-66",)}
    assert {one.columns for one in kept.others} == {None}


def test_what_cannot_be_read_again_is_kept_as_it_was_understood(run, log, data):
    run(log, looks=False)
    assert len(Kept(data).waiting) == 1
    log.unlink()
    log.touch()
    run(log)
    kept = Kept(data)
    assert kept.paths["other"] == []
    understood = [one.columns or {} for one in kept.others]
    assert sorted(row["path"] for row in understood) == OWN
    assert {row["principal"] for row in understood} == {"u-66"}
    assert {(one.sha256, one.masked) for one in kept.others} == {("", True)}
    assert kept.told[-1] == (
        "other requests of its actors: kept 0 lines, and what was understood of 5 whose lines are "
        "gone"
    )


def test_what_was_not_done_is_done_by_the_next_run_and_once(run, log, data):
    run(log, looks=False)
    assert Kept(data).others == []
    for _ in range(2):
        run(log)
        assert Kept(data).paths["other"] == OWN
        assert len(Kept(data).others) == 5


LIMITS = [
    ("lines", Capture(max_other_lines=2), OWN[3:],
     "other requests of its actors: kept 2 lines; 3 left out beyond the limits of capture"),
    ("none at all", Capture(max_other_lines=0), [],
     "other requests of its actors: kept 0 lines; 5 left out beyond the limits of capture"),
    ("bytes", Capture(max_bytes=12 * 300), [],
     "other requests of its actors: kept 0 lines; 5 left out beyond the limits of capture"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "limits", "paths", "words"), LIMITS, ids=[case[0] for case in LIMITS]
)
def test_the_newest_are_kept_and_the_rest_is_counted(run, log, data, name, limits, paths, words):
    run(log, limits)
    kept = Kept(data)
    assert (kept.paths["other"], kept.told[-1]) == (paths, words), name


def test_long_lines_do_not_fill_the_memory(run, log, data):
    run(log, looks=False)
    run(log, Capture(max_bytes=700))
    kept = Kept(data)
    assert kept.told[-1].startswith("other requests of its actors: kept ")
    assert kept.told[-1].endswith(" left out beyond the limits of capture")
    assert not [one for one in kept.others if one.columns is not None]


def test_an_incident_that_is_gone_waits_for_nobody(data):
    with EmbeddedStore.open(data) as store:
        store.save_state([(LOOK_BACK, "inc-9", b"\1")])
        one = LookBack(store, data, Settings().intake, Capture())
        asyncio.run(one.last(NOW_MS))
        assert list(store.load_state(LOOK_BACK)) == []
        assert asyncio.run(one.step(NOW_MS)) is None
        assert list(store.log.entries()) == []
