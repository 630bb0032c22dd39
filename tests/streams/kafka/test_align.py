"""Brought together by time: the same order whoever was slower, and the rest after a restart."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.align import SILENT_S, Aligner, Origin

ORIGINS = ["i0", "i1", "i2"]


def aligner(*origins, now_s=0.0, **more) -> Aligner[str]:
    return Aligner(origins or ("a", "b"), now_s, **more)


def add(to, origin, place, items, watermark_ms, *, idle=False, now_s=0.0):
    to.add(origin, place, items, watermark_ms, idle=idle, now_s=now_s)


def test_an_item_waits_until_all_have_gone_past_it():
    one = aligner()
    add(one, "a", 0, [(10, "a10"), (20, "a20")], 20)
    assert one.release(0) == []
    add(one, "b", 1, [(5, "b5")], 15)
    assert one.release(0) == ["b5", "a10"]
    assert (one.held, one.watermark_ms) == (1, 15)
    add(one, "b", 2, [], 30)
    assert one.release(0) == ["a20"]
    assert (one.held, one.watermark_ms) == (0, 20)


def test_an_item_out_of_order_stays_behind_those_before_it_in_its_origin():
    one = aligner()
    add(one, "a", 0, [(20, "a20"), (10, "a10"), (30, "a30")], 30)
    add(one, "b", 1, [(15, "b15"), (25, "b25")], 40)
    assert one.release(0) == ["b15", "a20", "a10", "b25", "a30"]


def test_an_origin_that_has_not_spoken_is_waited_for():
    one = aligner("a", "b", "c")
    add(one, "a", 0, [(10, "a10")], 90)
    add(one, "b", 1, [(10, "b10")], 90)
    assert one.release(0) == []
    assert not one.idle
    add(one, "c", 2, [], 50)
    assert one.release(0) == ["a10", "b10"]


def test_one_that_has_read_everything_is_not_waited_for():
    one = aligner()
    add(one, "a", 0, [(10, "a10"), (30, "a30")], 30)
    add(one, "b", 1, [(5, "b5")], 5, idle=True)
    assert one.release(0) == ["b5", "a10", "a30"]
    assert not one.idle
    add(one, "a", 2, [], 30, idle=True)
    assert one.release(0) == []
    assert (one.idle, one.watermark_ms) == (True, 30)


def test_one_that_goes_on_is_waited_for_again():
    one = aligner()
    add(one, "b", 0, [], 5, idle=True)
    add(one, "b", 1, [], 8)
    add(one, "a", 2, [(10, "a10")], 10)
    assert one.release(0) == []


def test_all_idle_lets_everything_go():
    one = aligner()
    add(one, "a", 0, [(30, "a30")], 20, idle=True)
    add(one, "b", 1, [(40, "b40")], 10, idle=True)
    assert one.release(0) == ["a30", "b40"]
    assert (one.watermark_ms, one.held, one.idle) == (20, 0, True)


SILENCE = [
    ("just heard of", SILENT_S, []),
    ("not heard of for too long", SILENT_S + 1, ["a10"]),
]


@pytest.mark.parametrize(("name", "now_s", "expected"), SILENCE, ids=[s[0] for s in SILENCE])
def test_silence(name, now_s, expected):
    for others in ([], [(0, 5)]):
        one = aligner()
        for place, watermark_ms in others:
            add(one, "b", place, [], watermark_ms)
        add(one, "a", 1, [(10, "a10")], 10, now_s=now_s)
        assert one.release(now_s) == expected


def test_after_a_silence_it_is_waited_for_again():
    one = aligner()
    add(one, "a", 0, [(10, "a10")], 10, now_s=500)
    assert one.release(500) == ["a10"]
    add(one, "b", 1, [(7, "b7")], 7, now_s=501)
    add(one, "a", 2, [(20, "a20")], 20, now_s=501)
    assert one.release(501) == ["b7"]
    assert one.watermark_ms == 10, "it never falls"


def test_all_silent_lets_everything_go():
    one = aligner()
    add(one, "a", 0, [(10, "a10")], 5)
    assert one.release(SILENT_S + 1) == ["a10"]


def test_an_origin_that_comes_later_is_waited_for_from_then_on():
    """access.raw was enlarged while this was at work; whoever goes on from here knows it too."""
    one = aligner("a")
    add(one, "a", 0, [(10, "a10")], 10)
    add(one, "z", 1, [(5, "z5")], 5)
    assert one.release(0) == ["z5"]
    after = aligner("a", state=one.state(), resume=one.resume)
    add(after, "a", 0, [(10, "a10")], 10)
    add(after, "z", 1, [(5, "z5")], 5)
    assert after.release(0) == []
    add(after, "z", 2, [], 20)
    assert after.release(0) == ["a10"]


# However the frames of several origins lie between each other


class Frame(msgspec.Struct, frozen=True):
    origin: str
    items: list[tuple[int, str]]
    watermark_ms: int


@st.composite
def topics(draw, rising=False):
    """Frames of all origins in some order; the last of each goes past everything."""
    queues = []
    for number, origin in enumerate(ORIGINS):
        times = draw(st.lists(st.integers(1, 60), max_size=10))
        if rising:
            times = sorted(3 * time + number for time in set(times))
        cuts = sorted(draw(st.sets(st.integers(0, len(times)), max_size=3)) | {0, len(times)})
        frames, reached = [], 0
        for begin, end in pairwise(cuts):
            items = [(times[n], f"{origin}:{n}") for n in range(begin, end)]
            reached = max([reached, *(time for time, _ in items)])
            frames.append(Frame(origin, items, reached))
        queues.append([*frames, Frame(origin, [], 1_000)])
    order = draw(
        st.permutations([o for o, queue in zip(ORIGINS, queues, strict=True) for _ in queue])
    )
    left = {origin: iter(queue) for origin, queue in zip(ORIGINS, queues, strict=True)}
    frames = [next(left[origin]) for origin in order]
    places, place = [], draw(st.integers(0, 5))
    for _ in frames:
        places.append(place)
        place += draw(st.sampled_from([1, 1, 2, 5]))
    return list(zip(places, frames, strict=True))


def by_running_maximum(topic):
    found = []
    latest = dict.fromkeys(ORIGINS, 0)
    for _, frame in topic:
        for time, item in frame.items:
            latest[frame.origin] = max(latest[frame.origin], time)
            found.append((latest[frame.origin], item))
    return found


def put(one, place, frame):
    add(one, frame.origin, place, frame.items, frame.watermark_ms)


@given(topics(rising=True))
def test_any_interleaving_is_released_by_time(topic):
    one = aligner(*ORIGINS)
    found = []
    for place, frame in topic:
        put(one, place, frame)
        found += one.release(0)
    assert found == [item for _, item in sorted(by_running_maximum(topic))]
    assert (one.held, one.watermark_ms) == (0, 1_000)


@given(topics())
def test_all_at_the_end_is_released_by_running_maximum(topic):
    one = aligner(*ORIGINS)
    for place, frame in topic:
        put(one, place, frame)
    expected = by_running_maximum(topic)
    # A stable sort of one origin after the other: so equal times keep the order of origins.
    expected.sort(key=lambda pair: (pair[0], pair[1].split(":")[0]))
    assert one.release(0) == [item for _, item in expected]


@given(topics(), st.data())
def test_a_restart_gives_exactly_the_rest(topic, data):
    whole, pieces = aligner(*ORIGINS), aligner(*ORIGINS)
    read = 0
    expected: list[str] = []
    found: list[str] = []
    for place, frame in topic:
        put(whole, place, frame)
        expected += whole.release(0)
    for _ in range(data.draw(st.integers(1, 4))):
        until = data.draw(st.integers(read, len(topic)))
        for place, frame in topic[read:until]:
            put(pieces, place, frame)
            if data.draw(st.booleans()):
                found += pieces.release(0)
        state = msgspec.msgpack.decode(
            msgspec.msgpack.encode(pieces.state()), type=dict[str, Origin]
        )
        resume = pieces.resume
        pieces = aligner(*ORIGINS, state=state, resume=resume)
        assert pieces.resume == resume
        read = next((n for n, (place, _) in enumerate(topic) if place >= resume), len(topic))
    for place, frame in topic[read:]:
        put(pieces, place, frame)
        found += pieces.release(0)
    found += pieces.release(0)
    assert sorted(found) == sorted(expected), "nothing lost, nothing twice"
    for origin in ORIGINS:
        mine = [item for item in found if item.startswith(origin)]
        assert mine == [item for item in expected if item.startswith(origin)]
    assert (pieces.held, pieces.watermark_ms) == (0, whole.watermark_ms)


@given(topics(rising=True), st.integers(0, 40))
def test_a_restart_changes_no_order(topic, at):
    one = aligner(*ORIGINS)
    found = []
    for place, frame in topic[:at]:
        put(one, place, frame)
        found += one.release(0)
    other = aligner(*ORIGINS, state=one.state(), resume=one.resume)
    for place, frame in topic:
        if place >= one.resume:
            put(other, place, frame)
            found += other.release(0)
    assert found == [item for _, item in sorted(by_running_maximum(topic))]


def test_the_state_is_small_however_much_was_read():
    one = aligner()
    for n in range(1_000):
        add(one, "ab"[n % 2], n, [(n, "x")], n)
        one.release(0)
        one.state()
    state = one.state()
    assert {name: len(origin.marks) for name, origin in state.items()} == {"a": 1, "b": 1}


def test_a_frame_of_nobody_moves_the_place_to_read_from_unless_something_is_held():
    one = aligner()
    one.skip(3)
    assert (one.resume, sorted(one.state())) == (4, ["a", "b"])
    add(one, "a", 5, [(10, "a10")], 10)
    one.skip(6)
    assert one.resume == 5
    one.skip(2)
    add(one, "b", 7, [], 20)
    assert (one.release(0), one.resume) == (["a10"], 8)
