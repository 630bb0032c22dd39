"""Between task and journal: what is counted once it stands; what is said of what stands still."""

import asyncio
import dataclasses
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from records.event import Reject
from streams.kafka.journal import Journal
from streams.kafka.meter import STUCK_S, Measured, Meter
from streams.kafka.tasks import Task
from streams.kafka.topics import Topics
from streams.kafka.wire import Output, Slice, Slices, encode
from streams.metrics import Meters
from streams.tally import Tally
from tests.streams.kafka._tasks import PLACE, World, poll
from tests.streams.kafka._tasks import Journal as Double
from tests.streams.test_metrics import shown

TOPICS = Topics("breachline.")
TASK = "partition=2,stage=intake"


class Watched(World):
    """A task whose journal is measured; the meter's tasks are this one."""

    def __init__(self, monkeypatch):
        self.meters, self.behind = Meters(), 0
        self.tasks: dict[Any, Task] = {}
        super().__init__()
        self.meter = Meter(
            self.meters, TOPICS, self.tasks, lambda _place, _position: self.behind, self.clock
        )
        self.tasks[PLACE] = self.task
        self.meter.joined = True
        self.seat = self.meter.seat("intake", PLACE)
        for name in ("begin", "commit", "end"):
            monkeypatch.setattr(Journal, name, getattr(Double, name))
        monkeypatch.setattr(Journal, "wants_base", Double.wants_base)
        monkeypatch.setattr(Journal, "__init__", opened)
        self.task._make_journal = lambda: Measured(self.meter, self.seat, self.kept)
        self.task._commit_s = 0.001

    def shown(self, *names):
        return shown(self.meters, *names)

    @asynccontextmanager
    async def running(self):
        async with super().running() as run:
            await self.until(lambda: self.seat.ready)
            yield run


def opened(journal, kept):
    Double.__init__(journal, kept)
    journal._since_bytes = 77


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setattr("streams.kafka.tasks._AGAIN_S", 0.0)
    return Watched(monkeypatch)


def at_ms(one, ms):
    """The poll, its records given this time by Kafka."""
    records = [dataclasses.replace(record, timestamp=ms) for record in one.records]
    return replace(one, records=records)


def counted(watched, **counts):
    """A frame as intake sends it, with this tally and a slice that is not looked at."""
    reject = Reject("s", 0, "not_json", "0" * 64, "x")
    frame = Slices("i2", 1, False, [Slice(1, "s", rejects=[reject])], Tally(**counts))
    return Output(TOPICS.exposures, encode(frame), partition=0)


def test_commits_and_restarts_are_counted_beyond_a_task_s_remaking(watched):
    async def main():
        async with watched.running():
            await watched.task.take(poll(0))
            await watched.committed(0)
            watched.kept.commit_faults.append(KafkaError("gone"))
            await watched.task.take(poll(1))
            await watched.until(lambda: watched.kept.begins == 2 and watched.seat.ready)
            await watched.task.take(poll(1))
            await watched.committed(0, 1)
            await watched.until(lambda: watched.seat.committing_s is None)

    asyncio.run(main())
    assert watched.shown("task_commits", "task_restarts") == {
        f"task_commits_total{{{TASK}}}": 2,
        f"task_restarts_total{{{TASK}}}": 1,
    }


def test_lines_are_counted_once_their_commit_stands(watched):
    counts = {"lines": 9, "events": 5, "duplicate": 1, "late": 2, "rejected": {"not_json": 3}}
    output = counted(watched, **counts)
    watched.task.gather = lambda: ([output], [b"0"])
    watched.task.restore([])

    async def main():
        journal = Measured(watched.meter, watched.seat, watched.kept)
        watched.kept.commit_faults.append(KafkaError("gone"))
        with pytest.raises(KafkaError):
            await journal.commit([output], [b"0"], PLACE, 1)
        assert watched.shown("lines", "task_commits") == {}
        journal = Measured(watched.meter, watched.seat, watched.kept)
        await journal.commit([output, Output("other", b"\xff")], [b"0"], PLACE, 1)

    asyncio.run(main())
    assert watched.shown("lines", "events", "late", "duplicate", "rejected", "task_commits") == {
        "lines_total": 9,
        "events_total": 5,
        "duplicate_lines_total": 1,
        "late_events_total": 2,
        "rejected_lines_total{reason=not_json}": 3,
        f"task_commits_total{{{TASK}}}": 1,
    }


