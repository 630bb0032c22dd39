"""`breachline ship` against the real Kafka: what arrives is what was logged, whatever happens."""

import asyncio
import contextlib
import gzip
import json
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.book import source_id
from tests.e2e._program import command
from tests.stack._clients import create_topic, login, partitions
from tests.stack._process import Process

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60


def lines(count, first=0):
    text = '{{"time": "2026-11-22T10:00:00Z", "remote_addr": "192.0.2.{}", "uri": "/orders/{}"}}\n'
    return b"".join(text.format(n % 250, n).encode() for n in range(first, first + count))


class Place:
    """A deployment of the test's own on the shared Kafka, and one collector's data directory."""

    def __init__(self, kafka, folder, name):
        self.kafka = kafka
        self.folder = folder
        self.topic = f"{name}.access.raw"
        self.config = folder / "breachline.yaml"
        self.settings = {"brokers": [kafka.brokers], "prefix": f"{name}."}
        self.client = {}
        self.configure()

    def configure(self, **settings):
        self.settings |= settings
        text = json.dumps({"kafka": self.settings, "data_dir": str(self.folder / "var")})
        self.config.write_text(text)

    def make_topic(self):
        asyncio.run(create_topic(self.kafka.brokers, self.topic, 4, **self.client))

    def words(self, *args):
        return command("ship", *args, "--config", self.config)

    def start(self, *args):
        return Process(self.words(*args), self.folder / "ship.log", cwd=ROOT)

    def run(self, *args, **popen):
        """(exit code, stdout as JSON without its duration, stderr)."""
        done = subprocess.run(
            self.words(*args, "--json"), cwd=ROOT, capture_output=True, timeout=TIMEOUT_S,
            check=False, **popen,
        )  # fmt: skip
        told = json.loads(done.stdout or "{}")
        told.pop("seconds", None)
        errors = [
            line for line in done.stderr.decode().splitlines() if "no effect in this" not in line
        ]
        return done.returncode, told, errors

    def records(self):
        """All records, by partition in their order."""
        return asyncio.run(self._records())

    async def _records(self):
        brokers = self.kafka.brokers
        consumer = AIOKafkaConsumer(
            bootstrap_servers=brokers, auto_offset_reset="earliest", **self.client
        )
        found = []
        try:
            await consumer.start()
            for partition in sorted(await partitions(brokers, self.topic, **self.client)):
                here = TopicPartition(self.topic, partition)
                consumer.assign([here])
                (end,) = (await consumer.end_offsets([here])).values()
                await consumer.seek_to_beginning(here)
                while await consumer.position(here) < end:
                    for records in (await consumer.getmany(timeout_ms=1000)).values():
                        found += records
        finally:
            await consumer.stop()
        return found

    def sources(self):
        """(source id -> its bytes, offsets from which some came again), as intake joins it."""
        found: dict[str, bytes] = {}
        again = []
        ends: dict[str, int] = {}
        for record in self.records():
            headers = dict(record.headers)
            source, offset = headers["source"].decode(), int(headers["offset"])
            assert record.key == headers["source"]
            known = found.setdefault(source, b"")
            # What is missing here would be missing for good.
            assert offset <= len(known)
            overlap = known[offset : offset + len(record.value)]
            assert record.value.startswith(overlap)
            # Of what comes again, only where it begins: records on the same stretch follow it.
            if overlap and offset != ends[source]:
                again.append(offset)
            ends[source] = offset + len(record.value)
            found[source] += record.value[len(overlap) :]
        return found, again

    def checkpoint(self):
        """Up to where the log of a collector that has ended counts as shipped."""
        (path,) = (self.folder / "var" / "ship").glob("*.db")
        with contextlib.closing(sqlite3.connect(path)) as db:
            (row,) = db.execute("SELECT position FROM source")
        return row[0]

    def until(self, true):
        """Until what has arrived is as wanted, within bounds."""
        for _ in range(200):
            if true(self.sources()[0]):
                return
            time.sleep(0.1)
        pytest.fail("what was logged did not arrive")


