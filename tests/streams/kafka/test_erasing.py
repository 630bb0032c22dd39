"""A person is erased on Kafka: from the decider's store and memory, and from the next base."""

import json

import msgspec
import pytest

from evidence.erasure import Erasure, erasures, find
from evidence.naming import Name
from records.event import RawLine
from streams.kafka.decide import Decide, image
from streams.kafka.intake import Record
from streams.kafka.orders import ORIGIN, Order
from streams.kafka.wire import Slice, Slices, encode
from streams.settings import Settings
from tests.incidents._world import T0, finding, foreign, principal

SETTINGS = Settings.model_validate({"kafka": {"brokers": ["127.0.0.1:9"], "partitions": 1}})
PERSON, WHO = "person-77", principal("u-66")
READS = [foreign(WHO, T0 + n, user) for n, user in enumerate([PERSON, "v2", "v3"])]
FOUND = finding(WHO, T0, users=(PERSON, "v2"), evidence=tuple(one.event for one in READS))
ERASE = Order(
    id="ord-1", kind="erase", action=None, target=PERSON, by="ada", why="request 5", at_ms=T0
)


@pytest.fixture
def decide(tmp_path):
    made = Decide(SETTINGS, tmp_path, 1, 0.0, [])
    yield made
    made.close()


def hear(decide, *frames):
    records = [Record(decide.position + n, encode(frame), ()) for n, frame in enumerate(frames)]
    for _ in decide.take(records, 0.0, lambda: T0):
        pass
    return decide.collect()


def attacked(decide):
    lines = [RawLine(one.event, "ab", f"GET {one.target}".encode(), False) for one in READS]
    own = [("192.0.2.1", PERSON, T0), ("192.0.2.1", "v9", T0)]
    one = Slice(
        T0, "a1b2", "log", exposures=READS, raw=lines, findings=[FOUND], own=own, own_since_ms=T0
    )
    far = T0 + 10**9
    outputs, _ = hear(
        decide, Slices("i0", far, True, [one]), Slices("d0", far, True),
    )  # fmt: skip
    return [json.loads(o.value) for o in outputs if o.topic == "breachline.findings"]


def test_nothing_in_memory_or_in_the_next_base_leads_to_the_person(decide):
    assert len(attacked(decide)) == 1
    assert not find(decide.store, PERSON).is_empty
    outputs, _ = hear(decide, Slices(ORIGIN, 0, True, orders=[ERASE]))
    assert decide.wants_base
    base = b"".join(decide.base())
    assert PERSON.encode() not in base
    assert b"v9" in base
    assert not decide.wants_base
    assert find(decide.store, PERSON).is_empty
    (answer,) = [json.loads(o.value) for o in outputs if o.topic == "breachline.receipts"]
    done = msgspec.json.decode(answer["detail"], type=Erasure)
    assert (answer["action"], answer["state"], done) == (
        "ord-1", "confirmed", erasures(decide.store)[0],
    )  # fmt: skip
    assert (done.exposures, done.by, done.why) == (1, "ada", "request 5")


def test_it_decides_on_as_before_and_counts_everybody(decide):
    attacked(decide)
    (before,) = decide.store.incidents()
    hear(decide, Slices(ORIGIN, 0, True, orders=[ERASE]))
    users = decide.decider.desk.impact(before.id).users
    assert (len(users), {"v2", "v3"} < set(users), PERSON in users) == (3, True, False)


def test_another_worker_begins_from_that_base(decide, tmp_path):
    attacked(decide)
    hear(decide, Slices(ORIGIN, 0, True, orders=[ERASE]))
    other = Decide(SETTINGS, tmp_path / "other", 1, 0.0, decide.base())
    try:
        assert find(other.store, PERSON).is_empty
        assert list(other.store.log.entries()) == list(decide.store.log.entries())
        assert not Name(PERSON).is_mentioned(
            [[k, msgspec.msgpack.decode(v)] for k, v in other.decider.population.items()]
        )
    finally:
        other.close()


def test_what_must_stay_is_answered_and_no_log_of_the_worker_names_them(decide, caplog):
    attacked(decide)
    refused = msgspec.structs.replace(ERASE, target="u-66")
    with caplog.at_level("INFO", "breachline.orders"):
        outputs, _ = hear(decide, Slices(ORIGIN, 0, True, orders=[refused]))
    (answer,) = [json.loads(o.value) for o in outputs if o.topic == "breachline.receipts"]
    assert answer["state"] == "failed"
    assert "they are an actor of inc-" in answer["detail"]
    assert "u-66" not in caplog.text
    assert not decide.wants_base
    assert b"u-66" in b"".join(image(decide.store))
