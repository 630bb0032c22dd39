import pytest

from incidents.fold import Folded
from tests.incidents._world import (
    DAY,
    MINUTE,
    SECOND,
    T0,
    World,
    address,
    finding,
    foreign,
    principal,
    session,
)

RULES = ["header_mismatch", "unauthenticated_read", "cross_user_read", "denied_burst"]


def swarm(count, rule="cross_user_read", severity="medium", step_ms=SECOND, **changes):
    """Each of `count` actors reaches one other person once."""
    batches = []
    for n in range(count):
        actor, time_ms = principal(f"u-{n}"), T0 + n * step_ms
        certainty = "attempted" if rule == "denied_burst" else "proven"
        users = tuple(f"d-{i}" for i in range(8)) if rule == "denied_burst" else (f"v-{n}",)
        batches.append(
            (
                foreign(actor, time_ms, f"v-{n}", certainty=certainty, ip=f"192.0.2.{n + 1}"),
                finding(
                    actor,
                    time_ms,
                    rule=rule,
                    severity=severity,
                    users=users,
                    ips=(f"192.0.2.{n + 1}",),
                    **changes,
                ),
            )
        )
    return batches


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("restarts", [True, False])
def test_a_fault_of_25_actors_is_one_incident(rule, at_once, restarts):
    world = World()
    batches = swarm(25, rule)
    for batch in [sum(batches, ())] if at_once else batches:
        world.fold(*batch)
        if restarts:
            world.restart()
    fault = world.only()
    assert fault.cause == "fault"
    assert fault.title == f"{rule} on 25 actors within minutes: fault suspected"
    assert (fault.actors, fault.rules, len(fault.merged)) == ((), (rule,), 25)
    victims = () if rule == "denied_burst" else tuple(sorted(f"v-{n}" for n in range(25)))
    assert world.desk.impact(fault.id).users == victims
    assert fault.affected_count == len(victims)
    assert world.blocks() == []


def test_in_whatever_order_they_come_the_fault_is_the_same():
    forth, back = World(), World()
    for batch in swarm(25):
        forth.fold(*batch)
    for batch in reversed(swarm(25)):
        back.fold(*batch)
    assert forth.outcome() == back.outcome()


NEAR_MISSES = [
    ("twenty", swarm(20)),
    ("too far apart", swarm(25, step_ms=20 * SECOND)),
    (
        "two rules that share them",
        swarm(15) + swarm(30, "header_mismatch")[15:],
    ),
]


@pytest.mark.parametrize("batches", [c[1] for c in NEAR_MISSES], ids=[c[0] for c in NEAR_MISSES])
def test_near_misses_stay_incidents_of_their_own(batches):
    world = World()
    for batch in batches:
        world.fold(*batch)
    assert {incident.cause for incident in world.open().values()} == {"attack"}
    assert len(world.open()) == len(batches)


def test_no_block_even_at_high_severity_when_they_come_at_once():
    world = World()
    world.crowd("198.51.100.1", "someone")
    world.fold(*sum(swarm(25, "header_mismatch", "high"), ()))
    assert world.blocks() == []
    assert world.only().cause == "fault"


def test_the_attacker_among_them_stays_apart():
    world = World()
    attacker = principal("u-3")
    for batch in swarm(25):
        world.fold(*batch)
    assert world.only().affected_count == 25
    world.fold(*(foreign(attacker, T0 + MINUTE + n, f"w-{n}") for n in range(2)))
    assert {i.cause: i.affected_count for i in world.open().values()} == {"fault": 24, "attack": 3}
    apart = next(i for i in world.open().values() if i.cause == "attack")
    assert apart.actors[0] == attacker


def test_one_with_a_finding_of_another_rule_stays_apart():
    world = World()
    actor = principal("u-3")
    world.fold(*sum(swarm(25), ()))
    world.fold(
        foreign(actor, T0 + MINUTE, "w", effect="write"),
        finding(actor, T0 + MINUTE, rule="cross_user_write"),
    )
    assert sorted(i.cause for i in world.open().values()) == ["attack", "fault"]
    assert [block.incident for block in world.blocks()] == [
        i.id for i in world.open().values() if i.cause == "attack"
    ]


def test_two_rules_that_fire_on_all_alike_are_one_fault():
    world = World()
    for one, two in zip(swarm(25), swarm(25, "header_mismatch"), strict=True):
        world.fold(*one, two[1])
    assert world.only().cause == "fault"
    assert world.only().rules == ("cross_user_read", "header_mismatch")


def test_an_address_that_sums_up_bystanders_does_not_make_attackers_of_them():
    world = World()
    batches = swarm(25)
    world.fold(*sum(batches, ()))
    members = tuple(principal(f"u-{n}") for n in range(25))
    office = address("198.51.100.1")
    world.fold(finding(office, T0 + MINUTE, rule="identity_fanout", members=members))
    assert world.only().cause == "fault"
    assert world.blocks() == []


def test_throwing_away_cookies_is_no_fault():
    world = World()
    for n in range(40):
        actor = session(f"{n:08x}")
        world.fold(
            foreign(actor, T0 + n * SECOND, f"v-{n}"),
            finding(actor, T0 + n * SECOND, severity="medium", ips=("203.0.113.7",)),
        )
    assert {incident.cause for incident in world.open().values()} == {"attack"}


def test_a_resolved_fault_keeps_its_members():
    world = World()
    world.fold(*sum(swarm(25), ()))
    fault = world.only()
    resolved = world.desk.set_status(fault.merged[0], "resolved")
    assert (resolved.id, resolved.status) == (fault.id, "resolved")
    world.incidents[fault.id] = resolved
    world.restart()
    world.fold(foreign(principal("u-1"), T0 + MINUTE, "w"))
    assert (world.only().status, world.only().affected_count) == ("resolved", 26)
    with pytest.raises(ValueError, match="it is part of"):
        world.desk.split(fault.merged[0], principal("u-1"))


def test_the_next_days_fault_is_another_incident():
    world = World()
    world.fold(*sum(swarm(25), ()))
    moved = [
        (
            foreign(principal(f"w-{n}"), T0 + 2 * DAY + n, f"v-{n}"),
            finding(principal(f"w-{n}"), T0 + 2 * DAY + n, severity="medium"),
        )
        for n in range(25)
    ]
    world.fold(*sum(moved, ()))
    assert [i.cause for i in world.open().values()] == ["fault", "fault"]
    assert world.fold() == Folded([], [])


@pytest.mark.parametrize(("active", "causes"), [(1_200, {"fault"}), (999, {"attack"})])
def test_one_percent_of_the_active_ones_is_a_fault(active, causes):
    world = World()
    for n in range(active):
        world.crowd(f"10.1.{n // 256}.{n % 256}", f"a-{n}", time_ms=T0)
    for batch in swarm(13):
        world.fold(*batch)
    assert {incident.cause for incident in world.open().values()} == causes
