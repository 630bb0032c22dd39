import asyncio
import hashlib
from types import SimpleNamespace

import msgspec
import pytest

from evidence.keys import CredentialDigest
from intake.ownership import Tables
from records.ids import digest
from streams.kafka.deadletter import (
    Choice,
    Ledger,
    Line,
    Replayed,
    Wanted,
    line_of,
    listed,
    message,
    replay,
    taken,
)  # fmt: skip
from streams.kafka.intake import Intake, Record
from streams.kafka.settings import Kafka
from streams.kafka.wire import decode_slices
from streams.settings import Settings
from tests import _attack

RAW = "bank.access.raw"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def line(at=0, data=b"nonsense", *, logged=None, **other):
    facts = {"time_ms": 1_000 + at, "reason": "unknown_format", "source": "a1", "name": "a.log"}
    logged = data if logged is None else logged
    return Line(at=at, place=10 * at, sha256=sha256(logged), data=data, **(facts | other))


def record(one):
    """As it stands in the topic."""
    headers = (
        ("reason", one.reason.encode()), ("source", one.source.encode()),
        ("name", one.name.encode()), ("offset", str(one.place).encode()),
        ("sha256", one.sha256.encode()),
    )  # fmt: skip
    return SimpleNamespace(
        offset=one.at, key=one.source.encode(), value=one.data, headers=headers,
        timestamp=one.time_ms,
    )  # fmt: skip


def note(at, *sent):
    return SimpleNamespace(
        offset=at, key=b"replayed", value=msgspec.json.encode(sent), headers=(), timestamp=0
    )


def test_a_line_as_it_is_kept_and_as_it_is_sent():
    kept = line(3, b"odd \xc3\xa9")
    assert line_of(record(kept)) == kept
    assert message(kept) == {
        "value": b"odd \xc3\xa9",
        "key": b"a1",
        "headers": [("replayed", b"a1@30")],
    }


MASKED = [
    (b'{"session": "[secret]", "a": 1}', b'{"session": "-", "a": 1}'),
    (b'"GET /x?token=[secret]&a=1" "Bearer [secret]"', b'"GET /x?token=-&a=1" "-"'),
]


@pytest.mark.parametrize(("kept", "sent"), MASKED)
def test_a_mask_is_nobodys_session(kept, sent):
    assert message(line(data=kept, logged=b"with secrets"))["value"] == sent
    assert message(line(data=kept))["value"] == kept, "so it was logged"


def intake(**fields):
    config = {
        "kafka": {"brokers": ["127.0.0.1:9"], "prefix": "bank."},
        "intake": {"fields": fields},
    }
    settings = Settings.model_validate(config)
    return Intake(settings, Tables({}, {}, []), CredentialDigest(b"k" * 32), 1)


def test_from_intake_and_back():
    """What a wrong mapping rejected, the right one reads; the ledger knows what came back."""
    logged = _attack.walk()[0].replace("@timestamp", "at").encode()
    headers = [("source", b"a1"), ("name", b"a.log"), ("offset", b"70")]
    wrong = intake()
    list(wrong.take([Record(0, logged, headers)]))
    (output,) = (one for one in wrong.collect(idle=True) if one.topic == "bank.deadletter")
    kept = line_of(
        SimpleNamespace(
            offset=5, key=output.key, value=output.value, headers=output.headers, timestamp=9
        )
    )
    line_logged = logged.rstrip(b"\n")
    assert kept == Line(
        at=5, time_ms=9, reason="no_time", source="a1", name="a.log", place=70,
        sha256=sha256(line_logged), data=kept.data,
    )  # fmt: skip
    sent = message(kept)
    again = Record(8, sent["value"], sent["headers"])

    right = intake(time="at")
    list(right.take([again]))
    (tally,) = (decode_slices(one.value).tally for one in right.collect(idle=True)
                if one.topic == "bank.exposures")  # fmt: skip
    assert tally is not None
    assert (tally.lines, tally.events, tally.duplicate, tally.with_session) == (1, 1, 0, 0)

    list(wrong.take([again]))
    (output,) = (one for one in wrong.collect(idle=True) if one.topic == "bank.deadletter")
    ledger = Ledger(RAW, 4)
    ledger.note(msgspec.json.encode([(5, 1, 8)]))
    rejected = SimpleNamespace(
        offset=6, key=output.key, value=output.value, headers=output.headers, timestamp=9
    )
    assert taken(rejected, ledger) is not None
    assert ledger.back() == {5}