@pytest.fixture
def place(kafka, tmp_path, request):
    return Place(kafka, tmp_path, "".join(c if c.isalnum() else "-" for c in request.node.name))


def test_a_whole_file_arrives_exactly_and_once(place):
    log = place.folder / "access.log"
    log.write_bytes(data := lines(60_000))
    told = {"lines": 60_000, "bytes": len(data)}
    assert place.run(log, "--once") == (0, told, [])
    assert place.sources() == ({source_id(data): data}, [])
    records = place.records()
    assert len({record.partition for record in records}) == 1
    assert {dict(record.headers)["name"] for record in records} == {str(log).encode()}
    assert max(len(record.value) for record in records) <= 256 << 10
    # The second run goes on where the first ended.
    assert place.run(log, "--once") == (0, {"lines": 0, "bytes": 0}, [])
    with log.open("ab") as file:
        file.write(more := lines(10, 60_000))
    assert place.run(log, "--once") == (0, {"lines": 10, "bytes": len(more)}, [])
    assert place.sources() == ({source_id(data): data + more}, [])


def test_archives_and_standard_input(place):
    place.make_topic()
    packed = place.folder / "old.log.gz"
    packed.write_bytes(gzip.compress(old := lines(5_000)))
    piped = lines(5_000, 10_000)
    told = {"lines": 10_000, "bytes": len(old + piped)}
    assert place.run("-", packed, "--once", input=piped) == (0, told, [])
    assert place.sources() == ({source_id(old): old, source_id(piped): piped}, [])


