import pytest

from records.event import Actor
from records.ids import event_id


def test_lines_once_an_event(store, make):
    lines = [make.line(n, b"line \xff\x00 %d" % n) for n in range(3)]
    store.add_lines(lines)
    store.add_lines([make.line(1, b"another")])
    store.add_lines([])
    events = [line.event for line in lines]
    assert list(store.lines([*reversed(events), "a1b2-999"])) == sorted(
        lines, key=lambda line: line.event
    )
    assert store.digests([events[1], events[1], "none"]) == {events[1]: lines[1].sha256}
    assert list(store.lines([])) == []


def test_an_event_of_two_lines(store, make):
    """Its other line is found from it, kept with it, and forgotten with it."""
    store.add_lines([make.line(n) for n in range(4)], at_ms=0)
    one, other, old, old_other = (make.line(n).event for n in range(4))
    store.add_halves({one: other, old: old_other})
    assert store.with_halves([old, "none", one]) == [old, old_other, "none", one, other]
    assert store.with_halves(["none"]) == ["none"]
    store.put_findings([make.finding(evidence=(one,))])
    assert store.prune(1, 0)["lines"] == 2
    assert store.digests([one, other, old, old_other]).keys() == {one, other}
    assert store.with_halves([one, old]) == [one, other, old]


def test_masked_line_comes_back_as_such(store, make):
    line = make.line(0, masked=True)
    store.add_lines([line])
    assert list(store.lines([line.event])) == [line]


def test_findings_new_ones_and_order(store, make):
    a, b, c = (
        make.finding("fin-a", end_ms=30),
        make.finding("fin-b", end_ms=10),
        make.finding("fin-c", end_ms=10),
    )
    assert store.put_findings([a, c]) == [a, c]
    changed = make.finding("fin-a", message="changed")
    assert store.put_findings([changed, b, b]) == [b]
    assert list(store.findings()) == [b, c, a]
    assert list(store.findings(["fin-a", "fin-c", "fin-x"])) == [c, a]
    assert list(store.findings([])) == []
    assert store.finding("fin-a") == a


def test_many_finding_ids_keep_the_order(store, make):
    findings = [make.finding(f"fin-{n:04}", end_ms=n * 7919 % 1201) for n in range(1201)]
    with store.transaction():
        store.put_findings(findings)
    assert list(store.findings([f.id for f in findings])) == sorted(
        findings, key=lambda f: (f.end_ms, f.id)
    )


def test_incident_is_replaced_by_a_higher_version_only(store, make):
    one, two = make.incident(version=1), make.incident(version=2, title="Grown")
    assert store.put_incidents([two]) == [two]
    assert store.put_incidents([one]) == []
    assert store.put_incidents([make.incident(version=2, title="Other")]) == []
    assert store.incident("inc-1") == two


def test_incidents_by_first_seen_without_the_absorbed(store, make):
    late, early, gone = (
        make.incident("inc-a", first_seen_ms=50, merged=("inc-c",)),
        make.incident("inc-b", first_seen_ms=10),
        make.incident("inc-c", first_seen_ms=20),
    )
    store.put_incidents([late, early, gone])
    assert list(store.incidents()) == [early, late]
    assert list(store.incidents(absorbed=True)) == [early, gone, late]


def test_versions_of_all_incidents(store, make):
    store.put_incidents([make.incident("inc-a"), make.incident("inc-b", merged=("inc-a",))])
    store.put_incidents([make.incident("inc-b", merged=("inc-a",), version=4)])
    assert store.incident_versions() == {"inc-a": 1, "inc-b": 4}


def test_absorbed_incident_leads_to_its_absorber(store, make):
    top = make.incident("inc-top", merged=("inc-mid",))
    mid = make.incident("inc-mid", merged=("inc-low", "inc-never-stored"))
    store.put_incidents([make.incident("inc-low"), mid, top])
    for name in ("inc-low", "inc-mid", "inc-top", "inc-never-stored", "low"):
        assert store.incident(name) == top
    # A split gives it back.
    store.put_incidents([make.incident("inc-mid", version=2, merged=())])
    assert store.incident("inc-low") == make.incident("inc-low")


def test_incidents_that_name_each_other_end_the_search(store, make):
    store.put_incidents([make.incident("inc-a", merged=("inc-b",))])
    store.put_incidents([make.incident("inc-b", merged=("inc-a",))])
    assert store.incident("inc-a").id in {"inc-a", "inc-b"}


PREFIXES = [
    ("inc-12", "inc-12"),
    ("inc-123", "inc-123"),
    ("inc-4", "inc-456"),
    ("456", "inc-456"),
    ("4", "inc-456"),
    ("12", "inc-12"),
    ("inc-9", None),
    ("", None),
    ("%", None),
]


@pytest.mark.parametrize(("typed", "found"), PREFIXES)
def test_ids_can_be_typed_short(store, make, typed, found):
    store.put_incidents([make.incident(i) for i in ("inc-12", "inc-123", "inc-456")])
    incident = store.incident(typed)
    assert (incident.id if incident else None) == found


def test_prefix_of_several_is_refused(store, make):
    store.put_incidents([make.incident(i) for i in ("inc-12", "inc-13")])
    store.put_findings([make.finding(i) for i in ("fin-12", "fin-13")])
    with pytest.raises(
        LookupError, match=r"'inc-1' begins more than one incident \(inc-12, inc-13\)"
    ):
        store.incident("inc-1")
    with pytest.raises(LookupError, match="'1' begins more than one finding"):
        store.finding("1")
    assert store.finding("fin-x") is None


DAY_MS = 86_400_000


def test_prune_keeps_what_is_young_or_referred_to(store, make):
    suspect, other, member = (
        Actor("ip", "192.0.2.66"), Actor("ip", "192.0.2.1"), Actor("session", "5e55")
    )  # fmt: skip
    now_ms = make.noon_ms + 40 * DAY_MS
    young_ms = now_ms - 30 * DAY_MS
    old = [make.exposure(n, actor) for n, actor in enumerate((suspect, other, member))]
    young = [make.exposure(10, other, time_ms=young_ms)]
    store.add_exposures([*old, *young])
    store.add_lines([make.line(n) for n in range(4)], at_ms=make.noon_ms)
    store.add_lines([make.line(10)], at_ms=young_ms)
    evidence = (event_id("a1b2", 0),)
    store.put_findings(
        [make.finding(actor=Actor("subnet", "192.0.2.0/24"), members=(member,), evidence=evidence)]
    )
    store.put_incidents([make.incident(actors=(suspect,))])
    store.log.append_captured(make.line(3), "inc-1", now_ms)

    assert store.prune(now_ms, 30 * DAY_MS) == {"exposures": 1, "lines": 2, "rejects": 0}
    kept = list(store.exposures_of([suspect, other, member], 0, 2**60))
    assert kept == [old[0], old[2], *young]
    assert set(store.digests(event_id("a1b2", n * 100) for n in range(11))) == {
        event_id("a1b2", n * 100) for n in (0, 3, 10)
    }
    # An actor whose rows are gone comes back under no one else's.
    store.add_exposures([make.exposure(20, Actor("ip", "192.0.2.99"))])
    assert list(store.exposures_of([suspect, other, member], 0, 2**60)) == kept


def test_lines_without_a_time_take_that_of_the_newest_exposure(store, make):
    store.add_exposures([make.exposure(5)])
    store.add_lines([make.line(0)])
    newest_ms = make.exposure(5).time_ms
    assert store.prune(newest_ms, 0)["lines"] == 0
    assert store.prune(newest_ms + 1, 0)["lines"] == 1
