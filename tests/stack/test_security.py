"""SASL and TLS from the configuration, against the real Kafka: who comes in, and what is said."""

import asyncio
import json
import logging
import subprocess

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from console.main import run
from streams.kafka.client import connection, faust_credentials, security
from streams.kafka.reach import Reach, Topic, Trouble, reach
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, ensure, plans
from tests.stack._clients import create_topic, login, partitions
from tests.stack._kafka import HOST, SecureKafka, certify
from tests.stack._kafka import Kafka as Node
from tests.stack._process import free_ports

VARIABLE = "BREACHLINE_TEST_PASSWORD"


@pytest.fixture
def configured(secure_kafka):
    """Settings for the node, and the environment that they need."""

    def do(prefix="breachline.", **other):
        known = secure_kafka.security
        blocks = {
            "brokers": [secure_kafka.brokers],
            "prefix": prefix,
            "sasl": {"username": known.user, "password_env": VARIABLE},
            "tls": {"ca_file": known.ca_file},
        }
        return Kafka.model_validate(blocks | other), {VARIABLE: known.password}

    return do


def counts(prefix, partitions=4, raw=4):
    return {plan.name: plan.partitions for plan in plans(Topics(prefix), partitions, raw)}


async def in_admin(kafka, env, ask):
    admin = AIOKafkaAdminClient(**connection(kafka, env))
    try:
        await admin.start()
        return await ask(admin)
    finally:
        await admin.close()


async def shown(kafka, env, topic, count):
    """Until the broker tells what its controller has done."""
    for _ in range(100):
        found = await reach(kafka, env, [topic])
        assert isinstance(found, Reach)
        if found.topics[topic].partitions == count:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"waiting for {topic} to have {count} partitions: {found}")


async def config_of(kafka, env, topic):
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    (answer,) = await in_admin(kafka, env, lambda admin: admin.describe_configs([resource]))
    return {row[0]: row[1] for row in answer.resources[0][4]}


def test_workers_that_start_together_make_the_topics_once(configured):
    kafka, env = configured("together.")
    topics = Topics(kafka.prefix)

    async def story():
        first = await asyncio.gather(*(ensure(kafka, topics, env) for _ in range(5)))
        again = await ensure(kafka, topics, env)
        return [*first, again], await reach(kafka, env, list(counts("together.")))

    made, found = asyncio.run(story())
    assert made == [counts("together.")] * 6
    assert isinstance(found, Reach)
    assert found.topics == {name: Topic(count) for name, count in counts("together.").items()}
    assert (found.may_create, found.denied, found.silent) == (True, (), ())


def test_topics_are_made_as_planned(configured):
    kafka, env = configured("planned.", partitions=3)
    topics = Topics(kafka.prefix)

    async def story():
        await ensure(kafka, topics, env)
        return {plan.name: await config_of(kafka, env, plan.name) for plan in plans(topics, 3, 3)}

    found = asyncio.run(story())
    wanted = {
        plan.name: {**plan.configs, "min.insync.replicas": "1"} for plan in plans(topics, 3, 3)
    }
    assert {name: {key: found[name][key] for key in wanted[name]} for name in wanted} == wanted


def test_with_three_brokers_one_may_be_lost(kafka_cluster):
    kafka, topics = Kafka(brokers=kafka_cluster.brokers.split(",")), Topics("breachline.")

    async def story():
        await ensure(kafka, topics, {})
        parts = await partitions(kafka_cluster.brokers, topics.ledger)
        return len(parts[0]["replicas"]), await config_of(kafka, {}, topics.ledger)

    copies, config = asyncio.run(story())
    assert (copies, config["min.insync.replicas"]) == (3, "2")


def test_the_journal_follows_somebody_elses_access_raw(configured, secure_kafka):
    kafka, env = configured("theirs.", partitions=2)
    topics = Topics(kafka.prefix)

    async def story():
        client = login(secure_kafka.security)
        await create_topic(secure_kafka.brokers, topics.raw, 3, **client)
        made = await ensure(kafka, topics, env)
        more = {topics.raw: NewPartitions(5)}
        await in_admin(kafka, env, lambda admin: admin.create_partitions(more))
        await shown(kafka, env, topics.raw, 5)
        return made, await asyncio.gather(*(ensure(kafka, topics, env) for _ in range(3)))

    made, later = asyncio.run(story())
    assert made == counts("theirs.", 2, 3)
    assert later == [counts("theirs.", 2, 5)] * 3


