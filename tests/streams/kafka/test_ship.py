import asyncio
import gzip

import pytest
from aiokafka.errors import KafkaError

from intake.settings import Join
from streams.book import source_id
from streams.clock import HandClock, SystemClock
from streams.kafka import outflow, ship
from streams.kafka.outflow import Unanswered
from streams.kafka.ship import Checkpoint, Shipped, Shipper, Throttle, cut
from streams.lines import MAX_LINE_BYTES, Fault, Frame
from tests.streams.kafka._broker import Broker


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(outflow, "TICK_S", 0.001)
    monkeypatch.setattr(outflow, "_RETRY_S", 0)
    monkeypatch.setattr(ship, "POLL_S", 0.001)


def lines(count, first=0):
    return b"".join(b"line %d of the log\n" % n for n in range(first, first + count))


CUTS = [
    # name, data, max_bytes, max_lines, pieces
    ("fits", b"ab\ncd\n", 6, 0, [b"ab\ncd\n"]),
    ("at the last newline that fits", b"ab\ncd\nef\n", 8, 0, [b"ab\ncd\n", b"ef\n"]),
    ("exactly full", b"ab\ncd\n", 3, 0, [b"ab\n", b"cd\n"]),
    ("a long line goes alone", b"ab\ncdefgh\nij\n", 4, 0, [b"ab\n", b"cdefgh\n", b"ij\n"]),
    ("a long last line", b"ab\ncdefgh", 4, 0, [b"ab\n", b"cdefgh"]),
    ("by lines", b"a\nb\nc\n", 99, 2, [b"a\nb\n", b"c\n"]),
    ("by lines, the last without its newline", b"a\nb\nc", 99, 1, [b"a\n", b"b\n", b"c"]),
    ("by lines and bytes", b"a\nb\nc\nlong\n", 4, 3, [b"a\nb\n", b"c\n", b"long\n"]),
]


@pytest.mark.parametrize(
    ("name", "data", "max_bytes", "max_lines", "pieces"), CUTS, ids=[c[0] for c in CUTS]
)
def test_cutting(name, data, max_bytes, max_lines, pieces):
    found = list(cut(Frame("s", "n", 100, data), max_bytes, max_lines))
    assert [piece.data for piece in found] == pieces
    assert [piece.offset for piece in found] == [
        100 + len(b"".join(pieces[:n])) for n in range(len(pieces))
    ]
    assert {(piece.source, piece.name) for piece in found} == {("s", "n")}


def test_faults_are_not_cut():
    frame = Frame("s", "n", 0, b"", (Fault(0, "too_long", "", b"", 9),))
    assert list(cut(frame, 1, 1)) == list(cut(frame)) == [frame]


def test_the_throttle_is_smooth_and_does_not_save_up():
    clock = HandClock()
    throttle = Throttle(100, clock)
    assert (throttle.max_lines, Throttle(0.5, clock).max_lines) == (5, 1)
    waits = []
    for _ in range(4):
        waits.append(round(throttle.wait_s(5), 3))
        clock.advance(waits[-1])
    assert waits == [0, 0.05, 0.05, 0.05]
    clock.advance(60)
    # One piece's worth was saved up in a minute's silence, not six thousand lines.
    assert [round(throttle.wait_s(5), 3) for _ in range(3)] == [0, 0, 0.05]


def test_a_checkpoint_is_found_again_by_its_destination(tmp_path):
    with Checkpoint(tmp_path / "ship", "one") as kept:
        assert kept.load() == ([], {})
        kept.save({"a": b"A", "b": b"B"}, {"a": 7})
        kept.save({"a": b"AA"}, {"b": 9})
    with Checkpoint(tmp_path / "ship", "two") as kept:
        assert kept.load() == ([], {})
    with Checkpoint(tmp_path / "ship", "one") as kept:
        assert kept.load() == ([("a", b"AA"), ("b", b"B")], {"a": 7, "b": 9})
        kept.save({"a": b""}, {})
        assert kept.load() == ([("b", b"B")], {"b": 9})


def test_one_process_a_checkpoint(tmp_path):
    with (
        Checkpoint(tmp_path, "one"),
        pytest.raises(ValueError, match=r"another breachline ship uses it: .* its own --data-dir"),
    ):
        Checkpoint(tmp_path, "one")


def test_a_damaged_checkpoint_is_said(tmp_path):
    with Checkpoint(tmp_path, "one"):
        pass
    (file,) = tmp_path.glob("*.db")
    file.write_bytes(b"x" * 5000)
    with pytest.raises(ValueError, match=r"file is not a database: move it away"):
        Checkpoint(tmp_path, "one")


class Collector:
    """A shipper that can be started again on the same checkpoint, and the brokers behind it."""

    def __init__(self, folder):
        self.folder = folder
        self.broker = Broker()
        self.said = []

    def run(self, *logs, once=True, during=None, clock=None, **settings):
        async def story():
            with Checkpoint(self.folder / "ship", "here") as kept:
                shipper = Shipper(
                    kept, self.broker.connect, "raw", clock or SystemClock(),
                    say=self.said.append, **settings,
                )  # fmt: skip
                shipping = shipper.ship([str(log) for log in logs], once=once)
                return (await asyncio.gather(shipping, *([during(shipper)] if during else [])))[0]

        return asyncio.run(story())

    async def arrived(self, sources):
        for _ in range(5_000):
            if self.broker.sources() == sources:
                return
            await asyncio.sleep(0.001)
        pytest.fail("what was logged did not arrive")


@pytest.fixture
def collector(tmp_path):
    return Collector(tmp_path)


