"""Orders in frames: what they make of the store, once each, whoever dies in between."""

import asyncio
import logging

import msgspec
import pytest

from evidence.custody import Read, holds, reads
from records.incident import Action, Guard, Receipt
from streams.approvals import BY_HAND, by_person
from streams.clock import HandClock
from streams.kafka.decide import Decide
from streams.kafka.intake import Record
from streams.kafka.orders import ORIGIN, Order, wish
from streams.kafka.wire import Slices, encode
from streams.projection import Stand, stand
from streams.settings import Settings
from tests._events import incident
from tests._gateway import Gateway
from tests._respond import HOUR_MS, IP, NOW_MS, block, live

SETTINGS = Settings.model_validate(
    {
        "kafka": {"brokers": ["127.0.0.1:9"], "partitions": 1},
        "respond": {"never_block": [{"cidr": "192.0.2.0/24", "reason": "head office"}]},
        "intake": {"trusted_proxies": ["198.51.100.0/24"]},
    }
)
BY = Guard("pass", "ada decided")


def by_hand(name="act-h", target=IP, **more):
    return block(name, target, incident=BY_HAND, findings=(), guard=BY, **more)


def order(kind, target=IP, action: Action | None = None, name="ord-1"):
    return Order(
        id=name, kind=kind, action=action, target=target, by="ada", why="case 17", at_ms=NOW_MS
    )


BLOCK = order("block", action=by_hand())
UNBLOCK = order("unblock", action=by_hand("act-u", until_ms=NOW_MS), name="ord-2")


class Deployment:
    """The decider of a deployment, its journal, and whoever performs."""

    def __init__(self, folder, gateway):
        self._folder, self._gateway = folder, gateway
        self.frames: list[Record] = []
        self.journal: list[bytes] = []
        self.told: list[Receipt] = []
        """What stands on the topic of receipts."""
        self.clock = HandClock(NOW_MS)
        self.begin()

    def begin(self):
        self.decide = Decide(SETTINGS, self._folder, 1, 0.0, self.journal)

    def die(self):
        """kill -9: what is not committed is gone."""
        self.decide.close()
        self.begin()

    def say(self, *orders, origin=ORIGIN):
        frame = Slices(origin, 0, True, orders=list(orders))
        self.frames.append(Record(3 * len(self.frames), encode(frame), ()))

    def read(self):
        due = [one for one in self.frames if one.offset >= self.decide.position]
        for _ in self.decide.take(due, 0.0, self.clock.now_ms):
            pass

    def commit(self):
        outputs, journal = self.decide.collect()
        self.told += [
            msgspec.json.decode(one.value, type=Receipt)
            for one in outputs
            if one.topic == "breachline.receipts"
        ]
        self.journal += journal

    def perform(self, *, dies=False):
        """One turn of the responding loop, with a gateway and the worker's guards.

        dies: before what the gateway answered is committed.
        """

        async def do():
            async with live(
                self.decide.store, self._gateway, self.clock,
                recheck=self._recheck, durable=self._durable,
            ) as respond:  # fmt: skip
                self.decide.orders.lift = respond.lift
                self.read()
                await respond.step(self.clock.now_ms())

        asyncio.run(do())
        if dies:
            self.die()
        else:
            self.commit()

    async def _durable(self):
        self.commit()

    def _recheck(self, action, now_ms):
        said = by_person(self.decide.store, action)
        return self.decide.decider.desk.recheck(action, now_ms, by_person=said)

    def states(self, action):
        return [one.state for one in self.decide.store.log.receipts(action)]


@pytest.fixture
def gateway():
    with Gateway() as opened:
        yield opened


@pytest.fixture
def deployed(tmp_path, gateway):
    made = Deployment(tmp_path / "worker", gateway)
    yield made
    made.decide.close()


def test_a_block_becomes_an_intent_that_is_due_and_is_told(deployed, gateway):
    deployed.say(BLOCK)
    deployed.perform()
    assert list(deployed.decide.store.log.actions()) == [BLOCK.action]
    assert [(one.action, one.state) for one in deployed.told] == [("act-h", "confirmed")]
    assert gateway.effects == {("block", IP): 1}


def test_an_order_that_is_read_again_counts_once(deployed):
    deployed.say(BLOCK)
    deployed.read()
    deployed.die()
    assert list(deployed.decide.store.log.actions()) == []
    deployed.read()
    deployed.commit()
    deployed.die()
    deployed.decide.aligner.add("i0", 0, [], 0, idle=True, now_s=0.0)
    for _ in deployed.decide.take(deployed.frames, 0.0, deployed.clock.now_ms):
        pass
    assert len(list(deployed.decide.store.log.actions())) == 1
    assert len(deployed.decide.store.outbox_all()) == 1


