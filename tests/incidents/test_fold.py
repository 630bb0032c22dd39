import pytest

from incidents.fold import Folded
from incidents.settings import NeverBlock
from records.incident import Account, Guard, Receipt
from tests.incidents._world import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    T0,
    World,
    address,
    finding,
    first_id,
    foreign,
    principal,
    session,
)

A, B, C = principal("u-1"), principal("u-2"), principal("u-3")
S = session("5e55")
IP = address("198.51.100.4")


def test_an_empty_batch_gives_nothing():
    assert World().fold() == Folded([], [])


def test_exposures_of_an_actor_without_an_incident_change_nothing():
    assert World().fold(foreign(A, T0, "v1")) == Folded([], [])


def test_one_attack():
    world = World()
    world.fold(
        foreign(A, T0, "v1"),
        foreign(A, T0 + SECOND, "v2", effect="write", category="financial"),
        foreign(A, T0 + SECOND * 2, "v3", certainty="possible"),
        foreign(A, T0 + SECOND * 3, "v4", certainty="attempted"),
        finding(A, T0, end_ms=T0 + SECOND),
    )
    incident = world.only()
    assert incident.id == first_id(A)
    assert (incident.severity, incident.breach, incident.cause) == ("SEV1", True, "attack")
    assert incident.title == "u-1 reached the data of 2 people (cross_user_read)"
    assert incident.actors == (A, address("203.0.113.7"))
    assert (incident.affected_count, incident.affected_upper, incident.attempted_count) == (2, 3, 1)
    assert (incident.records_count, incident.categories) == (2, ("financial", "profile"))
    assert (incident.first_seen_ms, incident.last_seen_ms) == (T0, T0 + 3 * SECOND)
    assert incident.awareness_ms == T0 + SECOND
    assert world.desk.impact(incident.id).users == ("v1", "v2")


SEVERITIES = [
    ("breach, however low the finding", "low", "proven", "SEV1", True),
    ("presumed is a breach too", "medium", "presumed", "SEV1", True),
    ("critical, nothing reached", "critical", "attempted", "SEV2", False),
    ("high, nothing certain", "high", "possible", "SEV2", False),
    ("medium", "medium", "attempted", "SEV3", False),
    ("low", "low", "attempted", "SEV4", False),
]


@pytest.mark.parametrize(
    ("severity", "certainty", "expected", "breach"),
    [case[1:] for case in SEVERITIES],
    ids=[case[0] for case in SEVERITIES],
)
def test_severity_and_breach(severity, certainty, expected, breach):
    world = World()
    world.fold(foreign(A, T0, "v1", certainty=certainty), finding(A, T0, severity=severity))
    assert (world.only().severity, world.only().breach) == (expected, breach)


def test_growth_is_a_new_version_and_nothing_new_is_none():
    world = World()
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    grown = foreign(A, T0 + MINUTE, "v2")
    assert [i.version for i in world.fold(grown).incidents] == [2]
    assert world.only().affected_count == 2
    assert world.fold(grown) == Folded([], [])


def test_the_same_finding_again_changes_nothing():
    world = World()
    again = finding(A, T0)
    world.fold(foreign(A, T0, "v1"), again)
    assert world.fold(again) == Folded([], [])


def test_look_back_goes_on_while_a_step_has_foreign_events():
    world = World()
    world.fold(foreign(A, T0 - 10 * HOUR, "v1"))
    world.fold(foreign(A, T0 - 40 * HOUR, "v2"))
    world.fold(foreign(A, T0 - 100 * HOUR, "too-old"))
    world.fold(foreign(A, T0, "v3"), finding(A, T0))
    incident = world.only()
    assert world.desk.impact(incident.id).users == ("v1", "v2", "v3")
    assert incident.first_seen_ms == T0 - 40 * HOUR
    assert incident.coverage.from_ms == T0 - 3 * DAY
    assert incident.coverage.complete


def test_look_back_that_meets_the_edge_says_so():
    world = World()
    world.history_from_ms = T0 - HOUR
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    assert (world.only().coverage.from_ms, world.only().coverage.complete) == (T0 - HOUR, False)


