"""`breachline deadletter` on the real Kafka: rejected lines are found, and replayed once."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from evidence.settings import Ledger
from evidence.signing import load_signer
from tests import _attack
from tests.stack._process import Process

ROOT = Path(__file__).parents[2]
PROGRAM = [
    sys.executable, "-c",
    "from console import main; main.COMMANDS.setdefault('deadletter', ''); main.main()",
]  # fmt: skip
TIMEOUT_S = 120
LOOKS = 60


class Deployment:
    """One worker with a mapping that can be corrected, and whoever asks it."""

    def __init__(self, kafka, folder):
        self.brokers = kafka.brokers
        self.folder = folder
        self.prefix = f"{folder.name}."
        self.config = folder / "breachline.yaml"
        keys = folder / "var" / "keys"
        keys.mkdir(parents=True, mode=0o700)
        (keys / "digest.key").write_bytes(b"k" * 32)
        (keys / "digest.key").chmod(0o600)
        load_signer(folder / "var", Ledger().origin, create=True)
        self.process = None

    def start(self, **fields):
        trust = {"principal": "gateway"}
        intake = {"fields": fields, "routes": _ROUTES, "trust": trust}
        kafka = {"brokers": [self.brokers], "prefix": self.prefix, "partitions": 2}
        settings = {"intake": intake, "kafka": kafka, "data_dir": str(self.folder / "var")}
        self.config.write_text(json.dumps(settings))
        words = [*PROGRAM, "worker", "--config", self.config]
        self.process = Process(words, self.folder / "worker.log", cwd=ROOT)

    def stop(self):
        if self.process is not None and self.process.is_running:
            self.process.stop()

    def call(self, *args):
        return subprocess.run(
            [*PROGRAM, *map(str, args), "--config", str(self.config)],
            cwd=ROOT, capture_output=True, timeout=TIMEOUT_S, check=False, text=True,
        )  # fmt: skip

    def ask(self, *args):
        """stdout, as JSON by lines where it was asked for."""
        done = self.call(*args)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def rejected(self, *args):
        """Rejected lines; none before the worker has made the topic."""
        done = self.call("deadletter", "list", "--json", "--limit", 1_000, *args)
        assert done.returncode in (0, 2), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def replay(self, *args):
        (told,) = self.ask("deadletter", "replay", "--json", *args)
        return told

    async def traffic(self, entries):
        """Lines of another shipper, one a message, in each partition."""
        producer = AIOKafkaProducer(bootstrap_servers=self.brokers)
        try:
            await producer.start()
            for number, entry in enumerate(entries):
                value = entry.rstrip().encode()
                await producer.send_and_wait(
                    f"{self.prefix}access.raw", value, partition=number % 2
                )
        finally:
            await producer.stop()

    def affected(self):
        """The affected of the one incident."""
        done = self.call("incidents", "--json")
        found = [json.loads(line)["id"] for line in done.stdout.splitlines()]
        if len(found) != 1:
            return []
        return self.call("affected", found[0]).stdout.split()


_ROUTES = [
    {"match": "/api/v1/users/{owner}/**", "category": "contact"},
    {"match": "/api/v1/wallets/{owner}/**", "category": "financial"},
]


@pytest.fixture
def deployment(kafka, tmp_path):
    made = Deployment(kafka, tmp_path)
    yield made
    made.stop()


def until(answer, wanted):
    """The answer becomes what is wanted, within a bounded number of looks."""
    for _ in range(LOOKS):
        if (found := answer()) == wanted:
            return
        time.sleep(0.5)
    pytest.fail(f"waiting for {wanted!r}, the last answer was {found!r}")


def odd_time(entry):
    return entry.replace('"@timestamp"', '"logged_at"')


def test_what_a_wrong_mapping_rejected_is_not_lost(deployment, tmp_path):
    """Half of the attack is logged under another name for the time; then the mapping knows it."""
    walk = _attack.walk()
    odd = [odd_time(entry) for entry in walk[6:]]
    long = json.dumps({"logged_at": "x", "path": "y" * 5_000}) + "\n"
    log = tmp_path / "access.log"
    log.write_text("".join([*_attack.ordinary(), *walk[:6], *odd, long]))
    deployment.start()
    assert deployment.call("ship", log, "--once").returncode == 0
    until(lambda: len(deployment.rejected()), 7)
    until(deployment.affected, _attack.VICTIMS[:6])

    rows = deployment.rejected()
    assert rows[0]["offset"] == len("".join([*_attack.ordinary(), *walk[:6]]))
    assert [(row["reason"], row["name"], row["cut"], row["replayed"]) for row in rows] == [
        ("no_time", str(log), False, False)
    ] * 6 + [("no_time", str(log), True, False)]
    assert deployment.replay("--dry-run") == {"sent": 6, "masked": 6, "cut": 1, "before": 0}

    # The mapping is not corrected yet: they come back, once, and stand for themselves.
    assert deployment.replay("--yes")["sent"] == 6
    until(lambda: len(deployment.rejected()), 13)
    assert sum(row["replayed"] for row in deployment.rejected()) == 6

    deployment.stop()
    deployment.start(time="logged_at")
    assert deployment.replay("--yes", "--reason", "too_long")["sent"] == 0
    assert deployment.replay("--yes", "--reason", "no_time")["sent"] == 6
    assert deployment.replay("--yes") == {"sent": 0, "masked": 0, "cut": 1, "before": 6}
    # Traffic goes on: what is decided waits for a partition until it is heard of.
    later = [odd_time(entry) for entry in _attack.ordinary(75)[-24:]]
    asyncio.run(deployment.traffic(later))
    until(deployment.affected, _attack.VICTIMS)
    assert len(deployment.rejected()) == 13
