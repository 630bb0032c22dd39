import asyncio
from random import Random

import pytest
from msgspec.structs import replace

from evidence.history import History
from evidence.store import EmbeddedStore
from records.ids import iso
from records.incident import Receipt
from responders.capture_evidence import CaptureEvidence
from streams import live as live_module
from streams.capture import StoreCapture
from streams.clock import HandClock, SystemClock
from streams.decider import Step
from streams.example import paced
from streams.live import LOOKBACK_MS, PRUNE_S, Busy, Live, Outbox, lock
from streams.sources import read_frames
from tests import _attack
from tests._respond import Scripted

NOW_MS = _attack.START_MS + 71 * 60_000


class Watched(Live):
    """A service that remembers its steps."""

    def __init__(self, *parts, **given):
        self.steps: list[Step] = []
        super().__init__(*parts, watch=lambda _frame, step: self.steps.append(step), **given)


@pytest.fixture
def service(attack, settings, store, pipeline_on):
    """Makes a service on the store."""

    def make(*responders, store=store, history=None, clock=None, mode="simulate", **given):
        respond = settings.respond.model_copy(update={"mode": mode})
        pipeline = pipeline_on(
            store,
            settings=settings.model_copy(update={"respond": respond}),
            performer=Outbox(store),
            history=history,
            event_time=given.get("event_time", False),
        )
        pipeline.restore()
        clock = clock or HandClock(NOW_MS)
        return Watched(pipeline, store, history, responders, clock, Random(1), **given)

    return make


def read(service):
    return sum(len(step.batch.events) for step in service.steps)


def once(service, *logs):
    asyncio.run(asyncio.wait_for(service.follow([str(log) for log in logs], once=True), 30))


def test_once_reads_to_the_end_and_the_next_time_only_what_is_new(attack, store, service):
    first = service()
    once(first, attack)
    assert read(first) == 852
    assert [one.affected_count for one in store.incidents()] == [12]
    again = service()
    once(again, attack)
    assert read(again) == 0
    with attack.open("a") as log:
        log.write(_attack.entry(70 * 60 + 30, "u-66", "/api/v1/wallets/u-77/transactions"))
    third = service()
    once(third, attack)
    assert read(third) == 1
    assert [one.affected_count for one in store.incidents()] == [13]


def test_what_is_not_committed_did_not_happen(attack, tmp_path, service, monkeypatch):
    monkeypatch.setattr(live_module, "_COMMIT_BYTES", 1)

    class Cut(Exception):
        pass

    with EmbeddedStore.open(tmp_path / "cut") as store:
        broken = service(store=store)
        commits = []
        checkpoint = broken._pipeline.checkpoint

        def fails_at_last():
            commits.append(1)
            checkpoint()
            raise Cut

        broken._pipeline.checkpoint = fails_at_last
        with pytest.raises(ExceptionGroup) as error:
            once(broken, attack)
        assert error.value.subgroup(Cut)
        assert (broken.steps, list(store.findings()), store.sources()) == ([], [], [])
        whole = service(store=store)
        once(whole, attack)
        assert read(whole) == 852
        assert [one.affected_count for one in store.incidents()] == [12]


def follow_until(service, log, enough):
    """Follow until something is true; bounded."""

    async def main():
        task = asyncio.ensure_future(service.follow([str(log)], once=False))
        for _ in range(2000):
            if enough() or task.done():
                break
            await asyncio.sleep(0.02)
        service.stop()
        await asyncio.wait_for(task, 30)

    asyncio.run(main())


def test_following_goes_on_where_the_backlog_ended(attack, store, service):
    told = []

    def caught_up():
        told.append(read(following))
        with attack.open("a") as log:
            log.write(_attack.entry(70 * 60 + 30, "u-66", "/api/v1/wallets/u-77/transactions"))

    following: Watched = service(caught_up=caught_up)
    follow_until(following, attack, lambda: read(following) == 853)
    assert (told, read(following)) == ([852], 853)
    assert [one.affected_count for one in store.incidents()] == [13]


def test_once_never_says_that_it_follows(attack, service):
    told = []
    once(service(caught_up=lambda: told.append(1)), attack)
    assert told == []


def test_several_logs_come_by_event_time(tmp_path, store, service):
    lines = [*_attack.ordinary(), *_attack.walk()]
    (tmp_path / "b.log").write_text("".join(lines[1::2]))
    (tmp_path / "a.log").write_text("".join(lines[::2]))
    both = service()
    once(both, tmp_path / "b.log", tmp_path / "a.log")
    assert (read(both), sum(step.batch.late for step in both.steps)) == (852, 0)
    assert [one.affected_count for one in store.incidents()] == [12]


