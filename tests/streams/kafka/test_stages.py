"""The three stages as tasks: what a journal gives back, and what is told of a base."""

import asyncio

import msgspec
import pytest

from evidence.elastic.bulk import Document
from incidents.settings import NeverBlock
from streams.approvals import BY_HAND
from streams.beside import at_once
from streams.clock import HandClock
from streams.kafka.decide import Decide
from streams.kafka.stages import DecideTask, _Keyed
from streams.kafka.wire import Output
from streams.outward import Outward
from streams.settings import Settings
from tests._events import NOON_MS, action
from tests.streams.kafka._tasks import PATIENCE_S, PLACE, Consumer, Kept


class Values(_Keyed):
    """A task of nothing but values; none of what needs brokers is asked."""

    def __init__(self):
        self.known([])

    restore = work = gather = None  # type: ignore[assignment]
    position = 0


ITEMS = [("s", "a", b"1"), ("s", "b", b"2"), ("t", "a", b"3")]


def held(task):
    return {(s, k): v for s, kept in task._known.items() for k, v in kept.items()}


def test_the_last_of_each_is_known_and_an_empty_one_is_gone():
    task = Values()
    first = task.changed(ITEMS)
    second = task.changed([("s", "a", b"9"), ("s", "b", b"")])
    expected = {("s", "a"): b"9", ("t", "a"): b"3"}
    assert held(task) == expected
    other = Values()
    other.known([*first, *second])
    assert held(other) == expected


@pytest.mark.parametrize("count", [0, 3, 50_000])
def test_a_base_is_all_that_is_known_in_pieces(count):
    task = Values()
    task.changed(("s", f"{n}", b"x" * 20) for n in range(count))
    other = Values()
    other.known(task.base())
    assert held(other) == held(task)
    assert len(held(other)) == count
    pieces = [msgspec.msgpack.decode(piece) for piece in task.base()]
    assert sum(map(len, pieces)) == count


def test_a_list_that_was_changed_outlives_a_task_that_begins_anew(tmp_path):
    """The file says only once that it was changed, and the settings are those of the start."""
    settings = Settings.model_validate({"kafka": {"brokers": ["127.0.0.1:9"], "partitions": 1}})
    changes = [[NeverBlock(cidr="203.0.113.0/24", reason="ours")]]
    clock, kept = HandClock(NOON_MS), Kept()
    task = DecideTask(
        PLACE, kept, Consumer(clock).seek, Consumer(clock).told, clock, 0.1,
        make=lambda records: Decide(settings, tmp_path, 1, 0.0, records),
        responders=lambda _decide: [],
        never_block=lambda: changes.pop() if changes else None,
    )  # fmt: skip
    asked = {"by the policy": action(), "by hand": action(incident=BY_HAND)}

    def answers():
        return {name: task._recheck(one, NOON_MS).verdict for name, one in asked.items()}

    task.restore([])
    assert answers() == dict.fromkeys(asked, "refuse")
    task.close()
    task.restore([])
    assert answers() == dict.fromkeys(asked, "refuse")
    task.close()


SETTINGS = Settings.model_validate({"kafka": {"brokers": ["127.0.0.1:9"], "partitions": 1}})


class Telling:
    """Says what it did; `durable` first, as what tells others does."""

    def __init__(self, store, durable, on_refused):
        self.store, self.durable, self.on_refused = store, durable, on_refused
        self.told, self.lasts = asyncio.Event(), 0

    async def step(self, _now_ms):
        await self.durable()
        self.told.set()

    async def last(self, _now_ms):
        self.lasts += 1


class Outside(Outward):
    """Makes a Telling for each store that it is given."""

    def __init__(self, made):
        super().__init__([], None)
        self.made = made

    def beside(self, store, *, durable=at_once, on_refused=lambda _document, _reason: None):
        one = Telling(store, durable, on_refused)
        self.made.put_nowait(one)
        return [one]


def deciding(tmp_path, kept, made):
    clock = HandClock(NOON_MS)

    return DecideTask(
        PLACE, kept, Consumer(clock).seek, Consumer(clock).told, clock, 0.01,
        make=lambda records: Decide(SETTINGS, tmp_path, 1, 0.0, records),
        responders=lambda _decide: [],
        never_block=lambda: None,
        outward=Outside(made),
        dead="dead",
    )  # fmt: skip


