import pytest
from pydantic import ValidationError

from detectors._base import DetectorSettings, Level, WindowSettings, enough, is_shared, many, spoken
from detectors._state import Sighting, Tally
from detectors.cross_user_read import CrossUserRead
from records.event import Actor
from records.ids import finding_id
from tests.detectors._events import START_S, at

RULE = CrossUserRead(CrossUserRead.Settings(mode="approval"))
LEVEL = Level("high", 2, 300, 1, "read data of")


def sightings(*signals):
    return sorted(
        Sighting.of(signal, target, 1, discounted=signal.cross_site)
        for signal in signals
        for target in signal.targets
    )


ADDRESS_ACTOR = Actor("ip", "203.0.113.7")


def finding(*signals, actor=ADDRESS_ACTOR, level=LEVEL):
    state = Tally()
    state.enter(START_S)
    return RULE.finding(actor, level, sightings(*signals), state)


def test_a_finding_names_all_of_the_deciding_sightings():
    signals = [
        at(2).user("a").ip("192.0.2.1").session("s1").agent("f1").route("/b").read("u-2"),
        at(1).ip("192.0.2.2", trusted=False).session("s2").agent("f2").route("/a").read("u-1"),
    ]
    found = finding(*signals)
    assert found.members == (Actor("principal", "a"), Actor("session", "s2"))
    assert found.principal == ""
    assert found.ips == ("192.0.2.1", "192.0.2.2")
    assert found.untrusted_ips == ("192.0.2.2",)
    assert found.sessions == ("s1", "s2")
    assert found.fingerprints == ("f1", "f2")
    assert found.routes == ("/a", "/b")
    assert found.users == ("u-1", "u-2")
    assert found.evidence == (signals[1].event, signals[0].event)
    assert (found.start_ms, found.end_ms) == (signals[1].time_ms, signals[0].time_ms)
    assert found.mode == "approval"
    assert found.id == finding_id(
        "cross_user_read", "1", "ip:203.0.113.7", "high", START_S // 86_400, 0
    )
    assert found.message == (
        "203.0.113.7 read data of 2 other users in 1 s over 2 sessions (limit 2 in 5 min): u-1, u-2"
    )


def test_one_request_for_many_is_one_piece_of_evidence():
    signal = at(0).user("a").read(*(f"u-{i}" for i in range(100)))
    found = finding(signal, actor=Actor("session", "s1"))
    assert found.evidence == (signal.event,)
    assert len(found.users) == 100
    assert found.message == (
        "session s1 read data of 100 other users in the same second (limit 2 in 5 min): "
        "u-0, u-1, u-10, u-11, u-12 and 95 more"
    )


TWO = [at(0).user("a", "verified").read("u-1"), at(1).user("a", "verified").read("u-2")]
CONFIDENCES = [
    ("the severity's", TWO, LEVEL, 0.93),
    ("the provenance's", [TWO[0], at(1).user("a", "unverified").read("u-2")], LEVEL, 0.7),
    ("nobody vouched for anything", [TWO[0], at(1).read("u-2")], LEVEL, 0.6),
    ("the source's, for the anonymous", [TWO[0], at(1).anonymous().read("u-2")],
        LEVEL._replace(severity="critical"), 0.95),
    ("the level's", TWO, LEVEL._replace(confidence=0.8), 0.8),
    ("needed another site's", [TWO[0], at(1).user("a").elsewhere().read("u-2")], LEVEL, 0.5),
    ("did not need another site's", [*TWO, at(2).user("a", "verified").elsewhere().read("u-3")],
        LEVEL, 0.93),
    ("low is low", TWO, LEVEL._replace(severity="low"), 0.3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("signals", "level", "expected"), [c[1:] for c in CONFIDENCES], ids=[c[0] for c in CONFIDENCES]
)
def test_confidence(signals, level, expected):
    assert finding(*signals, level=level).confidence == expected


def test_five_of_another_site_weigh_as_much_as_one():
    own = sightings(at(0).user("a").read("u-0"))
    sent: list[Sighting] = []
    for n in range(1, 6):
        assert not enough([*own, *sent], 2)
        sent += sightings(at(n).user("a").elsewhere().read(f"u-{n}"))
    assert enough([*own, *sent], 2)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "the same second"), (1, "1 s"), (119, "119 s"), (120, "2 min"), (300.0, "5 min"),
        (150, "2.5 min"), (3600, "60 min"), (86_400, "24 h"), (604_800, "7 days"),
    ],
)  # fmt: skip
def test_spoken(seconds, expected):
    assert spoken(seconds) == expected


def test_many():
    assert [many(n, "session") for n in (0, 1, 2)] == ["0 sessions", "1 session", "2 sessions"]


@pytest.mark.parametrize(
    "settings", [{"limits": 3}, {"limit": 0}, {"window": "0s"}, {"window": "soon"}, {"mode": "off"}]
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValidationError):
        WindowSettings.model_validate(settings)


def test_a_detector_is_enabled_and_follows_the_common_mode_unless_told():
    assert DetectorSettings() == DetectorSettings(enabled=True, mode=None)


SHARED = [
    ("nobody", [], 5, False),
    ("one address", ["a", "a", "a", "a", "a"], 5, False),
    ("an address each", ["a", "b", "c", "d", "e"], 5, True),
    ("two halves", ["a", "a", "a", "b", "b", "b"], 5, True),
    ("one does it, another strays", ["a", "a", "a", "a", "a", "b", "b"], 5, False),
    ("both ask for the same", ["ab", "ab", "ab"], 5, True),
    ("three are needed where one is enough", ["a", "b"], 1, False),
    ("three", ["a", "b", "c"], 1, True),
    ("two with two each", ["a", "a", "b", "b"], 1, True),
]


@pytest.mark.parametrize(
    ("asked", "limit", "expected"), [c[1:] for c in SHARED], ids=[c[0] for c in SHARED]
)
def test_addresses_get_to_a_limit_together_if_none_does_alone(asked, limit, expected):
    histories = [
        sightings(*(at(n).ip(f"2001:db8::{ip}").user("u").read(f"u-{n}") for ip in ips))
        for n, ips in enumerate(asked)
    ]
    assert is_shared(histories, limit) is expected


def test_a_64_answers_for_what_its_addresses_did_without_session_and_principal():
    net = Actor("subnet", "2001:db8::/64")
    signals = [
        at(0).ip("2001:db8::1").looks("u-0"),
        at(1).ip("2001:db8::2").looks("u-1"),
        at(2).ip("2001:db8::3").session("s1").looks("u-2"),
        at(3).ip("2001:db8::4").user("a").read("u-3"),
    ]
    found = finding(*signals, actor=net)
    assert found.members == (Actor("principal", "a"), Actor("session", "s1"), net)
    assert found.ips == tuple(f"2001:db8::{n}" for n in range(1, 5))
    assert found.explain["addresses"] == 4
    assert found.message == (
        "2001:db8::/64 read data of 4 other users in 3 s from 4 addresses over 1 session "
        "(limit 2 in 5 min): u-0, u-1, u-2, u-3"
    )
