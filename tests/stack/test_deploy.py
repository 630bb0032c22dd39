"""The deployment's own Kafka settings and account, in the real Kafka; ports and paths differ."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError

from deploy.prepare import PASSWORDS, prepare
from tests.stack._kafka import JAVA_OPTIONS, READY, READY_TIMEOUT_S, kafka_jars
from tests.stack._maven import java
from tests.stack._process import Process, free_ports

DEPLOY = Path(__file__).parents[2] / "deploy"
PASSWORD = "0123456789abcdef0123456789abcdef"
INSIDE, HOST, OWN, CONTROLLER = 9092, 19092, 9094, 9093


@pytest.fixture(scope="module")
def deployed(kafka_runs, tmp_path_factory):
    """(port by the port that it stands for, the folder that init filled) of a running broker."""
    if shutil.which("openssl") is None:
        pytest.skip("NOT TESTED against a Kafka with the deployment's settings: no openssl on PATH")
    root = tmp_path_factory.mktemp("deployed")
    prepare(root, dict.fromkeys(PASSWORDS, PASSWORD))
    ports = dict(zip((INSIDE, HOST, OWN, CONTROLLER), free_ports(4), strict=True))
    text = (DEPLOY / "kafka.properties").read_text()
    text = text.replace("/run/breachline", str(root)).replace("/var/lib/kafka", f"{root}/var")
    text = text.replace("kafka:9092", f"localhost:{INSIDE}").replace("://:", "://127.0.0.1:")
    for stood, port in ports.items():
        text = text.replace(f":{stood}", f":{port}")
    (root / "kafka.properties").write_text(text)
    words = (root / "kafka/format.args").read_text()
    words = words.replace("/etc/breachline/", f"{root}/")
    (root / "format.args").write_text(words)
    kafka = [java(), *JAVA_OPTIONS, "-cp", f"{kafka_jars()}/*"]
    for _ in range(2):  # as it does at every start of the container
        subprocess.run([*kafka, "kafka.tools.StorageTool", f"@{root}/format.args"], check=True)
    process = Process([*kafka, "kafka.Kafka", f"{root}/kafka.properties"], root / "log", cwd=root)
    try:
        process.wait_for(READY, READY_TIMEOUT_S)
        yield ports, root
    finally:
        if process.is_running:
            process.kill()


def client(deployed, listener, password=PASSWORD):
    ports, root = deployed
    return {
        "bootstrap_servers": f"localhost:{ports[listener]}",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "breachline",
        "sasl_plain_password": password,
        "ssl_context": ssl.create_default_context(cafile=root / "client/kafka.crt"),
    }


@pytest.mark.parametrize("listener", [INSIDE, HOST])
def test_a_part_with_the_password_writes_in_a_transaction(deployed, listener):
    async def write():
        settings, topic = client(deployed, listener), f"from-{listener}"
        admin = AIOKafkaAdminClient(**settings)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        await admin.close()
        producer = AIOKafkaProducer(transactional_id=topic, **settings)
        async with producer, producer.transaction():
            return (await producer.send_and_wait(topic, b"line")).offset

    assert asyncio.run(write()) == 0


def test_nobody_comes_in_with_another_password(deployed):
    async def enter():
        admin = AIOKafkaAdminClient(**client(deployed, INSIDE, PASSWORD[::-1]))
        try:
            await admin.start()
        finally:
            await admin.close()

    with pytest.raises(KafkaConnectionError, match="Unable to bootstrap"):
        asyncio.run(enter())