LONG = b'{"a": "' + b"x" * 5_000 + b'"}'
CUT = [
    ("as logged", line(data=b"x" * 5_000), (False, False)),
    ("masked", line(data=b"token=***", logged=b"token=s3cret"), (True, False)),
    ("masked JSON", line(data=b'{"token": "***"}', logged=b'{"token": "s3"}'), (True, False)),
    ("cut", line(data=LONG[:4096], logged=LONG), (True, True)),
    ("masked and cut", line(data=b'{"token": "***", "a": "xx', logged=LONG), (True, True)),
    ("too long to be a line", line(data=b"x", logged=b"xx", reason="too_long"), (True, True)),
    ("the rest of an archive", line(data=b"x", reason="truncated_archive"), (False, True)),
]


@pytest.mark.parametrize(("name", "one", "expected"), CUT, ids=[row[0] for row in CUT])
def test_what_is_not_as_it_was_logged(name, one, expected):
    assert (one.masked, one.cut) == expected


WANTED = [
    (Wanted(), True),
    (Wanted(reason="unknown_format", source="a.log", since_ms=1_007), True),
    (Wanted(source="a1"), True),
    (Wanted(source="a"), False),
    (Wanted(reason="no_time"), False),
    (Wanted(since_ms=1_008), False),
]


@pytest.mark.parametrize(("wanted", "expected"), WANTED)
def test_which_lines_are_meant(wanted, expected):
    assert wanted.takes(line(7)) is expected


def test_what_others_write_into_the_topic_is_no_line():
    foreign = SimpleNamespace(offset=0, key=None, value=b"x", headers=(), timestamp=0)
    assert taken(foreign, Ledger(RAW, 2)) is None


def back(at, number, offset):
    """A replayed line that was rejected again."""
    source = digest("kafka", RAW, number, length=16)
    name = f"{RAW}/{number}"
    return Line(
        at=at, time_ms=0, reason="unknown_format", source=source, name=name, place=offset << 20,
        sha256=sha256(b"n"), data=b"n",
    )  # fmt: skip


TWO = [record(line(0)), record(line(1, b"token=***", logged=b"token=s3cret"))]
CHOICES = [
    ("all", TWO, {}, (2, 1, 0, 0), {0, 1}),
    ("none", [], {}, (0, 0, 0, 0), set()),
    ("one reason", [*TWO, record(line(2, reason="no_time"))], {"reason": "no_time"},
     (1, 0, 0, 0), {2}),
    ("not what is cut", [*TWO, record(line(2, b"x", reason="truncated_archive"))], {},
     (2, 1, 1, 0), {0, 1}),
    ("not twice", [*TWO, note(2, (0, 1, 7)), record(line(3))], {}, (2, 1, 0, 1), {1, 3}),
    ("twice if asked", [*TWO, note(2, (0, 1, 7))], {"again": True}, (2, 1, 0, 0), {0, 1}),
    ("rejected again: the second stands for the first",
     [*TWO, note(2, (0, 1, 7)), record(back(3, 1, 7))], {}, (2, 1, 0, 0), {1, 3}),
    ("so also if asked again",
     [*TWO, note(2, (0, 1, 7)), record(back(3, 1, 7))], {"again": True}, (2, 1, 0, 0), {1, 3}),
    ("and the third for both",
     [TWO[0], note(2, (0, 1, 7)), record(back(3, 1, 7)), note(4, (3, 1, 9)),
      record(back(5, 1, 9))], {}, (1, 0, 0, 0), {5}),
    ("another message was rejected",
     [TWO[0], note(2, (0, 1, 7)), record(back(3, 0, 7))], {}, (1, 0, 0, 1), {3}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("records", "given", "told", "chosen"),
    [row[1:] for row in CHOICES],
    ids=[row[0] for row in CHOICES],
)
def test_what_is_sent_again(records, given, told, chosen):
    wanted = Wanted(reason=given.get("reason"))
    choice = Choice(wanted, Ledger(RAW, 2), again=given.get("again", False))
    for one in records:
        choice.see(one)
    assert choice.made() == (Replayed(*told), frozenset(chosen))


CALLS = [lambda kafka: listed(kafka, {}, Wanted(), 1), lambda kafka: replay(kafka, {}, Wanted())]


@pytest.mark.parametrize("call", CALLS, ids=["list", "replay"])
def test_brokers_that_are_down_are_said(call):
    with pytest.raises(ConnectionError, match=r"Kafka at 127.0.0.1:9: nothing listens there: "):
        asyncio.run(call(Kafka(brokers=["127.0.0.1:9"])))
