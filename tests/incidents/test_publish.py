"""What is given out while owners are asked for, and after."""

import pytest

from records.incident import UnknownObject
from tests.incidents._world import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    World,
    finding,
    foreign,
    principal,
    session,
)
from tests.incidents.test_owners import CARDS, answer, pending

A, B = principal("u-1"), principal("u-2")


class Asked(World):
    """A world in which owners are asked for."""

    def answer(self, *answers):
        folded = self.desk.answer(
            answers, self.watermark_ms, self.history_from_ms, self.watermark_ms
        )
        for incident in folded.incidents:
            before = self.incidents.get(incident.id)
            assert incident.version == (before.version if before else 0) + 1
            self.incidents[incident.id] = incident
        return folded

    def restart(self):
        owners = self.desk.owners.take_dirty()
        self.answers = [*getattr(self, "answers", []), *owners]
        super().restart()
        self.desk.owners.load(self.answers)

    def numbers(self):
        one = self.only()
        return (one.affected_count, one.unknown_objects, one.records_count, one.coverage.gaps)


def cards(*numbers, actor=A, at_ms=T0 + MINUTE, **changes):
    return [pending(actor, at_ms + n, f"c-{n}", **changes) for n in numbers]


def words(count):
    return (f"pending: the owners of {count} object{'s' * (count != 1)} are not known yet",)


def opened(*more):
    """u-1 reached u-11, and asked for three cards."""
    world = Asked()
    world.fold(foreign(A, T0, "u-11"), *cards(1, 2, 3), *more, finding(A, T0))
    return world


def test_until_the_owners_are_known_they_are_pending():
    world = opened()
    assert world.numbers() == (1, 3, 1, words(3))
    assert not world.only().coverage.complete
    assert world.only().last_seen_ms == T0
    assert world.desk.pending() == [(CARDS, f"c-{n}") for n in (1, 2, 3)]
    assert [o.object for o in world.desk.impact(world.only().id).objects] == ["c-1", "c-2", "c-3"]


@pytest.mark.parametrize("restarts", [False, True])
def test_answers_change_it_exactly(restarts):
    world = opened()

    def restarted():
        if restarts:
            world.restart()

    restarted()
    world.answer(answer("c-1", "u-12"), answer("c-2", "u-1"))
    assert world.numbers() == (2, 1, 2, words(1))
    assert world.desk.pending() == [(CARDS, "c-3")]
    restarted()
    world.answer(answer("c-3", "u-11", "u-13"))
    assert world.numbers() == (3, 0, 4, ())
    assert world.only().coverage.complete
    impact = world.desk.impact(world.only().id)
    assert (impact.users, impact.objects) == (("u-11", "u-12", "u-13"), ())
    assert world.only().last_seen_ms == T0 + MINUTE + 3
    assert (world.desk.pending(), world.answer(answer("c-3", "u-19")).incidents) == ([], [])


def test_what_is_nobodys_is_neither_a_victim_nor_unknown():
    world = opened()
    world.answer(*(answer(f"c-{n}") for n in (1, 2, 3)))
    assert world.numbers() == (1, 0, 1, ())


def test_refused_ones_are_asked_for_too():
    world = Asked()
    tried = cards(1, certainty="attempted") + cards(2, certainty="possible")
    world.fold(foreign(A, T0, "u-11"), *tried, finding(A, T0))
    assert world.numbers() == (1, 0, 1, words(2))
    world.answer(answer("c-1", "u-12"), answer("c-2", "u-13"))
    one = world.only()
    assert (one.affected_count, one.affected_upper, one.attempted_count) == (1, 2, 1)


def test_what_nobody_will_be_asked_for_is_unknown_and_not_pending():
    world = Asked()
    world.fold(foreign(A, T0, "u-11"), *cards(*range(117), basis=""), finding(A, T0))
    assert world.numbers() == (1, 117, 1, ())
    assert world.desk.pending() == []
    first = world.desk.impact(world.only().id).objects[0]
    assert first == UnknownObject(
        object="c-0", route=CARDS, effect="read", first_ms=T0 + MINUTE,
        events=(f"log-{T0 + MINUTE:x}-u-1",),
    )  # fmt: skip


def test_answers_that_came_first_are_used_at_once():
    world = Asked()
    world.desk.owners.take([answer("c-1", "u-12"), answer("c-2", "u-1"), answer("c-3")])
    world.fold(foreign(A, T0, "u-11"), *cards(1, 2, 3), finding(A, T0))
    assert world.numbers() == (2, 0, 2, ())


def test_they_make_no_incident_and_prolong_none():
    world = Asked()
    world.fold(*cards(1, 2, 3))
    assert (world.incidents, world.desk.pending()) == ({}, [])
    world.fold(foreign(A, T0, "u-11"), finding(A, T0))
    world.fold(*cards(4, at_ms=T0 + 23 * HOUR))
    world.fold(*cards(5, at_ms=T0 + 25 * HOUR))
    assert (world.numbers()[1], world.only().last_seen_ms) == (4, T0)


def test_known_owners_lead_further_back():
    world = Asked(lookback="1h")
    early = cards(1, at_ms=T0 - 50 * MINUTE) + cards(2, at_ms=T0 - 110 * MINUTE)
    world.fold(*early)
    world.fold(foreign(A, T0, "u-11"), finding(A, T0))
    assert world.desk.pending() == [(CARDS, "c-1")]
    world.answer(answer("c-1", "u-12"))
    assert world.desk.pending() == [(CARDS, "c-2")]
    world.answer(answer("c-2", "u-13"))
    assert world.desk.impact(world.only().id).users == ("u-11", "u-12", "u-13")


@pytest.mark.parametrize("restarts", [False, True])
def test_past_incidents_are_answered_too(restarts):
    world = opened()
    first = world.only().id
    world.fold(foreign(A, T0 + 3 * DAY, "u-18"), finding(A, T0 + 3 * DAY))
    if restarts:
        world.restart()
    assert world.desk.pending() == [(CARDS, f"c-{n}") for n in (1, 2, 3)]
    world.answer(*(answer(f"c-{n}", f"u-1{n + 1}") for n in (1, 2, 3)))
    assert world.incidents[first].affected_count == 4
    assert world.desk.impact(first).users == ("u-11", "u-12", "u-13", "u-14")
    assert world.desk.pending() == []


def test_a_person_closes_an_incident_that_waits():
    world = opened()
    closed = world.desk.set_status(world.only().id, "closed")
    world.incidents[closed.id] = closed
    world.answer(*(answer(f"c-{n}", "u-12") for n in (1, 2, 3)))
    (one,) = world.incidents.values()
    assert (one.status, one.affected_count, one.coverage.gaps) == ("closed", 2, ())


def test_a_session_that_joins_brings_what_it_asked_for():
    world = Asked()
    world.fold(
        foreign(A, T0, "u-11", session="s-1"), finding(A, T0, sessions=("s-1",)),
        *cards(1, actor=session("s-1"), session="s-1", principal="u-1"),
    )  # fmt: skip
    assert world.desk.pending() == [(CARDS, "c-1")]
    world.answer(answer("c-1", "u-12"))
    assert world.numbers() == (2, 0, 2, ())


def test_somebody_found_by_an_answer_joins_by_their_session():
    world = Asked()
    world.fold(foreign(A, T0, "u-11"), foreign(B, T0, "u-12", session="s-2"))
    world.fold(finding(A, T0), finding(B, T0, sessions=("s-2",)))
    world.fold(*cards(1, session="s-2"))
    assert len(world.open()) == 2
    world.answer(answer("c-1", "u-13"))
    assert world.desk.impact(world.only().id).users == ("u-11", "u-12", "u-13")


def test_one_who_turns_out_to_be_an_attacker_leaves_a_fault():
    world = Asked()
    people = [principal(f"p-{n}") for n in range(21)]
    for n, who in enumerate(people):
        world.fold(foreign(who, T0 + n, f"p-9{n:02}"), finding(who, T0 + n))
    (fault,) = world.open().values()
    assert (fault.cause, fault.affected_count) == ("fault", 21)
    world.fold(*cards(*range(30), actor=people[0]))
    assert world.open()[fault.id].coverage.gaps == words(30)
    world.answer(*(answer(f"c-{n}", f"p-1{n:02}") for n in range(30)))
    one = {item.cause: item for item in world.open().values()}
    assert (one["attack"].actors[0], one["attack"].affected_count) == (people[0], 31)
    assert one["fault"].coverage.gaps == ()


def test_the_breach_does_not_rest_on_what_is_still_asked_for():
    world = Asked()
    trap = finding(A, T0, rule="canary", users=())
    world.fold(foreign(A, T0, "u-11", certainty="attempted"), *cards(1, 2), trap)
    assert (world.only().unknown_objects, world.only().breach) == (2, False)
    world.answer(answer("c-1", "u-1"))
    assert (world.only().unknown_objects, world.only().breach) == (1, False)
    world.answer(answer("c-2", "u-12"))
    assert (world.only().unknown_objects, world.only().breach) == (0, True)
