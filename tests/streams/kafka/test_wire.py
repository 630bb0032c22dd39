"""Frames between the stages: the same out as in, in pieces that fit."""

import pytest
from msgspec.structs import replace

from records.event import RawLine, Reject
from records.kinds import Key
from streams.kafka.wire import (
    Signals,
    Slice,
    Slices,
    decode_signals,
    decode_slices,
    encode,
    packed,
    split,
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
    ("small", 3, 3, 10, 1),
    ("many exposures", 4_001, 3, 10, 3),
    ("much to keep", 3, 5, 600_000, 5),
    ("both", 4_001, 3, 900_000, 3),
    ("nothing", 0, 0, 10, 1),
]


@pytest.mark.parametrize(("name", "exposures", "lines", "line_bytes", "pieces"), SIZES)
def test_split_is_the_same_in_pieces(name, exposures, lines, line_bytes, pieces):
    one = slice_of(exposures, lines, line_bytes)
    found = list(split(one))
    assert len(found) == pieces, name
    assert joined(found) == one
    assert {(p.time_ms, p.source, p.name) for p in found} == {(NOON_MS, "a1b2", "a.log")}
    assert max(len(piece.exposures) for piece in found) <= 2_000


def test_packed_holds_all_in_order_and_little_at_once():
    slices = [slice_of(900, 2, source="a"), slice_of(900, source="b"), slice_of(900, source="c"),
              slice_of(0, 3, 700_000, source="d"), slice_of(1, source="e")]  # fmt: skip
    frames = list(packed("i1", 77, slices))
    assert [[one.source for one in frame.slices] for frame in frames] == [
        ["a", "b"], ["c", "d"], ["d"], ["d", "e"],
    ]  # fmt: skip
    assert {(f.origin, f.watermark_ms, f.idle, f.tally) for f in frames} == {
        ("i1", 77, False, None)
    }
    by_source: dict[str, list[Slice]] = {}
    for frame in frames:
        for piece in frame.slices:
            by_source.setdefault(piece.source, []).append(piece)
    assert [joined(pieces) for pieces in by_source.values()] == slices


def test_nothing_is_one_empty_frame():
    assert list(packed("i1", 5, [])) == [Slices("i1", 5, False)]
