import asyncio
import logging
from random import Random

import pytest

from incidents.owners import Answer
from intake.ownership import Tables
from intake.settings import IntakeSettings, Ownership
from streams.clock import HandClock
from streams.owner_service import Said, Trouble, services
from streams.owners import GIVE_UP, Asker, Report, answer_all
from tests._owner_service import OwnerService

ROUTE, OTHER = "/cards/{object}", "/notes/{object}"
T0 = 1_795_341_600_000
DOWN = Trouble("cards.internal: failed (500)", 1.0)


class Fake:
    """A service that says what it is told to say."""

    host = "cards.internal"

    def __init__(self, *, route=ROUTE, batch=1):
        self.route, self.batch = route, batch
        self.trouble = None
        self.refused = set()
        self.alone = set()
        self.asked = []
        self.at_once = self.most = 0

    def leaves(self, item, owners):
        return ()

    async def ask(self, objects, now_ms):
        self.asked.append(list(objects))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.trouble:
            return Said(trouble=self.trouble)
        if len(objects) > 1 and (apart := self.alone & set(objects)):
            rest: dict[str, tuple[str, ...]] = {
                item: (f"u-{item}",) for item in objects if item not in apart
            }
            return Said(rest, again=tuple(sorted(apart)))
        if self.refused & set(objects):
            return Said(trouble=Trouble("cards.internal: no (422)", 10.0, objects_only=True))
        return Said({item: (f"u-{item}",) if item != "none" else () for item in objects})


class Desk:
    """Waits for owners."""

    def __init__(self, *services, items=()):
        self.waiting = sorted(items)
        self.answers = []
        self.calls = 0
        self.asker = Asker(services, lambda: self.waiting, self.accept, Random(7))

    def accept(self, answers, now_ms):
        self.calls += 1
        self.answers += answers
        known = {(a.route, a.object) for a in answers}
        self.waiting = [item for item in self.waiting if item not in known]

    def step(self, at_s=0.0):
        return asyncio.run(self.asker.step(T0 + round(at_s * 1000)))


def cards(*names, route=ROUTE):
    return [(route, str(name)) for name in names]


def test_nothing_waits():
    service = Fake()
    assert (Desk().step(), Desk(service).step(), service.asked) == (None, None, [])
    assert Desk(service, items=cards(1, route=OTHER)).step() is None


def test_what_waits_is_asked_for_once():
    service = Fake()
    desk = Desk(service, items=cards(1, 2, "none"))
    assert (desk.step(), desk.step(), desk.calls) == (0.0, None, 1)
    assert sorted(desk.answers, key=lambda a: a.object) == [
        Answer(ROUTE, "1", ("u-1",), T0, "cards.internal"),
        Answer(ROUTE, "2", ("u-2",), T0, "cards.internal"),
        Answer(ROUTE, "none", (), T0, "cards.internal"),
    ]
    assert sorted(service.asked) == [["1"], ["2"], ["none"]]
    assert desk.asker.report() == [Report(ROUTE, "cards.internal", 2, 1, 0, "")]


def test_several_at_once_and_few_requests_at_a_time():
    service = Fake(batch=10)
    desk = Desk(service, items=cards(*range(95)))
    desk.step()
    assert sorted(map(len, service.asked)) == [5, *[10] * 9]
    assert service.most == 4
    assert len(desk.answers) == 95


def test_what_is_left_out_is_asked_for_alone():
    service = Fake(batch=10)
    service.alone = {"3"}
    desk = Desk(service, items=cards(*range(5)))
    desk.step()
    assert sorted(service.asked) == [["0", "1", "2", "3", "4"], ["3"]]
    assert len(desk.answers) == 5


def test_many_are_folded_in_few_rounds():
    service = Fake(batch=1000)
    desk = Desk(service, items=cards(*range(20_000)))
    while desk.step() is not None:
        pass
    assert len(desk.answers) == 20_000
    assert desk.calls < 24


def test_tenants_have_objects_of_their_own_and_are_asked_for_once():
    service = Fake()
    desk = Desk(service, items=[*cards(1, route=f"{ROUTE}#acme"), *cards(1, route=f"{ROUTE}#b")])
    desk.step()
    assert service.asked == [["1"]]
    assert {a.route for a in desk.answers} == {f"{ROUTE}#acme", f"{ROUTE}#b"}


def test_what_is_no_id_is_nobodys():
    service = Fake()
    desk = Desk(service, items=cards("..", "x" * 300, "a\nb"))
    desk.step()
    assert service.asked == []
    assert {(a.owners, a.source) for a in desk.answers} == {((), "")}


