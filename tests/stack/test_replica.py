"""From any machine: a deployment on the real Kafka answers as one scan of the same lines does."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from evidence.settings import Ledger
from evidence.signing import load_signer
from tests import _attack
from tests.stack._process import Process

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from console.main import main; main()"]
TIMEOUT_S = 120
LOOKS = 120


def call(*args):
    """(exit code, stdout, stderr) of the program."""
    done = subprocess.run(
        [*PROGRAM, *map(str, args)],
        cwd=ROOT, capture_output=True, timeout=TIMEOUT_S, check=False, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def asked(*args):
    code, out, err = call(*args)
    assert code == 0, err
    return out


class Machine:
    """A data directory and a configuration, with the deployment's keys."""

    def __init__(self, folder, kafka):
        self.folder = folder
        self.data = folder / "var"
        (self.data / "keys").mkdir(parents=True, mode=0o700)
        key = self.data / "keys" / "digest.key"
        key.write_bytes(b"k" * 32)
        key.chmod(0o600)
        load_signer(folder.parent / "deployment", Ledger().origin, create=True)
        shutil.copytree(folder.parent / "deployment/keys", self.data / "keys", dirs_exist_ok=True)
        self.config = folder / "breachline.yaml"
        text = _attack.CONFIG + f"data_dir: {json.dumps(str(self.data))}\n"
        self.config.write_text(text + f"kafka: {json.dumps(kafka)}\n" if kafka else text)

    def call(self, *args):
        return call(*args, "--config", self.config)

    def ask(self, *args):
        return asked(*args, "--config", self.config)


@pytest.fixture
def deployment(kafka, tmp_path):
    """A worker, at work."""
    settings = {"brokers": [kafka.brokers], "prefix": f"{tmp_path.name}.", "partitions": 2}
    worker = Machine(tmp_path / "worker", settings)
    words = [*PROGRAM, "worker", "--config", worker.config]
    process = Process(words, tmp_path / "worker.log", cwd=ROOT)
    yield settings
    process.stop()


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


SAME = """
    actors affected_count affected_upper breach categories cause findings first_seen last_seen
    records_count severity
""".split()


def essence(text):
    """Incidents without what depends on how often the desk looked."""
    return {row["id"]: {key: row[key] for key in SAME} for row in rows(text)}


class Reference:
    """One scan of the same lines, on a machine without Kafka."""

    def __init__(self, folder, log):
        self.machine = Machine(folder, None)
        self.machine.ask("scan", log)
        self.incidents = self.machine.ask("incidents", "--json")


def test_any_machine_gives_the_answers_of_one_scan(deployment, tmp_path):
    settings = deployment
    log = tmp_path / "access.log"
    elsewhere = Machine(tmp_path / "elsewhere", settings)
    parts = ([*_attack.ordinary(), *_attack.walk(_attack.VICTIMS[:6])], _attack.walk()[6:])
    stores = set()
    for number, part in enumerate(parts):
        with log.open("a") as file:
            file.writelines(part)
        elsewhere.ask("ship", log, "--once")
        reference = Reference(tmp_path / f"scan-{number}", log)
        wanted = essence(reference.incidents)
        assert len(wanted) == 1
        (case,) = wanted
        until(elsewhere, wanted)
        for words in (
            ("affected", case),
            ("affected", case, "--json"),
            ("evidence", "list", case, "--json"),
        ):
            assert elsewhere.ask(*words) == reference.machine.ask(*words), words
        answer = json.loads(elsewhere.ask("explain", "--ip", _attack.ATTACKER_IP, "--json"))
        same = json.loads(reference.machine.ask("explain", "--ip", _attack.ATTACKER_IP, "--json"))
        assert (answer["events"], answer["findings"], answer["silent_rules"]) == (
            same["events"], same["findings"], same["silent_rules"]
        )  # fmt: skip
        bundle = tmp_path / f"case-{number}.zip"
        elsewhere.ask("evidence", "export", case, "-o", bundle)
        asked("evidence", "verify", bundle)
        with zipfile.ZipFile(bundle) as opened:
            users = opened.read("affected.txt").decode().split()
        assert users == _attack.VICTIMS[: 6 * (number + 1)]
        for listing in (["incidents", "--json"], ["affected", case]):
            assert elsewhere.ask(*listing, "--offline") == elsewhere.ask(*listing)
        stores |= {path.name for path in elsewhere.data.glob("replica/*/store-*")}
    assert len(stores) == 1, "the second answer read only what was new"


def until(machine, wanted):
    """The deployment's incidents become these, within a bounded number of looks."""
    for _ in range(LOOKS):
        code, out, err = machine.call("incidents", "--json")
        assert code in (0, 2), err  # 2: the worker has not begun yet
        if (found := essence(out)) == wanted:
            return
        time.sleep(0.5)
    pytest.fail(f"waiting for {wanted}, the last answer was {found}")


def test_a_prefix_that_nobody_uses(kafka, tmp_path):
    nobody = Machine(tmp_path, {"brokers": [kafka.brokers], "prefix": "nobody."})
    code, out, err = nobody.call("incidents")
    assert (code, out) == (2, "")
    assert "nobody.state.decide: there is no such topic; start `breachline worker`" in err
