"""However the input is cut up, mixed or interrupted, the same incidents, actions and victims."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from records.event import Actor
from records.finding import Finding
from tests.incidents._world import (
    DAY,
    HOUR,
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

ACTORS = [principal("u-1"), principal("u-2"), session("s-3"), address("198.51.100.4")]
CERTAINTIES = ["proven", "presumed", "possible", "attempted"]
RULES = ["cross_user_read", "identity_fanout", "denied_burst"]

times = st.one_of(
    st.integers(0, 20 * 60).map(lambda s: T0 + s * SECOND),
    st.integers(0, 100).map(lambda h: T0 + h * HOUR + 7 * MINUTE),
)


@st.composite
def exposures(draw, *, shared):
    actor = draw(st.sampled_from(ACTORS))
    sessions = ["s-1", "s-2"]
    used = "" if actor.type == "ip" else actor.value
    if actor.type == "principal":
        used = draw(st.sampled_from(sessions)) if shared else f"of-{actor.value}"
    return foreign(
        actor,
        draw(times),
        draw(st.sampled_from(["v1", "v2", "v3", "v4", "u-1", "u-2"])),
        event=f"log-{draw(st.integers(0, 10**6)):x}",
        session=used,
        certainty=draw(st.sampled_from(CERTAINTIES)),
        effect=draw(st.sampled_from(["read", "write"])),
        verdict=draw(st.sampled_from(["foreign", "foreign", "undetermined"])),
        fingerprint=draw(st.sampled_from(["curl", "firefox"])),
    )


@st.composite
def histories(draw, *, shared=False):
    """Exposures, and findings made of some of them, each ready when its last exposure is."""
    seen = draw(st.lists(exposures(shared=shared), max_size=25, unique_by=lambda e: e.event))
    seen.sort(key=lambda e: (e.time_ms, e.event))
    items = [(e.time_ms, 0, e) for e in seen]
    for rule in RULES:
        for actor in ACTORS:
            own = [e for e in seen if e.actor == actor]
            if not own or not draw(st.booleans()):
                continue
            last = draw(st.sampled_from(own))
            first = min(e.time_ms for e in own if last.time_ms - e.time_ms <= HOUR)
            made = finding(
                actor,
                first,
                end_ms=last.time_ms,
                rule=rule,
                severity=draw(st.sampled_from(["medium", "high", "critical"])),
                ips=(f"203.0.113.{ACTORS.index(actor)}",),
                undetermined=rule == "identity_fanout",
                fingerprints=("curl",),
            )
            items.append((last.time_ms, 1, made))
    return [item for *_, item in sorted(items, key=lambda i: (i[0], i[1]))]


def run(items, cuts=(), restarts=False):
    world = World()
    world.crowd("192.0.2.1", "someone")
    borders = sorted({0, len(items), *(cut % (len(items) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(borders):
        world.fold(*items[start:end])
        if restarts:
            world.restart()
    return world


def actions(world):
    return {
        (a.id, a.kind, a.target, a.incident, a.guard, a.until_ms, a.decided_ms)
        for a in world.actions.values()
    }


cuts = st.lists(st.integers(0, 1000), max_size=12)


@given(histories(), cuts, st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_split_and_any_restart(items, cuts, restarts):
    one, many = run(items), run(items, cuts, restarts)
    assert many.outcome() == one.outcome()
    assert actions(many) == actions(one)


@given(histories(shared=True), cuts, st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_split_and_any_restart_with_sessions_that_join(items, cuts, restarts):
    one, many = run(items), run(items, cuts, restarts)
    assert many.outcome() == one.outcome()
    # who was asked first depends on when the join came to light; what is blocked does not
    assert {a.target for a in many.blocks()} == {a.target for a in one.blocks()}


@given(histories(shared=True), st.data())
@settings(max_examples=150, deadline=None)
def test_any_interleaving_within_the_lateness(items, data):
    came: dict[int, int] = {}
    for n, item in enumerate(items):
        delay_ms = data.draw(st.integers(0, 60)) * SECOND
        if isinstance(item, Finding):  # it is made of exposures, and cannot come before them
            basis = [
                at
                for m, at in came.items()
                if items[m].actor == item.actor and not isinstance(items[m], Finding)
            ]
            came[n] = max(item.end_ms + delay_ms, *basis)
        else:
            came[n] = item.time_ms + delay_ms
    order = sorted((at, n) for n, at in came.items())
    cut = data.draw(cuts)
    one, other = run(items), run([items[n] for _, n in order], cut)
    assert other.outcome() == one.outcome()


@given(histories(shared=True))
@settings(max_examples=100, deadline=None)
def test_affected_are_targets_of_the_actors_and_nobody_else(items):
    world = run(items)
    seen = [item for item in items if not hasattr(item, "rule")]
    for incident in world.open().values():
        users = set(world.desk.impact(incident.id).users)
        actors = set(incident.actors)
        reached = {
            e.target
            for e in seen
            if e.certainty in {"proven", "presumed"}
            and (e.actor in actors or Actor("session", e.session) in actors)
        }
        assert users <= reached
        named = {a.value for a in incident.actors if a.type == "principal"}
        assert users.isdisjoint(named)
        assert incident.affected_count == len(users)
        assert incident.affected_upper >= incident.affected_count


@given(
    st.permutations(range(25)),
    st.lists(st.integers(1, 25), max_size=5),
    st.sampled_from(["header_mismatch", "unauthenticated_read", "cross_user_read"]),
)
@settings(max_examples=40, deadline=None)
def test_a_fault_in_any_order(order, borders, rule):
    batches = [
        (
            foreign(principal(f"u-{n}"), T0 + n * SECOND, f"v-{n}"),
            finding(principal(f"u-{n}"), T0 + n * SECOND, rule=rule, severity="medium"),
        )
        for n in range(25)
    ]
    one = run([item for batch in batches for item in batch])
    many = run([item for n in order for item in batches[n]], [2 * b for b in borders], True)
    assert many.outcome() == one.outcome()
    assert many.only().cause == "fault"


@given(st.integers(1, 400), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_memory_of_the_quiet_is_bounded(hours, gap_h):
    world = World()
    for n in range(8):
        time_ms = T0 + n * (3 * DAY + (hours + gap_h) * HOUR)
        actor = principal(f"u-{n}")
        world.fold(foreign(actor, time_ms, "v"), finding(actor, time_ms))
    assert len(world.desk._register._tallies) <= 2
