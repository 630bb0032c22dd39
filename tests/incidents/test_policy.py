import pytest

from incidents.guards import EVIDENCE
from incidents.policy import Policy, attack_start_ms, lift
from incidents.population import Population
from incidents.settings import PolicySettings
from records.ids import action_id
from records.incident import Action, Coverage, Guard, Incident
from tests.incidents._world import DAY, HOUR, MINUTE, SECOND, T0, address, finding, net, principal

A = principal("u-1")
IP = "203.0.113.7"
PASS = Guard("pass", "all guards passed")


def incident(**changes):
    values = {
        "id": "inc-1", "version": 1, "severity": "SEV1", "status": "open", "cause": "attack",
        "breach": True, "title": "", "actors": (A,), "findings": (), "rules": ("cross_user_read",),
        "first_seen_ms": T0, "last_seen_ms": T0, "awareness_ms": T0,
        "coverage": Coverage(from_ms=T0, complete=True),
    }  # fmt: skip
    return Incident(**{**values, **changes})


def policy(**settings):
    population = Population()
    population.observe({("192.0.2.1", "someone"): T0})
    return Policy(PolicySettings(**settings), population, ["10.0.0.0/8"])


def decide(judge, *findings, now_ms=T0, **changes):
    for_incident = {k: v for k, v in changes.items() if k != "capture"}
    return judge.decide(
        incident(**for_incident),
        findings,
        now_ms,
        history_from_ms=T0 - 30 * DAY,
        capture=changes.get("capture", False),
    )


def test_capture_and_block():
    high = finding(A, T0)
    capture, block = decide(policy(mode="enforce"), high, capture=True)
    assert capture == Action(
        id=action_id("capture_evidence", "inc-1", "inc-1", 0),
        kind="capture_evidence",
        target="inc-1",
        until_ms=0,
        mode="enforce",
        reason="keep the log lines behind cross_user_read",
        incident="inc-1",
        findings=(high.id,),
        guard=EVIDENCE,
        decided_ms=T0,
    )
    assert block == Action(
        id=action_id("block_ip", IP, "inc-1", 0),
        kind="block_ip",
        target=IP,
        until_ms=T0 + HOUR,
        mode="enforce",
        reason="cross_user_read (high): u-1 read the data of others",
        incident="inc-1",
        findings=(high.id,),
        guard=PASS,
        decided_ms=T0,
    )


@pytest.mark.parametrize("severity", ["low", "medium"])
def test_below_high_nothing_is_blocked(severity):
    assert decide(policy(), finding(A, T0, severity=severity)) == []


def test_a_fault_blocks_nobody():
    assert decide(policy(), finding(A, T0), cause="fault") == []


MODES = [
    ("default", {}, None, "simulate"),
    ("enforce", {"mode": "enforce"}, None, "enforce"),
    ("the finding's rule is weaker", {"mode": "enforce"}, "approval", "approval"),
    ("it cannot be stronger", {"mode": "approval"}, "enforce", "approval"),
    ("rule", {"mode": "enforce", "rules": {"cross_user_read": "simulate"}}, None, "simulate"),
    ("another rule", {"mode": "enforce", "rules": {"canary": "simulate"}}, None, "enforce"),
    ("point", {"mode": "enforce", "points": {"gateway": "approval"}}, None, "approval"),
    ("another point", {"mode": "enforce", "points": {"firewall": "simulate"}}, None, "enforce"),
]


@pytest.mark.parametrize(
    ("settings", "rule_mode", "expected"), [c[1:] for c in MODES], ids=[c[0] for c in MODES]
)
def test_the_weakest_mode_counts(settings, rule_mode, expected):
    (block,) = decide(policy(**settings), finding(A, T0, mode=rule_mode))
    assert block.mode == expected


def test_one_block_an_address_and_episode_whoever_asks():
    judge = policy()
    assert len(decide(judge, finding(A, T0))) == 1
    assert decide(judge, finding(A, T0 + 1, severity="critical")) == []
    assert decide(judge, finding(principal("u-2"), T0 + 1), id="inc-2") == []
    assert len(decide(judge, finding(A, T0 + 2, ips=(IP, "203.0.113.8")))) == 1


