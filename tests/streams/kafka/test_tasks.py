"""A task between a consumer and a journal: nothing is missed, nothing is worked twice."""

import asyncio

import pytest
from aiokafka.errors import KafkaError, ProducerFenced

from streams.clock import HandClock
from streams.kafka import stages
from streams.kafka import tasks as module
from streams.kafka.quiet import IDLE_S, RETURN_S, STALE_S
from tests.streams.kafka._tasks import PLACE, Consumer, Kept, World, poll


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)


def values(*offsets):
    return [b"%d" % offset for offset in offsets]


def test_what_is_polled_is_worked_and_kept():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1))
            await world.task.take(poll(2, 4, end=7))
            await world.committed(0, 1, 2, 4)
        assert world.kept.journal == values(0, 1, 2, 4)
        assert world.kept.position == 5
        assert world.consumer.sought == [0]
        assert (world.kept.ends, world.task.closed) == (1, 1)

    asyncio.run(main())


def test_a_poll_from_beyond_asks_for_what_is_missing_and_is_not_worked():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1))
            world.clock.advance(5)
            await world.task.take(poll(3, 4))
            assert world.consumer.sought == [0, 2]
            await world.task.take(poll(2))
            await world.task.take(poll(3, 4))
            await world.committed(0, 1, 2, 3, 4)

    asyncio.run(main())


def test_a_hole_that_a_poll_says_it_covers_is_none():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1, end=4))
            await world.task.take(poll(9, start=4))
            await world.committed(0, 1, 9)
        assert world.consumer.sought == [0]

    asyncio.run(main())


def test_what_was_worked_is_left_out_of_the_next_poll():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1, 2))
            await world.task.take(poll(0, 1, 2, 3))
            await world.task.take(poll(1, 2))
            await world.task.take(poll(4))
            await world.committed(0, 1, 2, 3, 4)

    asyncio.run(main())


def test_one_that_begins_goes_on_where_the_journal_ends():
    async def main():
        world = World()
        world.kept.journal = list(values(0, 1, 5))
        async with world.running():
            await world.task.take(poll(4, 5, 6, start=3))
            await world.committed(6)
        assert world.consumer.sought == [6]
        assert world.task.worked == values(0, 1, 5, 6)

    asyncio.run(main())


@pytest.mark.parametrize("fault", [KafkaError("gone"), ProducerFenced("another has it")])
def test_a_commit_that_fails_leads_back_to_what_was_committed(fault):
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1))
            await world.committed(0, 1)
            world.kept.commit_faults.append(fault)
            await world.task.take(poll(2, 3))
            await world.until(lambda: world.kept.begins == 2)
            await world.until(lambda: world.consumer.sought == [0, 2])
            await world.task.take(poll(4))  # was polled before the consumer heard of it
            await world.task.take(poll(2, 3))
            await world.task.take(poll(4))
            await world.committed(0, 1, 2, 3, 4)
        assert world.task.worked == values(0, 1, 2, 3, 4)
        assert world.task.restarts == 1
        assert (world.kept.ends, world.task.closed) == (2, 2)

    asyncio.run(main())


def test_a_fault_at_the_beginning_is_a_beginning_more():
    async def main():
        world = World()
        world.kept.begin_faults += [KafkaError("no leader"), TimeoutError("stuck")]
        async with world.running():
            await world.task.take(poll(0))
            await world.committed(0)
        assert (world.kept.begins, world.kept.ends) == (3, 3)

    asyncio.run(main())


def test_the_rest_of_a_poll_dies_with_the_task():
    async def main():
        world = World()

        def fault_at_3(offset):
            if offset == 3:
                world.task.broken = KafkaError("in the middle")
            assert offset < 399, "it went on after its task was given up"

        async with world.running():
            await world.until(lambda: world.consumer.sought == [0])
            world.task.stop_at = fault_at_3
            await world.task.take(poll(*range(400)))
            await world.until(lambda: len(world.consumer.sought) == 2)
            world.task.stop_at = lambda _offset: None
            (resumed,) = world.consumer.sought[1:]
            await world.task.take(poll(*range(resumed, 400)))
            await world.committed(*range(400))

    asyncio.run(main())


def test_a_worked_poll_is_in_one_commit_or_the_next_and_never_in_two():
    async def main():
        world = World()
        async with world.running():
            for start in range(0, 60, 6):
                await world.task.take(poll(*range(start, start + 6)))
                await asyncio.sleep(0.002)
            await world.committed(*range(60))
        assert world.kept.position == 60

    asyncio.run(main())


