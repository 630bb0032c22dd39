"""A deployment on the real Kafka and the real Elasticsearch, whose worker is killed in between."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evidence.checkpoint import parse
from evidence.elastic.client import Options, connect
from evidence.elastic.setup import set_up
from evidence.settings import Ledger
from evidence.signing import known_keys, load_signer
from streams.heads import told
from streams.kafka import replica
from streams.projection import backlog, of_entries, stand
from streams.settings import load
from tests import _attack
from tests.stack._elasticsearch import Elasticsearch
from tests.stack._process import Process

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from console.main import main; main()"]
TIMEOUT_S = 120
LOOKS = 240
STREAMS = [f"logs-breachline.{name}-default" for name in ("finding", "evidence", "action")]


class Deployment:
    """One worker with its data directory, and the machine from which it is asked."""

    def __init__(self, kafka, node, folder):
        self.data = folder / "var"
        keys = self.data / "keys"
        keys.mkdir(parents=True, mode=0o700)
        (keys / "digest.key").write_bytes(b"k" * 32)
        (keys / "digest.key").chmod(0o600)
        load_signer(self.data, Ledger().origin, create=True)
        self.heads = folder / "heads.ndjson"
        settings = {"brokers": [kafka.brokers], "prefix": f"{folder.name}.", "partitions": 2}
        self.config = folder / "breachline.yaml"
        self.config.write_text(
            _attack.CONFIG + f"data_dir: {json.dumps(str(self.data))}\n"
            f"kafka: {json.dumps(settings)}\n"
            f"elasticsearch: {{hosts: ['{node.url}']}}\n"
            f"ledger: {{publish: {{file: {json.dumps(str(self.heads))}}}}}\n"
        )
        self.log = folder / "access.log"
        self._folder = folder
        self._starts = 0

    def start(self):
        self._starts += 1
        words = [*PROGRAM, "worker", "--config", self.config]
        return Process(words, self._folder / f"worker-{self._starts}.log", cwd=ROOT)

    def ship(self, lines):
        with self.log.open("a") as log:
            log.writelines(lines)
        words = [*PROGRAM, "ship", self.log, "--once", "--config", self.config]
        done = subprocess.run(
            list(map(str, words)), cwd=ROOT, capture_output=True, timeout=TIMEOUT_S, check=False,
            text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def asked(self, look):
        """What `look` finds in the deployment's store, as any machine can."""
        settings = load(self.config, {}, ROOT).settings
        with replica.opened(settings, os.environ, offline=False) as store:
            return look(store)

    def until_indexed(self, people):
        """So many are affected, and all that the log holds is in Elasticsearch."""
        for _ in range(LOOKS):
            try:
                count, waits, at = self.asked(
                    lambda store: (affected(store), backlog(store), stand(store))
                )
            except FileNotFoundError:  # the worker has not begun yet
                count, waits, at = 0, 0, None
            if count == people and not waits:
                return
            time.sleep(0.5)
        pytest.fail(f"{count} people, {waits} entries wait: {at}")


def affected(store):
    return max((one.affected_count for one in store.incidents()), default=0)


def documents(node):
    found = []
    for name in STREAMS:
        node.ask("POST", f"{name}/_refresh")
        answer = node.ask("POST", f"{name}/_search", {"size": 10_000, "_source": True})[1]
        found += [(name, hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]
    return sorted(found, key=lambda one: one[:2])


def wanted(store):
    parts = of_entries(store, list(store.log.entries()))
    made = [document for part in parts for document in part.documents]
    return sorted(
        ((one.index, one.id, json.loads(one.source)) for one in made), key=lambda one: one[:2]
    )


def test_a_worker_that_is_killed_is_followed_by_one_that_loses_and_doubles_nothing(
    kafka, elasticsearch_runs, tmp_path
):
    with Elasticsearch(tmp_path / "elasticsearch") as node:

        async def prepare():
            async with connect(Options(hosts=(node.url,))) as client:
                await set_up(client, 86_400)

        asyncio.run(prepare())
        deployment = Deployment(kafka, node, tmp_path)
        first = deployment.start()
        try:
            deployment.ship([*_attack.ordinary(), *_attack.walk(_attack.VICTIMS[:6])])
            deployment.until_indexed(6)
            first.kill()
            node.kill()
            second = deployment.start()
            try:
                deployment.ship(_attack.walk()[6:])
                node.start()
                deployment.until_indexed(12)
            finally:
                second.stop()
        finally:
            first.stop()
        # Contents too: an entry that was sent before it was durable would have another commitment.
        assert documents(node) == deployment.asked(wanted)
        (key,) = known_keys(deployment.data)
        heads = [
            parse(json.loads(line)["note"]) for line in deployment.heads.read_text().splitlines()
        ]
        assert {one.key_id for _, signed in heads for one in signed} == {key.key_id}
        sizes = [head.size for head, _ in heads]
        assert sizes == sorted(set(sizes))
        newest = deployment.asked(lambda store: parse(store.ledger.head().note)[0])
        assert heads[-1][0] == newest
        places = deployment.asked(told)
        assert {at.size for at in places.values()} == {newest.size}
        assert len(places) == 2
