import pytest

from evidence.query.actors import actor_query
from evidence.query.match import matcher
from evidence.rows import row_document, row_of
from records.event import Actor
from tests._events import event

HERE, ELSEWHERE = "203.0.113.7", "203.0.114.7"
EVENTS = {
    "vouched": event(0, ip=HERE, session="s-1", principal="u-1", provenance="gateway"),
    "verified": event(1, ip=ELSEWHERE, session="", principal="u-1", provenance="verified"),
    "asserted": event(2, ip=HERE, session="s-1", principal="u-1", provenance="asserted"),
    "by address": event(3, ip=HERE, session="", principal="u-1", provenance="asserted"),
    "of a /64": event(5, ip="2001:db8::7", session="", principal="", provenance=""),
    "of a /64, by a session": event(6, ip="2001:db8::8", session="s-2", provenance="asserted"),
    "nobody": event(4, ip=HERE, session="", principal="", provenance=""),
}
ASKED = [
    (Actor("principal", "u-1"), {"vouched", "verified"}),
    (Actor("session", "s-1"), {"asserted"}),
    (Actor("ip", HERE), {"by address", "nobody"}),
    (Actor("subnet", "203.0.113.0/24"), {"by address", "nobody"}),
    (Actor("subnet", "2001:db8::/64"), {"of a /64"}),
    (Actor("route", "/users/{owner}/profile"), set(EVENTS)),
    (Actor("principal", "u-2"), set()),
]


@pytest.mark.parametrize(("actor", "names"), ASKED, ids=[str(c[0]) for c in ASKED])
def test_an_actor_answers_for_what_nobody_better_known_does(actor, names):
    fits = matcher(actor_query(actor))
    assert {name for name, one in EVENTS.items() if fits(row_document(row_of(one)))} == names


@pytest.mark.parametrize("kind", ["fingerprint", "service"])
def test_others_are_not_kept(kind):
    with pytest.raises(ValueError, match=f"^looking back for {kind}:x: history is kept by address"):
        actor_query(Actor(kind, "x"))
