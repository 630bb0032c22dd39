import pytest

from incidents.cases import open_case
from incidents.gather import gather, merged, refold
from tests.incidents._world import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    T0,
    Store,
    address,
    finding,
    foreign,
    principal,
)

A, IP = principal("u-1"), address("203.0.113.7")
UNKNOWN = {"verdict": "undetermined", "fingerprint": "curl"}


def fold(actor, exposures, *findings, history_from_ms=T0 - 30 * DAY):
    case = open_case(actor, findings[0], 0)
    for each in findings:
        case.take(each)
    store = Store()
    store.items = list(exposures)
    tally = gather(case, frozenset(), store, history_from_ms=history_from_ms, step_ms=DAY)
    again = refold(case, frozenset(), store, step_ms=DAY)
    assert again.ledger.impact() == tally.ledger.impact()
    return case, tally


LOOK_BACK = [
    ("nothing before", [], T0 - 30 * DAY, (T0 - DAY, True)),
    ("a step with, one without", [HOUR], T0 - 30 * DAY, (T0 - 2 * DAY, True)),
    ("steps count, not gaps", [HOUR, 40 * HOUR], T0 - 30 * DAY, (T0 - 3 * DAY, True)),
    ("a step without ends it", [HOUR, 50 * HOUR], T0 - 30 * DAY, (T0 - 2 * DAY, True)),
    ("edge inside the empty step", [], T0 - HOUR, (T0 - HOUR, False)),
    ("edge right at the empty step", [], T0 - DAY, (T0 - DAY, True)),
    ("the edge is met", [HOUR, 25 * HOUR], T0 - 26 * HOUR, (T0 - 2 * DAY, False)),
    ("nothing older is kept", [], T0, (T0, False)),
]


@pytest.mark.parametrize(
    ("ages_ms", "history_from_ms", "expected"),
    [c[1:] for c in LOOK_BACK],
    ids=[c[0] for c in LOOK_BACK],
)
def test_look_back(ages_ms, history_from_ms, expected):
    exposures = [foreign(A, T0 - age_ms, f"v{age_ms}") for age_ms in ages_ms]
    case, _ = fold(A, exposures, finding(A, T0), history_from_ms=history_from_ms)
    assert (case.from_ms, case.complete) == expected


def test_forward_ends_with_a_day_of_quiet():
    times = [T0, T0 + 24 * HOUR, T0 + 48 * HOUR + 1, T0 + 49 * HOUR]
    case, tally = fold(A, [foreign(A, t, f"v{t - T0}") for t in times], finding(A, T0))
    assert tally.ledger.users() == ["v0", "v86400000"]
    assert case.last_ms == T0 + 24 * HOUR


def undetermined(*minutes, **changes):
    return [foreign(IP, T0 + int(m * MINUTE), f"v{m}", **{**UNKNOWN, **changes}) for m in minutes]


def fan_out(start_min, end_min, **changes):
    return finding(
        IP,
        T0 + start_min * MINUTE,
        end_ms=T0 + end_min * MINUTE,
        undetermined=True,
        **{"fingerprints": ("curl",), **changes},
    )


BURSTS = [
    ("what the finding spans, gaps and all", [0, 9, 20], [fan_out(0, 20)], [0, 9, 20]),
    ("goes on while gaps are short", [0, 5, 10, 15, 20.1], [fan_out(0, 5)], [0, 5, 10, 15]),
    ("and back", [-16, -10, -5, 0], [fan_out(0, 1)], [-10, -5, 0]),
    ("back over days", [*range(-3000, 1, 5)], [fan_out(0, 1)], [*range(-3000, 1, 5)]),
    ("two bursts, two findings", [0, 60, 120], [fan_out(0, 1), fan_out(60, 61)], [0, 60]),
    ("without a decision none", [0], [finding(IP, T0)], []),
]


@pytest.mark.parametrize(
    ("minutes", "findings", "expected"), [c[1:] for c in BURSTS], ids=[c[0] for c in BURSTS]
)
def test_bursts(minutes, findings, expected):
    _, tally = fold(IP, undetermined(*minutes), *findings)
    assert tally.ledger.users() == sorted(f"v{m}" for m in expected)


