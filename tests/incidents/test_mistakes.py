import pytest

from incidents.mistakes import hurts
from incidents.population import Population
from records.incident import Guard
from tests._events import action, receipt
from tests.incidents._world import (
    MINUTE,
    SECOND,
    T0,
    World,
    address,
    finding,
    foreign,
    net,
    principal,
)

OFFICE = "198.51.100.1"


def swarm(count, ip=None, severity="high"):
    """Each of `count` actors reaches one other person once, from its own address or from `ip`."""
    for n in range(count):
        actor, time_ms, at = principal(f"u-{n}"), T0 + n * SECOND, ip or f"192.0.2.{n + 1}"
        yield (
            foreign(actor, time_ms, f"v-{n}", ip=at),
            finding(actor, time_ms, rule="header_mismatch", severity=severity, ips=(at,)),
        )


def world_with(*batches, restarts=False, **settings):
    world = World(mode="enforce", **settings)
    world.crowd(OFFICE, "someone")
    withdrawn = []
    for batch in batches:
        withdrawn += world.fold(*batch).withdrawn
        if restarts:
            world.restart()
    return world, withdrawn


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_decided_before_the_fault_was_known_is_withdrawn(restarts):
    world, withdrawn = world_with(*swarm(25), restarts=restarts)
    fault = world.only()
    assert fault.cause == "fault"
    assert len(world.blocks()) == 20
    assert {one.action for one in withdrawn} == {block.id for block in world.blocks()}
    assert all(one.why.endswith("nobody is blocked for it") for one in withdrawn)
    assert all(fault.id in one.why for one in withdrawn)


def test_short_of_a_fault_nothing_is_withdrawn():
    world, withdrawn = world_with(*swarm(20))
    assert (len(world.blocks()), withdrawn) == (20, [])


def test_at_once_there_is_nothing_to_withdraw():
    world, withdrawn = world_with(sum(swarm(25), ()))
    assert (world.blocks(), withdrawn) == ([], [])


def attack(ip, time_ms):
    """One who reached enough to stand apart from any fault."""
    who = principal("u-66")
    return (
        *(foreign(who, time_ms + n, f"w-{n}", ip=ip) for n in range(4)),
        finding(who, time_ms + 3, rule="cross_user_read", severity="critical", ips=(ip,)),
    )


def test_an_attacker_at_a_freed_address_is_blocked_later_and_no_longer_for_the_mistake():
    world, _ = world_with(*swarm(25), block=3600)
    world.fold(*attack("192.0.2.1", T0 + 2 * MINUTE))
    block = world.blocks()[-1]
    assert (block.target, block.until_ms - block.decided_ms) == ("192.0.2.1", 3_600_000)
    assert block.guard == Guard("pass", "all guards passed")


def test_an_attacker_whose_block_was_left_out_for_a_bystanders_gets_it():
    batches = list(swarm(25))
    world, withdrawn = world_with(*batches[:3], attack("192.0.2.1", T0 + 4 * SECOND), *batches[3:])
    attacker = next(i for i in world.open().values() if i.cause == "attack")
    last = [block for block in world.blocks() if block.target == "192.0.2.1"][-1]
    assert last.incident == attacker.id
    assert last.id not in {one.action for one in withdrawn}


def test_who_leaves_the_fault_is_considered_anew():
    world, withdrawn = world_with(*swarm(25))
    leaver = principal("u-0")
    before = len(world.blocks())
    world.fold(*(foreign(leaver, T0 + MINUTE + n, f"w-{n}", ip="192.0.2.1") for n in range(3)))
    (again,) = world.blocks()[before:]
    assert again.target == "192.0.2.1"
    assert again.id not in {one.action for one in withdrawn}


def test_a_block_that_was_confirmed_does_not_leave_its_group_contained():
    world = World(mode="enforce")
    world.crowd(OFFICE, "someone")
    batches = list(swarm(25))
    world.fold(*batches[0])
    (block,) = world.blocks()

    contained = world.desk.apply(receipt(block.id))
    assert contained is not None
    assert contained.status == "contained"
    world.incidents[contained.id] = contained
    for batch in batches[1:]:
        world.fold(*batch)
    world.fold(
        *(foreign(principal("u-0"), T0 + MINUTE + n, f"w-{n}", ip="192.0.2.1") for n in range(3))
    )
    apart = next(i for i in world.open().values() if i.cause == "attack")
    assert apart.status == "investigating"


def test_the_address_of_a_group_without_blocks_frees_nobody():
    world, withdrawn = world_with(*swarm(25, severity="medium"))
    world.fold(finding(address("192.0.2.1"), T0 + MINUTE, ips=("192.0.2.1",)))
    assert withdrawn == []


HURTS = [
    ("more after it", {"u-1", "u-2"}, (1, 2), True),
    ("as many", {"u-1", "u-2"}, (2, 2), False),
    ("fewer", {"u-1", "u-2"}, (2, 1), False),
    ("nobody innocent behind it", set(), (0, 2), False),
    ("only the attacker behind it", {"u-66"}, (0, 2), False),
]


@pytest.mark.parametrize(("name", "behind", "counts", "lifts"), HURTS, ids=[c[0] for c in HURTS])
def test_a_block_that_hurts_the_innocent_is_to_be_lifted(name, behind, counts, lifts):
    population = Population()
    for who in ("elsewhere", *behind):
        ip = "192.0.2.1" if who == "elsewhere" else OFFICE
        population.observe({(ip, who): T0 - 5 * MINUTE})
    asked = []

    def around(innocent):
        asked.append(innocent)
        return counts

    block = action(target=OFFICE, decided_ms=T0)
    why = hurts(block, T0 - MINUTE, frozenset({"u-66"}), population, around)
    assert bool(why) == lifts, name
    assert asked in ([], [frozenset(behind)])


def test_what_a_withdrawn_block_of_a_64_stood_for_is_decided_again():
    """The /64 is one of many that met a fault; an address of it did more, and is asked for anew."""
    shared = "2001:db8:0:%x::/64"
    nets = [
        (
            *(foreign(address(ip), T0 + n, f"v-{n}") for ip in ips[:1]),
            finding(net(shared % n), T0 + n, ips=ips, severity="critical"),
        )
        for n in range(25)
        for ips in [tuple(f"2001:db8:0:{n:x}::{k}" for k in range(1, 4))]
    ]
    who = principal("u-66")
    ip = "2001:db8:0:3::9"
    own = (
        *(foreign(who, T0 + 100 + n, f"w-{n}", ip=ip) for n in range(4)),
        finding(who, T0 + 200, rule="cross_user_write", ips=(ip,)),
    )
    world, withdrawn = world_with(*nets[:20], own)
    assert (len(withdrawn), ip in {block.target for block in world.blocks()}) == (0, False)
    withdrawn += world.fold(*sum(nets[20:], ())).withdrawn
    assert len(withdrawn) == 20
    assert ip in {block.target for block in world.blocks()}