def test_what_was_decided_meanwhile_is_not_decided_again(deployed, gateway):
    """A yes that is read again after its effect must not be a second word."""
    waits(deployed)
    deployed.say(order("approve", "act-1"))
    deployed.perform()
    assert gateway.blocked == [IP]
    deployed.die()
    for _ in deployed.decide.take(deployed.frames, 0.0, deployed.clock.now_ms):
        pass
    deployed.commit()
    assert [(one.action, one.state) for one in deployed.told] == [
        ("act-1", "wanted"), ("act-1", "confirmed")
    ]  # fmt: skip


def test_the_same_action_in_two_orders_is_one(deployed):
    deployed.say(BLOCK, msgspec.structs.replace(BLOCK, id="ord-9"))
    deployed.read()
    assert len(deployed.decide.store.outbox_all()) == 1


def test_a_person_is_no_origin_and_holds_up_nobody(deployed):
    deployed.say(BLOCK)
    deployed.read()
    assert ORIGIN not in deployed.decide.aligner.state()
    assert deployed.decide.position == 1
    deployed.commit()
    deployed.die()
    assert deployed.decide.position == 1


def waits(deployed, action=None):
    """An action of the policy's that waits for a person."""
    action = action or block(mode="approval")
    store = deployed.decide.store
    with store.transaction():
        store.log.append_intent(action)
        store.outbox_add(action.id, NOW_MS)
    store.outbox_update(
        action.id, state="approval", attempts=0, next_attempt_ms=0, reason="would block"
    )


@pytest.mark.parametrize(
    ("kind", "states", "blocked"),
    [("approve", ["wanted", "confirmed"], [IP]), ("reject", ["expired"], [])],
)
def test_a_persons_word(deployed, gateway, kind, states, blocked):
    waits(deployed)
    deployed.say(order(kind, "act-1"))
    deployed.perform()
    assert (deployed.states("act-1"), gateway.blocked) == (states, blocked)
    (said,) = deployed.decide.store.log.approvals("act-1")
    assert (said.approved, said.by, said.why) == (kind == "approve", "ada", "case 17")


REFUSED = [
    ("unknown", order("approve", "act-9"), "approving act-9: there is no such action"),
    ("does not wait", order("reject", "act-w"), "does not wait for approval: nothing was asked"),
    ("over", order("approve", "act-o"), "approving act-o: its time ended at"),
    ("no action", order("block"), "block 203.0.113.7: the order names no block by hand"),
    (
        "the policy's own",
        order("block", action=block()),
        "block 203.0.113.7: the order names no block by hand",
    ),
    (
        "another target",
        order("unblock", action=by_hand(target="203.0.113.8")),
        "unblock 203.0.113.7: the order's action has another target",
    ),
    ("no address", order("block", "office", by_hand(target="office")), "'office' does not appear"),
    (
        "another spelling",
        order("block", "::FFFF:203.0.113.7", by_hand(target="::FFFF:203.0.113.7")),
        "the order's action has another target",
    ),
]