def test_standard_input_that_has_not_ended_can_be_left(place):
    place.make_topic()
    data = lines(5_000)
    with subprocess.Popen(
        place.words("-"), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as shipping:  # fmt: skip
        assert shipping.stdin
        assert shipping.stdout
        assert shipping.stderr
        shipping.stdin.write(data)
        shipping.stdin.flush()
        place.until(lambda found: len(found.get(source_id(data), b"")) > 200_000)
        shipping.send_signal(signal.SIGINT)
        # Not communicate(), which would end its input.
        assert shipping.wait(TIMEOUT_S) == 130
        assert b"Traceback" not in shipping.stderr.read()
        assert b"Shipped " in shipping.stdout.read()


def test_a_rotation_in_the_middle(place):
    place.make_topic()
    log = place.folder / "access.log"
    log.write_bytes(first := lines(2_000))
    shipping = place.start(log)
    place.until(lambda found: found == {source_id(first): first})
    log.rename(place.folder / "access.log.1")
    with (place.folder / "access.log.1").open("ab") as file:
        file.write(rest := lines(500, 2_000))
    log.write_bytes(second := lines(1_000, 5_000))
    wanted = {source_id(first): first + rest, source_id(second): second}
    place.until(lambda found: found == wanted)
    shipping.stop()
    assert shipping.wait(0) == 0
    assert "Shipped 3,500 lines" in shipping.output()
    assert place.sources() == (wanted, [])


def test_killed_in_the_middle_it_goes_on(place):
    place.make_topic()
    log = place.folder / "access.log"
    log.write_bytes(data := lines(60_000))
    kept = []
    for share in (0.1, 0.3, 0.6):
        # Slow enough for a checkpoint or more before each share has arrived.
        shipping = place.start(log, "--rate", 4_000)
        place.until(lambda found, share=share: sum(map(len, found.values())) > share * len(data))
        shipping.kill()
        kept.append(place.checkpoint())
    code, _, errors = place.run(log, "--once")
    assert (code, errors) == (0, [])
    found, again = place.sources()
    assert found == {source_id(data): data}
    # Each time what was sent since the last checkpoint; never from the beginning.
    assert set(again) <= set(kept)
    assert kept[-1] > 0
    assert kept == sorted(kept)


def test_brokers_that_go_away_stop_the_reading_and_lose_nothing(place):
    place.make_topic()
    log = place.folder / "access.log"
    log.write_bytes(data := lines(60_000))
    shipping = place.start(log, "--rate", 20_000)
    place.until(lambda found: sum(map(len, found.values())) > 0.1 * len(data))
    place.kafka.stop()
    shipping.wait_for("Kafka does not answer", TIMEOUT_S)
    place.kafka.start()
    shipping.wait_for("Kafka answers again.", TIMEOUT_S)
    place.until(lambda found: found == {source_id(data): data})
    shipping.stop()
    assert shipping.wait(0) == 0
    assert shipping.output().count("Kafka does not answer") == 1
    assert place.sources() == ({source_id(data): data}, [])


def test_brokers_that_come_later_are_waited_for(place):
    place.make_topic()
    place.kafka.stop()
    log = place.folder / "access.log"
    log.write_bytes(data := lines(100))
    shipping = place.start(log)
    shipping.wait_for("nothing listens there", TIMEOUT_S)
    place.kafka.start()
    place.until(lambda found: found == {source_id(data): data})
    shipping.stop()


def test_stopped_while_brokers_are_away_it_ends_and_says_what_is_left(place):
    place.make_topic()
    log = place.folder / "access.log"
    log.write_bytes(data := lines(20_000))
    shipping = place.start(log, "--rate", 5_000)
    place.until(lambda found: sum(map(len, found.values())) > 0.1 * len(data))
    place.kafka.stop()
    shipping.wait_for("Kafka does not answer", TIMEOUT_S)
    shipping._run.send_signal(signal.SIGINT)
    assert shipping.wait(TIMEOUT_S) == 130
    assert "bytes were not acknowledged: the next run sends them again." in shipping.output()
    assert "Traceback" not in shipping.output()
    place.kafka.start()
    code, _, errors = place.run(log, "--once")
    assert (code, errors) == (0, [])
    assert place.sources()[0] == {source_id(data): data}


def test_a_line_that_the_broker_does_not_take_becomes_a_fault(place):
    place.make_topic()
    log = place.folder / "access.log"
    letters = bytes(set(range(256)) - set(b"\0\n"))
    huge = bytes(random.Random(1).choices(letters, k=1 << 20)) + b"\n"
    log.write_bytes((before := lines(100)) + huge + (after := lines(100, 100)))
    told = {"lines": 201, "bytes": len(before + after)}
    assert place.run(log, "--once") == (0, told, [])
    parts = []
    for record in place.records():
        headers = dict(record.headers)
        faults = msgspec.msgpack.decode(headers.get("faults", b"\x90"))
        parts.append((int(headers["offset"]), record.value, [fault[:2] for fault in faults]))
    assert parts == [
        (0, before, []),
        (len(before), b"", [[len(before), "too_long"]]),
        (len(before + huge), after, []),
    ]


def test_sasl_and_tls_from_the_configuration(secure_kafka, tmp_path, monkeypatch):
    place = Place(secure_kafka, tmp_path, "secure")
    place.client = login(secure_kafka.security)
    security = secure_kafka.security
    place.configure(
        tls={"ca_file": str(security.ca_file)},
        sasl={
            "mechanism": security.mechanism,
            "username": security.user,
            "password_env": "KAFKA_PASSWORD",
        },
    )
    place.make_topic()
    log = tmp_path / "access.log"
    log.write_bytes(data := lines(1_000))
    monkeypatch.setenv("KAFKA_PASSWORD", "not-the-password")
    code, _, errors = place.run(log, "--once", "--timeout", 1)
    assert (code, len(errors)) == (3, 2)
    assert f"user {security.user} is refused" in errors[1]
    monkeypatch.setenv("KAFKA_PASSWORD", security.password)
    told = {"lines": 1_000, "bytes": len(data)}
    assert place.run(log, "--once") == (0, told, [])
    assert place.sources() == ({source_id(data): data}, [])
