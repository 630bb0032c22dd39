import msgspec
import pytest

from intake.signals import Judged, Signals, exposures, is_notable
from records.event import Actor
from tests.intake._lines import AT, Court, get

CROWD = [str(number) for number in range(100, 160)]


def heard(target="/users/18/wallet", user="17", **fields):
    return Court(crowd=CROWD).hear(get(target, user, **fields))


def test_a_signal_holds_all_that_detectors_see():
    event, signal, exposed = heard(user_agent="curl/8", session="s", claimed="18")
    facts = {
        "event": event.id, "time_ms": AT, "ip": "192.0.2.7", "subnet": "192.0.2.0/24",
        "principal": "17", "provenance": "gateway", "authentication": "known",
        "session": event.session, "claimed": "18", "route": "/users/{owner}/wallet",
        "method": "GET", "status": 200, "targets": ("18",), "category": "financial",
        "effect": "read", "outcome": "proven", "certainty": "proven", "basis": "route",
        "verdict": "foreign", "mismatch": True, "credentials": "gateway", "crawler": False,
    }  # fmt: skip
    assert {name: getattr(signal, name) for name in facts} == facts
    assert [(e.target, e.actor, e.certainty) for e in exposed] == [
        ("18", Actor("principal", "17"), "proven")
    ]


@pytest.mark.parametrize(
    ("agent", "crawler"),
    [
        ("Mozilla/5.0 (compatible; ExampleBot/2.1)", True),
        ("facebookexternalhit/1.1", True),
        ("Mozilla/5.0 (X11; Linux) Firefox/120", False),
        (None, False),
    ],
)
def test_crawlers(agent, crawler):
    assert heard(user_agent=agent)[1].crawler is crawler


def test_a_fingerprint_is_of_the_user_agent():
    one, same, other = (heard(user_agent=a)[1].fingerprint for a in ("a", "a", "b"))
    assert one == same != other


# verdict, allowed, targets, claimed, object, outcome, status
NOTABLE = [
    ("foreign", "", ("18",), "", "", "denied", 403, True),
    ("foreign", "delegate", ("18",), "", "", "proven", 200, False),
    ("undetermined", "delegate", ("18",), "18", "", "proven", 200, False),
    ("own", "", ("17",), "", "", "denied", 403, False),
    ("no_target", "", (), "", "", "proven", 200, False),
    ("undetermined", "", ("18",), "", "", "proven", 200, True),
    ("undetermined", "", (), "18", "", "proven", 200, True),
    ("undetermined", "", (), "", "5", "denied", 404, True),
    ("undetermined", "", (), "", "5", "proven", 200, False),
    ("undetermined", "", ("18",), "", "", "denied", 401, False),
]


@pytest.mark.parametrize(
    ("verdict", "allowed", "targets", "claimed", "item", "outcome", "status", "expected"), NOTABLE
)
def test_what_is_notable(verdict, allowed, targets, claimed, item, outcome, status, expected):
    event = msgspec.structs.replace(
        heard()[0], verdict=verdict, allowed=allowed, targets=targets, claimed=claimed,
        object=item, outcome=outcome, status=status,
    )  # fmt: skip
    assert is_notable(event) is expected


def test_exposures_of_owner_and_claim():
    signal = msgspec.structs.replace(heard()[1], targets=("18", "19"), claimed="19")
    judged = Judged(("17", "18", "19"), ("18", "19"), "route", "foreign", claim_added=True)
    assert [(e.target, e.certainty, e.basis) for e in exposures(signal, judged)] == [
        ("18", "proven", "route"),
        ("19", "presumed", "claimed"),
    ]


def test_an_object_of_unknown_owner_is_exposed_as_itself():
    _, signal, exposed = heard("/orders/55", status=404)
    assert (signal.verdict, signal.targets) == ("undetermined", ())
    assert [(e.target, e.object, e.certainty) for e in exposed] == [("", "55", "attempted")]


@pytest.mark.parametrize("verdict", ["own", "no_target"])
def test_what_is_one_s_own_exposes_nothing(verdict):
    signal = msgspec.structs.replace(heard()[1], verdict=verdict)
    assert exposures(signal, Judged(("17",), (), "route", verdict)) == []


def test_user_agents_are_bounded(monkeypatch):
    monkeypatch.setattr("intake.signals._MAX_FINGERPRINTS", 10)
    signals = Signals()
    for number in range(100):
        signals._agent(f"agent {number}")
        signals._agent(f"{number}" * 2000)
    assert len(signals._agents) <= 10