def test_nat_neighbours_are_neither_victims_nor_attackers():
    world = World()
    ip = "198.51.100.4"
    world.fold(
        foreign(A, T0, "v1", ip=ip),
        foreign(B, T0, "b-target", ip=ip),
        foreign(IP, T0, "ip-target"),
        finding(A, T0, ips=(ip,)),
    )
    assert world.only().actors == (A, IP)
    assert world.desk.impact(world.only().id).users == ("v1",)


def test_a_finding_of_an_address_belongs_to_each_member_and_joins_nobody():
    world = World()
    world.fold(
        foreign(A, T0, "v1"),
        foreign(B, T0, "v2"),
        finding(IP, T0, members=(A, B), rule="identity_fanout", sessions=("s-a", "s-b")),
    )
    assert set(world.open()) == {first_id(A), first_id(B)}
    assert world.desk.impact(first_id(A)).users == ("v1",)
    assert [action.target for action in world.blocks()] == ["198.51.100.4"]


def test_a_shared_session_joins_and_the_older_keeps_its_id():
    world = World()
    world.fold(foreign(A, T0, "v1", session="s"), finding(A, T0))
    world.fold(foreign(B, T0 + MINUTE, "v2"), finding(B, T0 + MINUTE))
    assert set(world.open()) == {first_id(A), first_id(B)}
    world.fold(foreign(B, T0 + 2 * MINUTE, "v3", session="s"))
    incident = world.only()
    assert (incident.id, incident.merged) == (first_id(A), (first_id(B),))
    assert world.incidents[first_id(B)].status == "closed"
    assert incident.actors == (A, B, session("s"), address("203.0.113.7"))
    assert world.desk.impact(first_id(B)).users == ("v1", "v2", "v3")


def test_a_finding_of_the_session_belongs_to_its_principal_too():
    world = World()
    world.fold(foreign(A, T0, "v1", session="5e55"), finding(A, T0))
    world.fold(foreign(S, T0 + MINUTE, "v2"))
    assert world.desk.impact(first_id(A)).users == ("v1", "v2")
    world.fold(finding(S, T0 + MINUTE))
    incident = world.only()
    assert (incident.id, incident.merged) == (first_id(A), (first_id(S),))
    assert (incident.affected_count, incident.records_count) == (2, 2)


def test_a_session_that_the_finding_alone_names_joins():
    world = World()
    world.fold(foreign(S, T0 - MINUTE, "v2"))
    world.fold(foreign(A, T0, "v1"), finding(A, T0, sessions=("5e55",)))
    assert world.desk.impact(first_id(A)).users == ("v1", "v2")


def test_split_undoes_a_merge_for_good():
    world = World()
    world.fold(foreign(A, T0, "v1", session="s"), finding(A, T0))
    world.fold(foreign(B, T0 + MINUTE, "v2", session="s"), finding(B, T0 + MINUTE))
    joined = world.only()
    parts = {incident.id: incident for incident in world.desk.split(joined.id, B)}
    assert set(parts) == {first_id(A), first_id(B)}
    assert all(part.merged == () for part in parts.values())
    assert parts[joined.id].version == joined.version + 1
    world.incidents |= parts
    world.restart()
    world.fold(foreign(B, T0 + 2 * MINUTE, "v3", session="s"))
    assert world.desk.impact(first_id(A)).users == ("v1",)
    assert world.desk.impact(first_id(B)).users == ("v2", "v3")


def test_splitting_off_the_oldest_leaves_the_rest_with_an_id_of_its_own():
    world = World()
    world.fold(foreign(A, T0, "v1", session="s"), finding(A, T0))
    world.fold(foreign(B, T0 + MINUTE, "v2", session="s"), finding(B, T0 + MINUTE))
    parts = {incident.id: incident for incident in world.desk.split(first_id(A), A)}
    assert set(parts) == {first_id(A), first_id(B)}
    assert world.desk.impact(first_id(B)).users == ("v2",)


@pytest.mark.parametrize("actor", [C, A])
def test_split_of_nobody_is_refused(actor):
    world = World()
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    with pytest.raises(ValueError, match="is no joined actor"):
        world.desk.split(first_id(A), actor)


