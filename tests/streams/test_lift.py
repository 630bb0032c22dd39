"""A block behind which more innocents were refused than before it is lifted, and nothing else.

What counts as harm is tested with `incidents.mistakes`, and the whole with the live service; here:
which blocks are asked about, and when.
"""

import pytest
from msgspec.structs import replace

from records.incident import Receipt
from streams.lift import lift_harmful
from streams.lines import Frame
from streams.live import Outbox
from streams.respond import Respond
from tests import _attack
from tests._events import event

OFFICE = "203.0.113.7"
BLOCKED_MS = _attack.START_MS + 71 * 60_000
NOW_MS = BLOCKED_MS + 5 * 60_000


class Lifting(Respond):
    """Writes down what is lifted."""

    def __init__(self):
        self.lifted: list[tuple[str, int]] = []

    def lift(self, target, now_ms, why):
        assert OFFICE in why
        self.lifted.append((target, now_ms))
        return []


@pytest.fixture
def blocked(store, pipeline_on):
    """A decider whose one block, of the attacker's address, stands."""
    pipeline = pipeline_on(store, performer=Outbox(store))
    data = "".join([*_attack.ordinary(), *_attack.walk()]).encode()
    with store.transaction():
        pipeline.take(Frame("a1b2c3d4e5f60718", "log", 0, data), BLOCKED_MS)
    (block,) = [action for action in store.log.actions() if action.kind == "block_ip"]
    return pipeline.decider, block


def confirm(store, block):
    store.log.append_receipt(
        Receipt(
            action=block.id,
            state="confirmed",
            at_ms=BLOCKED_MS,
            point="gateway",
            detail="",
            read_back="present",
        )
    )


def refused(ip=OFFICE):
    """An innocent of long standing, turned away after the block."""
    return event(
        0, ip=ip, time_ms=BLOCKED_MS + 60_000, principal=_attack.PEOPLE[0], status=403,
        verdict="own", provenance="gateway",
    )  # fmt: skip


CASES: list[tuple[str, bool, str | None, list[tuple[str, int]]]] = [
    # name, whether the block stands, who is refused where, what is lifted
    ("nobody refused", True, None, []),
    ("refused elsewhere", True, "198.51.100.99", []),
    ("the block does not stand", False, OFFICE, []),
]


@pytest.mark.parametrize(("name", "stands", "where", "expected"), CASES, ids=[c[0] for c in CASES])
def test_what_harms_nobody_stays(blocked, store, name, stands, where, expected):
    decider, block = blocked
    if stands:
        confirm(store, block)
    if where:
        decider.denials.note([refused(where)])
    respond = Lifting()
    lift_harmful(decider, store, respond, NOW_MS)
    assert respond.lifted == expected


def test_what_hurts_is_lifted_and_asked_about_once(blocked, store):
    decider, block = blocked
    confirm(store, block)
    people = {(OFFICE, who): BLOCKED_MS - 60_000 for who in _attack.PEOPLE[:1]}
    decider.population.observe(people, BLOCKED_MS - 60_000)
    decider.denials.note([refused()])
    respond = Lifting()
    lift_harmful(decider, store, respond, NOW_MS)
    lift_harmful(decider, store, respond, NOW_MS)
    assert respond.lifted == [(OFFICE, NOW_MS)]


def test_a_block_by_hand_is_that_persons(blocked, store):
    decider, block = blocked
    by_hand = replace(block, id="act-by-hand", incident="", target="203.0.113.9")
    store.log.append_intent(by_hand)
    store.outbox_add(by_hand.id, BLOCKED_MS)
    confirm(store, by_hand)
    decider.population.observe({("203.0.113.9", "u-10"): BLOCKED_MS - 60_000}, BLOCKED_MS - 60_000)
    decider.denials.note([refused("203.0.113.9")])
    respond = Lifting()
    lift_harmful(decider, store, respond, NOW_MS)
    assert respond.lifted == []
