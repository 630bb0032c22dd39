"""Whenever the owners of objects become known, in whatever portions: the same victims."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.incidents._world import HOUR, MINUTE, SECOND, T0, address, finding, foreign, session
from tests.incidents._world import principal as person
from tests.incidents.test_owners import CARDS, answer, pending
from tests.incidents.test_publish import Asked

WHO = [person("u-1"), person("u-2"), session("s-3"), address("198.51.100.4")]
ITEMS = [f"c-{n}" for n in range(6)]
OWNERS = [[], ["u-1"], ["u-2"], ["u-11"], ["u-12", "u-13"], ["u-1", "u-14"], ["17"]]

times = st.one_of(
    st.integers(0, 20 * 60).map(lambda s: T0 + s * SECOND),
    st.integers(0, 20).map(lambda h: T0 + h * HOUR + 7 * MINUTE),
)


@st.composite
def exposures(draw):
    actor = draw(st.sampled_from(WHO))
    changes = {
        "event": f"log-{draw(st.integers(0, 10**6)):x}",
        "certainty": draw(st.sampled_from(["proven", "proven", "possible", "attempted"])),
        "fingerprint": draw(st.sampled_from(["curl", "firefox"])),
        "session": "" if actor.type == "ip" else draw(st.sampled_from(["s-1", f"of-{actor}"])),
    }
    if draw(st.booleans()):
        return foreign(actor, draw(times), draw(st.sampled_from(["u-11", "u-15"])), **changes)
    if actor.type != "principal":
        changes["principal"] = draw(st.sampled_from(["", "u-7"]))
    return pending(actor, draw(times), draw(st.sampled_from(ITEMS)), **changes)


@st.composite
def histories(draw):
    """Exposures, findings made of some of them, and who owns which object."""
    seen = draw(st.lists(exposures(), max_size=20, unique_by=lambda e: e.event))
    seen.sort(key=lambda e: (e.time_ms, e.event))
    items = [(e.time_ms, 0, e) for e in seen]
    for n, actor in enumerate(WHO):
        own = [e for e in seen if e.actor == actor and e.target]
        if own and draw(st.booleans()):
            last = draw(st.sampled_from(own))
            made = finding(
                actor, last.time_ms, ips=(f"203.0.113.{n}",), fingerprints=("curl",),
                undetermined=draw(st.booleans()),
            )  # fmt: skip
            items.append((last.time_ms, 1, made))
    answers = [answer(item, *draw(st.sampled_from(OWNERS))) for item in ITEMS]
    return [item for *_, item in sorted(items, key=lambda i: (i[0], i[1]))], answers


def run(items, answers, cuts=(), *, first=False, restarts=False, portions=1):
    """`first`: all is known from the beginning; else it is asked for at the end, in portions."""
    world = Asked()
    if first:
        world.desk.owners.take(answers)
    borders = sorted({0, len(items), *(cut % (len(items) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(borders):
        world.fold(*items[start:end])
        if restarts:
            world.restart()
    known = {a.object: a for a in answers}
    for _ in range(100):
        if not (waiting := world.desk.pending()):
            break
        part = [known[item] for route, item in waiting if route == CARDS][:portions]
        world.answer(*part)
        if restarts:
            world.restart()
    assert world.desk.pending() == []
    return world


cuts = st.lists(st.integers(0, 1000), max_size=8)


@given(histories(), cuts, st.booleans(), st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_any_split_any_restart_any_portions(history, cut, restarts, portions):
    items, answers = history
    one = run(items, answers, portions=6)
    many = run(items, answers, cut, restarts=restarts, portions=portions)
    assert many.outcome() == one.outcome()


@given(histories(), cuts, st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_known_before_or_asked_for_later(history, cut, portions):
    items, answers = history
    before = run(items, answers, first=True)
    later = run(items, answers, cut, portions=portions)
    assert affected(later) == affected(before)


def affected(world):
    return {
        incident.id: (world.desk.impact(incident.id).users, incident.unknown_objects)
        for incident in world.open().values()
    }
