"""One log with ten attackers among five thousand people: each found, nobody else cut off.

The truth is what `simulate` wrote down as it made the log up.
"""

import gzip
import json
import shutil
from random import Random

import pytest

from tests.e2e._program import Result, run, scan, who

pytestmark = pytest.mark.stack

SEEDS = (11, 23)
OFFICE = "192.0.2.10"
"""Eight hundred honest people and one attacker are behind it."""
SUPPORT, BATCH = "support-7", {"198.19.254.3", "198.19.254.4"}


class World:
    """A simulated folder and the scan of it."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.log, self.config = folder / "sim" / "access.log", folder / "sim" / "breachline.yaml"
        sizes = ("--users", 5000, "--office-users", 800, "--hours", 2, "--lines", 60_000)
        ran = run("simulate", "--out", folder / "sim", "--seed", seed, "--attackers", 10, *sizes)
        assert ran.code == 0, ran.err
        self.attackers = json.loads((folder / "sim" / "truth.json").read_text())["attackers"]
        self.result = scan(folder, self.log, config=self.config)

    def truth(self, attacker):
        return (self.folder / "sim" / "affected" / f"{attacker['id']}.txt").read_bytes()

    def incident(self, attacker, result=None):
        """The one incident whose actor this attacker is."""
        found = [i for i in (result or self.result).open if name(attacker) in who(i)]
        assert len(found) == 1, f"{attacker['id']}: {len(found)} incidents"
        return found[0]


def name(attacker):
    if attacker["principal"] is None:
        (address,) = attacker["addresses"]
        return f"ip:{address}"
    return f"principal:{attacker['principal']}"


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed {seed}")
def world(request, tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), request.param)


def test_all_ten_are_found_each_in_one_incident_and_nobody_else_is(world):
    """Must hold 1: all 10 found."""
    assert len(world.attackers) == 10
    found = {attacker["id"]: world.incident(attacker) for attacker in world.attackers}
    assert {incident["id"] for incident in world.result.open} == {i["id"] for i in found.values()}
    assert len({incident["id"] for incident in found.values()}) == 10
    assert {(i["severity"], i["breach"]) for i in found.values()} == {("SEV1", True)}
    assert {incident["cause"] for incident in found.values()} == {"attack"}


def test_each_affected_file_equals_the_truth_byte_for_byte(world):
    """Must hold 1: each `affected/INCIDENT.txt` equals the truth that `simulate` wrote."""
    for attacker in world.attackers:
        incident = world.incident(attacker)
        path = world.result.folder / "affected" / f"{incident['id']}.txt"
        assert path.read_bytes() == world.truth(attacker), attacker["id"]
        assert incident["affected_count"] == len(attacker["victims"]) > 0


def test_nobody_else_is_named_as_an_actor(world):
    """Must hold 1: the office, the delegate and the batch account are nobody's incident."""
    theirs = {("principal", a["principal"]) for a in world.attackers if a["principal"]}
    theirs |= {("ip", address) for a in world.attackers for address in a["addresses"]}
    named = {actor for actor in world.result.actors if actor[0] in {"principal", "ip"}}
    assert named <= theirs
    assert not {actor for actor in named if actor[1] in {SUPPORT, "batch-reports", *BATCH}}


def test_no_block_of_an_address_where_honest_people_are(world):
    """Must hold 1: nobody else blocked; the office stays connected with the insider in it."""
    theirs = {address for a in world.attackers for address in a["addresses"]} - {OFFICE}
    blocks = world.result.blocks
    allowed = {b["target"] for b in blocks if b["guard"]["verdict"] in {"pass", "approve"}}
    assert allowed <= theirs
    assert world.result.passed, "no attacker would be blocked at all"
    refused = [block["guard"] for block in blocks if block["target"] == OFFICE]
    assert [guard["verdict"] for guard in refused] == ["refuse"] * len(refused)
    assert refused
    assert "innocent principals" in refused[0]["why"]


