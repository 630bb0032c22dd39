"""One partition of keys: findings by event time, whoever was slower, and after any restart."""

import pytest

from streams.kafka.align import SILENT_S
from streams.kafka.detect import Detect
from streams.kafka.intake import Record
from streams.kafka.wire import Signals, decode_slices, encode
from streams.settings import Settings
from tests.streams.kafka.test_intake import LINES, frame, intake, take

SETTINGS = Settings.model_validate({"kafka": {"brokers": ["127.0.0.1:9"], "partitions": 1}})


def detect(inputs=2, now_s=0.0) -> Detect:
    return Detect(SETTINGS, 0, inputs, now_s)


@pytest.fixture(scope="module")
def signals():
    """The frames of two partitions of access.raw over one log: every other line in each."""
    found = []
    for number in (0, 1):
        one = intake(partitions=1, number=number)
        for offset, line in enumerate(LINES[number::2]):
            place = sum(map(len, LINES[number::2][:offset]))
            take(one, [frame(offset, place, line)])
            last = offset == len(LINES[number::2]) - 1
            outputs = one.collect(idle=last)
            found.append([output.value for output in outputs if output.topic == one.topics.signals])
    half = len(found) // 2
    return [values[0] for values in found[:half]], [values[0] for values in found[half:]]


def work(one, values, now_s=0.0, first=0):
    records = [Record(2 * (first + n), value, ()) for n, value in enumerate(values)]
    for _ in one.take(records, now_s):
        pass


def found(one, *, idle=True):
    """(findings, watermark, idle) of what it says."""
    outputs = [decode_slices(output.value) for output in one.collect(idle=idle)]
    findings = [f for said in outputs for piece in said.slices for f in piece.findings]
    return findings, [(said.watermark_ms, said.idle) for said in outputs]


def test_the_slower_one_is_waited_for(signals):
    fast, slow = signals
    one = detect()
    work(one, fast)
    assert found(one)[0] == []
    work(one, slow, first=len(fast))
    findings, said = found(one)
    assert {finding.rule for finding in findings} >= {"cross_user_read", "identity_fanout"}
    assert said[0][1] is True
    assert one.position == 2 * (len(fast) + len(slow)) - 1


def test_any_order_of_the_origins_gives_the_same(signals):
    fast, slow = signals
    taken = []
    turns = [fast + slow, slow + fast,
             [value for pair in zip(fast, slow, strict=False) for value in pair]]  # fmt: skip
    for values in turns:
        one = detect()
        work(one, [*values, fast[-1], slow[-1]])
        taken.append(found(one)[0])
    assert taken[0] == taken[1]
    assert {f.id for f in taken[0]} == {f.id for f in taken[2]}


@pytest.mark.parametrize("stop", [1, 7, 31, 35, 50, 70])
def test_one_made_from_the_state_goes_on(signals, stop):
    fast, slow = signals
    values = [value for pair in zip(fast, slow, strict=False) for value in pair]
    whole = detect()
    work(whole, values)
    expected = found(whole)[0]
    first = detect()
    work(first, values[:stop])
    findings = found(first)[0]
    known: dict[str, dict[str, bytes]] = {}
    for space, key, value in first.take_dirty():
        known.setdefault(space, {})[key] = value
    second = detect()
    second.load(known, 0.0)
    assert second.position == first.position
    begin = -(-second.position // 2)
    work(second, values[begin:], first=begin)
    assert [*findings, *found(second)[0]] == expected


def test_a_silent_origin_holds_up_for_so_long_only(signals):
    fast, _ = signals
    one = detect()
    work(one, fast, now_s=1.0)
    one.judge(SILENT_S)
    assert found(one)[0] == []
    one.judge(SILENT_S + 0.5)
    assert found(one)[0] != []


def test_idle_is_said_once_and_only_when_all_are():
    one = detect()
    work(one, [encode(Signals("i0", 5, True))])
    assert found(one) == ([], [(0, False)])
    work(one, [encode(Signals("i1", 9, True))], first=1)
    assert found(one, idle=False) == ([], [(9, False)])
    one.judge(0.0)
    assert found(one) == ([], [(9, True)])
    assert found(one) == ([], [])


def test_a_record_without_a_value_is_passed_over():
    one = detect()
    for _ in one.take([Record(0, None, ())], 0.0):
        pass
    assert one.position == 0


def test_without_kafka_it_says_what_is_missing():
    with pytest.raises(ValueError, match="needs `kafka:`"):
        Detect(Settings(), 0, 1, 0.0)