def test_nothing_to_say_is_no_transaction():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0))
            await world.committed(0)
            for _ in range(10):
                await asyncio.sleep(0.002)
        assert world.kept.commits == 1

    asyncio.run(main())


def test_a_base_takes_the_place_of_the_journal():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1))
            await world.committed(0, 1)
            world.kept.wants_base = True
            await world.task.take(poll(2))
            await world.committed(0, 1, 2)
            await world.until(lambda: world.kept.forgotten == 1)
        assert world.kept.journal == values(0, 1, 2)
        assert world.kept.bases[-1]

    asyncio.run(main())


def test_reading_waits_while_too_much_is_not_committed(monkeypatch):
    monkeypatch.setattr(module, "_MOST_PENDING", 5)

    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0))
            await world.committed(0)
            world.kept.may_commit.clear()
            taking = [poll(*range(n, n + 6)) for n in range(1, 60, 6)]
            reading = asyncio.ensure_future(take_all(world.task, taking))
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert not reading.done()
            assert len(world.task.worked) <= 1 + 3 * 6
            world.kept.may_commit.set()
            await reading
            await world.committed(*range(61))

    async def take_all(task, polls):
        for one in polls:
            await task.take(one)

    asyncio.run(main())


QUIET = [
    ("nothing is known of the end", None, 2 * IDLE_S, False),
    ("there is more to read", 3, 2 * IDLE_S, False),
    ("all was read just now", 2, 0, False),
    ("all was read a while ago", 2, 2 * IDLE_S, True),
]


@pytest.mark.parametrize(("name", "end", "after_s", "expected"), QUIET, ids=[q[0] for q in QUIET])
def test_quiet(name, end, after_s, expected):
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1))
            world.consumer.end = end
            world.clock.advance(after_s)
            assert world.task.quiet is expected

    asyncio.run(main())


def test_a_commit_that_hung_is_no_quiet():
    async def main():
        world = World()
        async with world.running():
            await world.task.take(poll(0, 1))
            world.consumer.end = 2
            await world.committed(0, 1)
            world.clock.advance(2 * IDLE_S)
            assert world.task.quiet
            world.kept.may_commit.clear()
            await world.task.take(poll(2))
            world.consumer.end = 3
            await asyncio.sleep(0.01)
            world.clock.advance(2 * STALE_S)
            world.kept.may_commit.set()
            await world.committed(0, 1, 2)
            assert not world.task.quiet
            world.clock.advance(RETURN_S + 1)
            assert world.task.quiet

    asyncio.run(main())


class Keyed(stages._Keyed):
    """The state of a stage as values by (space, key)."""

    restore = work = gather = position = None  # type: ignore[assignment]


def test_a_base_is_the_last_of_each():
    async def main():
        kept = Kept()
        clock = HandClock()
        consumer = Consumer(clock)
        task = Keyed(PLACE, kept, consumer.seek, consumer.told, clock, 0.001)
        task.known([])
        first = task.changed([("a", "k", b"1"), ("a", "l", b"2"), ("b", "k", b"3")])
        second = task.changed([("a", "k", b"4"), ("a", "l", b"")])
        expected = {"a": {"k": b"4"}, "b": {"k": b"3"}}
        other = Keyed(PLACE, kept, consumer.seek, consumer.told, clock, 0.001)
        assert other.known([*first, *second]) == expected
        assert other.known(task.base()) == expected

    asyncio.run(main())


def test_who_waits_for_a_task_that_is_given_up_is_let_go():
    async def main():
        world = World()
        world.kept.may_begin.clear()
        async with world.running() as run:
            taking = asyncio.ensure_future(world.task.take(poll(0)))
            await world.until(lambda: world.kept.begins == 1)
            run.cancel()
            await asyncio.wait([run])
            done, _ = await asyncio.wait([taking], timeout=2)
            assert done == {taking}

    asyncio.run(main())


def test_a_cancellation_that_comes_with_a_finding_is_not_lost():
    async def main():
        world = World()
        async with world.running() as run:
            await world.until(lambda: world.kept.begins == 1)
            for _ in range(20):
                await asyncio.sleep(0)
            world.task._now.set()
            await asyncio.sleep(0)
            run.cancel()
            done, _ = await asyncio.wait([run], timeout=2)
            assert done == {run}

    asyncio.run(main())
