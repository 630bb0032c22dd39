"""Whose objects they were, from a service that is asked: down at first, then it answers exactly."""

import json
import os
import signal
import subprocess

import pytest

from tests._owner_service import TOKEN, OwnerService, wait_for
from tests.e2e._program import by_time, command, config_file, ecs, process, run, scan, write

pytestmark = pytest.mark.stack

READ = [f"u-{number}" for number in (201, 202, 203, 204)]
OWNERS: dict[str, object] = {
    "c-1": "u-301", "c-2": ["u-302", "u-303"], "c-3": "u-666", "c-4": None, "c-5": "u-201",
}  # fmt: skip
"""Of the cards that u-666 read; c-3 is their own, c-4 nobody's, c-6 is not there."""
AFFECTED = sorted([*READ, "u-301", "u-302", "u-303"])


def log(folder):
    """People read what is theirs; u-666 reads four profiles, and six cards."""
    honest = [
        (second, ecs(second, "198.18.0.9", target, user=f"u-{second % 50 + 100}"))
        for second in range(0, 4200, 10)
        for target in (f"/users/u-{second % 50 + 100}/profile", f"/cards/c-{second % 50 + 100}")
    ]
    walk = [
        (4000 + n, ecs(4000 + n, "203.0.113.7", target, user="u-666"))
        for n, target in enumerate(
            [f"/users/{user}/profile" for user in READ] + [f"/cards/c-{n}" for n in range(1, 7)]
        )
    ]
    return write(folder / "access.log", by_time([*honest, *walk]))


def config(http, **source):
    source = {"route": "/cards/{object}", "http": http, **source}
    return json.dumps({"intake": {"ownership": [source]}})


def numbers(incident):
    coverage = incident["coverage"]
    return (incident["affected_count"], incident["unknown_objects"], coverage["gaps"])


def pending(count):
    return [f"pending: the owners of {count} objects are not known yet"]


@pytest.mark.parametrize("several", [False, True])
def test_a_scan_asks_for_what_its_incidents_rest_on(tmp_path, several):
    with OwnerService(dict(OWNERS), token=TOKEN) as service:
        http = service.several if several else service.one
        (tmp_path / "token").write_text(TOKEN)
        settings = config(http, token_file=str(tmp_path / "token"))
        result = scan(tmp_path, log(tmp_path), config=settings)
        asked = {item for items in service.asked for item in items}
    (incident,) = result.incidents
    # Nobody asks whose the cards of people are of whom there is no incident.
    assert asked == {f"c-{n}" for n in range(1, 7)}
    assert numbers(incident) == (7, 0, [])
    assert result.affected(incident) == AFFECTED
    assert result.summary["ownership"] == [
        {"route": "/cards/{object}", "host": service.host, "named": 4, "none": 2, "pending": 0,
         "why": ""},
    ]  # fmt: skip
    (hint,) = [h for h in result.summary["hints"] if h["missing"].startswith("owner")]
    assert "only where an incident rests on them" in hint["says"]
    where = ("--from", result.folder, "--config", tmp_path / "breachline.yaml")
    assert run("affected", incident["id"], *where).out.splitlines() == AFFECTED
    lines = run("evidence", "list", incident["id"], "--json", *where).documents
    read = {json.loads(line["line"])["url"]["original"] for line in lines}
    assert {f"/cards/c-{n}" for n in (1, 2, 5)} <= read
    assert "/cards/c-3" not in read


def test_a_scan_says_what_is_pending_and_why(tmp_path):
    with OwnerService(dict(OWNERS)) as service:
        service.trouble = 403
        result = scan(tmp_path, log(tmp_path), config=config(service.one))
    (incident,) = result.incidents
    assert numbers(incident) == (4, 6, pending(6))
    assert not incident["coverage"]["complete"]
    assert result.affected(incident) == READ
    objects = (result.folder / "affected" / f"{incident['id']}.objects.ndjson").read_text()
    assert [json.loads(line)["object"] for line in objects.splitlines()] == [
        f"c-{n}" for n in range(1, 7)
    ]
    why = f"{service.host}: wants another token (403): set token_env or token_file of this source"
    assert [(r["pending"], r["why"]) for r in result.summary["ownership"]] == [(6, why)]
    assert f"The owners of 6 objects on /cards/{{object}} are pending: {why}." in " ".join(
        result.ran.out.split()
    )


