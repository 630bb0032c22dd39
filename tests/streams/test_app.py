"""The worker around its tasks: who has which partition, and who gets a poll. No broker is asked."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from evidence.settings import Ledger
from evidence.signing import load_signer
from streams import app as module
from streams.app import Worker, make
from streams.clock import HandClock
from streams.kafka.stages import DecideTask, DetectTask, IntakeTask
from streams.kafka.tasks import Poll
from streams.settings import Settings

RAW, SIGNALS, EXPOSURES = (f"breachline.{name}" for name in ("access.raw", "signals", "exposures"))

FIRST, SECOND = Poll(0, 4, []), Poll(4, 5, [])


@pytest.fixture
def config(tmp_path):
    keys = tmp_path / "var" / "keys"
    keys.mkdir(mode=0o700, parents=True)
    (keys / "digest.key").touch(mode=0o600)
    (keys / "digest.key").write_bytes(b"k" * 32)
    load_signer(tmp_path / "var", Ledger().origin, create=True)
    path = tmp_path / "breachline.yaml"
    path.write_text(
        f"data_dir: {json.dumps(str(tmp_path / 'var'))}\n"
        "kafka: {brokers: ['127.0.0.1:9', '127.0.0.1:10'], group: ours, session_timeout_s: 8}\n"
    )
    return path


class Task:
    """Runs until it is cancelled; remembers what it was given."""

    def __init__(self, place):
        self.place = TopicPartition(*place)
        self.gathers = 0
        self.polls = []
        self.running = False

    async def run(self):
        self.running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.running = False

    async def take(self, poll):
        self.polls.append(poll)


@pytest.fixture
def worker(config, monkeypatch):
    """A worker whose tasks are doubles, run by the loop instead of by Faust's app."""
    made = make(config, {})
    monkeypatch.setattr(made, "_task", Task)
    monkeypatch.setattr(made.app, "add_future", asyncio.ensure_future)
    return made


def test_the_app_is_the_configuration_s(config):
    conf = make(config, {}).app.conf
    assert conf.id == "ours"
    assert [str(url) for url in conf.broker] == ["kafka://127.0.0.1:9", "kafka://127.0.0.1:10"]
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (8, 2)
    assert conf.broker_request_timeout > conf.broker_session_timeout
    assert conf.web_enabled is False, "Faust's pages would be an open door"


def test_it_reads_its_three_inputs_and_no_more(config):
    app = make(config, {}).app
    names = {topic for agent in app.agents.values() for topic in agent.channel.topics}
    assert names == {RAW, SIGNALS, EXPOSURES}


KINDS = [
    (TP(RAW, 3), IntakeTask),
    (TP(SIGNALS, 2), DetectTask),
    (TP(EXPOSURES, 0), DecideTask),
]


@pytest.mark.parametrize(("place", "kind"), KINDS)
def test_each_partition_has_its_stage(config, place, kind):
    made = make(config, {})._task(place)
    assert type(made) is kind
    assert tuple(made.place) == tuple(place)


def test_tasks_follow_the_assignment(worker):
    async def main():
        first, second, third = TP(RAW, 0), TP(RAW, 1), TP(SIGNALS, 0)
        await worker._assigned(worker.app, {first, second})
        await asyncio.sleep(0)
        kept, given_up = worker.tasks[first], worker.tasks[second]
        assert (kept.running, given_up.running) == (True, True)
        await worker._assigned(worker.app, {first, third})
        await asyncio.sleep(0)
        assert set(worker.tasks) == {first, third}
        assert worker.tasks[first] is kept
        assert (kept.running, given_up.running) == (True, False)
        await worker.end()
        assert (worker.tasks, kept.running) == ({}, False)

    asyncio.run(main())


def test_a_poll_goes_to_its_partition_s_task(worker):
    async def main():
        mine, other = TP(RAW, 0), TP(RAW, 9)
        await worker._assigned(worker.app, {mine})

        async def events():
            for place, value in ((mine, FIRST), (other, FIRST), (mine, SECOND)):
                yield SimpleNamespace(message=SimpleNamespace(tp=place, value=value))

        stream = SimpleNamespace(events=events, enable_acks=True)
        await worker._agent(stream)
        assert worker.tasks[mine].polls == [FIRST, SECOND]
        assert stream.enable_acks is False
        await worker.end()

    asyncio.run(main())


def test_without_kafka_or_key_there_is_no_worker(config, tmp_path):
    with pytest.raises(ValueError, match="a worker needs `kafka:"):
        Worker(Settings(), None, {}, HandClock())
    with pytest.raises((ValueError, OSError), match=r"digest\.key"):
        make(config, {}, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_importing_reads_no_file():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing
