import pytest

from incidents.coverage import MOST_GAPS, Nearby, Surroundings
from intake.frames import Batch
from records.event import Reject
from tests._events import NOON_MS, event
from tests.incidents._world import DAY, HOUR, MINUTE, T0, World, finding, foreign, principal

GAP = (150, "a.log: bytes 100 to 150 never came")


def at(n, time_ms, *, late=False):
    return event(n, time_ms=time_ms, late=late)


def batch(*events, rejects=(), source="a1b2"):
    return Batch(
        source,
        lines=len(events) + len(rejects),
        late=sum(event.late for event in events),
        events=list(events),
        rejects=[Reject(source, offset, "unreadable", "", "") for offset in rejects],
    )


def seen(*batches, gaps=()):
    found = Surroundings()
    for one in batches:
        found.note(one, gaps if one is batches[-1] else ())
    return found


NEAR = [
    # name, batches, what is near an incident from noon to noon and an hour
    ("nothing missing", [batch(at(0, NOON_MS), at(1, NOON_MS + HOUR))], Nearby()),
    ("late within it", [batch(at(0, NOON_MS + MINUTE, late=True))], Nearby(late=1)),
    ("late just before it", [batch(at(0, NOON_MS - MINUTE, late=True))], Nearby()),
    ("late after it", [batch(at(0, NOON_MS + HOUR + MINUTE, late=True))], Nearby()),
    ("rejected within", [batch(at(0, NOON_MS), rejects=[50])], Nearby(rejected=1)),
    ("rejected before", [batch(at(0, NOON_MS - 15 * MINUTE), rejects=[50])], Nearby(rejected=1)),
    ("rejected long before", [batch(at(0, NOON_MS - 16 * MINUTE), rejects=[50])], Nearby()),
    (
        "rejected just after",
        [batch(at(0, NOON_MS + HOUR + 15 * MINUTE), rejects=[50])],
        Nearby(rejected=1),
    ),
    (
        "rejected long after",
        [batch(at(0, NOON_MS + HOUR + 16 * MINUTE), rejects=[50])],
        Nearby(),
    ),
    (
        "its time is that of the line before it",
        [batch(at(0, NOON_MS - HOUR), at(1, NOON_MS), rejects=[50, 150, 160])],
        Nearby(rejected=2),
    ),
    (
        "of the frame before, where it comes first",
        [batch(at(0, NOON_MS)), batch(rejects=[50])],
        Nearby(rejected=1),
    ),
    (
        "of the first readable line, where none came before",
        [batch(rejects=[0]), batch(rejects=[10]), batch(at(1, NOON_MS), rejects=[20])],
        Nearby(rejected=3),
    ),
    ("another log's", [batch(at(0, NOON_MS), rejects=[50], source="cafe")], Nearby()),
]


@pytest.mark.parametrize(("name", "batches", "expected"), NEAR, ids=[c[0] for c in NEAR])
@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_near(name, batches, expected, restarts):
    found = Surroundings()
    kept: dict[str, bytes] = {}
    for one in batches:
        found.note(one)
        if restarts:
            kept |= dict(found.take_dirty())
            found = Surroundings()
            found.load(kept.items())
    assert found.near(["a1b2"], NOON_MS, NOON_MS + HOUR) == expected, name


def test_gaps_are_named_once_and_not_without_end():
    found = seen(batch(at(0, NOON_MS)), gaps=[GAP])
    assert found.near(["a1b2"], NOON_MS, NOON_MS) == Nearby(gaps=(GAP[1],))
    found.note(batch(at(1, NOON_MS)), [(n, f"gap {n}") for n in range(100)])
    assert len(found.near(["a1b2"], NOON_MS, NOON_MS).gaps) == MOST_GAPS


def test_a_gap_before_any_readable_line_waits_for_one():
    found = seen(batch(), gaps=[GAP])
    found.note(batch(at(0, NOON_MS)))
    assert found.near(["a1b2"], NOON_MS, NOON_MS) == Nearby(gaps=(GAP[1],))


def test_what_is_older_than_any_look_back_is_forgotten():
    found = seen(batch(at(0, NOON_MS), rejects=[50]))
    found.take_dirty()
    found.forget(NOON_MS + 31 * DAY)
    assert found.near(["a1b2"], NOON_MS, NOON_MS) == Nearby(rejected=1)
    found.forget(NOON_MS + 32 * DAY)
    assert found.near(["a1b2"], NOON_MS, NOON_MS) == Nearby()
    assert [value for _, value in found.take_dirty()] == [b""]


def test_the_hours_kept_are_bounded(monkeypatch):
    monkeypatch.setattr("incidents.coverage.MOST_HOURS", 2)
    found = seen(*(batch(at(0, NOON_MS + n * HOUR), rejects=[50]) for n in range(3)))
    assert found.near(["a1b2"], NOON_MS, NOON_MS + 3 * HOUR) == Nearby(rejected=2)


WHO = principal("u-66")


def attacked(**changes):
    world = World()
    world.fold(foreign(WHO, T0, "v-1", event="log-0"), finding(WHO, T0, evidence=("log-0",)))
    return world


def test_an_incident_says_what_its_logs_lack_also_when_that_comes_later():
    world = attacked()
    assert world.only().coverage.complete
    first = world.only().version
    late = batch(at(0, T0, late=True), rejects=[50], source="log")
    world.desk.surroundings.note(late, [(60, "a.log: cut off")])
    world.fold()
    found = world.only()
    assert (found.coverage.late, found.coverage.rejected) == (1, 1)
    assert (found.coverage.gaps, found.coverage.complete) == (("a.log: cut off",), False)
    assert found.version == first + 1
    world.restart()
    world.fold(foreign(WHO, T0 + MINUTE, "v-2"))
    assert world.only().coverage.rejected == 1


FAR = [
    ("another log", batch(at(0, T0), rejects=[50], source="cafe")),
    ("long after", batch(at(0, T0 + HOUR), rejects=[50], source="log")),
]


@pytest.mark.parametrize(("name", "one"), FAR, ids=[c[0] for c in FAR])
def test_what_lies_elsewhere_changes_no_incident(name, one):
    world = attacked()
    before = world.only()
    world.desk.surroundings.note(one)
    world.fold()
    assert world.only() == before, name


def test_a_past_incident_stays_as_it_is():
    world = attacked()
    before = world.desk.set_status(world.only().id, "resolved")
    world.desk.surroundings.note(batch(at(0, T0), rejects=[50], source="log"))
    world.fold()
    assert world.desk.incident(before.id) == before
