"""The real Apache Kafka, for tests: one node, three of them, or one that asks who is there.

Nodes are brokers and controllers at once (KRaft), on loopback, with their data and log in a folder
of the caller's, and short times so that a lost broker is noticed within seconds.
"""

import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from tests.stack._clients import partitions
from tests.stack._maven import alone, jars, java
from tests.stack._process import Process, free_ports

VERSION = "4.1.0"
HOST = "127.0.0.1"
READY = "Kafka Server started"
"""Kafka says so after the broker is unfenced and its ports answer requests."""
READY_TIMEOUT_S = 90
JAVA_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # tests are over before the second compiler has paid off
    "-Dorg.apache.logging.log4j.level=INFO",
)
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    # A forgotten topic is to be found here, not in production.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 1,
    "num.network.threads": 2,
    "num.io.threads": 2,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 2 * 2**20,
    "log.index.size.max.bytes": 2**20,
}


def kafka_jars():
    """The folder of Kafka's jars, and of the binding without which it logs nothing."""
    return jars(
        f"kafka-{VERSION}",
        f"org.apache.kafka:kafka_2.13:{VERSION}",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
    )


@cache
def class_archive():
    """Java's image of the classes that Kafka loads, made once beside the jars: half a start's time.

    A Java that it does not fit goes on without it.
    """
    archive = kafka_jars() / "classes.jsa"
    with alone(archive.with_suffix(".lock")):
        if not archive.is_file():
            with tempfile.TemporaryDirectory(dir=archive.parent) as home:
                part = Path(home, archive.name)
                with Kafka(home, java_options=[f"-XX:ArchiveClassesAtExit={part}"]) as kafka:
                    kafka.stop()
                part.rename(archive)
    return archive


@dataclass(frozen=True)
class Security:
    """How a client comes in at a node that asks: SASL over TLS."""

    user: str
    password: str
    ca_file: Path
    protocol: str = "SASL_SSL"
    mechanism: str = "SCRAM-SHA-512"


def new_cluster_id():
    """A random id; Kafka's tool takes one that begins with a dash for an option."""
    return f"K{secrets.token_urlsafe(16)[1:]}"


class _Startable:
    """`with` starts it, and leaves nothing of it behind."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_fault):
        self.close()

    def start(self):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


class Kafka(_Startable):
    """One node. `with Kafka(folder) as kafka:` starts it, and kills it at the end.

    It may be stopped or killed and started again, on the same ports and data.
    """

    def __init__(self, home, settings=None, java_options=None):
        """Settings of Kafka go before ours; options of Java replace the use of `class_archive`."""
        self.home = Path(home)
        self._given = settings or {}
        self._java_options = java_options
        self.port, self.controller_port = free_ports(2)
        self.process: Process | None = None
        self.join({1: self.controller_port})

    def join(self, voters, node_id=1, cluster_id=""):
        """Take a place in a cluster: its controllers' ports by node id. Before the first start."""
        self.node_id = node_id
        self._cluster_id = cluster_id or new_cluster_id()
        self._voters = ",".join(f"{n}@{HOST}:{port}" for n, port in voters.items())
        self._copies = len(voters)

    @property
    def brokers(self):
        """What clients take as bootstrap servers."""
        return f"{HOST}:{self.port}"

    @property
    def is_running(self):
        return self.process is not None and self.process.is_running

    @property
    def log(self):
        return self.home / "kafka.log"

    def start(self):
        """Start it, and wait until it takes requests."""
        self.launch()
        self.wait()
        return self

    def launch(self):
        """Start it, without waiting: the first node of three is not ready before the second."""
        if self.is_running:
            raise RuntimeError(f"starting the Kafka at {self.brokers}: it is running")
        if not (self.home / "data").exists():
            self._format()
        self.process = Process(
            self._java("kafka.Kafka", self.home / "server.properties"), self.log, cwd=self.home
        )

    def wait(self):
        """Until it takes requests."""
        self._running().wait_for(READY, READY_TIMEOUT_S)

    def stop(self):
        """SIGTERM: it hands over and closes its files."""
        self._running().stop()

    def kill(self):
        """SIGKILL: it has no time for anything."""
        self._running().kill()

    def close(self):
        """What is left of it ends; nothing if nothing is left."""
        if self.is_running:
            self.kill()

    def _running(self):
        if self.process is None:
            raise RuntimeError(f"the Kafka at {self.brokers} was never started: call start()")
        return self.process

    def _java(self, *words):
        options = self._java_options
        if options is None:
            options = [f"-XX:SharedArchiveFile={class_archive()}"]
        return [java(), *JAVA_OPTIONS, *options, "-cp", f"{kafka_jars()}/*", *map(str, words)]

    def _settings(self):
        """The settings of this node; a variant adds its own."""
        copies = self._copies
        return SETTINGS | {
            "node.id": self.node_id,
            "log.dirs": self.home / "data",
            "controller.quorum.voters": self._voters,
            "listeners": f"CLIENT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "default.replication.factor": copies,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "share.coordinator.state.topic.replication.factor": copies,
            "min.insync.replicas": copies // 2 + 1,
            "transaction.state.log.min.isr": copies // 2 + 1,
            "share.coordinator.state.topic.min.isr": copies // 2 + 1,
        }

    def _format(self, *words):
        self.home.mkdir(parents=True, exist_ok=True)
        properties = self.home / "server.properties"
        settings = self._settings() | self._given
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        tool = ("kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", properties)
        done = subprocess.run(
            self._java(*tool, *words), cwd=self.home, check=False, timeout=READY_TIMEOUT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"formatting {self.home / 'data'}: {done.stdout[-3000:]}")


