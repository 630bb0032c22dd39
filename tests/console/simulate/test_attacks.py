import itertools
from random import Random

import pytest

from console.simulate.attacks import SCRIPTS, Attacker, Stage, Step, attack_ip, disclosed
from console.simulate.lines import Client
from console.simulate.world import OFFICE_IP, build_world

WORLD = build_world(
    Random("w"), users=300, office_users=50, ids="prefix", principals="gateway", prefix="/v1"
)


def played(kind, number=2):
    stage = Stage(WORLD, Random("s"), number, WORLD.users[100])
    SCRIPTS[kind](stage)
    return Attacker("a", kind, "u-00101", "u-00101", 0, stage.steps)


@pytest.mark.parametrize(
    ("method", "status", "size", "expected"),
    [
        ("GET", 200, 1, True),
        ("GET", 203, 9, True),
        ("GET", 206, 9, True),
        ("GET", 200, 0, False),
        ("GET", 304, 0, False),
        ("GET", 403, 48, False),
        ("GET", 500, 60, False),
        ("GET", 202, 60, False),
        ("HEAD", 200, 0, False),
        ("HEAD", 200, 10, False),
        ("OPTIONS", 204, 0, False),
        ("PUT", 200, 0, True),
        ("PATCH", 204, 0, True),
        ("DELETE", 204, 0, True),
        ("PUT", 202, 5, False),
        ("PUT", 403, 5, False),
        ("DELETE", 500, 5, False),
    ],
)
def test_what_an_answer_discloses(method, status, size, expected):
    assert disclosed(method, status, size) is expected


def test_every_kind_that_takes_data_names_its_victims_and_never_itself():
    counts = {kind: len(played(kind).victims) for kind in SCRIPTS}
    walked = counts.pop("path_walk")
    assert 30 <= walked <= 60
    assert counts == {
        "slow_reader": 3,
        "header_forger": 15,
        "cross_user_writer": 8,
        "denied_prober": 4,
        "office_insider": 30,
        "token_replay": 18,
        "unauthenticated": 12,
        "batch_ids": 90,
        # 33 requests: 4 of 11 answers disclose (200, 200, 206, 200), 3 times; then 2 more succeed.
        "mixed": 14,
        "head_prober": 0,
        "wallet_walk": 24,
        "sequence_walk": 40,
    }
    assert [kind for kind in SCRIPTS if "u-00101" in played(kind).victims] == []


def test_attempted_are_those_who_were_asked_for_in_vain():
    attacker = played("denied_prober")
    assert len(attacker.attempted) >= 10
    assert set(attacker.attempted).isdisjoint(attacker.victims)
    assert len(played("head_prober").attempted) == 40


def test_a_path_names_exactly_the_owners_of_its_step_or_the_header_does():
    for kind in SCRIPTS:
        for step in played(kind).steps:
            for owner in step.owners:
                assert owner in step.path or owner == step.client.claimed, (kind, step)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("path_walk", lambda s: (len({x.client.session for x in s}), s[0].client.ip)),
        ("office_insider", lambda s: (len({x.client.session for x in s}), s[0].client.ip)),
        ("token_replay", lambda s: (len({x.client.session for x in s}), "many")),
        ("unauthenticated", lambda s: (len({x.client.session for x in s}), s[0].client.session)),
    ],
)
def test_one_session_each_from_where_its_story_says(kind, told):
    place = {"path_walk": attack_ip(2), "office_insider": OFFICE_IP, "token_replay": "many"}
    assert told(played(kind).steps) == (1, place.get(kind, ""))


def test_the_stolen_session_comes_from_a_dozen_networks():
    assert len({step.client.ip for step in played("token_replay").steps}) == 12


def test_the_unauthenticated_reader_has_no_credentials():
    assert {step.client.principal for step in played("unauthenticated").steps} == {""}


def test_the_slow_reader_takes_an_hour_between_victims():
    attacker = played("slow_reader")
    times = [request.time_ms for request, step in attacker.requests() if step.owners]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(3_500_000 <= gap <= 3_720_000 for gap in gaps), gaps


def test_batches_name_many_people_in_one_request():
    assert sorted(len(step.owners) for step in played("batch_ids").steps) == [
        0, 0, 10, 20, 20, 20, 20,
    ]  # fmt: skip


def test_requests_come_in_time_from_the_start():
    step = Step(1.5, Client("203.0.113.7"), "GET", "/a", 200, 5, ("u-2",))
    attacker = Attacker("a", "k", None, None, 10_000, [step, step])
    assert [(request.time_ms, request.path) for request, _ in attacker.requests()] == [
        (11_500, "/a"),
        (13_000, "/a"),
    ]
    assert (attacker.victims, attacker.attempted) == (["u-2"], [])


def test_others_are_distinct_and_not_oneself_even_in_a_small_world():
    small = build_world(
        Random("w"), users=4, office_users=0, ids="prefix", principals="gateway", prefix=""
    )
    stage = Stage(small, Random("s"), 0, small.users[0])
    assert sorted(stage.others(50)) == ["u-00002", "u-00003", "u-00004"]


def test_every_attacker_has_a_network_of_its_own():
    addresses = [attack_ip(number) for number in range(200)]
    networks = {ip.rsplit(".", 1)[0] if "." in ip else ip.split("::")[0] for ip in addresses}
    assert (len(set(addresses)), len(networks)) == (200, 200)