def test_topics_that_do_not_fit_are_refused_and_left_alone(configured, secure_kafka):
    kafka, env = configured("other.")
    topics = Topics(kafka.prefix)

    async def story():
        client = login(secure_kafka.security)
        await create_topic(secure_kafka.brokers, topics.signals, 2, **client)
        await shown(kafka, env, topics.signals, 2)
        with pytest.raises(ValueError) as raised:
            await ensure(kafka, topics, env)
        return str(raised.value), await reach(kafka, env, [topics.signals, topics.raw])

    said, found = asyncio.run(story())
    assert said.startswith("topic other.signals has 2 partitions and must have 4")
    assert isinstance(found, Reach)
    assert found.topics == {topics.signals: Topic(2), topics.raw: Topic(0)}


def test_what_the_arguments_open(configured):
    kafka, env = configured("used.")
    topics = Topics(kafka.prefix)

    async def story():
        await ensure(kafka, topics, env)
        producer = AIOKafkaProducer(
            **connection(kafka, env), transactional_id=f"{kafka.prefix}intake-0"
        )
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait(topics.findings, b"a finding")
        await producer.stop()
        consumer = AIOKafkaConsumer(
            topics.findings, **connection(kafka, env), auto_offset_reset="earliest",
            isolation_level="read_committed",
        )  # fmt: skip
        await consumer.start()
        try:
            async with asyncio.timeout(30):
                return (await consumer.getone()).value
        finally:
            await consumer.stop()

    assert asyncio.run(story()) == b"a finding"


def test_faust_comes_in_too(configured):
    kafka, env = configured()
    found, ours = faust_credentials(kafka, env), security(kafka, env)
    assert found is not None
    assert found.protocol.value == ours["security_protocol"]


REFUSED = [
    (
        "a wrong password",
        {},
        "synthetic-wrong",
        "user breachline is refused",
        f"check kafka.sasl.username and the password in ${VARIABLE}",
    ),
    (
        "an unknown user",
        {"sasl": {"username": "nobody", "password_env": VARIABLE}},
        None,
        "user nobody is refused",
        f"check kafka.sasl.username and the password in ${VARIABLE}",
    ),
    (
        "another mechanism",
        {"sasl": {"username": "breachline", "password_env": VARIABLE, "mechanism": "PLAIN"}},
        None,
        "no PLAIN there",
        "set kafka.sasl.mechanism to one that the broker has enabled",
    ),
    ("no TLS", {"tls": None}, None, "it hangs up on us", "add kafka.tls, or name another"),
    ("no password", {"sasl": None}, None, "it hangs up on us", "add kafka.sasl or"),
    (
        "an authority that nobody trusts",
        {"tls": {}},
        None,
        "its certificate is not trusted (self-signed certificate)",
        "set kafka.tls.ca_file to the authority",
    ),
]


@pytest.mark.parametrize(("name", "other", "password", "why", "todo"), REFUSED)
def test_who_stays_outside_learns_why(configured, secure_kafka, name, other, password, why, todo):
    kafka, env = configured(**other)
    env = {VARIABLE: password} if password else env
    found = asyncio.run(reach(kafka, env))
    assert isinstance(found, Trouble)
    assert (found.kind, found.says) == ("refused", f"Kafka at {secure_kafka.brokers}: {why}"), name
    assert found.do.startswith(todo)
    with pytest.raises(PermissionError, match=r"^Kafka at "):
        asyncio.run(ensure(kafka, Topics(kafka.prefix), env))


TOO_MUCH = [
    ({"tls": {}}, "no TLS there", "remove kafka.tls, or name the port that speaks TLS"),
    (
        {"sasl": {"username": "breachline", "password_env": VARIABLE}},
        "it asks for no password",
        "remove kafka.sasl, or name the port that asks for one",
    ),
]


@pytest.mark.parametrize(("blocks", "why", "todo"), TOO_MUCH)
def test_too_much_for_an_open_broker(kafka, blocks, why, todo):
    settings = Kafka.model_validate({"brokers": [kafka.brokers]} | blocks)
    found = asyncio.run(reach(settings, {VARIABLE: "synthetic"}))
    assert found == Trouble("refused", f"Kafka at {kafka.brokers}: {why}", todo)


