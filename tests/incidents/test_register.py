import pytest

from incidents.register import Register
from tests.incidents._world import (
    DAY,
    HOUR,
    SECOND,
    T0,
    Store,
    finding,
    first_id,
    foreign,
    principal,
    session,
)

A, B, S = principal("u-1"), principal("u-2"), session("s")


class Counting(Store):
    calls = 0

    def exposures_of(self, actors, since_ms, until_ms):
        self.calls += 1
        return super().exposures_of(actors, since_ms, until_ms)


def register(*exposures):
    store = Counting()
    store.items = list(exposures)
    made = Register(store, DAY)
    made.frontier_ms = max([T0, *(exposure.time_ms for exposure in exposures)])
    return made, store


def add(into, made, member=None):
    return into.add_finding(made, member or made.actor, made.end_ms, T0 - 30 * DAY)


def test_an_exposure_of_nobody_known_costs_no_query():
    into, store = register()
    add(into, finding(A, T0))
    calls = store.calls
    for n in range(100):
        assert into.add_exposure(foreign(principal(f"x-{n}"), T0, "v")) is None
        assert into.add_exposure(foreign(session(f"x-{n}"), T0, "v")) is None
    assert store.calls == calls


def test_a_growing_case_costs_no_query():
    into, store = register()
    case = add(into, finding(A, T0))
    calls = store.calls
    for n in range(100):
        assert into.add_exposure(foreign(A, T0 + n, f"v-{n}")) is case
    assert store.calls == calls
    assert into.reached(into.group_of[case.id]) == 100


def test_a_shared_session_is_counted_once():
    shared = foreign(S, T0, "v0")
    into, _ = register(shared)
    add(into, finding(A, T0, sessions=("s",)))
    add(into, finding(B, T0 + 1, sessions=("s",)))
    (group,) = into.groups.values()
    assert into.impact([group], frozenset()).rows[0].reads == 1
    add(into, finding(S, T0 + 2))
    assert into.impact([group], frozenset()).rows[0].reads == 1
    assert [case.actor for case in group.cases] == [A, B, S]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_who_joins_whom_does_not_depend_on_the_order(order):
    into, _ = register()
    made = [
        finding(A, T0, sessions=("s",)),
        finding(B, T0 + SECOND, sessions=("t",)),
        finding(principal("u-3"), T0 + 2 * SECOND, sessions=("s", "t")),
    ]
    for n in order:
        add(into, made[n])
    (group,) = into.groups.values()
    assert group.id == first_id(A)
    assert [case.actor.value for case in group.cases] == ["u-1", "u-2", "u-3"]


def test_retired_groups_take_in_nothing_and_can_still_be_counted():
    exposures = [foreign(A, T0, "v1", session="s"), foreign(S, T0 + 1, "v2")]
    into, store = register(*exposures)
    case = add(into, finding(A, T0))
    group = into.group_of[case.id]
    into.retire(group)
    store.items.append(foreign(A, T0 + HOUR, "v3"))
    assert into.add_exposure(store.items[-1]) is None
    assert into.impact([group], frozenset()).users == ("v1", "v2")
    assert case.last_ms == T0 + 1


def test_sweep_retires_what_is_quiet_at_most_hourly():
    into, _ = register()
    case = add(into, finding(A, T0))
    assert into.sweep(T0 + 2 * DAY)
    assert not into.group_of[case.id].retired
    assert not into.sweep(T0 + 2 * DAY + HOUR - 1)
    assert into.sweep(T0 + 3 * DAY)
    assert into.group_of[case.id].retired
