"""Frames between the stages: the same out as in, in pieces that fit."""

import msgspec
import pytest
from msgspec.structs import replace

from records.event import RawLine, Reject
from records.kinds import Key
from streams.kafka.wire import (
    MESSAGE_BYTES,
    Signals,
    Slice,
    Slices,
    decode_signals,
    decode_slices,
    encode,
    signal_frames,
    slice_frames,
)
from streams.tally import Tally
from tests._events import NOON_MS, event, finding
from tests.detectors._events import at
from tests.incidents._world import T0, foreign, principal

SIGNAL = at(3).user("u-1").read("u-7")


def slice_of(exposures=0, lines=0, line_bytes=10, source="a1b2"):
    return Slice(
        NOON_MS,
        source,
        "a.log",
        [foreign(principal("u-1"), T0 + n, f"v{n}") for n in range(exposures)],
        [RawLine(f"e{n}", "00", b"x" * line_bytes, masked=False) for n in range(lines)],
        own=[("192.0.2.1", "u-1", NOON_MS)],
        own_since_ms=NOON_MS - 1,
        events=[event(1), event(2, late=True)],
        rejects=[Reject(source, 1, "not_json", "00", "x")],
        gaps=[(3, "gone")],
        findings=[finding()],
    )


def joined(pieces):
    """What is in the pieces, taken together."""
    return replace(
        pieces[0],
        exposures=[x for one in pieces for x in one.exposures],
        raw=[x for one in pieces for x in one.raw],
        own=[x for one in pieces for x in one.own],
        events=[x for one in pieces for x in one.events],
        rejects=[x for one in pieces for x in one.rejects],
        gaps=[x for one in pieces for x in one.gaps],
        findings=[x for one in pieces for x in one.findings],
    )


def test_signals_come_back_as_they_were():
    frame = Signals("i3", NOON_MS, True, [(Key.ADDRESS, SIGNAL), (Key.ACTOR, SIGNAL)])
    assert decode_signals(encode(frame)) == frame


def test_slices_come_back_as_they_were():
    tally = Tally(lines=4, routes={"/a": {"own": 1}}, first_ms=NOON_MS)
    frame = Slices("d0", NOON_MS, False, [slice_of(3, 2), slice_of()], tally)
    assert decode_slices(encode(frame)) == frame
    empty = Slices("d0", NOON_MS, True)
    assert decode_slices(encode(empty)) == empty


def test_a_slice_is_a_batch():
    one = slice_of(2, 1)
    batch = one.batch()
    assert (batch.source, batch.late, batch.events) == ("a1b2", 1, one.events)
    assert (batch.exposures, batch.raw, batch.rejects) == (one.exposures, one.raw, one.rejects)
    assert batch.lines == 0, "lines are counted in the tally"


SIZES = [
    ("small", 3, 3, 10, False),
    ("many exposures", 9_001, 3, 10, True),
    ("much to keep", 3, 5, 600_000, True),
    ("both", 9_001, 3, 900_000, True),
    ("one of each, too large together", 1, 1, 1_100_000, True),
    ("nothing", 0, 0, 10, False),
]


@pytest.mark.parametrize(("name", "exposures", "lines", "line_bytes", "cut"), SIZES)
def test_frames_of_slices_are_the_same_in_pieces(name, exposures, lines, line_bytes, cut):
    slices = [slice_of(2, source="before"), slice_of(exposures, lines, line_bytes)]
    frame = Slices("i1", 99, True, slices, Tally(lines=7))
    found = [decode_slices(data) for data in slice_frames(frame, 77)]
    assert (len(found) > 1) == cut, name
    assert [(f.watermark_ms, f.idle, f.tally) for f in found] == [
        *[(77, False, None)] * (len(found) - 1),
        (99, True, Tally(lines=7)),
    ]
    by_source: dict[str, list[Slice]] = {}
    for piece in (piece for f in found for piece in f.slices):
        by_source.setdefault(piece.source, []).append(piece)
    assert [joined(pieces) for pieces in by_source.values()] == slices
    assert max(len(data) for data in slice_frames(frame, 77)) < max(MESSAGE_BYTES, 1_200_000)


@pytest.mark.parametrize("count", [0, 1, 3, 9_000])
def test_frames_of_signals_are_the_same_in_pieces(count):
    signals = [(Key.ACTOR, SIGNAL)] * count
    messages = list(signal_frames(Signals("i1", 99, True, signals), 77))
    found = [decode_signals(data) for data in messages]
    assert [signal for f in found for signal in f.signals] == signals
    last = (99, True)
    assert [(f.watermark_ms, f.idle) for f in found] == [(77, False)] * (len(found) - 1) + [last]
    assert max(map(len, messages)) <= MESSAGE_BYTES


def test_frames_from_before_there_were_orders_are_read():
    frame = Slices("i0", NOON_MS, False, [slice_of(1)], Tally(lines=1))
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(encode(frame))[:-1])
    assert (decode_slices(older), frame.orders) == (frame, [])