def test_after_a_day_of_quiet_there_is_a_new_incident():
    world = World()
    later = T0 + 30 * HOUR
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    world.fold(foreign(A, T0 + 23 * HOUR, "v2"))
    world.fold(foreign(A, later, "v3"), finding(A, later))
    assert set(world.open()) == {first_id(A)}
    much_later = later + 25 * HOUR
    world.fold(foreign(A, much_later, "v4"), finding(A, much_later))
    assert set(world.open()) == {first_id(A), first_id(A, much_later)}
    assert world.desk.impact(first_id(A)).users == ("v1", "v2", "v3")
    assert world.desk.impact(first_id(A, much_later)).users == ("v4",)


def test_quiet_does_not_depend_on_what_came_in_the_same_batch():
    first, last = foreign(A, T0, "v1"), foreign(A, T0 + 3 * DAY, "v9")
    one = [finding(A, T0), finding(A, T0 + MINUTE, severity="critical"), finding(A, last.time_ms)]
    whole, parts = World(), World()
    for world in (whole, parts):
        world.fold(first, one[0])
    whole.fold(foreign(A, T0 + MINUTE, "v2"), last, *one[1:])
    parts.fold(foreign(A, T0 + MINUTE, "v2"), one[1])
    parts.fold(last, one[2])
    assert whole.outcome() == parts.outcome()
    assert len(whole.open()) == 2


def test_own_accounts_are_left_out_and_named():
    world = World()
    world.fold(
        foreign(A, T0, "u-2", session="s"),
        foreign(A, T0 + 1, "v1", session="s"),
        finding(A, T0),
        foreign(B, T0 + 2, "u-1", session="s", certainty="attempted"),
        finding(B, T0 + 2),
    )
    incident = world.only()
    assert world.desk.impact(incident.id).users == ("v1",)
    assert incident.actor_accounts == (Account("u-2", "possibly_compromised"),)
    world.fold(foreign(B, T0 + 3, "v2", session="s"), foreign(B, T0 + 4, "u-1", session="s"))
    assert world.only().actor_accounts == (Account("u-1", "own"), Account("u-2", "colluding"))


def test_without_a_principal_nobody_is_left_out():
    world = World()
    world.fold(
        foreign(S, T0, "u-1", principal="u-1", provenance="asserted"), finding(S, T0, principal="")
    )
    assert world.desk.impact(world.only().id).users == ("u-1",)
    assert world.only().actor_accounts == ()


def test_an_address_that_a_client_wrote_is_no_actor():
    world = World()
    world.fold(
        foreign(A, T0, "v1"),
        finding(A, T0, ips=("192.0.2.9", "203.0.113.7"), untrusted_ips=("192.0.2.9",)),
    )
    assert world.only().actors == (A, address("203.0.113.7"))


def test_undetermined_exposures_count_only_where_a_fan_out_decided():
    world = World()
    ip = "198.51.100.4"
    burst = [
        foreign(IP, T0 + n * MINUTE, f"v{n:02}", verdict="undetermined", fingerprint="curl")
        for n in range(12)
    ]
    others = [
        foreign(IP, T0 + 3 * MINUTE, "neighbour", verdict="undetermined", fingerprint="firefox"),
        foreign(IP, T0 - 20 * MINUTE, "before", verdict="undetermined", fingerprint="curl"),
    ]
    world.fold(*others, *burst[:6], finding(IP, T0, rule="denied_burst", ips=(ip,)))
    assert world.desk.impact(first_id(IP)).users == ()
    fan_out = finding(
        IP,
        T0 + 2 * MINUTE,
        end_ms=T0 + 5 * MINUTE,
        rule="identity_fanout",
        undetermined=True,
        fingerprints=("curl",),
    )
    world.fold(fan_out)
    assert world.desk.impact(first_id(IP)).users == tuple(f"v{n:02}" for n in range(6))
    # the one that closes a gap comes after the one beyond it
    world.fold(burst[11])
    world.fold(*burst[6:11])
    gap = foreign(IP, T0 + 30 * MINUTE, "after", verdict="undetermined", fingerprint="curl")
    world.fold(gap)
    assert world.desk.impact(first_id(IP)).users == tuple(f"v{n:02}" for n in range(12))


def test_a_late_exposure_still_counts():
    world = World()
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    world.fold(foreign(A, T0 - 20 * HOUR, "late"))
    world.fold(foreign(A, T0 - 44 * HOUR, "later still"))
    assert world.desk.impact(first_id(A)).users == ("late", "later still", "v1")
    assert world.only().first_seen_ms == T0 - 44 * HOUR