@pytest.mark.parametrize(
    ("asked", "says"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_cannot_be_done_is_answered_and_logged(deployed, caplog, asked, says):
    waits(deployed, block("act-o", until_ms=NOW_MS))
    store = deployed.decide.store
    with store.transaction():
        store.log.append_intent(block("act-w", "203.0.113.99"))
        store.outbox_add("act-w", NOW_MS + HOUR_MS)
    before = list(store.log.entries())
    deployed.say(asked, msgspec.structs.replace(BLOCK, id="ord-after"))
    with caplog.at_level(logging.WARNING, "breachline.orders"):
        deployed.read()
        deployed.commit()
    (told,) = deployed.told
    assert (told.action, told.state, told.point) == ("ord-1", "failed", "person")
    assert says in told.detail
    assert says in caplog.text
    # Those after it are done, and nothing else is.
    (entry,) = list(store.log.entries())[len(before) :]
    assert entry.entry_id == "act-h"
    deployed.commit()
    assert len(deployed.told) == 1


def test_blocks_of_ours_are_lifted(deployed, gateway):
    deployed.say(BLOCK)
    deployed.perform()
    deployed.say(UNBLOCK)
    deployed.perform()
    assert (gateway.blocked, deployed.states("act-h")) == ([], ["confirmed", "wanted", "expired"])
    assert deployed.decide.store.log.action("act-u") is None
    asked = list(deployed.decide.store.log.receipts("act-h"))[1]
    assert asked.detail == f"to be lifted: {wish(UNBLOCK)}"
    assert wish(UNBLOCK) == "case 17 (ordered by ada: ord-2)"


def test_what_somebody_else_blocked_is_lifted_and_tried_until_it_is(deployed, gateway):
    gateway.blocked.append(IP)
    gateway.trouble = "500"
    deployed.say(UNBLOCK)
    deployed.perform()
    assert (gateway.blocked, deployed.states("act-u")) == ([IP], ["wanted", "failed"])
    deployed.die()  # what is to be done is in the journal
    gateway.trouble = None
    deployed.clock.advance(60)
    deployed.perform()
    assert (gateway.blocked, deployed.states("act-u")) == ([], ["wanted", "failed", "expired"])
    assert gateway.effects == {("unblock", IP): 1}


@pytest.mark.parametrize("trouble", [None, "reset_after", "half"])
def test_killed_before_the_gateways_answer_was_kept(deployed, gateway, trouble):
    deployed.say(BLOCK)
    gateway.trouble = trouble
    deployed.perform(dies=True)
    assert (gateway.blocked, deployed.states("act-h")) == ([IP], [])
    gateway.trouble = None
    deployed.clock.advance(60)
    deployed.perform()
    assert (gateway.blocked, gateway.effects) == ([IP], {("block", IP): 1})
    assert deployed.states("act-h")[-1] == "confirmed"


REFUSALS = [
    ("192.0.2.9", "192.0.2.9 is on the never-block list: 192.0.2.0/24 (head office)"),
    ("198.51.100.7", "198.51.100.7 is in 198.51.100.0/24: a trusted proxy or our own address"),
    ("127.0.0.1", "127.0.0.1 is in 127.0.0.0/8: a trusted proxy or our own address"),
]


@pytest.mark.parametrize(("target", "why"), REFUSALS)
def test_what_nobody_may_block_is_asked_again_right_before(deployed, gateway, target, why):
    deployed.say(order("block", target, by_hand(target=target)))
    waits(deployed, block(target=target, mode="approval"))
    deployed.say(order("approve", "act-1", name="ord-2"))
    deployed.perform()
    for action in ("act-h", "act-1"):
        last = list(deployed.decide.store.log.receipts(action))[-1]
        assert (last.state, last.detail.endswith(f"but it is refused: {why}")) == ("wanted", True)
    assert (gateway.blocked, gateway.calls) == ([], {})


HOLD, RELEASE = order("hold", "inc-1"), order("release", "inc-1", name="ord-2")
READ = Read(by="ada", why="case 17", at_ms=NOW_MS, what="evidence list", incident="inc-1", count=2)


def test_an_incident_is_held_and_released_and_both_are_answered(deployed):
    store = deployed.decide.store
    with store.transaction():
        store.put_incidents([incident()])
    deployed.say(HOLD)
    deployed.read()
    deployed.commit()
    (held,) = holds(store)
    assert (held.incident, held.by, held.why, held.at_ms) == ("inc-1", "ada", "case 17", NOW_MS)
    deployed.say(RELEASE)
    deployed.read()
    deployed.commit()
    deployed.die()
    assert holds(deployed.decide.store) == []
    assert [(one.action, one.state, one.point, one.detail) for one in deployed.told] == [
        ("ord-1", "confirmed", "person", held.id), ("ord-2", "confirmed", "person", held.id),
    ]  # fmt: skip


def test_a_read_is_entered_and_not_answered(deployed):
    deployed.say(msgspec.structs.replace(order("read", "inc-1"), read=READ))
    deployed.read()
    deployed.commit()
    assert (reads(deployed.decide.store), deployed.told) == ([READ], [])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (order("hold", "inc-9"), "hold inc-9: there is no such incident"),
        (RELEASE, "releasing inc-1: no hold stands on it"),
        (order("export", "inc-1"), "export inc-1: the order says nothing"),
    ],
)
def test_custody_that_cannot_be_is_answered(deployed, asked, says):
    store = deployed.decide.store
    with store.transaction():
        store.put_incidents([incident()])
    deployed.say(asked)
    deployed.read()
    deployed.commit()
    (told,) = deployed.told
    assert (told.action, told.state) == (asked.id, "failed")
    assert told.detail.startswith(says)
    assert list(store.log.entries()) == []


def test_indexing_again_is_answered_with_how_much_and_survives_a_new_owner(deployed):
    deployed.say(BLOCK)
    deployed.read()
    store = deployed.decide.store
    store.save_state([("elastic", "stand", encode({"seq": 1, "attempts": 2, "kind": "login"}))])
    deployed.say(order("rebuild", "elasticsearch", name="ord-7"))
    deployed.read()
    deployed.commit()
    deployed.die()
    assert stand(deployed.decide.store) == Stand()
    (answer,) = [one for one in deployed.told if one.action == "ord-7"]
    assert (answer.state, answer.detail) == ("confirmed", "1 entries")


def test_a_new_key_is_the_deciders_to_take_and_what_hinders_it_is_answered(deployed):
    taken: list[object] = []

    def take(vkey, *, by, why, at_ms):
        if taken:
            raise PermissionError(13, "others may read it: chmod 600 it")
        taken.append((vkey, by, why, at_ms))

    for number, rotate in enumerate((None, take, take)):
        deployed.decide.orders.rotate = rotate
        deployed.say(order("rotate", "name+id+key", name=f"ord-{number}"))
        deployed.read()
    deployed.commit()
    assert taken == [("name+id+key", "ada", "case 17", NOW_MS)]
    assert [(one.action, one.state, one.detail) for one in deployed.told] == [
        ("ord-0", "failed", "rotate name+id+key: this worker signs nothing"),
        ("ord-1", "confirmed", "name+id+key"),
        ("ord-2", "failed", "rotate name+id+key: others may read it: chmod 600 it"),
    ]
