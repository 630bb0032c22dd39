"""Two logs of one deployment, through the pipeline and the live service, with stops in between."""

import asyncio
from random import Random

import pytest

from streams.clock import HandClock
from streams.live import Live, Outbox
from streams.pipeline import Pipeline
from streams.settings import load
from streams.sources import read_frames
from tests.e2e import _two_logs as two

REQUESTS = len(two.requests())


@pytest.fixture
def logs(tmp_path):
    return two.write(tmp_path / "logs")


@pytest.fixture
def pipeline(logs, store, pipeline_on):
    """Makes a pipeline on the store that takes up where the last one left off."""
    settings = load(logs[0].parent / "breachline.yaml", {}, logs[0].parent).settings

    def make() -> Pipeline:
        made: Pipeline = pipeline_on(store, settings=settings, performer=Outbox(store))
        made.restore()
        return made

    return make


def take(pipeline, store, log):
    with store.transaction():
        for frame in read_frames(str(log), pipeline.book):
            pipeline.take(frame)
        pipeline.checkpoint()


def counts(pipeline):
    document = pipeline.tally.document(1)
    assert document["lines"] == document["events"] + document["duplicate"]
    return document["events"], document.get("joined", 0), sum(pipeline.tally.unmatched.values())


def test_a_stop_between_the_halves(logs, store, pipeline):
    """What the gateway's log ends with waits in the store, and is joined by the next run."""
    gateway, service = logs
    walk = len(two.VICTIMS)
    gateway.write_bytes(b"".join(gateway.read_bytes().splitlines(keepends=True)[-walk:]))
    first = pipeline()
    take(first, store, gateway)
    assert (counts(first), first.waiting) == ((0, 0, 0), walk)
    second = pipeline()
    assert second.waiting == walk
    take(second, store, service)
    events, joined, alone = counts(second)
    assert (events, joined) == (walk + alone, walk)
    assert len(list(store.load_state("half"))) == walk
    third = pipeline()
    with store.transaction():
        while third.settle() is not None:
            third.checkpoint()
    assert counts(third) == (REQUESTS, walk, REQUESTS - walk)
    assert list(store.load_state("intake.join")) == []
    assert pipeline().settle() is None


class Service(Live):
    """A service on a clock that is moved by hand."""

    def __init__(self, pipeline, store, **given):
        self.clock = HandClock(0)
        self.pipeline = pipeline
        super().__init__(pipeline, store, None, (), self.clock, Random(1), event_time=True, **given)


def run(service, logs, *, once, until=lambda: True, meanwhile=lambda: None):
    """Follow until something is true; bounded."""

    async def main():
        task = asyncio.ensure_future(service.follow([str(log) for log in logs], once=once))
        for _ in range(2000):
            if task.done() or (not once and until()):
                break
            meanwhile()
            await asyncio.sleep(0.01)
        service.stop()
        await asyncio.wait_for(task, 30)

    asyncio.run(main())


def test_once_judges_what_waits_at_the_logs_ends(logs, store, pipeline):
    service = Service(pipeline(), store)
    run(service, logs[:1], once=True)
    assert counts(service.pipeline) == (REQUESTS, 0, REQUESTS)
    assert service.pipeline.waiting == 0


def test_both_logs_are_read_side_by_side(logs, store, pipeline):
    service = Service(pipeline(), store)
    run(service, logs, once=True)
    assert counts(service.pipeline) == (REQUESTS, REQUESTS, 0)
    (incident,) = store.incidents()
    assert service.pipeline.desk.impact(incident.id).users == tuple(two.VICTIMS)


def test_a_service_that_hears_nothing_more_waits_no_longer(logs, store, pipeline):
    service = Service(pipeline(), store)
    run(
        service,
        logs[:1],
        once=False,
        until=lambda: not service.pipeline.waiting and service.pipeline.tally.events == REQUESTS,
        meanwhile=lambda: service.clock.advance(1),
    )
    assert counts(service.pipeline) == (REQUESTS, 0, REQUESTS)


def test_a_service_that_is_stopped_leaves_what_waits_to_the_next(logs, store, pipeline):
    service = Service(pipeline(), store)
    run(service, logs[:1], once=False, until=lambda: service.pipeline.waiting)
    waited = service.pipeline.waiting
    assert waited > 0
    again = Service(pipeline(), store)
    assert again.pipeline.waiting == waited
    run(again, logs, once=True)
    events, joined, alone = counts(again.pipeline)
    assert events == REQUESTS + alone - (REQUESTS - joined) == joined + alone
    assert joined >= waited