def test_a_fault_of_counting_reaches_no_task(watched, caplog):
    async def main():
        journal = Measured(watched.meter, watched.seat, watched.kept)
        await journal.commit([Output(TOPICS.exposures, b"\xc1")], [b"0"], PLACE, 1)

    asyncio.run(main())
    assert watched.kept.commits == 1
    assert f"counting a commit of {PLACE.topic}/2" in caplog.text


def test_a_poll_s_age_is_that_at_the_commit_which_tells_of_it(watched):
    async def main():
        async with watched.running():
            watched.clock.advance(100)
            await watched.meter.take(watched.task, at_ms(poll(0, 1), 98_000))
            await watched.committed(0, 1)
            await watched.until(lambda: watched.seat.committing_s is None)

    asyncio.run(main())
    counts = watched.shown("stage_seconds_sum", "stage_seconds_count")
    assert counts == {
        "stage_seconds_sum{stage=intake}": 2.0,
        "stage_seconds_count{stage=intake}": 1,
    }


def test_a_poll_that_had_nothing_to_tell_is_not_timed_with_the_next(watched):
    watched.task.gathers = 5
    watched.seat.taken = [(1, 3), (2, 4)]
    assert watched.meter.committing(watched.seat) == [2]
    assert watched.seat.taken == []


def troubles(watched):
    return watched.meter.troubles()


def test_a_worker_without_a_share_is_not_well_until_it_has_one(watched):
    watched.meter.joined = False
    assert troubles(watched) == [
        "waiting for the brokers to give this worker its share of the partitions"
    ]
    watched.meter.joined = True
    watched.tasks.clear()
    assert troubles(watched) == []


def test_a_task_in_the_making_is_not_well(watched):
    async def main():
        watched.kept.may_begin.clear()
        run = asyncio.ensure_future(watched.task.run())
        await watched.until(lambda: watched.kept.begins == 1)
        watched.clock.advance(3)
        assert troubles(watched) == [f"{PLACE.topic}/2 is being made from its journal, for 3 s"]
        watched.kept.may_begin.set()
        await watched.until(lambda: watched.seat.ready)
        assert troubles(watched) == []
        run.cancel()
        await asyncio.wait([run])
        assert troubles(watched) != []

    asyncio.run(main())


def test_a_task_with_nothing_to_do_is_well_for_ever(watched):
    async def main():
        async with watched.running():
            watched.clock.advance(100 * STUCK_S)
            assert troubles(watched) == []

    asyncio.run(main())


def test_a_commit_that_does_not_end_is_not_well(watched):
    async def main():
        async with watched.running():
            watched.kept.may_commit.clear()
            await watched.task.take(poll(0))
            await watched.until(lambda: watched.seat.committing_s is not None)
            watched.clock.advance(STUCK_S)
            assert troubles(watched) == []
            watched.clock.advance(1)
            assert troubles(watched) == [f"{PLACE.topic}/2 has been committing for 31 s"]
            watched.kept.may_commit.set()
            await watched.committed(0)
            await watched.until(lambda: watched.seat.committing_s is None)
            assert troubles(watched) == []

    asyncio.run(main())


def test_work_without_a_commit_is_not_well(watched):
    async def main():
        async with watched.running():
            watched.task._room.clear()
            taking = asyncio.ensure_future(watched.meter.take(watched.task, poll(0)))
            await asyncio.sleep(0)
            watched.clock.advance(STUCK_S + 1)
            assert troubles(watched) == [
                f"{PLACE.topic}/2 has work, and its last commit is 31 s old"
            ]
            watched.task._room.set()
            await taking
            await watched.committed(0)
            assert troubles(watched) == []

    asyncio.run(main())


def test_how_a_task_stands(watched):
    async def main():
        async with watched.running():
            watched.behind = 12
            watched.clock.advance(4)
            return watched.shown("task_ready", "snapshot", "journal", "partition_lag", "held")

    assert asyncio.run(main()) == {
        f"task_ready{{{TASK}}}": 1,
        f"snapshot_age_seconds{{{TASK}}}": 4,
        f"journal_bytes{{{TASK}}}": 77,
        f"partition_lag_records{{partition=2,topic={PLACE.topic}}}": 12,
    }


def test_of_a_task_in_the_making_only_that_is_said(watched):
    watched.clock.advance(4)
    assert watched.shown("task_ready", "snapshot", "journal", "partition_lag") == {
        f"snapshot_age_seconds{{{TASK}}}": 4
    }
