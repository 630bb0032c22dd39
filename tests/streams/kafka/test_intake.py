"""One partition of access.raw: every line once, whatever form it comes in and wherever it stops."""

import json

import msgspec
import pytest
import yaml

from evidence.keys import CredentialDigest
from intake.ownership import Tables
from records.event import RawLine
from records.ids import partition
from streams.kafka.client import MAX_RECORD_BYTES
from streams.kafka.intake import Intake, Record
from streams.kafka.topics import Topics
from streams.kafka.wire import Slice, Slices, decode_signals, decode_slices, slice_frames
from streams.settings import Settings
from streams.tally import Tally
from tests import _attack
from tests.e2e import _two_logs
from tests.intake._tokens import jwk, jwks, signed

NAMES = Topics("breachline.")
DIGEST = CredentialDigest(b"k" * 32)
LINES = [line.encode() for line in [*_attack.ordinary(5), *_attack.walk(start_s=300)]]
FAULT = (0, "too_long", "ab" * 32, b"AAAA")


def intake(partitions=4, number=1, **config) -> Intake:
    kafka = {"brokers": ["127.0.0.1:9"], "partitions": partitions}
    settings = Settings.model_validate({"kafka": kafka, **config})
    return Intake(settings, Tables({}, {}, []), DIGEST, number)


def frame(offset, place, *lines, source=b"a1b2c3d4e5f60718", faults=()):
    headers = [("source", source), ("name", b"access.log"), ("offset", b"%d" % place)]
    if faults:
        headers.append(("faults", msgspec.msgpack.encode(faults)))
    return Record(offset, b"".join(lines), headers)


def frames(size=10, first=0):
    found, place = [], 0
    for number, start in enumerate(range(0, len(LINES), size)):
        part = LINES[start : start + size]
        found.append(frame(first + number, place, *part))
        place += sum(map(len, part))
    return found


def messages(first=0):
    return [Record(first + 2 * n, line.rstrip(b"\n"), ()) for n, line in enumerate(LINES)]


def take(one, records):
    for _ in one.take(records):
        pass


def said(outputs):
    """(tally of all, signals, exposures) of a task's outputs."""
    tally = Tally()
    slices = [decode_slices(o.value) for o in outputs if o.topic == NAMES.exposures]
    for slice_frame in slices:
        if slice_frame.tally is not None:
            tally.merge(slice_frame.tally)
    signals = [
        (o.partition, kind, signal)
        for o in outputs
        if o.topic == NAMES.signals
        for kind, signal in decode_signals(o.value).signals
    ]
    exposures = [x for f in slices for one in f.slices for x in one.exposures]
    return tally, signals, exposures


@pytest.mark.parametrize("records", [frames(), messages()], ids=["frames", "messages"])
def test_what_is_notable_goes_on_and_the_rest_is_counted(records):
    one = intake()
    take(one, records)
    assert one.position == records[-1].offset + 1
    tally, signals, exposures = said(one.collect(idle=False))
    count = len(LINES)
    assert (tally.lines, tally.events, tally.duplicate, tally.rejected) == (count, count, 0, {})
    assert sorted({x.target for x in exposures}) == sorted(_attack.VICTIMS)
    assert {signal.principal for _, _, signal in signals} == {_attack.ATTACKER}
    for shard, kind, signal in signals:
        assert shard == partition(signal.key(kind), 4)
    assert len({(kind, signal.event) for _, kind, signal in signals}) == len(signals)


def test_every_partition_of_signals_hears_how_far_it_is():
    one = intake()
    take(one, frames())
    outputs = one.collect(idle=True)
    heard = {o.partition: decode_signals(o.value) for o in outputs if o.topic == NAMES.signals}
    assert {(f.origin, f.watermark_ms, f.idle) for f in heard.values()} == {
        ("i1", one.watermark_ms, True)
    }
    assert set(heard) == {0, 1, 2, 3}
    (last,) = [decode_slices(o.value) for o in outputs if o.topic == NAMES.exposures][-1:]
    assert (last.origin, last.watermark_ms, last.idle) == ("i1", one.watermark_ms, True)


