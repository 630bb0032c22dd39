"""Two logs that are each blind: joined, they name the attacker and the affected."""

import hashlib
import json

import pytest

from tests.e2e import _two_logs as two
from tests.e2e._program import run


@pytest.fixture
def logs(tmp_path):
    return two.write(tmp_path / "logs")


def scan(folder, *logs, config=None):
    """(findings, incidents, affected users, summary) of a scan of these logs."""
    out = folder / "out"
    config = config or logs[0].parent / "breachline.yaml"
    ran = run("scan", *logs, "--config", config, "--data-dir", folder / "var", "--out", out)
    assert ran.code == 0, ran.err
    read = {
        name: [json.loads(line) for line in (out / f"{name}.ndjson").read_text().splitlines()]
        for name in ("findings", "incidents")
    }
    people = sorted(
        user for file in (out / "affected").glob("*.txt") for user in file.read_text().splitlines()
    )
    return (
        read["findings"],
        read["incidents"],
        people,
        json.loads((out / "summary.json").read_text()),
    )


def test_both_logs_name_the_attacker_and_exactly_the_affected(logs, tmp_path):
    findings, incidents, affected, summary = scan(tmp_path, *logs)
    requests = two.requests()
    assert summary["lines"] == 2 * len(requests)
    assert summary["events"] == summary["joined"] == summary["duplicate"] == len(requests)
    assert (summary["rejected"], summary["unmatched"]) == ({}, {"gateway": 0, "service": 0})
    assert affected == two.VICTIMS
    (incident,) = incidents
    assert incident["actors"] == [
        {"type": "principal", "value": two.ATTACKER},
        {"type": "ip", "value": two.ATTACKER_IP},
    ]
    assert {finding["source"]["ip"] for finding in findings} == {two.ATTACKER_IP}
    assert {finding["user"]["id"] for finding in findings} == {two.ATTACKER}


def test_the_evidence_is_both_lines(logs, tmp_path):
    findings, incidents, _, _ = scan(tmp_path, *logs)
    said = {}
    for log in logs:
        offset = 0
        for line in log.read_bytes().splitlines(keepends=True):
            said[str(log), offset] = hashlib.sha256(line.rstrip(b"\n")).hexdigest()
            offset += len(line)
    evidence = max((f["breachline"]["evidence"] for f in findings), key=len)
    assert len(evidence) == 2 * 10
    for line in evidence:
        assert said[line["source"], line["offset"]] == line["sha256"]
    assert {line["source"] for line in evidence} == {str(log) for log in logs}
    (incident,) = incidents
    listed = run(
        "evidence", "list", incident["id"], "--from", tmp_path / "out", "--json",
        "--data-dir", tmp_path / "var",
    )  # fmt: skip
    assert len(listed.documents) == 2 * len(two.VICTIMS)
    assert {one["event"] for one in evidence} < {one["event"] for one in listed.documents}


def test_neither_log_can_do_it_alone(logs, tmp_path):
    gateway, service = logs
    _, _, affected, summary = scan(tmp_path / "gateway", gateway)
    assert (affected, summary["unmatched"]) == ([], {"gateway": summary["events"], "service": 0})
    findings, _, affected, summary = scan(
        tmp_path / "service", service, config=gateway.parent / "breachline.yaml"
    )
    # What the service says of its callers counts: but nobody knows from where they came.
    assert affected == two.VICTIMS
    assert summary["unmatched"] == {"gateway": 0, "service": summary["events"]}
    assert all("source" not in finding for finding in findings)


def test_an_attacker_who_repeats_one_id_is_still_named(tmp_path):
    """The other half cannot be told: what the service says of each request stands for itself."""
    gateway, service = two.write(tmp_path / "logs")
    begin = 70 * 60
    with gateway.open("a") as at_gateway, service.open("a") as at_service:
        for n, owner in enumerate(two.PEOPLE):
            path = f"/api/v1/orders/{1000 + n}"
            for second in (begin + 100 + n, begin + 100.5 + n):
                at_gateway.write(two.at_gateway(0, second, path, "203.0.113.8", request="c" * 32))
                at_service.write(two.at_service(0, second, path, "u-67", owner, request="c" * 32))
    _, incidents, affected, summary = scan(tmp_path, gateway, service)
    assert {actor["value"] for one in incidents for actor in one["actors"]} >= {"u-66", "u-67"}
    assert affected == sorted([*two.VICTIMS, *two.PEOPLE])
    assert summary["lines"] == summary["events"] + summary["duplicate"]
    assert sum(summary["unmatched"].values()) > 0


@pytest.mark.parametrize("with_addresses", [True, False])
def test_whoever_did_not_join_them_is_told_how(logs, tmp_path, with_addresses):
    gateway, service = logs
    config = gateway.parent / "breachline.yaml"
    config.write_text(two.CONFIG.partition("  join:")[0])
    if with_addresses:
        service.write_text(
            service.read_text().replace('"http":', '"source": {"ip": "10.0.0.2"}, "http":')
        )
    *_, summary = scan(tmp_path, *logs)
    (hint,) = [one for one in summary["hints"] if one["missing"] == "join"]
    assert hint["add"] == (
        'intake: {join: {gateway: ["gateway.log"], service: ["orders-1.log"]}}    # if gateway.log '
        "is the gateway's"
    )
