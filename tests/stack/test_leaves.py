"""`evidence verify --topic` on the real Kafka: a deployment's own topic, and one with more."""

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaProducer

from streams.kafka.leaves import read_leaves
from streams.kafka.settings import Kafka
from tests import _attack
from tests.stack._process import Process
from tests.stack.test_replica import PROGRAM, ROOT, Machine

WAIT_S = 90


@pytest.fixture
def deployment(kafka, tmp_path):
    """A worker that has found the attack; its machine."""
    settings = {"brokers": [kafka.brokers], "prefix": f"{tmp_path.name}.", "partitions": 1}
    machine = Machine(tmp_path / "worker", settings)
    log = _attack.write(tmp_path / "attack")
    process = Process([*PROGRAM, "worker", "--config", machine.config], tmp_path / "log", cwd=ROOT)
    try:
        deadline_s = time.monotonic() + WAIT_S
        while machine.call("ship", log, "--once")[0]:
            assert time.monotonic() < deadline_s
        while not machine.call("incidents", "--json")[1]:
            assert time.monotonic() < deadline_s
        yield machine, settings
    finally:
        process.stop()


async def send(brokers, topic, key, value):
    async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
        await producer.send_and_wait(topic, value, key=key)


def test_the_topic_of_a_deployment_is_checked_and_a_forged_record_is_named(deployment):
    machine, settings = deployment
    code, out, err = machine.call("evidence", "verify", "--topic", "--json")
    document = json.loads(out)
    assert (code, document["problems"]) == (0, []), err
    assert document["entries"] > 3
    assert document["heads"] > 0

    found = []
    kafka = Kafka(**settings)
    end = asyncio.run(read_leaves(kafka, {}, lambda *record: found.append(record)))
    assert end >= len(found) == document["entries"]
    asyncio.run(send(settings["brokers"][0], f"{settings['prefix']}ledger", b"rd-x", found[0][1]))
    code, out, _ = machine.call("evidence", "verify", "--topic", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["what"], problem["id"]) == (1, "inserted", "rd-x")
    assert problem["index"] == len(found)