def test_a_simulated_rule_does_not_hold_up_one_that_may_act():
    judge = policy(mode="enforce", rules={"canary": "simulate"})
    (first,) = decide(judge, finding(A, T0, rule="canary"))
    (second,) = decide(judge, finding(A, T0 + 1))
    assert (first.mode, second.mode) == ("simulate", "enforce")
    assert first.id != second.id


def test_a_refused_backlog_is_decided_again_when_it_goes_on():
    judge = policy()
    old = finding(A, T0 - HOUR)
    (refused,) = decide(judge, old, first_seen_ms=T0 - HOUR, last_seen_ms=T0 - HOUR)
    assert refused.guard.verdict == "refuse"
    assert decide(judge, old, last_seen_ms=T0 - HOUR) == []
    (block,) = decide(judge, finding(A, T0), now_ms=T0)
    assert (block.guard, block.until_ms) == (PASS, T0 + HOUR)
    assert block.id != refused.id


@pytest.mark.parametrize(
    ("carriers", "hours"),
    [([], [1, 2, 4, 8, 16, 24, 24]), (["203.0.113.0/24"], [0.25, 0.5, 1, 2, 4, 8, 16, 24, 24])],
)
def test_blocks_double_up_to_a_day(carriers, hours):
    judge = policy(carriers=carriers)
    now_ms, lasted, ids = T0, [], set()
    for _ in hours:
        judge._guards._population.observe({("192.0.2.1", "someone"): now_ms})
        (block,) = decide(judge, finding(A, now_ms), now_ms=now_ms, last_seen_ms=now_ms)
        lasted.append((block.until_ms - now_ms) / HOUR)
        ids.add(block.id)
        now_ms = block.until_ms
        saved = judge.take_dirty()
        judge = policy(carriers=carriers)
        judge.load(saved)
    assert lasted == hours
    assert len(ids) == len(hours)


def test_cheap_noise_cannot_starve_the_critical():
    judge = policy(budget={"high": 2})
    verdicts = [
        decide(judge, finding(A, T0, ips=(f"192.0.2.{n}",), severity=severity))[0].guard
        for n, severity in enumerate(["high", "high", "high", "critical"])
    ]
    spent = Guard("approve", "2 high blocks in this minute (budget 2)")
    assert verdicts == [PASS, PASS, spent, PASS]
    saved = dict(judge.take_dirty())
    again = policy(budget={"high": 2})
    again.load(saved.items())
    for late_s, expected in ((59, spent), (60, PASS)):
        now_ms = T0 + late_s * SECOND
        other = finding(A, now_ms, ips=(f"198.51.100.{late_s}",))
        assert decide(again, other, now_ms=now_ms)[0].guard == expected


def test_memory_of_addresses_is_bounded():
    judge = policy()
    decide(judge, finding(A, T0))
    assert [key for key, _ in judge.take_dirty()] == [IP]
    judge.forget(T0 + 30 * DAY)
    assert judge.take_dirty() == []
    judge.forget(T0 + 32 * DAY)
    assert judge.take_dirty() == [(IP, b"")]


RECHECKS = [
    ("still well", {}, {}, 0, "pass"),
    ("listed since", {"never_block": [{"cidr": IP}]}, {}, 0, "refuse"),
    ("neighbours since", {}, {(IP, f"n{n}"): T0 - MINUTE for n in range(4)}, 0, "refuse"),
    ("over already", {}, {}, HOUR, "refuse"),
]


@pytest.mark.parametrize(
    ("settings", "people", "late_ms", "verdict"),
    [c[1:] for c in RECHECKS],
    ids=[c[0] for c in RECHECKS],
)
def test_recheck(settings, people, late_ms, verdict):
    (block,) = decide(policy(), finding(A, T0))
    judge = policy(**settings)
    judge._guards._population.observe(people)
    assert judge.recheck(block, T0 + late_ms, T0, frozenset()).verdict == verdict


PERSON = [("neighbours since", "pass"), ("listed since", "refuse"), ("over already", "refuse")]


@pytest.mark.parametrize(("name", "verdict"), PERSON, ids=[c[0] for c in PERSON])
def test_a_persons_word_passes_all_but_what_nobody_may_block(name, verdict):
    _, settings, people, late_ms, without = next(c for c in RECHECKS if c[0] == name)
    (block,) = decide(policy(), finding(A, T0))
    judge = policy(**settings)
    judge._guards._population.observe(people)
    assert judge.recheck(block, T0 + late_ms, T0, frozenset()).verdict == without == "refuse"
    assert judge.recheck(block, T0 + late_ms, T0, frozenset(), by_person=True).verdict == verdict


