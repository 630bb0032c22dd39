"""Properties of the engine that hold over any traffic, not of any one rule."""

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine, discover
from records.kinds import CONFIDENCE_CAP, ENFORCEMENT_CONFIDENCE, TRUSTED
from tests.detectors._traffic import reordered, traffic

many = settings(max_examples=80, deadline=None)
CAPS = set(CONFIDENCE_CAP.values())


def key_of(finding):
    return finding.rule, finding.actor, finding.episode_day, finding.episode_ordinal


@many
@given(traffic)
def test_rules_do_not_influence_one_another(signals):
    together = Engine().observe(signals)
    for kind in discover():
        others = {other.id: {"enabled": False} for other in discover() if other is not kind}
        assert Engine(others).observe(signals) == [f for f in together if f.rule == kind.id]


@many
@given(traffic)
def test_a_finding_rests_on_signals_that_were_there(signals):
    by_event = {signal.event: signal for signal in signals}
    for finding in Engine().observe(signals):
        deciding = [by_event[event] for event in finding.evidence]
        named = {t for s in deciding for t in (*s.targets, *s.canaries, s.claimed)}
        assert set(finding.users) <= named
        actors = {s.actor for s in deciding}
        if finding.actor.type == "subnet":
            # Its addresses are one client.
            actors = {finding.actor if actor.type == "ip" else actor for actor in actors}
        assert actors == set(finding.members)
        assert {s.ip for s in deciding} == set(finding.ips)
        assert finding.start_ms == min(s.time_ms for s in deciding)
        assert finding.end_ms == max(s.time_ms for s in deciding)
        assert list(finding.evidence) == sorted(
            finding.evidence, key=lambda event: (by_event[event].time_ms, event)
        )


@many
@given(traffic)
def test_nothing_is_sure_that_nobody_vouched_for(signals):
    by_event = {signal.event: signal for signal in signals}
    for finding in Engine().observe(signals):
        if finding.confidence >= ENFORCEMENT_CONFIDENCE:
            assert not finding.undetermined
            for signal in map(by_event.__getitem__, finding.evidence):
                assert (signal.credentials or signal.provenance) in TRUSTED


@many
@given(traffic)
def test_a_severity_comes_once_an_episode(signals):
    findings = Engine().observe(signals)
    # A severity may come for each of several clients behind an address: their ids say which.
    assert len(findings) == len({finding.id for finding in findings})
    found = [(*key_of(f), f.severity) for f in findings if not f.undetermined]
    assert len(found) == len(set(found))


@many
@given(st.data())
def test_a_duplicate_delivery_adds_nothing(data):
    signals = data.draw(traffic)
    twice = [signal for signal in data.draw(reordered(signals)) for _ in range(2)]
    assert sorted(f.id for f in Engine().observe(twice)) == sorted(
        f.id for f in Engine().observe(signals)
    )


@many
@given(traffic)
def test_more_traffic_of_others_takes_no_finding_away(signals):
    for address in ("192.0.2.1", "192.0.2.2"):
        own = [s for s in signals if s.ip == address]
        alone = [f for f in Engine().observe(own) if f.rule == "identity_fanout"]
        together = [f for f in Engine().observe(signals) if f.rule == "identity_fanout"]
        assert alone == [f for f in together if f.actor.value == address]