def test_awareness_is_wall_time_in_the_live_service():
    world = World(event_time=False)
    world.fold(foreign(A, T0, "v1"), finding(A, T0), now_ms=T0 + 5 * SECOND)
    world.fold(foreign(A, T0 + MINUTE, "v2"), now_ms=T0 + MINUTE)
    assert world.only().awareness_ms == T0 + 5 * SECOND


def receipt(action, **changes):
    values = {"state": "confirmed", "at_ms": T0, "point": "gateway", "detail": "200"}
    return Receipt(action=action, **{**values, **changes})


RECEIPTS = [
    ("a confirmed block contains", "enforce", {}, "contained"),
    ("after approval too", "approval", {}, "contained"),
    ("a simulated one does not", "simulate", {}, None),
    ("nor a failed one", "enforce", {"state": "failed"}, None),
]


@pytest.mark.parametrize(
    ("mode", "changes", "status"), [c[1:] for c in RECEIPTS], ids=[c[0] for c in RECEIPTS]
)
def test_receipts(mode, changes, status):
    world = World(mode=mode)
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    (block,) = world.blocks()
    incident = world.desk.apply(receipt(block.id, **changes))
    assert (incident.status if incident else None) == status


def test_receipts_of_evidence_or_of_nothing_known_contain_nothing():
    world = World(mode="enforce")
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    (capture,) = (a for a in world.actions.values() if a.kind == "capture_evidence")
    assert world.desk.apply(receipt(capture.id, point="evidence")) is None
    assert world.desk.apply(receipt("act-unknown")) is None


def test_a_person_closes_and_the_next_finding_opens_another():
    world = World()
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    closed = world.desk.set_status(first_id(A), "resolved")
    assert (closed.status, closed.version) == ("resolved", 2)
    world.incidents[closed.id] = closed
    world.fold(foreign(A, T0 + HOUR, "v2"), finding(A, T0 + HOUR))
    assert len(world.open()) == 2
    assert world.desk.impact(first_id(A)).users == ("v1",)
    with pytest.raises(ValueError, match="it is resolved already"):
        world.desk.set_status(first_id(A), "open")


def test_an_unknown_incident_is_said_so():
    with pytest.raises(LookupError, match="no such incident"):
        World().desk.set_status("inc-none", "closed")


def test_memory_of_past_incidents_is_bounded(monkeypatch):
    monkeypatch.setattr("incidents.register.MOST_RETIRED", 5)
    world = World()
    for day in range(30):
        actor = principal(f"u-{day}")
        world.fold(foreign(actor, T0 + day * DAY, "v1"), finding(actor, T0 + day * DAY))
    world.kept |= dict(world.desk.take_dirty())
    assert sum(key.startswith("incident/") and bool(v) for key, v in world.kept.items()) == 8
    world.restart()
    assert world.desk.impact(first_id(principal("u-29"), T0 + 29 * DAY)).users == ("v1",)
    with pytest.raises(LookupError):
        world.desk.impact(first_id(principal("u-1"), T0 + DAY))


def test_recheck_sees_neighbours_who_came_into_view_since():
    world = World(mode="enforce")
    world.crowd("192.0.2.1", "someone")
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    (block,) = world.blocks()
    assert world.desk.recheck(block, T0 + SECOND).verdict == "pass"
    world.crowd("203.0.113.7", "n1", "n2", "n3", "n4")
    assert world.desk.recheck(block, T0 + SECOND).verdict == "refuse"


def test_recheck_obeys_a_list_that_was_read_anew():
    world = World(mode="enforce")
    world.crowd("192.0.2.1", "someone")
    world.fold(foreign(A, T0, "v1"), finding(A, T0))
    (block,) = world.blocks()
    world.desk.relist([NeverBlock(cidr="203.0.113.7", reason="head office")])
    assert world.desk.recheck(block, T0 + SECOND) == Guard(
        "refuse", "203.0.113.7 is on the never-block list: 203.0.113.7/32 (head office)"
    )
    world.desk.relist([])
    assert world.desk.recheck(block, T0 + SECOND).verdict == "pass"