def test_five_hundred_ids_in_one_request_are_five_hundred_people(tmp_path):
    ids = [f"u-{n}" for n in range(1000, 1500)]
    lines = [
        *[(n, ecs(n, "198.18.0.9", f"/users/u-{n}/profile", user=f"u-{n}")) for n in range(60)],
        (100, ecs(100, "203.0.113.7", f"/users/{','.join(ids)}", user="u-1007")),
    ]
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(lines)))
    (incident,) = result.incidents
    assert result.affected(incident) == sorted(set(ids) - {"u-1007"})
    assert (incident["affected_count"], incident["coverage"]["gaps"]) == (499, [])


def test_ids_beyond_the_limit_are_counted_and_said(tmp_path):
    ids = ",".join(f"u-{n}" for n in range(10_000, 20_007))
    lines = [
        *[(n, ecs(n, "198.18.0.9", f"/users/u-{n}/profile", user=f"u-{n}")) for n in range(60)],
        (100, ecs(100, "203.0.113.7", f"/users?ids={ids}", user="u-1007")),
    ]
    result = scan(tmp_path, write(tmp_path / "access.log", by_time(lines)))
    (incident,) = result.incidents
    assert (incident["affected_count"], incident["coverage"]["complete"]) == (10_000, False)
    assert incident["coverage"]["gaps"] == ["7 ids of one request were too many, and not judged"]
    (hint,) = [hint for hint in result.summary["hints"] if hint["missing"] == "batch"]
    assert hint["events"] == 7


def test_two_scans_are_the_same(tmp_path):
    with OwnerService(dict(OWNERS)) as service:
        settings = config(service.one)
        read = log(tmp_path)
        one, two = (scan(tmp_path, read, config=settings, out=name) for name in ("one", "two"))
    assert one.incidents == two.incidents
    assert one.judgement() == two.judgement()


def test_what_run_could_not_ask_the_next_run_asks(tmp_path):
    read = log(tmp_path)
    with OwnerService(dict(OWNERS)) as service:
        settings = config_file(tmp_path, config(service.several))
        where = ("--config", settings, "--data-dir", tmp_path / "var")
        service.stop()
        assert run("run", read, "--once", *where).code == 0
        (before,) = run("incidents", "--json", *where).documents
        assert numbers(before) == (4, 6, pending(6))
        service.start()
        assert run("run", read, "--once", *where).code == 0
        (after,) = run("incidents", "--json", *where).documents
    assert numbers(after) == (7, 0, [])
    assert (after["id"], after["version"] > before["version"]) == (before["id"], True)
    assert run("affected", after["id"], *where).out.splitlines() == AFFECTED


def test_a_service_that_is_down_comes_back_while_run_follows(tmp_path):
    """The affected grow exactly, without a line more, and outlive a kill."""
    read = log(tmp_path)
    with OwnerService(dict(OWNERS)) as service:
        settings = config_file(tmp_path, config(service.one))
        where = ("--config", settings, "--data-dir", tmp_path / "var")
        service.stop()
        with (tmp_path / "output").open("wb") as output:
            child = subprocess.Popen(
                command("run", read, *where), stdout=output, stderr=output, env=os.environ
            )

        def known():
            documents = process("incidents", "--json", *where).documents
            return [numbers(document) for document in documents]

        try:
            wait_for(lambda: known() == [(4, 6, pending(6))])
            service.trouble = 503
            service.start()
            wait_for(lambda: service.asked)
            assert known() == [(4, 6, pending(6))]
            service.trouble = 0
            wait_for(lambda: known() == [(7, 0, [])], 40)
            child.send_signal(signal.SIGKILL)
        finally:
            child.kill()
            child.wait()
        asked = len(service.asked)
        assert run("run", read, "--once", *where).code == 0
        assert len(service.asked) == asked
    (incident,) = run("incidents", "--json", *where).documents
    assert numbers(incident) == (7, 0, [])
    assert run("affected", incident["id"], *where).out.splitlines() == AFFECTED
    assert b"cannot be connected to: is it running?" in (tmp_path / "output").read_bytes()
