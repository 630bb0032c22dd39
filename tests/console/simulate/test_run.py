import gzip
import json
import tracemalloc
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from console.simulate.run import simulate

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
SMALL: dict[str, Any] = {
    "seed": 5, "start": START, "users": 400, "office_users": 80, "minutes": 30, "lines": 6_000,
}  # fmt: skip


def lines_of(truth):
    return truth.log.read_text().splitlines()


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files(tmp_path):
    truth = simulate(tmp_path / "out", **SMALL)
    names = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert names == sorted(
        ["README.md", "access.log", "breachline.yaml", "labels.ndjson", "truth.json"]
        + [f"affected/{attacker.id}.txt" for attacker in truth.attackers]
    )
    assert len(truth.attackers) == 10


@pytest.mark.parametrize("format_", ["ecs", "json", "nginx"])
def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path, format_):
    for name in ("a", "b"):
        simulate(tmp_path / name, **SMALL, format=format_)
    simulate(tmp_path / "c", **{**SMALL, "seed": 6}, format=format_)
    assert everything(tmp_path / "a") == everything(tmp_path / "b")
    assert everything(tmp_path / "a")["access.log"] != everything(tmp_path / "c")["access.log"]


def test_lines_are_as_many_as_asked_in_time_order_within_the_time(tmp_path):
    truth = simulate(tmp_path, **SMALL)
    times = [json.loads(line)["@timestamp"] for line in lines_of(truth)]
    assert len(times) == truth.lines == 6_000
    assert times == sorted(times)
    assert times[0] >= "2026-11-22T08:00:00.000Z"
    assert times[-1] < "2026-11-22T08:30:00.000Z"
    # A clock with sub-second jitter, not a grid.
    assert len({time[-4:-1] for time in times}) > 900


@pytest.mark.parametrize(
    ("how", "expected"),
    [({"rate": 20.0, "minutes": 2}, 2_400), ({"minutes": 1}, 3_000), ({"hours": 0.1}, 18_000)],
)
def test_rate_and_time(tmp_path, how, expected):
    truth = simulate(tmp_path, seed=1, start=START, users=400, office_users=0, attackers=0, **how)
    assert truth.lines == expected


def test_truth_and_labels_agree_with_what_the_log_says(tmp_path):
    """Read back from the log alone: what the labelled lines asked for and were answered."""
    truth = simulate(tmp_path, **SMALL)
    logged = [json.loads(line) for line in lines_of(truth)]
    labels = [json.loads(line) for line in (tmp_path / "labels.ndjson").read_text().splitlines()]
    known = {attacker.id: attacker for attacker in truth.attackers}
    found: dict[str, set[str]] = {attacker: set() for attacker in known}
    for label in labels:
        event = logged[label["line"] - 1]
        request, answer = event["http"]["request"], event["http"]["response"]
        read = request["method"] == "GET" and answer["status_code"] in {200, 206}
        written = request["method"] in {"PUT", "PATCH", "DELETE"}
        path = event["url"]["original"]
        asked = request.get("headers", {}).get("x-user-id") if "/me/" in path else None
        named = path.partition("ids=")[2] or path.split("/")[4]
        for owner in (asked or named).split(","):
            own = owner == event.get("user", {}).get("id")
            gave = (read and answer["body"]["bytes"]) or (
                written and answer["status_code"] in {200, 204}
            )
            if gave and not own:
                found[label["attacker"]].add(owner)
    assert {name: sorted(users) for name, users in found.items()} == truth.victims
    assert all(truth.victims.values())
    for name, users in truth.victims.items():
        assert (tmp_path / "affected" / f"{name}.txt").read_text().split() == users


def test_truth_json_describes_each_attacker(tmp_path):
    truth = simulate(tmp_path, **SMALL)
    document = json.loads((tmp_path / "truth.json").read_text())
    assert {key: document[key] for key in ("seed", "format", "principals", "users", "lines")} == {
        "seed": 5, "format": "ecs", "principals": "gateway", "users": 400, "lines": 6_000,
    }  # fmt: skip
    labels = (tmp_path / "labels.ndjson").read_text().splitlines()
    assert sum(item["requests"] for item in document["attackers"]) == len(labels)
    logged = [json.loads(line) for line in lines_of(truth)]
    for item in document["attackers"]:
        mine = [logged[json.loads(x)["line"] - 1] for x in labels if f'"{item["id"]}"' in x]
        assert item["addresses"] == sorted({event["source"]["ip"] for event in mine})
        sessions = {event["session"]["id"] for event in mine if "session" in event}
        assert item["sessions"] == sorted(sessions)
        assert {event["user"]["id"] for event in mine if "user" in event} == (
            {item["principal"]} if item["principal"] else set()
        )
        assert item["first"] <= item["last"]
        assert {item["first"], item["last"]} <= {event["@timestamp"] for event in mine}


def test_an_honest_log_has_no_attack(tmp_path):
    truth = simulate(tmp_path, **SMALL, attackers=0, principals="none", ids="int", format="nginx")
    assert truth.attackers == ()
    assert (tmp_path / "labels.ndjson").read_bytes() == b""
    assert list((tmp_path / "affected").iterdir()) == []
    assert [line for line in lines_of(truth) if " - - [" not in line] == []


def test_a_second_run_replaces_the_first(tmp_path):
    simulate(tmp_path, **SMALL, principals="mapped")
    simulate(tmp_path, **SMALL, attackers=1, attacks=["mixed"], compress=True)
    assert sorted(everything(tmp_path)) == sorted([
        "README.md", "a01-mixed.txt", "access.log.gz", "breachline.yaml", "labels.ndjson",
        "truth.json",
    ])  # fmt: skip


def test_compressed_is_the_same_log(tmp_path):
    plain = simulate(tmp_path / "plain", **SMALL)
    packed = simulate(tmp_path / "packed", **SMALL, compress=True)
    assert gzip.decompress(packed.log.read_bytes()) == plain.log.read_bytes()


def test_attacks_may_wait(tmp_path):
    truth = simulate(tmp_path, **SMALL, attack_after=0.5)
    assert min(attacker.start_ms for attacker in truth.attackers) >= truth.start_ms + 900_000


def test_memory_does_not_grow_with_the_log(tmp_path):
    peaks = []
    for count in (10_000, 40_000):
        tracemalloc.start()
        simulate(tmp_path, **{**SMALL, "lines": count, "minutes": count / 1000}, attackers=2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": datetime(2026, 1, 1)}, "start 2026-01-01 00:00:00: add a time zone, such as Z"),  # noqa: DTZ001
        ({"minutes": 0.5}, "a log of 30 s: simulate at least one minute"),
        ({"rate": 5.0}, "both rate and lines are given: choose one"),
        ({"attackers": -1}, "-1 attackers: write 0 for an honest log"),
        ({"attack_after": 0.95}, "attack_after 0.95: write a share up to 0.9"),
        ({"lines": 0}, "a log of 0 lines: ask for at least one"),
        ({"format": "syslog"}, "log format 'syslog': write one of ecs, json, nginx"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path, arguments, message
):
    with pytest.raises(ValueError) as refused:
        simulate(tmp_path / "out", **{**SMALL, **arguments})
    assert str(refused.value) == message
    assert not (tmp_path / "out").exists()


def test_seconds_have_uneven_numbers_of_lines(tmp_path):
    truth = simulate(tmp_path, **SMALL)
    seconds = [json.loads(line)["@timestamp"][:19] for line in lines_of(truth)]
    changes = [n for n, (a, b) in enumerate(pairwise(seconds)) if a != b]
    assert len({b - a for a, b in pairwise(changes)}) > 2