class SecureKafka(Kafka):
    """One node that lets in whom it knows: SCRAM-SHA-512 over TLS, with a certificate made here."""

    def __init__(self, home, settings=None):
        super().__init__(home, settings)
        self.security = Security("breachline", secrets.token_hex(16), self.home / "ca.pem")
        self._own_password = secrets.token_hex(16)

    def _settings(self):
        own = f'username="broker" password="{self._own_password}"'
        login = f"org.apache.kafka.common.security.scram.ScramLoginModule required {own};"
        scram = self.security.mechanism
        return super()._settings() | {
            "listener.security.protocol.map": "CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": scram,
            "sasl.mechanism.inter.broker.protocol": scram,
            f"listener.name.client.{scram.lower()}.sasl.jaas.config": login,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.home / "key-and-certificate.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.security.ca_file,
        }

    def _format(self):
        self.home.mkdir(parents=True, exist_ok=True)
        certify(self.home / "key-and-certificate.pem", self.security.ca_file)
        known = {"broker": self._own_password, self.security.user: self.security.password}
        words = []
        for name, password in known.items():
            words += ["--add-scram", f"{self.security.mechanism}=[name={name},password={password}]"]
        super()._format(*words)


def certify(key_file, certificate_file):
    """Make a certificate for loopback that vouches for itself, for one day."""
    key = key_file.with_suffix(".key")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=breachline test", "-addext", f"subjectAltName=IP:{HOST}",
            "-keyout", key, "-out", certificate_file,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    key_file.touch(mode=0o600)
    key_file.write_text(key.read_text() + certificate_file.read_text())
    key.unlink()


class Cluster(_Startable):
    """Several nodes, each topic on all of them: with three, one may be lost without losing data."""

    def __init__(self, home, size=3, settings=None):
        self.nodes = [Kafka(Path(home, f"node-{n}"), settings) for n in range(1, size + 1)]
        voters = {n: node.controller_port for n, node in enumerate(self.nodes, 1)}
        cluster_id = new_cluster_id()
        for node_id, node in enumerate(self.nodes, 1):
            node.join(voters, node_id, cluster_id)

    @property
    def brokers(self):
        """What clients take as bootstrap servers: all nodes, running or not."""
        return ",".join(node.brokers for node in self.nodes)

    def start(self):
        """Start the nodes that do not run, and wait until all take requests."""
        started = [node for node in self.nodes if not node.is_running]
        for node in started:
            node.launch()
        for node in started:
            node.wait()
        return self

    def kill(self, index):
        """SIGKILL the node with that index, from 0."""
        self.nodes[index].kill()

    async def leader(self, topic, partition=0):
        """The index of the node that leads the partition; None while nobody does."""
        found = (await partitions(self.brokers, topic))[partition]["leader"]
        return None if found < 0 else found - 1

    def close(self):
        """Kill what still runs."""
        for node in self.nodes:
            node.close()
