"""One place decides, for both shells: what a batch brought, kept, and decided once."""

from intake.frames import Batch
from streams.decider import Decider
from streams.settings import Settings
from tests.incidents._world import T0, finding, foreign, principal

WHO = principal("u-17")
READ, FOUND = foreign(WHO, T0, "v1"), finding(WHO, T0)


def test_a_finding_that_is_known_is_decided_once(store):
    decider = Decider(Settings(), store, event_time=True)
    batch = Batch("a1b2", exposures=[READ])
    with store.transaction():
        decider.note(batch)
        first = decider.decide(batch, [FOUND], 0, 0, 0)
        again = decider.decide(Batch("a1b2"), [FOUND], 0, 0, 0)
    assert (len(first.findings), len(first.incidents)) == (1, 1)
    assert (again.findings, again.incidents, again.actions) == ([], [], [])
    assert decider.tally.findings == {FOUND.rule: 1}


def test_what_was_kept_is_taken_up_again(store):
    decider = Decider(Settings(), store, event_time=True, resumable=True)
    batch = Batch("a1b2", exposures=[READ])
    with store.transaction():
        decider.note(batch)
        (incident,) = decider.decide(batch, [FOUND], 0, 0, 0).incidents
        store.save_state(decider.take_dirty())
    other = Decider(Settings(), store, event_time=True, resumable=True)
    other.restore()
    assert other.desk.impact(incident.id) == decider.desk.impact(incident.id)
    assert other.tally == decider.tally
