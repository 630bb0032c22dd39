"""`breachline ship` takes bulk calls and is killed on the way: each line is on the real Kafka.

A shipper sends each batch until it is answered. What was answered before a kill is on the topic;
what was not is sent again, and a worker drops it by its name.
"""

import asyncio
import contextlib
import json
import os
import time

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from evidence.keys import CredentialDigest
from intake.ownership import Tables
from streams.kafka.intake import Intake, Record
from streams.settings import Settings
from tests import _attack
from tests.e2e._program import command
from tests.stack._clients import create_topic, partitions
from tests.stack._process import Process

BATCH = 25
KILL_AT = (8, 17)
TOKEN = "t0ken-of-the-tests"


def batches():
    lines = [*enumerate(_attack.ordinary(70) + _attack.walk())]
    for start in range(0, len(lines), BATCH):
        yield "".join(
            json.dumps({"create": {"_index": f"logs-{number % 3}", "_id": f"{number}"}})
            + f"\n{line}"
            for number, line in lines[start : start + BATCH]
        )


class Collector:
    def __init__(self, folder, config):
        self._folder, self._words = folder, command("ship", "--config", config)
        self._number = 0
        self.start()

    def start(self):
        self._number += 1
        said = self._folder / f"ship-{self._number}.log"
        self.process = Process(
            self._words, said, cwd=self._folder, env={**os.environ, "INTAKE_TOKEN": TOKEN}
        )
        for _ in range(600):
            for line in said.read_text().splitlines():
                if line.startswith("Listening: HTTP on "):
                    self.url = "http://" + line.removeprefix("Listening: HTTP on ").rstrip(".")
                    return
            time.sleep(0.05)
        pytest.fail(said.read_text())

    def send(self, batch):
        with contextlib.suppress(httpx.HTTPError):
            auth = ("shipper", TOKEN)
            answer = httpx.post(f"{self.url}/_bulk", content=batch, auth=auth, timeout=30)
            return answer.status_code == 200 and not answer.json()["errors"]
        return False


async def records(brokers, topic):
    """Records by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest")
    found: dict[int, list[Record]] = {}
    await consumer.start()
    try:
        for number in sorted(await partitions(brokers, topic)):
            here = TopicPartition(topic, number)
            consumer.assign([here])
            (end,) = (await consumer.end_offsets([here])).values()
            await consumer.seek_to_beginning(here)
            found[number] = []
            while await consumer.position(here) < end:
                for part in (await consumer.getmany(timeout_ms=1000)).values():
                    found[number] += [Record(r.offset, r.value, r.headers) for r in part]
    finally:
        await consumer.stop()
    return found


def test_kills_lose_nothing_that_was_answered_and_double_nothing_that_was_not(kafka, tmp_path):
    config = tmp_path / "breachline.yaml"
    configured = {"brokers": [kafka.brokers], "prefix": "listening."}
    http = {"address": "127.0.0.1:0", "token_env": "INTAKE_TOKEN"}
    config.write_text(json.dumps(
        {"kafka": configured, "listen": {"http": http}, "data_dir": str(tmp_path / "var")}
    ))  # fmt: skip
    asyncio.run(create_topic(kafka.brokers, "listening.access.raw", 4))
    collector = Collector(tmp_path, config)
    sent = list(batches())
    for number, batch in enumerate(sent):
        if number in KILL_AT:
            # It is on the topic, or is not; the shipper does not know.
            collector.send(batch)
            collector.process.kill()
            collector.start()
        while not collector.send(batch):
            time.sleep(0.05)
    collector.process.stop()

    settings = Settings.model_validate({"kafka": configured})
    events: list[str] = []
    duplicate = 0
    for number, part in asyncio.run(records(kafka.brokers, "listening.access.raw")).items():
        intake = Intake(settings, Tables({}, {}, []), CredentialDigest(b"k" * 32), number)
        keep = intake._keep

        def noting(batch, *rest, keep=keep):
            nonlocal duplicate
            events.extend(event.id for event in batch.events)
            duplicate += batch.duplicate
            keep(batch, *rest)

        intake._keep = noting  # type: ignore[method-assign]
        for _ in intake.take(part):
            pass
    assert len(events) == len(set(events)) == 70 * len(_attack.PEOPLE) + len(_attack.VICTIMS)
    # Each of the two batches was sent once more than it was needed.
    assert duplicate == len(KILL_AT) * BATCH
