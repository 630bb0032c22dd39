import asyncio
import socket

import msgspec
import pytest

from console.checkup import examine, kafka_results
from console.result import Result
from streams.kafka.reach import Reach, Topic, Trouble
from streams.kafka.settings import Kafka
from streams.kafka.topics import Topics, plans
from streams.settings import Settings
from tests._gateway import TOKEN, Gateway
from tests._owner_service import OwnerService


@pytest.fixture
def look(tmp_path):
    """Results of a configuration by what was looked at: (state, says, do)."""

    def do(environ=None, **blocks):
        settings = Settings.model_validate({"data_dir": tmp_path / "var", **blocks})
        found = asyncio.run(examine(settings, environ or {}, 0))
        return {result.what: (result.state, result.says, result.do) for result in found}

    return do


def states(found):
    return {what: state for what, (state, _, _) in found.items()}


def test_a_fresh_machine(look, tmp_path):
    found = look()
    assert states(found) == {
        "configured files": "ok",
        "data directory": "ok",
        "digest key": "note",
        "ledger key": "note",
        "store": "note",
        "gateway": "note",
    }
    assert list(tmp_path.iterdir()) == []


def test_after_a_run(look, cli, attack, tmp_path):
    assert cli("run", attack, "--once").code == 0
    found = look()
    assert states(found)["digest key"] == "ok"
    assert found["store"] == ("ok", "1 log followed", "")


def test_what_the_log_does_not_say(look, cli, tmp_path):
    log = tmp_path / "nobody.log"
    log.write_text('203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5\n')
    assert cli("run", log, "--once").code == 0
    found = look()
    assert found["the log"][0] == "note"
    assert found["the log"][2].startswith("add: ")


DAMAGED = [
    ("digest key", "keys/digest.key", b"short", "wrong"),
    ("store", "breachline.db", b"x" * 5000, "wrong"),
    ("store", "breachline.db", b"", "note"),
]


@pytest.mark.parametrize(("what", "name", "data", "state"), DAMAGED)
def test_what_is_damaged_is_said(look, tmp_path, what, name, data, state):
    path = tmp_path / "var" / name
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(data)
    path.chmod(0o600)
    said = look()[what]
    assert said[0] == state
    assert "[Errno" not in said[1]


def test_a_data_directory_that_is_a_file(look, tmp_path):
    (tmp_path / "var").write_text("")
    assert look()["data directory"][0] == "wrong"


def test_a_table_that_cannot_be_read(look, tmp_path):
    (tmp_path / "people.csv").write_text("a,b\n")
    found = look(intake={"identities": {"file": tmp_path / "people.csv"}})
    assert found["configured files"][0] == "wrong"
    assert "no column id, user" in found["configured files"][1]


GATEWAYS = [
    ("answers", None, TOKEN, "ok", "answers, 1 address blocked; mode enforce"),
    ("refuses the token", None, "synthetic-other", "wrong", "refused the token"),
    ("has no list", "404", TOKEN, "note", "they cannot be read back"),
    ("is broken", "500", TOKEN, "wrong", "500"),
    ("is no gateway", "nonsense", TOKEN, "wrong", "its answer is not"),
    ("breaks off", "reset", TOKEN, "unreachable", ""),
]


@pytest.mark.parametrize(("name", "trouble", "token", "state", "says"), GATEWAYS)
def test_a_gateway_that(look, name, trouble, token, state, says):
    with Gateway() as gateway:
        gateway.blocked.append("203.0.113.7")
        gateway.trouble = trouble
        respond = {"mode": "enforce", "gateway": {"url": gateway.url, "token_env": "T"}}
        found = look({"T": token}, respond=respond)["gateway"]
    assert found[0] == state, name
    assert says in found[1]


def test_a_gateway_that_is_down_or_missing(look):
    with Gateway() as gateway:
        url = gateway.url
    down = look(respond={"gateway": {"url": url}})["gateway"]
    assert down[0] == "unreachable"
    assert "is it running" in down[1]
    missing = look(respond={"mode": "enforce"})["gateway"]
    assert (missing[0], missing[2]) == (
        "wrong", "set respond.gateway.url, or nothing can be blocked"
    )  # fmt: skip


def test_an_elasticsearch_that_is_down(look):
    found = look(elasticsearch={"hosts": ["http://127.0.0.1:9"]})
    assert found["elasticsearch"][0] == "unreachable"
    assert "127.0.0.1:9" in found["elasticsearch"][1]


def test_a_kafka_that_is_down(look):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    assert look(kafka={"brokers": [address]})["kafka"] == (
        "unreachable",
        f"Kafka at {address}: nothing listens there",
        "is it running, and is kafka.brokers right?",
    )


def test_a_kafka_without_its_password(look):
    sasl = {"username": "breachline", "password_env": "KAFKA_PASSWORD"}
    assert look(kafka={"brokers": ["127.0.0.1:1"], "sasl": sasl})["kafka"] == (
        "wrong",
        "the password of Kafka user breachline is missing",
        "set $KAFKA_PASSWORD and start again",
    )