def test_nothing_new_is_nothing_to_say_but_idleness_is():
    one = intake()
    assert one.collect(idle=False)
    assert one.collect(idle=False) == []
    take(one, frames())
    assert one.collect(idle=False)
    assert one.collect(idle=False) == []
    assert one.collect(idle=True)
    assert one.collect(idle=True) == []


def test_a_frame_that_comes_twice_counts_once():
    one = intake()
    first, *rest = frames()
    take(one, [first, msgspec.structs.replace(first, offset=1)])
    again = msgspec.structs.replace(first, offset=2)
    take(one, [again, *(msgspec.structs.replace(r, offset=r.offset + 2) for r in rest)])
    tally, _, exposures = said(one.collect(idle=False))
    assert (tally.events, tally.duplicate) == (len(LINES), 2 * 10)
    assert len(exposures) == len(_attack.VICTIMS)


def test_records_before_the_position_are_left_out():
    one = intake()
    take(one, messages())
    take(one, messages())
    assert said(one.collect(idle=False))[0].lines == len(LINES)


def test_many_lines_in_a_message_are_many_lines():
    one = intake()
    take(one, [Record(7, b"".join(LINES), ()), Record(8, b"", ()), Record(9, None, ())])
    tally, _, exposures = said(one.collect(idle=False))
    assert (tally.lines, one.position) == (len(LINES), 10)
    assert len({x.event for x in exposures}) == len(_attack.VICTIMS)


def test_a_line_is_named_by_partition_offset_and_number():
    def named(records, number=1):
        one = intake(number=number)
        take(one, records)
        return [x.event for x in said(one.collect(idle=False))[2]]

    assert named(messages()) == named(messages())
    assert not set(named(messages())) & set(named(messages(), number=2))
    assert not set(named(messages())) & set(named(messages(first=1_000)))


def test_bytes_that_never_came_are_a_gap():
    one = intake()
    take(one, [frame(0, 0, *LINES[:10]), frame(1, 99_000, *LINES[10:20])])
    slices = [
        piece
        for o in one.collect(idle=False)
        if o.topic == NAMES.exposures
        for piece in decode_slices(o.value).slices
    ]
    size = sum(map(len, LINES[:10]))
    assert [gap for piece in slices for gap in piece.gaps] == [
        (99_000, f"access.log: bytes {size:,} to 99,000 never came")
    ]


def test_rejected_lines_go_to_the_deadletter():
    one = intake()
    take(one, [Record(3, b"what? password=hunter2", ()), frame(4, 0, *LINES, faults=[FAULT])])
    dead = [o for o in one.collect(idle=False) if o.topic == NAMES.deadletter]
    headers = [dict(o.headers) for o in dead]
    assert [(h["reason"], h["source"], h["offset"], h["name"]) for h in headers] == [
        (
            b"not_this_format",
            headers[0]["source"],
            str(3 << 20).encode(),
            b"breachline.access.raw/1",
        ),
        (b"too_long", b"a1b2c3d4e5f60718", b"0", b"access.log"),
    ]
    assert headers[1]["sha256"] == FAULT[2].encode()
    assert [o.key for o in dead] == [h["source"] for h in headers]
    assert b"hunter2" not in dead[0].value