def test_what_goes_on_beside_begins_anew_with_the_task_and_has_a_last_word(tmp_path):
    made: asyncio.Queue[Telling] = asyncio.Queue()
    task = deciding(tmp_path, Kept(), made)

    async def told():
        one = await made.get()
        await one.told.wait()
        return one

    async def run():
        running = asyncio.ensure_future(task.run())
        async with asyncio.timeout(PATIENCE_S):
            first = await told()
            task._fault = RuntimeError("synthetic")
            second = await told()
            await task.finish()
            running.cancel()
            await asyncio.wait([running])
        assert (first.lasts, second.lasts) == (0, 1)
        assert first.store is not second.store
        with pytest.raises(ConnectionError, match="began anew"):
            await first.durable()

    asyncio.run(run())


def test_after_a_commit_that_failed_nothing_counts_as_durable(tmp_path):
    kept = Kept()
    made: asyncio.Queue[Telling] = asyncio.Queue()
    task = deciding(tmp_path, kept, made)

    async def run():
        task._journal = kept()
        task.restore([])
        with task.decide.store.transaction():
            task.decide.store.log.append_intent(action())
        kept.commit_faults = [ConnectionError("gone")]
        with pytest.raises(ConnectionError, match="gone"):
            await task.commit()
        # There is nothing new, and what was is not kept.
        with pytest.raises(ConnectionError, match="an earlier commit failed"):
            await made.get_nowait().durable()
        task.close()

    asyncio.run(run())


def test_a_document_that_was_refused_for_good_goes_to_the_dead_letters_once(tmp_path):
    kept = Kept()
    made: asyncio.Queue[Telling] = asyncio.Queue()
    task = deciding(tmp_path, kept, made)

    async def run():
        task._journal = kept()
        task.restore([])
        with task.decide.store.transaction():
            task.decide.store.save_state([("undeliverable", "i/act-1", b"x")])
        made.get_nowait().on_refused(Document("i", "act-1", b"{}"), "of another type")
        outputs, _ = task.gather()
        assert outputs == [
            Output(
                "dead", b"{}", b"document", 0,
                (("index", b"i"), ("id", b"act-1"), ("trouble", b"of another type")),
            )
        ]  # fmt: skip
        assert task.gather()[0] == []
        task.close()

    asyncio.run(run())


def test_an_erasure_is_followed_by_a_base(tmp_path):
    """What the journal holds until then names the person."""
    task = deciding(tmp_path, kept := Kept(), asyncio.Queue())

    async def run():
        task._journal = kept()
        task.restore([])
        task.decide.wants_base = True
        task.decide.store.outbox_add("act-1", NOON_MS)
        await task.commit()
        task.decide.store.outbox_add("act-2", NOON_MS)
        await task.commit()

    asyncio.run(run())
    task.close()
    assert kept.demanded == 1


def test_owners_are_asked_for_beside_the_task_and_anew_when_it_begins_anew(tmp_path):
    settings = Settings.model_validate({"kafka": {"brokers": ["127.0.0.1:9"], "partitions": 1}})

    class Asks:
        def __init__(self, decide):
            self.decide = decide
            self.asked = asyncio.Event()

        async def step(self, now_ms):
            self.asked.set()

        async def last(self, now_ms):
            pass

    async def run():
        made = []

        def asking(decide):
            made.append(Asks(decide))
            return made[-1:]

        clock, kept = HandClock(NOON_MS), Kept()
        task = DecideTask(
            PLACE, kept, Consumer(clock).seek, Consumer(clock).told, clock, 0.1,
            make=lambda records: Decide(settings, tmp_path, 1, 0.0, records),
            responders=lambda _decide: [], never_block=lambda: None, asking=asking,
        )  # fmt: skip
        telling = asyncio.ensure_future(task._tell())
        for count in (1, 2):
            task.restore([])
            async with asyncio.timeout(PATIENCE_S):
                await made[-1].asked.wait()
            assert (len(made), made[-1].decide) == (count, task.decide)
            task.close()
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)

    asyncio.run(run())