KAFKA = Kafka(brokers=["192.0.2.1:9092"])
NAMES = [plan.name for plan in plans(Topics(KAFKA.prefix), 1, 1)]
READY = {plan.name: Topic(plan.partitions) for plan in plans(Topics(KAFKA.prefix), 4, 6)}
LOOK = Reach(("192.0.2.1:9092",), "4.1", READY, True, (), ())
RIGHTS = "may read and write the topics, and use the group and transactions"
UP = Result("kafka", "ok", "1 broker up, Kafka 4.1 or newer")
ALL = Result("kafka topics", "ok", "12 topics, 28 partitions")
MAY = Result("kafka permission", "ok", RIGHTS)
SASL = {"username": "breachline", "password_env": "P"}
DOWN = Trouble("unreachable", "Kafka at 192.0.2.2:9092: nothing listens there", "start it")
LOOKS = [
    ("all is well", {}, {}, {}, [UP, ALL, MAY]),
    (
        "nothing is there yet",
        {},
        {"topics": dict.fromkeys(NAMES, Topic(0))},
        {},
        [
            UP,
            Result(
                "kafka topics", "note", f"12 topics not there yet: {', '.join(NAMES)}",
                "the first worker creates them",
            ),
            MAY,
        ],
    ),
    (
        "signals of another size",
        {},
        {},
        {"breachline.signals": Topic(8)},
        [
            UP,
            Result(
                "kafka topics", "wrong",
                "topic breachline.signals has 8 partitions and must have 4, "
                "which is kafka.partitions",
                "set that to 8, or begin a new deployment with another kafka.prefix",
            ),
            Result("kafka topics", "ok", "12 topics, 32 partitions"),
            MAY,
        ],
    ),
    (
        "no leader",
        {},
        {},
        {"breachline.access.raw": Topic(6, leaderless=2)},
        [
            UP,
            Result(
                "kafka topics", "unreachable",
                "2 partitions of breachline.access.raw without a leader",
                "start the brokers that are down",
            ),
            ALL,
            MAY,
        ],
    ),
    (
        "not allowed",
        {"sasl": SASL, "tls": {}},
        {"denied": ("Read on group breachline",)},
        {
            "breachline.access.raw": Topic(6, may_write=False),
            "breachline.ledger": Topic(1, may_read=False, may_write=False),
            "breachline.findings": Topic(1, may_write=False),
        },
        [
            Result("kafka", "ok", "1 broker up, Kafka 4.1 or newer, as breachline, over TLS"),
            ALL,
            Result(
                "kafka permission", "wrong",
                "user breachline lacks Read on group breachline; "
                "Write on topic breachline.findings; "
                "Read and Write on topic breachline.ledger",
                "allow it at the brokers",
            ),
        ],
    ),
    (
        "nothing may be seen, or made",
        {},
        {"topics": dict.fromkeys(NAMES[:1], Topic(0, may_read=False, may_write=False))},
        {},
        [
            UP,
            Result(
                "kafka permission", "wrong",
                "this client lacks Read on topic breachline.access.raw",
                "allow it at the brokers",
            ),
        ],
    ),
    (
        "one is missing, and may not be made",
        {},
        {"may_create": False},
        {"breachline.ledger": Topic(0)},
        [
            UP,
            Result(
                "kafka topics", "note", "1 topic not there yet: breachline.ledger",
                "the first worker creates it, if its user has Create there",
            ),
            Result("kafka topics", "ok", "11 topics, 27 partitions"),
            MAY,
        ],
    ),
    (
        "a password in the clear",
        {"sasl": SASL | {"mechanism": "PLAIN"}},
        {},
        {},
        [
            Result(
                "kafka", "note",
                "1 broker up, Kafka 4.1 or newer, as breachline, the password in the clear",
                "add kafka.tls, or use SCRAM-SHA-512",
            ),
            ALL,
            MAY,
        ],
    ),
    (
        "one of two is down",
        {},
        {"silent": (DOWN,)},
        {},
        [UP, Result("kafka", "unreachable", DOWN.says, DOWN.do), ALL, MAY],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "configured", "seen", "topics", "expected"), LOOKS)
def test_a_kafka_that_answers(name, configured, seen, topics, expected):
    kafka = Kafka.model_validate({"brokers": KAFKA.brokers} | configured)
    look = msgspec.structs.replace(LOOK, **{"topics": READY | topics, **seen})
    assert list(kafka_results(kafka, look)) == expected, name


CARDS = "/cards/{object}"


@pytest.mark.parametrize(
    ("trouble", "token", "state", "says"),
    [
        (0, "", "ok", "{host} answers for /cards/{{object}}"),
        (0, "another", "wrong", "/cards/{{object}}: {host}: wants another token (401): set $CARDS"),
        (422, "", "ok", "{host} answers for /cards/{{object}}"),
        (500, "", "unreachable", "/cards/{{object}}: {host}: failed (500)"),
        ("nonsense", "", "wrong", "/cards/{{object}}: {host}: its answer is no JSON"),
    ],
)
def test_ownership_services_are_asked(look, trouble, token, state, says):
    with OwnerService({}, token=token) as service:
        service.trouble = trouble
        source = {"route": CARDS, "http": service.one, "token_env": "CARDS"}
        found = look({"CARDS": "mine"}, intake={"ownership": [source]})["ownership"]
        assert service.asked == [["breachline-doctor"]]
    assert found[:2] == (state, says.format(host=service.host))
    assert bool(found[2]) is (state != "ok")


def test_a_service_that_is_down_is_unreachable(look):
    with OwnerService({}) as service:
        source = {"route": CARDS, "http": service.one}
    found = look(intake={"ownership": [source]})["ownership"]
    assert found[0] == "unreachable"


def test_a_service_with_a_wrong_ca_file(look, tmp_path):
    source = {"route": CARDS, "http": "https://a.example/{object}", "ca_file": tmp_path / "no"}
    assert look(intake={"ownership": [source]})["ownership"][0] == "wrong"