USUAL = [
    # name, minutes at which the address asked for `own`, whether it is a victim's
    ("not before", [1], True),
    ("once before", [-60, 1], True),
    ("a neighbour's", [-60, -30, 1], False),
    ("the same neighbour, elsewhere in the burst", [-60, -30, -1, 6], False),
    ("one visit of several requests", [-60, -58, -55, 1], True),
    ("right before", [-11, -4, 1], True),
    ("long before", [-26 * 60, -25 * 60, 1], True),
    ("again after it", [1, 30, 60], True),
]


@pytest.mark.parametrize(
    ("minutes", "is_victim"), [c[1:] for c in USUAL], ids=[c[0] for c in USUAL]
)
def test_who_came_back_to_an_id_before_is_no_victim(minutes, is_victim):
    own = [foreign(IP, T0 + m * MINUTE, "own", **UNKNOWN) for m in minutes]
    walk = undetermined(0, 0.5, 1)
    exposures = sorted([*own, *walk], key=lambda exposure: exposure.time_ms)
    _, tally = fold(IP, exposures, fan_out(0, 1))
    assert tally.ledger.users() == sorted([*(["own"] if is_victim else []), "v0", "v0.5", "v1"])


def test_a_crowd_at_home_does_not_lengthen_the_burst():
    crowd = [
        foreign(IP, T0 + m * MINUTE, f"n{m % 3}", **{**UNKNOWN, "fingerprint": "any"})
        for m in range(-120, 0)
    ]
    later = [foreign(IP, T0 + m * MINUTE, f"n{m % 3}", **UNKNOWN) for m in range(1, 120)]
    after = [foreign(IP, T0 + 119 * MINUTE, "new", **UNKNOWN)]
    _, tally = fold(IP, [*crowd, *undetermined(0), *later, *after], fan_out(0, 1))
    assert tally.ledger.users() == ["v0"]


PRINTS = [
    ("only the named fingerprint", IP, [fan_out(0, 1)], ["v0"]),
    ("none named", IP, [fan_out(0, 1, fingerprints=())], ["other", "v0"]),
    ("one of two names none", IP, [fan_out(0, 1), fan_out(1, 2, fingerprints=())], ["other", "v0"]),
]


@pytest.mark.parametrize(
    ("actor", "findings", "expected"), [c[1:] for c in PRINTS], ids=[c[0] for c in PRINTS]
)
def test_fingerprints(actor, findings, expected):
    exposures = [
        *undetermined(0),
        foreign(IP, T0 + SECOND, "other", **{**UNKNOWN, "fingerprint": "x"}),
    ]
    _, tally = fold(actor, exposures, *findings)
    assert tally.ledger.users() == expected


def test_a_principal_is_not_held_to_its_fingerprint():
    decided = finding(A, T0, undetermined=True, fingerprints=("curl",))
    exposures = [foreign(A, T0, "v1", verdict="undetermined", fingerprint="x")]
    assert fold(A, exposures, decided)[1].ledger.users() == ["v1"]


def test_one_by_one_is_the_same_as_at_once():
    whole = undetermined(0, 1, 5.5, 11.2, 10.4, 16, 30)
    _, at_once = fold(IP, whole, fan_out(0, 1))
    _, one_by_one = fold(IP, whole[:2], fan_out(0, 1))
    for exposure in whole[2:]:
        one_by_one.add(exposure)
    assert one_by_one.ledger.impact() == at_once.ledger.impact()
    assert at_once.ledger.users() == ["v0", "v1", "v10.4", "v11.2", "v16", "v5.5"]


SPANS = [
    ([], 5, []),
    ([(0, 1), (6, 7)], 5, [(0, 7)]),
    ([(0, 1), (7, 8)], 5, [(0, 1), (7, 8)]),
    ([(5, 6), (0, 10)], 0, [(0, 10)]),
]


@pytest.mark.parametrize(("spans", "gap", "expected"), SPANS)
def test_merged(spans, gap, expected):
    assert merged(spans, gap) == expected
