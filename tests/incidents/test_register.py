import pytest

from incidents.register import Register
from tests.incidents._world import (
    DAY,
    HOUR,
    SECOND,
    T0,
    Store,
    address,
    finding,
    first_id,
    foreign,
    net,
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


NET, ONE, TWO = net("2001:db8::/64"), address("2001:db8::1"), address("2001:db8::2")
UNJUDGED = {"verdict": "undetermined", "fingerprint": "curl"}


def counted(into):
    """(incident, whom it names as merged, whose data) of each."""
    return sorted(
        (
            group.id,
            sorted(case.id for case in group.cases if case.id != group.id),
            into.impact([group], frozenset()).users,
        )
        for group in into.groups.values()
    )


def group_of(into):
    (group,) = into.groups.values()
    return group


def of_net(time_ms, **changes):
    ips = ("2001:db8::1", "2001:db8::2", "2001:db8::3")
    return finding(NET, time_ms, ips=ips, **changes)


def test_the_case_of_a_64_counts_what_any_of_its_addresses_did():
    before = [foreign(address(f"2001:db8::{n}"), T0 - n, f"v{n}") for n in range(1, 4)]
    beside = [foreign(address("2001:db8:0:1::1"), T0, "w1"), foreign(address("192.0.2.1"), T0, "w")]
    into, store = register(*before, *beside)
    case = add(into, of_net(T0))
    after = foreign(address("2001:db8::ffff"), T0 + 1, "v4")
    store.items.append(after)
    assert into.add_exposure(after) is case
    assert into.add_exposure(foreign(address("2001:db8:0:1::1"), T0 + 1, "w2")) is None
    assert counted(into) == [(case.id, [], ("v1", "v2", "v3", "v4"))]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
def test_a_64_takes_over_from_its_addresses_and_nothing_counts_twice(order):
    into, _ = register(*(foreign(ip, T0 + n, f"v{n}") for n in (0, 1) for ip in (ONE, TWO)))
    made = [
        finding(ONE, T0),
        finding(TWO, T0 + SECOND),
        of_net(T0 + 2 * SECOND),
        finding(address("2001:db8::3"), T0 + 3 * SECOND),
    ]
    for n in order:
        add(into, made[n])
    (only,) = counted(into)
    assert (only[0], only[2]) == (first_id(ONE), ("v0", "v1"))
    (group,) = into.groups.values()
    assert {row.user: row.reads for row in into.impact([group], frozenset()).rows} == {
        "v0": 2, "v1": 2,
    }  # fmt: skip
    assert set(group.findings()) == {one.id for one in made}
    assert [case.actor for case in group.cases if not case.held] == [NET]


def test_what_an_address_was_looked_back_for_still_counts():
    """It did so day by day; its /64 begins later and meets a quiet day sooner."""
    far = [foreign(ONE, T0 - hours * HOUR, f"v{hours}") for hours in (1, 25, 49)]
    into, _ = register(*far)
    add(into, finding(ONE, T0))
    add(into, of_net(T0 + 20 * HOUR))
    (only,) = counted(into)
    assert only[2] == ("v1", "v25", "v49")


def test_who_walked_alone_makes_no_victims_of_what_the_others_read():
    walk = [foreign(ONE, T0 + n, f"v{n}", **UNJUDGED) for n in range(3)]
    own = [foreign(TWO, T0 + n, "w", **UNJUDGED) for n in range(3)]
    into, _ = register(*walk, *own, foreign(TWO, T0, "x"))
    add(into, finding(ONE, T0, undetermined=True, fingerprints=("curl",)))
    add(into, of_net(T0 + SECOND))
    assert [users for *_, users in counted(into)] == [("v0", "v1", "v2", "x")]


def test_a_64_that_walked_together_is_one():
    walk = [foreign(address(f"2001:db8::{n}"), T0 + n, f"v{n}", **UNJUDGED) for n in range(3)]
    other = foreign(ONE, T0, "w", verdict="undetermined", fingerprint="firefox")
    into, _ = register(*walk, other)
    add(into, of_net(T0, undetermined=True, fingerprints=("curl",)))
    assert [users for *_, users in counted(into)] == [("v0", "v1", "v2")]


def test_a_day_apart_an_address_and_its_64_are_two():
    into, store = register(foreign(ONE, T0, "v0"))
    add(into, finding(ONE, T0))
    into.frontier_ms = T0 + 3 * DAY
    store.items.append(foreign(TWO, T0 + 3 * DAY, "v1"))
    case = add(into, of_net(T0 + 3 * DAY))
    assert counted(into) == sorted([(first_id(ONE), [], ("v0",)), (case.id, [], ("v1",))])


def test_a_64_and_its_addresses_are_not_split():
    into, _ = register()
    add(into, finding(ONE, T0))
    add(into, of_net(T0 + SECOND))
    (group,) = into.groups.values()
    for actor in (ONE, NET):
        with pytest.raises(ValueError, match="it is no joined actor of it"):
            into.split(group, actor)


def test_after_a_restart_and_when_it_is_over_the_64_counts_the_same():
    into, store = register(*(foreign(ip, T0, ip.value) for ip in (ONE, TWO)))
    add(into, finding(ONE, T0))
    add(into, of_net(T0 + SECOND))
    again = Register(store, DAY)
    again.frontier_ms = into.frontier_ms
    again.load(into.groups.values())
    assert counted(again) == counted(into)
    assert add(again, of_net(T0 + SECOND)) is None
    late = foreign(address("2001:db8::9"), T0 + 2, "v9")
    store.items.append(late)
    assert again.add_exposure(late) in group_of(again).cases
    again.retire(group_of(again))
    assert counted(again)[0][2] == ("2001:db8::1", "2001:db8::2", "v9")
    assert again.add_exposure(foreign(TWO, T0 + 3, "v10")) is None