def test_own_successes_are_told_once_a_minute():
    one = intake()
    take(one, frames())
    told = [
        own
        for o in one.collect(idle=False)
        if o.topic == NAMES.exposures
        for piece in decode_slices(o.value).slices
        for own in piece.own
    ]
    minutes = {(ip, who, time_ms // 60_000) for ip, who, time_ms in told}
    assert {who for _, who, _ in minutes} == set(_attack.PEOPLE)
    assert len(minutes) == 5 * len(_attack.PEOPLE)


@pytest.mark.parametrize("stop", [1, 3, 4, 7])
@pytest.mark.parametrize("records", [frames(), messages()], ids=["frames", "messages"])
def test_one_made_from_the_state_goes_on_with_the_same_words(records, stop):
    whole = intake()
    take(whole, records[:stop])
    whole.collect(idle=False)
    known: dict[str, dict[str, bytes]] = {}
    for space, key, value in whole.take_dirty():
        known.setdefault(space, {})[key] = value
    other = intake()
    other.load(known)
    assert other.position == whole.position == records[stop - 1].offset + 1
    for one in (whole, other):
        take(one, records)
    tally, signals, exposures = said(whole.collect(idle=True))
    assert said(other.collect(idle=True)) == (tally, signals, exposures)
    assert tally.lines > 0
    assert dict_of(other.take_dirty()) == dict_of(whole.take_dirty())


def dict_of(items):
    return {(space, key): value for space, key, value in items}


def test_stopped_half_way_the_position_is_that_of_what_was_read():
    one = intake()
    records = frames()
    reading = one.take(records)
    next(reading)
    next(reading)
    tally, _, _ = said(one.collect(idle=False))
    assert (one.position, tally.lines) == (2, 20)


def test_without_kafka_it_says_what_is_missing():
    with pytest.raises(ValueError, match="needs `kafka:`"):
        Intake(Settings(), Tables({}, {}, []), DIGEST, 0)


LONG = "x" * 6000
BAD = [
    ("offset is no number", [("source", b"a"), ("offset", b"ten")]),
    ("source is not UTF-8", [("source", b"\xff"), ("offset", b"0")]),
    ("faults are no msgpack", [("source", b"a"), ("offset", b"0"), ("faults", b"\xc1")]),
    ("faults of another shape", [("source", b"a"), ("offset", b"0"), ("faults", b"\x91\x01")]),
]


@pytest.mark.parametrize(("name", "headers"), BAD, ids=[b[0] for b in BAD])
def test_a_frame_with_headers_of_nobody_is_rejected_and_passed(name, headers):
    one = intake()
    take(one, [Record(0, b"line", headers)])
    assert one.position == 1
    assert [o for o in one.collect(idle=False) if o.topic == "breachline.deadletter"]


def lines_of(path, **more):
    return [
        _attack.entry(n, _attack.ATTACKER, path.format(n=n), _attack.ATTACKER_IP, **more).encode()
        for n in range(1_500)
    ]


HUGE = [
    ("foreign, long path", lines_of("/api/v1/users/v{n}/" + LONG)),
    ("foreign, long id", lines_of("/api/v1/users/v{n}" + LONG + "/x")),
    ("refused, own", lines_of("/api/v1/users/u-66/" + LONG, status=403)),
    ("no lines", [b"{" + LONG.encode()] * 1_500),
]


@pytest.mark.parametrize(("name", "lines"), HUGE, ids=[h[0] for h in HUGE])
def test_every_message_fits_whatever_an_attacker_asks_for(name, lines):
    one = intake(partitions=1)
    take(one, [Record(n, line, ()) for n, line in enumerate(lines)])
    sizes = [len(o.value) for o in one.collect(idle=False)]
    assert max(sizes) < MAX_RECORD_BYTES
    assert max(len(value) for _, _, value in one.take_dirty()) < MAX_RECORD_BYTES


def test_a_slice_is_let_go_before_what_its_own_lines_lead_to():
    """Or the desk would judge an address before it knew who else is behind it."""
    one = intake()
    for record in frames(size=5):
        take(one, [record])
    outputs = one.collect(idle=False)
    slices = [
        s for o in outputs if o.topic == NAMES.exposures for s in decode_slices(o.value).slices
    ]
    assert slices[0].time_ms == 0
    assert slices[-1].exposures, "the walk comes last"
    for one_slice in slices:
        assert all(one_slice.time_ms <= exposure.time_ms for exposure in one_slice.exposures)
        assert all(one_slice.time_ms <= time_ms for _, _, time_ms in one_slice.own)


def two_logs():
    """The frames of both logs as `ship` sends them, in turn."""
    config = yaml.safe_load(_two_logs.CONFIG)
    records: list[Record] = []
    places = {"gateway": 0, "service": 0}
    for number, (second, path, ip, user, owner) in enumerate(_two_logs.requests(3), start=1):
        for name, line in (
            ("gateway", _two_logs.at_gateway(number, second, path, ip)),
            ("service", _two_logs.at_service(number, second, path, user, owner)),
        ):
            log = {"gateway": b"gateway.log", "service": b"orders-1.log"}[name]
            headers = [("source", name.encode()), ("name", log)]
            headers.append(("offset", b"%d" % places[name]))
            records.append(Record(len(records), line.encode(), headers))
            places[name] += len(line)
    return records, config


def test_two_logs_are_joined_wherever_it_is_taken_over():
    records, config = two_logs()
    whole = intake(**config)
    take(whole, records)
    outputs = whole.collect(idle=False)
    tally, _, exposures = said(outputs)
    requests = len(_two_logs.requests(3))
    assert (tally.lines, tally.events, tally.joined) == (2 * requests, requests, requests)
    assert sorted({one.target for one in exposures}) == _two_logs.VICTIMS
    assert {one.ip for one in exposures} == {_two_logs.ATTACKER_IP}
    halves = {}
    for output in outputs:
        if output.topic == NAMES.exposures:
            for one in decode_slices(output.value).slices:
                halves.update(one.batch().halves)
                kept = {line.event for line in one.raw}
                assert kept == {*one.halves.keys(), *one.halves.values()}
    assert len(halves) == len(_two_logs.VICTIMS)

    cut, found = intake(**config), []
    items: dict[str, dict[str, bytes]] = {}
    for at in range(0, len(records), 7):
        take(cut, records[at : at + 7])
        found += cut.collect(idle=False)
        for space, key, value in cut.take_dirty():
            items.setdefault(space, {})[key] = value
            if not value:
                del items[space][key]
        cut = intake(**config)
        cut.load(items)
    tally, _, again = said(found)
    assert (tally.lines, tally.events, tally.joined) == (2 * requests, requests, requests)
    assert again == exposures


def test_a_slice_that_is_cut_keeps_halves_with_their_lines():
    events = [f"g-{number}" for number in range(64)]
    one = Slice(
        0, "g",
        raw=[RawLine(f"{log}-{n}", "00", b"x" * 40_000, False) for n in range(64) for log in "gs"],
        halves={event: event.replace("g", "s") for event in events},
    )  # fmt: skip
    sent = [decode_slices(data) for data in slice_frames(Slices("i0", 1, False, [one]), 0)]
    parts = [part for frame in sent for part in frame.slices]
    assert len(parts) > 1
    assert {k: v for part in parts for k, v in part.halves.items()} == one.halves
    for part in parts:
        assert set(part.halves.values()) <= {line.event for line in part.raw}


def test_new_keys_of_an_issuer_are_used_from_the_next_read_on(tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_bytes(jwks(jwk("ES256", kid="a")))
    one = intake(intake={"jwt": {"jwks": str(keys)}})
    line = {
        "time": "2026-11-22T10:00:00Z",
        "remote_addr": "192.0.2.7",
        "status": 200,
        "request": "GET /me HTTP/1.1",
        "authorization": f"Bearer {signed('ES256', 1, kid='b', sub='17')}",
    }
    found = []
    for offset in range(2):
        take(one, [Record(offset, json.dumps(line).encode(), ())])
        tally, _, _ = said(one.collect(idle=True))
        found.append(dict(tally.provenance))
        keys.write_bytes(jwks(jwk("ES256", 1, kid="b")))
    assert found == [{"unverified": 1}, {"verified": 1}]