def test_evidence_is_captured_and_a_block_is_performed_once(attack, store, service):
    gateway = Scripted()
    receipts: list[Receipt] = []
    capture = CaptureEvidence(StoreCapture(store, lambda: NOW_MS))
    once(service(capture, gateway, mode="enforce", on_receipt=receipts.append), attack)
    assert gateway.blocked == [_attack.ATTACKER_IP]
    assert {(r.point, r.state) for r in receipts} == {
        ("evidence", "confirmed"), ("gateway", "confirmed")
    }  # fmt: skip
    assert len(list(store.log.captured())) == 12
    once(service(capture, gateway, mode="enforce"), attack)
    assert gateway.blocked == [_attack.ATTACKER_IP]


def test_more_actions_than_one_step_takes_still_get_their_first_attempt(store, service, tmp_path):
    lines = _attack.ordinary()
    for n in range(40):
        lines += [
            _attack.entry(70 * 60 + n, f"u-{300 + n}", f"/api/v1/wallets/{user}/x", f"192.0.2.{n}")
            for user in _attack.VICTIMS
        ]
    (tmp_path / "many.log").write_text("".join(lines))
    once(service(), tmp_path / "many.log")
    waiting = [row for row in store.outbox_all() if row.state == "waiting" and not row.reason]
    assert len(store.outbox_all()) > 60
    assert waiting == []


def test_a_person_who_stops_waits_for_no_enforcement_point(attack, store, service, monkeypatch):
    monkeypatch.setattr(live_module, "STOP_S", 0.05)

    class Stuck(Scripted):
        async def perform(self, plan, at_ms, attempt):
            await asyncio.sleep(3600)

    stuck = service(Stuck(), mode="enforce", clock=SystemClock())
    # The attack of long ago would be a backlog by the machine's clock: a block by hand is not.
    once(service(), attack)
    action = next(a for a in store.log.actions() if a.kind == "block_ip")
    later = SystemClock().now_ms() + 3_600_000
    by_hand = replace(
        action, id="act-hand", incident="by-hand", mode="enforce", target="192.0.2.200",
        until_ms=later, guard=replace(action.guard, verdict="pass"),
    )  # fmt: skip
    with store.transaction():
        store.log.append_intent(by_hand)
        store.outbox_add(by_hand.id, 0)

    def leased():
        row = next(row for row in store.outbox_all() if row.action == "act-hand")
        return row.attempts == 1

    follow_until(stuck, attack, leased)
    assert leased()


def test_an_example_unfolds_by_event_time(attack, store, service):
    playing = service(event_time=True, clock=HandClock(0))
    pipeline = playing._pipeline
    frames = paced(read_frames(str(attack), pipeline.book), pipeline.times, 1.0)
    pieces = [(frame, 0.0) for frame, _ in frames]
    assert len(pieces) > 2
    asyncio.run(playing.play(pieces))
    assert read(playing) == 852
    (block,) = [a for a in store.log.actions() if a.kind == "block_ip"]
    assert (block.guard.verdict, iso(block.decided_ms)[:16]) == ("pass", "2026-11-22T10:10")


def test_an_example_can_be_stopped(attack, service):
    playing = service(event_time=True)
    playing.stop()
    frames = read_frames(str(attack), playing._pipeline.book)
    asyncio.run(playing.play((frame, 0.0) for frame in frames))
    assert read(playing) == 0


def test_history_is_kept_with_the_position(attack, store, service, tmp_path):
    with History(tmp_path / "history") as history:
        history.recover(store)
        once(service(history=history), attack)
        assert history.counts_by_verdict() == {"foreign": 12, "own": 840}


def test_what_is_older_than_the_look_back_is_forgotten_once_an_hour(attack, store, service):
    clock = HandClock(NOW_MS)
    serving = service(clock=clock)
    pruned = []
    store.prune = lambda now_ms, lookback_ms: pruned.append((now_ms, lookback_ms))

    async def twice():
        await serving.follow([str(attack)], once=True)
        assert pruned == []
        clock.advance(PRUNE_S)
        with attack.open("a") as log:
            log.write(_attack.entry(4300, "u-10", "/api/v1/users/u-10/profile"))
        await serving.follow([str(attack)], once=True)

    asyncio.run(twice())
    assert pruned == [(NOW_MS + int(PRUNE_S * 1000), LOOKBACK_MS)]


def test_one_service_a_data_directory(tmp_path):
    folder = tmp_path / "deep" / "var"
    with lock(folder), pytest.raises(Busy, match="another breachline run holds"):
        lock(folder)
    lock(folder).close()


def office_attack():
    """The walk comes from an office where three others work."""
    lines = _attack.ordinary()
    for minute in range(70):
        lines += [
            _attack.entry(60 * minute + 30 + n, user, f"/api/v1/users/{user}/profile", OFFICE)
            for n, user in enumerate(("u-10", "u-11", "u-12"))
        ]
    walk = [
        _attack.entry(70 * 60 + n, _attack.ATTACKER, f"/api/v1/wallets/{user}/x", OFFICE)
        for n, user in enumerate(_attack.VICTIMS)
    ]
    return sorted(lines, key=lambda line: line[:50]) + walk