def test_enforcing_decides_the_same_blocks(world):
    """Must hold 1: nobody else blocked, in mode enforce too."""
    config = world.config.read_text() + "  mode: enforce\n"
    (world.folder / "enforce").mkdir(exist_ok=True)
    result = scan(world.folder / "enforce", world.log, config=config)
    assert {block["mode"] for block in result.blocks} == {"enforce"}
    assert result.passed == world.result.passed

    def decided(blocks):
        return sorted((b["target"], b["guard"]["verdict"]) for b in blocks)

    assert decided(result.blocks) == decided(world.result.blocks)


def test_shuffled_split_and_packed_it_is_the_same_case(world):
    """Must hold 5: any interleaving within the lateness gives the same."""
    rng = Random(7)
    lines = world.log.read_bytes().splitlines(keepends=True)
    times = [milliseconds(line) for line in lines]
    order = sorted(range(len(lines)), key=lambda n: times[n] + rng.random() * 30_000)
    logs = []
    for part in range(3):
        logs.append(world.folder / f"part-{part}.log.gz")
        with gzip.open(logs[-1], "wb", 1) as file:
            file.writelines(lines[n] for n in order[part::3])
    result = scan(world.folder, *logs, config=world.config, out="shuffled")
    assert result.counts == (60_000, 60_000, 0, 0)
    assert result.judgement() == world.result.judgement()


def test_given_three_times_it_counts_once(world):
    """Must hold 6: the same file given twice, renamed or gzipped counts once."""
    packed, renamed = world.folder / "access.log.2.gz", world.folder / "old.log"
    with world.log.open("rb") as plain, gzip.open(packed, "wb", 1) as file:
        shutil.copyfileobj(plain, file)
    shutil.copy(world.log, renamed)
    logs = (world.log, packed, renamed)
    result = scan(world.folder, *logs, config=world.config, out="thrice")
    assert result.counts == (180_000, 60_000, 0, 120_000)
    assert result.judgement() == world.result.judgement()
    assert result.actions == world.result.actions


def milliseconds(line):
    """Milliseconds within the day of an ECS line."""
    at = line.index(b"T", line.index(b'"@timestamp"')) + 1
    hours, minutes, seconds = line[at : at + 12].split(b":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


def test_followed_rotated_and_packed_it_counts_once(tmp_path):
    """Must hold 6: the live service sees a file again under another name, plain or packed."""
    run("simulate", "--out", tmp_path / "sim", "--lines", 4000, "--users", 300, "--seed", 5)
    log, config = tmp_path / "access.log", tmp_path / "sim" / "breachline.yaml"
    shutil.copy(tmp_path / "sim" / "access.log", log)
    where = ("--config", config, "--data-dir", tmp_path / "data", "--once")
    assert run("run", log, *where).code == 0
    before = state(tmp_path, config)
    log.rename(tmp_path / "access.log.1")
    assert run("run", tmp_path / "access.log.1", *where).code == 0
    packed = tmp_path / "access.log.2.gz"
    packed.write_bytes(gzip.compress((tmp_path / "access.log.1").read_bytes()))
    assert run("run", packed, *where).code == 0
    assert state(tmp_path, config) == before
    assert before[0] == [{"events": 4000, "ids": 4000}]


def state(folder, config):
    where = ("--config", config, "--data-dir", folder / "data")
    counts = "SELECT count(*) AS events, count(DISTINCT event) AS ids FROM events"
    return (
        run("history", "--sql", counts, *where).documents,
        run("incidents", "--json", *where).documents,
        run("blocks", "--json", *where).documents,
    )


def test_the_result_is_what_the_commands_read(world):
    """`affected INCIDENT` prints what the file holds; `incidents` lists what the scan wrote."""
    where = ("--from", world.result.folder, "--config", world.config)
    for attacker in world.attackers:
        ran = run("affected", world.incident(attacker)["id"], *where)
        assert ran.out.encode() == world.truth(attacker)
    assert run("incidents", "--json", *where).documents == Result(world.result.folder).incidents