def test_a_service_that_fails_is_asked_again_later_and_later(caplog):
    caplog.set_level(logging.INFO, "breachline.owners")
    service = Fake()
    service.trouble = DOWN
    desk = Desk(service, items=cards(1, 2, 3))
    at_s, waits = 0.0, []
    for _ in range(12):
        wait_s = desk.step(at_s)
        assert desk.step(at_s) == pytest.approx(wait_s)
        waits.append(wait_s)
        at_s += wait_s
    # The time is kept in milliseconds.
    assert all(0.999 <= wait_s <= 60.001 for wait_s in waits)
    assert max(waits[6:]) > 10 > waits[0]
    assert len(service.asked) <= 12 * 4
    assert desk.asker.is_hopeless
    assert desk.asker.report() == [Report(ROUTE, "cards.internal", 0, 0, 3, DOWN.says)]
    service.trouble = None
    assert desk.step(at_s) == 0.0
    assert desk.asker.report() == [Report(ROUTE, "cards.internal", 3, 0, 0, "")]
    assert [record.getMessage() for record in caplog.records] == [
        f"asking for owners of {ROUTE}: {DOWN.says}: it is tried again",
        f"asking for owners of {ROUTE}: cards.internal answers again",
    ]


def test_one_service_that_fails_holds_up_no_other():
    broken, fine = Fake(), Fake(route=OTHER)
    broken.trouble = DOWN
    desk = Desk(broken, fine, items=[*cards(1), *cards(2, route=OTHER)])
    assert desk.step() == 0.0
    assert [a.route for a in desk.answers] == [OTHER]
    assert [report.pending for report in desk.asker.report()] == [1, 0]


def test_an_object_that_is_refused_holds_up_no_other():
    service = Fake()
    service.refused = {"2"}
    desk = Desk(service, items=cards(1, 2, 3))
    assert desk.step() == 0.0
    assert (sorted(a.object for a in desk.answers), len(service.asked)) == (["1", "3"], 3)
    # It waits, and others that come do not.
    assert desk.step(1) > 0
    desk.waiting += cards(4)
    assert desk.step(7) == 0.0
    assert (len(service.asked), desk.waiting) == (4, cards(2))
    assert desk.asker.report()[0].why == "cards.internal: no (422)"
    service.refused = set()
    desk.step(400)
    assert desk.waiting == []


def test_what_was_answered_is_not_lost_where_it_is_cut_short():
    class Stuck(Fake):
        stuck: asyncio.Event

        async def ask(self, objects, now_ms):
            if len(self.asked) == 20:
                self.stuck.set()
                await asyncio.Event().wait()
            return await super().ask(objects, now_ms)

    service = Stuck()
    desk = Desk(service, items=cards(*range(50)))

    async def cut():
        service.stuck = asyncio.Event()
        asking = asyncio.ensure_future(desk.asker.step(T0))
        await service.stuck.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(cut())
    assert 0 < len(desk.answers) <= 20
    assert len(desk.waiting) == 50 - len(desk.answers)


def test_the_last_word_asks_for_all_that_is_due():
    fine, broken = Fake(), Fake(route=OTHER)
    broken.trouble = DOWN
    desk = Desk(fine, broken, items=[*cards(*range(3000)), *cards(1, route=OTHER)])
    asyncio.run(desk.asker.last(T0))
    assert desk.waiting == cards(1, route=OTHER)


def everything(desk, clock, limit_s=60.0):
    asyncio.run(answer_all(desk.asker, clock, limit_s))


def test_a_scan_asks_until_nothing_waits():
    service = Fake()
    desk = Desk(service, items=cards(*range(3000)))
    everything(desk, HandClock(T0))
    assert desk.waiting == []


def test_a_scan_gives_up_where_nobody_answers():
    service, clock = Fake(), HandClock(T0)
    service.trouble = DOWN
    desk = Desk(service, items=cards(1))
    everything(desk, clock)
    assert (len(service.asked), desk.waiting) == (GIVE_UP, cards(1))
    assert clock.monotonic_s() < 20


def test_a_scan_waits_no_longer_than_it_may():
    service, clock = Fake(), HandClock(T0)
    service.trouble = Trouble("cards.internal: asks to wait 3600 s (429)", 3600.0)
    desk = Desk(service, items=cards(1))
    everything(desk, clock, limit_s=30)
    assert clock.monotonic_s() == 30


def test_a_scan_leaves_what_is_refused():
    service = Fake()
    service.refused = {"1"}
    desk = Desk(service, items=cards(1, 2))
    everything(desk, HandClock(T0), limit_s=600)
    assert desk.waiting == cards(1)


@pytest.mark.parametrize("several", [False, True])
def test_a_real_service_that_is_down_first(several):
    people: dict[str, object] = {"1": "u-1", "2": ["u-2", "u-3"], "3": None}
    with OwnerService(people) as running:
        http = running.several if several else running.one
        settings = IntakeSettings(ownership=[Ownership(route=ROUTE, http=http)])
        running.stop()

        async def run():
            async with services(settings, Tables(), {}) as found:
                desk = Desk(*found, items=cards(1, 2, 3, 4))
                assert await desk.asker.step(T0)
                assert desk.answers == []
                assert "cannot be connected to" in desk.asker.report()[0].why
                running.start()
                assert await desk.asker.step(T0 + 60_000) == 0.0
                return desk

        desk = asyncio.run(run())
    assert {a.object: a.owners for a in desk.answers} == {
        "1": ("u-1",), "2": ("u-2", "u-3"), "3": (), "4": (),
    }  # fmt: skip
