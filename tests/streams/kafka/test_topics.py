import asyncio
import socket

import pytest

from streams.kafka.settings import Kafka
from streams.kafka.topics import STAGES, Topics, _judged, copies, ensure, misfits, plans

TOPICS = Topics("bank.")
KAFKA = Kafka(brokers=["192.0.2.1:9092"], prefix="bank.")
DAY_MS = 86_400_000


def test_names():
    names = [name for key, name in vars(TOPICS).items() if key != "prefix"]
    names += [TOPICS.state(stage) for stage in STAGES]
    assert names == [
        "bank.access.raw", "bank.signals", "bank.exposures", "bank.findings", "bank.incidents",
        "bank.actions", "bank.receipts", "bank.ledger", "bank.deadletter", "bank.state.intake",
        "bank.state.detect", "bank.state.decide",
    ]  # fmt: skip
    assert [plan.name for plan in plans(TOPICS, 1, 1)] == names


def test_partitions():
    counts = {plan.name: plan.partitions for plan in plans(TOPICS, 4, 6)}
    many = {name: count for name, count in counts.items() if count != 1}
    assert many == {
        "bank.access.raw": 6,
        "bank.state.intake": 6,
        "bank.signals": 4,
        "bank.state.detect": 4,
    }


def test_how_long_records_are_kept():
    kept = {
        plan.name.removeprefix("bank."): (
            plan.configs["cleanup.policy"],
            int(plan.configs.get("retention.ms", "0")),
            int(plan.configs.get("retention.bytes", "0")),
        )
        for plan in plans(TOPICS, 4, 4)
    }
    forever = ("delete", -1, -1)
    assert kept == {
        "access.raw": ("delete", 7 * DAY_MS, 0),
        "signals": ("delete", DAY_MS, 0),
        "exposures": ("delete", 30 * DAY_MS, 0),
        "findings": forever,
        "incidents": ("compact", 0, 0),
        "actions": forever,
        "receipts": forever,
        "ledger": forever,
        "deadletter": ("delete", 30 * DAY_MS, 0),
        "state.intake": forever,
        "state.detect": forever,
        "state.decide": forever,
    }


COPIES = [
    ("a single broker", 1, {}, 1),
    ("two", 2, {}, 2),
    ("five", 5, {}, 3),
    ("as configured", 5, {"replication_factor": 2}, 2),
    ("more than there are, as configured", 1, {"replication_factor": 3}, 3),
    ("one of three is up so far", 1, {"brokers": [f"192.0.2.{n}:9092" for n in range(1, 4)]}, 3),
    ("one, named twice", 1, {"brokers": ["192.0.2.1:9092"] * 2}, 1),
]


@pytest.mark.parametrize(("name", "brokers", "configured", "expected"), COPIES)
def test_copies(name, brokers, configured, expected):
    kafka = Kafka.model_validate({"brokers": ["192.0.2.1:9092"]} | configured)
    assert copies(kafka, brokers) == expected, name


ANEW = "or begin a new deployment with another kafka.prefix"
MISFITS = [
    ("nothing is there", {}, []),
    ("others' topics", {"other": 7}, []),
    ("access.raw is somebody else's", {"bank.access.raw": 12, "bank.state.intake": 12}, []),
    ("access.raw has grown", {"bank.access.raw": 12, "bank.state.intake": 4}, []),
    (
        "access.raw is smaller than it was",
        {"bank.access.raw": 2, "bank.state.intake": 4},
        [
            (
                "topic bank.state.intake has 4 partitions and must have 2, as bank.access.raw has: "
                f"give that 4 again, {ANEW}"
            )
        ],
    ),
    (
        "signals",
        {"bank.signals": 8, "bank.state.detect": 4},
        [
            (
                "topic bank.signals has 8 partitions and must have 4, which is kafka.partitions: "
                f"set that to 8, {ANEW}"
            )
        ],
    ),
    (
        "the journal of another number",
        {"bank.signals": 4, "bank.state.detect": 8},
        [
            (
                "topic bank.state.detect has 8 partitions and must have 4, as kafka.partitions "
                "says and bank.signals has: begin a new deployment with another kafka.prefix"
            )
        ],
    ),
    (
        "one place decides",
        {"bank.ledger": 3, "bank.findings": 2},
        [
            (
                f"topic bank.findings has 2 partitions and must have 1: "
                f"make it anew with that many, {ANEW}"
            ),
            (
                f"topic bank.ledger has 3 partitions and must have 1: "
                f"make it anew with that many, {ANEW}"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("name", "counts", "expected"), MISFITS)
def test_what_does_not_fit(name, counts, expected):
    assert misfits(KAFKA, TOPICS, counts) == expected, name


def test_a_broker_that_is_down_is_said():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ConnectionError) as raised:
        asyncio.run(ensure(Kafka(brokers=[address]), TOPICS, {}))
    assert str(raised.value) == (
        f"Kafka at {address}: nothing listens there: is it running, and is kafka.brokers right?"
    )


JUDGED = [
    ("done", 0, [], ""),
    ("somebody was faster", 36, ["exists"], ""),
    (
        "brokers are missing",
        38,
        ["too few"],
        "creating: too few: start more brokers, or set kafka.replication_factor",
    ),
    ("the controller moves", 41, [None], "creating: NotControllerError"),
    ("slow", 7, [], "creating: RequestTimedOutError"),
]


@pytest.mark.parametrize(("name", "code", "words", "expected"), JUDGED)
def test_what_a_broker_answers(name, code, words, expected):
    assert _judged("creating", code, words) == expected, name


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("not allowed this topic", 29, PermissionError),
        ("not allowed any", 31, PermissionError),
        ("against the cluster's policy", 44, ValueError),
        ("no such setting", 40, ValueError),
    ],
)
def test_what_waiting_would_not_help(name, code, expected):
    with pytest.raises(expected, match=r"^creating: the broker's words"):
        _judged("creating", code, ["the broker's words"])