@pytest.fixture(scope="module")
def strict_kafka(kafka_runs, tmp_path_factory):
    """A node that knows the user, and allows it nothing."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:broker;User:ANONYMOUS",
    }
    with SecureKafka(tmp_path_factory.mktemp("strict-kafka"), settings) as running:
        yield running


def test_what_a_user_is_not_allowed_is_said(strict_kafka):
    known = strict_kafka.security
    kafka = Kafka.model_validate(
        {
            "brokers": [strict_kafka.brokers],
            "sasl": {"username": known.user, "password_env": VARIABLE},
            "tls": {"ca_file": known.ca_file},
        }
    )
    env, topics = {VARIABLE: known.password}, Topics(kafka.prefix)
    found = asyncio.run(reach(kafka, env, [topics.raw]))
    assert isinstance(found, Reach)
    assert found.topics == {topics.raw: Topic(0, may_read=False, may_write=False)}
    assert found.may_create is False
    assert found.denied == (
        "Read on group breachline",
        "Write on transactional ids that begin like breachline.intake-0",
    )
    with pytest.raises(PermissionError, match=r"^creating topic breachline.access.raw: .*Create"):
        asyncio.run(ensure(kafka, topics, env))


def test_a_broker_that_names_itself_wrongly_is_found_out(kafka_runs, tmp_path, monkeypatch):
    named = f"{HOST}:{free_ports(1)[0]}"
    monkeypatch.setattr("streams.kafka.topics.READY_TIMEOUT_S", 1)
    with Node(tmp_path, {"advertised.listeners": f"CLIENT://{named}"}) as node:
        kafka = Kafka(brokers=[node.brokers])
        found = asyncio.run(reach(kafka, {}))
        assert isinstance(found, Reach)
        assert (found.brokers, found.silent) == (
            (named,),
            (
                Trouble(
                    "unreachable",
                    f"Kafka at {named}: nothing listens there (the cluster names this broker)",
                    "start it, or correct its advertised.listeners",
                ),
            ),
        )
        with pytest.raises(
            ConnectionError, match=r"^waited 1 s for Kafka's topics: .*cluster names"
        ):
            asyncio.run(ensure(kafka, Topics(kafka.prefix), {}))


@pytest.fixture
def doctor(secure_kafka, tmp_path, monkeypatch, capsys, caplog):
    """Calls `breachline doctor` as configured for the node; its exit code and all that it said."""
    caplog.set_level(logging.DEBUG)

    def call(password, *args):
        monkeypatch.setenv(VARIABLE, password)
        file = tmp_path / "breachline.yaml"
        file.write_text(
            f"kafka:\n  brokers: ['{secure_kafka.brokers}']\n  prefix: doctor.\n"
            f"  sasl: {{username: {secure_kafka.security.user}, password_env: {VARIABLE}}}\n"
            f"  tls: {{ca_file: {secure_kafka.security.ca_file}}}\n"
        )
        code = run(["doctor", "--config", f"{file}", "--data-dir", f"{tmp_path / 'var'}", *args])
        said = capsys.readouterr()
        # Nor what the libraries would log, were anybody to listen.
        assert password not in said.out + said.err + caplog.text
        return code, said.out, said.err

    return call


def test_doctor_before_and_after_the_topics_are_made(doctor, configured):
    kafka, env = configured("doctor.")
    password = env[VARIABLE]
    code, out, _ = doctor(password)
    assert code == 0
    assert "ok    kafka: 1 broker up, Kafka 4.1 or newer, as breachline, over TLS\n" in out
    assert "note  kafka topics: 12 topics not there yet: doctor.access.raw, doctor.signals" in out
    asyncio.run(ensure(kafka, Topics(kafka.prefix), env))
    code, out, _ = doctor(password, "--json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["what"], row["state"], row["says"]) for row in rows if "kafka" in row["what"]] == [
        ("kafka", "ok", "1 broker up, Kafka 4.1 or newer, as breachline, over TLS"),
        ("kafka topics", "ok", "12 topics, 24 partitions"),
        (
            "kafka permission",
            "ok",
            "may read and write the topics, and use the group and transactions",
        ),
    ]


def test_doctor_with_a_wrong_password(doctor, secure_kafka):
    code, out, err = doctor("synthetic-wrong")
    assert (code, err) == (1, "")
    assert f"FAIL  kafka: Kafka at {secure_kafka.brokers}: user breachline is refused\n" in out
    assert f"      check kafka.sasl.username and the password in ${VARIABLE}\n" in out


def test_a_key_with_a_passphrase_is_refused_without_asking(tmp_path):
    certify(tmp_path / "both.pem", tmp_path / "cert.pem")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "rsa", "-aes256", "-passout", "pass:synthetic", "-in", tmp_path / "both.pem",
         "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = {"cert_file": tmp_path / "cert.pem", "key_file": locked}
    kafka = Kafka.model_validate({"brokers": ["192.0.2.1:9092"], "tls": tls})
    with pytest.raises(ValueError, match="the key has a passphrase: store it without one"):
        security(kafka, {})
    own = Kafka.model_validate(
        {"brokers": ["192.0.2.1:9092"], "tls": {"cert_file": tmp_path / "both.pem"}}
    )
    assert security(own, {})["security_protocol"] == "SSL"


def test_doctor_when_the_broker_is_down(doctor, configured, secure_kafka):
    _, env = configured()
    secure_kafka.stop()
    try:
        code, out, err = doctor(env[VARIABLE])
    finally:
        secure_kafka.start()
    assert (code, err) == (3, "Error: a configured dependency could not be reached\n")
    assert f"FAIL  kafka: Kafka at {secure_kafka.brokers}: nothing listens there\n" in out
    assert "      is it running, and is kafka.brokers right?\n" in out