def test_once_ships_everything_and_the_next_run_what_is_new(collector, tmp_path):
    log, packed = tmp_path / "access.log", tmp_path / "old.gz"
    log.write_bytes(data := lines(50_000))
    packed.write_bytes(gzip.compress(old := lines(100, 90_000)))
    shipped = collector.run(log, packed)
    assert shipped == Shipped(50_100, len(data + old), shipped.seconds, 0)
    assert collector.broker.sources() == {source_id(data): data, source_id(old): old}
    assert max(len(value) for value, _ in collector.broker.records) <= outflow.FRAME_BYTES
    log.write_bytes(data + b"and one more")
    shipped = collector.run(log, packed)
    assert shipped == Shipped(1, 12, shipped.seconds, 0)
    assert collector.broker.sources()[source_id(data)] == data + b"and one more"


def test_logs_that_are_joined_go_to_one_partition(collector, tmp_path):
    """Whoever reads a partition knows no other: both lines of a request must meet there."""
    logs = [tmp_path / name for name in ("gateway.log", "orders.log", "other.log")]
    for number, log in enumerate(logs):
        log.write_bytes(lines(10, number))
    collector.broker.keys = {str(log).encode(): b"joined" for log in logs[:2]}
    join = Join(gateway=["gateway.log"], service=["orders.log"])
    assert collector.run(*logs, join=join).lines == 30
    collector.broker.keys = {}
    collector.folder = tmp_path / "again"
    assert collector.run(*logs).lines == 30


def test_lines_that_cannot_be_lines_are_told_of(collector, tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(lines(1) + b"x" * (MAX_LINE_BYTES + 1) + b"\n" + lines(1, 1))
    assert collector.run(log).lines == 3
    assert collector.broker.offsets() == [0, 18, 18 + MAX_LINE_BYTES + 2]


def test_rotation_and_truncation_while_following(collector, tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(first := lines(100))
    second, third = lines(50, 1_000), lines(10, 2_000)
    wanted = {source_id(first): first}

    async def during(shipper):
        await collector.arrived(wanted)
        log.rename(tmp_path / "access.log.1")
        log.write_bytes(second)
        wanted[source_id(second)] = second
        await collector.arrived(wanted)
        log.write_bytes(third)
        wanted[source_id(third)] = third
        await collector.arrived(wanted)
        shipper.stop()

    shipped = collector.run(log, once=False, during=during)
    assert (shipped.lines, shipped.held_bytes) == (160, 0)
    assert collector.broker.sources() == wanted
    assert sum(len(value) for value, _ in collector.broker.records) == shipped.size_bytes


def test_a_path_that_cannot_be_followed_for_a_while_is_said(collector, tmp_path):
    log, aside = tmp_path / "access.log", tmp_path / "aside"
    log.write_bytes(first := lines(10))
    wanted = {source_id(first): first}

    async def during(shipper):
        await collector.arrived(wanted)
        log.rename(aside)
        log.mkdir()
        while not collector.said:  # noqa: ASYNC110  nobody sets an event
            await asyncio.sleep(0.001)
        log.rmdir()
        log.write_bytes(second := lines(10, 100))
        wanted[source_id(second)] = second
        await collector.arrived(wanted)
        shipper.stop()

    collector.run(log, once=False, during=during)
    assert collector.said == [
        f"following {log}: it is not a regular file; give a log's path",
        f"following {log}: it can be read again",
    ]


def test_a_crash_sends_again_what_was_not_acknowledged_and_nothing_else(collector, tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(data := lines(50_000))
    broker = collector.broker
    clock = HandClock()

    def third_is_the_last():
        broker.answers = len(broker.records) < 3
        clock.advance(0 if broker.answers else 30)

    broker.on_send = third_is_the_last
    with pytest.raises(Unanswered):
        collector.run(log, patience_s=30, clock=clock)
    kept = [value for value, _ in broker.records[:3]]
    # What was not acknowledged was lost on the way.
    broker.records[3:] = []
    broker.on_send, broker.answers = (lambda: None), True
    shipped = collector.run(log)
    assert shipped.size_bytes == len(data) - len(b"".join(kept))
    assert broker.sources() == {source_id(data): data}


def test_a_producer_that_dies_costs_nothing(collector, tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(data := lines(80_000))
    collector.broker.takes = [None, None, KafkaError("gone"), None, KafkaError("gone")]
    assert collector.run(log).lines == 80_000
    assert collector.broker.sources() == {source_id(data): data}
    assert collector.broker.connected == 3


def test_throttled_lines_go_in_small_pieces_and_all_arrive(collector, tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(data := lines(100))
    assert collector.run(log, rate=400).lines == 100
    assert [value.count(b"\n") for value, _ in collector.broker.records] == [20] * 5
    assert collector.broker.sources() == {source_id(data): data}


def test_positions_are_kept_while_it_runs(collector, tmp_path, monkeypatch):
    monkeypatch.setattr(ship, "CHECKPOINT_S", 0)
    log = tmp_path / "access.log"
    log.write_bytes(data := lines(10))
    saved, kept = {}, asyncio.Event()

    def save(_checkpoint, _heads, marks):
        saved.update(marks)
        if saved:
            kept.set()

    monkeypatch.setattr(Checkpoint, "save", save)

    async def during(shipper):
        await collector.arrived({source_id(data): data})
        await kept.wait()
        shipper.stop()

    collector.run(log, once=False, during=during)
    assert saved == {source_id(data): len(data)}


def test_stopped_while_nobody_answers_it_says_what_is_left(collector, tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(data := lines(10))
    collector.broker.answers = False
    clock = HandClock()

    async def during(shipper):
        await collector.arrived({source_id(data): data})
        shipper.stop()
        clock.advance(ship.STOP_S)

    shipped = collector.run(log, once=False, during=during, clock=clock)
    assert shipped == Shipped(0, 0, ship.STOP_S, len(data))