def test_recheck_never_lifts_a_refusal_and_leaves_evidence_alone():
    judge = policy()
    capture, refused = decide(judge, finding(address("10.0.0.1"), T0), capture=True)
    assert judge.recheck(capture, T0, T0, frozenset()) == EVIDENCE
    assert judge.recheck(refused, T0, T0, frozenset()) == refused.guard


def test_an_approved_block_is_asked_again_only_for_refusals():
    judge = policy()
    (asked,) = decide(judge, finding(A, T0, confidence=0.7))
    assert judge.recheck(asked, T0, T0, frozenset()) == asked.guard
    empty = Policy(PolicySettings(), Population())
    assert empty.recheck(asked, T0, T0, frozenset()) == asked.guard


def test_attack_start():
    assert attack_start_ms(T0 - 3 * DAY, T0 - MINUTE, T0) == T0 - MINUTE
    assert attack_start_ms(T0 - 3 * DAY, T0 - 2 * DAY, T0) == T0 - HOUR
    assert attack_start_ms(T0, T0, T0) == T0


def test_lift():
    assert lift(IP, 3, 3) == ""
    assert lift(IP, 3, 4) == (
        "lift the block of 203.0.113.7: 4 innocent principals were denied after it, 3 before"
    )


def test_a_withdrawn_block_neither_holds_up_nor_lengthens_the_next():
    judge = policy(mode="enforce", block=3600)
    (mistake,) = decide(judge, finding(A, T0))
    assert decide(judge, finding(A, T0 + SECOND), now_ms=T0 + SECOND) == []
    assert judge.withdraw({"inc-2"}) == {}
    assert judge.withdraw({"inc-1"}) == {IP: T0}
    again = policy(mode="enforce", block=3600)
    again.load(judge.take_dirty())
    (next_one,) = decide(again, finding(A, T0 + SECOND), now_ms=T0 + SECOND)
    assert next_one.until_ms - next_one.decided_ms == 3_600_000
    assert next_one.id != mistake.id


NET = net("2001:db8::/64")
MANY_IPS = tuple(f"2001:db8::{n}" for n in range(1, 4))


def of_net(time_ms=T0, **changes):
    return finding(NET, time_ms, ips=MANY_IPS, **changes)


def of_one(time_ms=T0, ip="2001:db8::9", **changes):
    return finding(address(ip), time_ms, **changes)


BLOCKED = [
    ("one address of it", [of_one()], ["2001:db8::9"]),
    ("many together", [of_net()], ["2001:db8::/64"]),
    ("an address, then its /64", [of_one(), of_net(T0 + 1)], ["2001:db8::9", "2001:db8::/64"]),
    ("its /64 stands for an address", [of_net(), of_one(T0 + 1)], ["2001:db8::/64"]),
    ("of another /64 it does not", [of_net(), of_one(ip="2001:db8:0:1::9")],
        ["2001:db8::/64", "2001:db8:0:1::9"]),
    ("nor for what is worse", [of_net(), of_one(T0 + 1, severity="critical")],
        ["2001:db8::/64", "2001:db8::9"]),
    ("nor as a simulation for a block", [of_net(mode="simulate"), of_one(T0 + 1)],
        ["2001:db8::/64", "2001:db8::9"]),
    ("nor when it is over", [of_net(), of_one(T0 + 2 * HOUR)], ["2001:db8::/64", "2001:db8::9"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("findings", "expected"), [c[1:] for c in BLOCKED], ids=[c[0] for c in BLOCKED]
)
def test_a_64_is_blocked_whole_and_an_address_of_it_alone(findings, expected):
    judge = policy(mode="enforce")
    targets = [
        action.target
        for one in findings
        for action in decide(judge, one, now_ms=one.end_ms, last_seen_ms=one.end_ms)
    ]
    assert targets == expected


def test_a_64_that_must_not_be_blocked_stands_for_nothing():
    judge = policy(mode="enforce", never_block=[{"cidr": "2001:db8::1/128"}])
    made = [*decide(judge, of_net()), *decide(judge, of_one(T0 + 1), now_ms=T0 + 1)]
    assert [(action.target, action.guard.verdict) for action in made] == [
        ("2001:db8::/64", "refuse"), ("2001:db8::9", "pass"),
    ]  # fmt: skip