def refused(minute, user="u-10"):
    return _attack.entry(60 * minute, user, f"/api/v1/users/{user}/profile", OFFICE, status=403)


OFFICE = "203.0.113.9"
SUFFERED = [
    # name, refused before the block at 70 min, refused after it, whether it is lifted
    ("more after it", [], [73], True),
    ("as many before", [68], [73], False),
    ("nobody", [], [], False),
    ("a newcomer", [], [(73, "u-99")], False),
]


@pytest.mark.parametrize(("name", "before", "after", "lifted"), SUFFERED)
def test_a_block_that_hurts_the_innocent_is_lifted_also_after_a_restart(
    name, before, after, lifted, tmp_path, service, store
):
    log = tmp_path / "office.log"
    lines = office_attack()
    for minute in before:
        lines.insert(-len(_attack.VICTIMS), refused(minute))
    log.write_text("".join(lines))
    gateway, clock = Scripted(), HandClock(_attack.START_MS + 70 * 60_000 + 12_000)
    once(service(gateway, mode="enforce", clock=clock), log)
    assert gateway.blocked == [OFFICE]
    clock.advance(5 * 60)
    with log.open("a") as file:
        for item in after:
            file.write(refused(*item) if isinstance(item, tuple) else refused(item))
        file.write(_attack.entry(75 * 60, "u-10", "/", "198.51.100.20"))
    once(service(gateway, mode="enforce", clock=clock), log)
    assert gateway.blocked == ([] if lifted else [OFFICE]), name
    (block,) = [a for a in store.log.actions() if a.kind == "block_ip"]
    told = [(r.state, r.read_back, r.detail) for r in store.log.receipts(block.id)]
    wish = f"to be lifted: lift the block of {OFFICE}: 1 innocent principals were denied after it"
    assert [t[:2] for t in told if t[2].startswith(wish)] == [("wanted", "absent")] * lifted
    assert (told[-1][0] == "expired") == lifted


def swarm(count, start=0):
    """Each changes one other person's data once, from an address of their own."""
    return [
        _attack.entry(70 * 60 + n, f"u-{300 + n}", f"/api/v1/users/u-{500 + n}/x",
                      f"192.0.2.{n}", method="POST")
        for n in range(start, start + count)
    ]  # fmt: skip


def test_nobody_stays_blocked_for_a_fault_of_the_service(tmp_path, service, store):
    log = tmp_path / "fault.log"
    log.write_text("".join([*_attack.ordinary(), *swarm(8)]))
    gateway = Scripted()
    once(service(gateway, mode="enforce"), log)
    assert sorted(gateway.blocked) == [f"192.0.2.{n}" for n in range(8)]
    for n in range(8, 30):
        with log.open("a") as file:
            file.write("".join(swarm(1, n)))
        once(service(gateway, mode="enforce"), log)
    assert gateway.blocked == []
    assert [i.cause for i in store.incidents()] == ["fault"]
    blocks = [a for a in store.log.actions() if a.kind == "block_ip"]
    assert len(blocks) == 20
    rows = {row.action: row.state for row in store.outbox_all()}
    assert {rows[block.id] for block in blocks} == {"done"}


class Beside:
    """Remembers how many entries there were at each of its steps, and at its last word."""

    def __init__(self, store):
        self._store = store
        self.steps, self.lasts = [], []

    async def step(self, now_ms):
        self.steps.append(self._store.log.last_seq)

    async def last(self, now_ms):
        self.lasts.append(self._store.log.last_seq)


def test_what_goes_on_beside_is_told_of_the_end_when_all_is_answered(attack, store, service):
    one = Beside(store)
    responder = CaptureEvidence(StoreCapture(store, lambda: NOW_MS))
    once(service(responder, beside=[one]), attack)
    assert one.steps
    assert one.lasts == [store.log.last_seq]


def test_what_one_enters_at_the_end_those_after_it_tell(attack, store, service):
    class Entering(Beside):
        async def last(self, now_ms):
            await asyncio.sleep(0.05)
            store.log.append("read", "read-last", now_ms, "inc-1", {"incident": "inc-1"})

    teller = Beside(store)
    once(service(beside=[Entering(store), teller]), attack)
    assert teller.lasts == [store.log.last_seq]
    assert list(store.log.payloads("read", "inc-1")) != []


def test_a_person_who_stops_it_does_not_wait_for_what_goes_on_beside(attack, store, service):
    class Stuck(Beside):
        async def step(self, now_ms):
            running.stop()
            await asyncio.Event().wait()

    running = service(beside=[Stuck(store)])
    once(running, attack)
    assert read(running) <= 852
