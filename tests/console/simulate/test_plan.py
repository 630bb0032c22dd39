from random import Random

import pytest

from console.simulate.plan import KINDS, kinds_for, plan_attacks
from console.simulate.world import build_world

DAY_MS = 86_400_000
TEN = (
    "path_walk", "slow_reader", "header_forger", "cross_user_writer", "denied_prober",
    "office_insider", "token_replay", "unauthenticated", "batch_ids", "mixed",
)  # fmt: skip


def world(principals="gateway", office_users=50, users=300):
    return build_world(
        Random("w"),
        users=users,
        office_users=office_users,
        ids="prefix",
        principals=principals,
        prefix="/v1",
    )


def planned(attackers=10, *, kinds=TEN, end_ms=DAY_MS, earliest=0.05, built=None):
    return plan_attacks(
        built or world(),
        Random("p"),
        kinds=kinds,
        attackers=attackers,
        start_ms=0,
        end_ms=end_ms,
        earliest=earliest,
    )


@pytest.mark.parametrize(
    ("name", "format_", "principals", "office", "asked", "expected"),
    [
        ("ten kinds that all take data", "ecs", "gateway", 50, None, TEN),
        ("as asked", "ecs", "gateway", 50, ["head_prober", "mixed"], ("head_prober", "mixed")),
        (
            "combined has no header",
            "nginx",
            "gateway",
            50,
            None,
            tuple(kind for kind in TEN if kind != "header_forger"),
        ),
        (
            "nobody is in the office",
            "ecs",
            "gateway",
            0,
            None,
            tuple(kind for kind in TEN if kind != "office_insider"),
        ),
        (
            "no principals",
            "ecs",
            "none",
            50,
            None,
            ("sequence_walk", "denied_prober", "path_walk", "batch_ids"),
        ),
    ],
)
def test_kinds_for_a_log(name, format_, principals, office, asked, expected):
    assert kinds_for(format_, world(principals, office), asked) == expected, name


@pytest.mark.parametrize(
    ("format_", "asked", "message"),
    [
        ("ecs", ["walk"], f"attack 'walk': write one of {', '.join(KINDS)}"),
        (
            "nginx",
            ["header_forger"],
            (
                "attack 'header_forger': a nginx log with principals 'gateway' and 50 office users "
                "cannot show it; choose another kind, format or world"
            ),
        ),
        ("ecs", [], "attacks: an empty list; leave it out, or set attackers to 0"),
    ],
)
def test_kinds_that_cannot_be(format_, asked, message):
    with pytest.raises(ValueError) as refused:
        kinds_for(format_, world(), asked)
    assert str(refused.value) == message


def test_accounts_are_distinct_and_only_the_insider_is_in_the_office():
    attackers = planned(30)
    accounts = [attacker.account for attacker in attackers if attacker.account]
    assert len(set(accounts)) == len(accounts) == 27
    inside = {attacker.kind for attacker in attackers if (attacker.account or "z") <= "u-00050"}
    assert inside == {"office_insider"}


def test_the_unauthenticated_reader_has_no_account():
    attacker = planned(1, kinds=("unauthenticated",))[0]
    assert (attacker.principal, attacker.account) == (None, None)


@pytest.mark.parametrize("end_ms", [60_000, 1_200_000, DAY_MS])
@pytest.mark.parametrize("earliest", [0.0, 0.5, 0.9])
def test_attacks_stay_within_their_time_in_the_same_order(end_ms, earliest):
    for attacker in planned(12, kinds=KINDS, end_ms=end_ms, earliest=earliest):
        times = [request.time_ms for request, _ in attacker.requests()]
        assert times == sorted(times)
        assert end_ms * earliest <= times[0] <= times[-1] < end_ms


def test_more_attackers_than_accounts():
    with pytest.raises(ValueError) as refused:
        planned(4, kinds=("mixed",), built=world(users=3, office_users=0))
    assert str(refused.value) == (
        "simulating 4 attackers among 3 users: each needs an account of its own; raise users or "
        "lower attackers"
    )
