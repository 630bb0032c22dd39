"""Containment by hand on a deployment: the real Kafka, a worker that is killed, a gateway."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evidence.settings import Ledger
from evidence.signing import load_signer
from streams.clock import SystemClock
from tests import _attack
from tests._gateway import TOKEN, Gateway
from tests.stack._process import Process

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from console.main import main; main()"]
TIMEOUT_S = 120
LOOKS = 120
IP, HOME = "203.0.113.9", "192.0.2.9"
ENVIRON = {"PATH": "/usr/bin:/bin", "GATEWAY_TOKEN": TOKEN}


class Deployment:
    """One worker, and any machine from which people give orders."""

    def __init__(self, folder, settings, gateway):
        self.folder, self.gateway = folder, gateway
        self.worker_config = self._machine("worker", settings, "approval")
        self.config = self._machine("elsewhere", settings, "approval")
        self.worker: Process | None = None

    def _machine(self, name, settings, mode):
        data = self.folder / name / "var"
        (data / "keys").mkdir(parents=True, mode=0o700)
        key = data / "keys" / "digest.key"
        key.write_bytes(b"k" * 32)
        key.chmod(0o600)
        load_signer(data, Ledger().origin, create=True)
        respond = {
            "mode": mode,
            "gateway": {"url": self.gateway.url, "token_env": "GATEWAY_TOKEN"},
            "never_block": [],
        }
        config = self.folder / name / "breachline.yaml"
        config.write_text(
            _attack.CONFIG + f"data_dir: {json.dumps(str(data))}\n"
            f"kafka: {json.dumps(settings)}\nrespond: {json.dumps(respond)}\n"
        )
        return config

    def start(self):
        words = [*PROGRAM, "worker", "--config", self.worker_config]
        self.worker = Process(words, self.folder / "worker.log", cwd=ROOT, env=ENVIRON)

    def kill(self):
        assert self.worker is not None
        self.worker.kill()

    def close(self):
        if self.worker is not None and self.worker.is_running:
            self.worker.kill()

    def call(self, *args):
        """(exit code, stdout, stderr) of the program elsewhere."""
        done = subprocess.run(
            [*PROGRAM, *map(str, args), "--config", self.config], cwd=ROOT, env=ENVIRON,
            capture_output=True, timeout=TIMEOUT_S, check=False, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def asked(self, *args):
        code, out, err = self.call(*args, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def until_ready(self):
        """The decider has written its journal."""
        self.look(lambda: self.call("blocks")[0] == 0)

    def waiting(self):
        """The blocks that wait for a person, once there are some."""
        self.look(lambda: self.asked("blocks", "--pending"))
        return self.asked("blocks", "--pending")

    def look(self, holds):
        for _ in range(LOOKS):
            if holds():
                return
            time.sleep(0.5)
        assert self.worker is not None
        pytest.fail(f"it never came to it; the worker said: {self.worker.output()[-3000:]}")


@pytest.fixture
def gateway():
    with Gateway() as opened:
        yield opened


@pytest.fixture
def deployment(kafka, gateway, tmp_path):
    settings = {
        "brokers": [kafka.brokers], "prefix": f"{tmp_path.name}.", "group": tmp_path.name,
        "partitions": 1, "session_timeout_s": 6,
    }  # fmt: skip
    made = Deployment(tmp_path, settings, gateway)
    made.start()
    made.until_ready()
    yield made
    made.close()


def test_an_address_is_blocked_once_listed_and_lifted(deployment, gateway):
    (said,) = deployment.asked("block", IP, "--for", "1h", "--reason", "case 17")
    action = said.pop("action")
    assert said == {"ip": IP, "state": "confirmed", "detail": f"blocked {IP}"}
    assert (gateway.blocked, gateway.effects) == ([IP], {("block", IP): 1})
    (row,) = deployment.asked("blocks")
    assert (row["action"], row["state"], row["gateway"]) == (action, "confirmed", "blocked")
    code, out, err = deployment.call("unblock", IP, "--reason", "head office")
    assert (code, out, err) == (0, f"{IP} is not blocked any more: lifted {IP}\n", "")
    assert (gateway.blocked, gateway.effects["unblock", IP]) == ([], 1)
    (row,) = deployment.asked("blocks")
    assert (row["state"], row["gateway"]) == ("expired", "not blocked")
    # What nobody here blocked.
    gateway.blocked.append("203.0.113.11")
    (said,) = deployment.asked("unblock", "203.0.113.11")
    assert said == {"ip": "203.0.113.11", "state": "expired", "detail": "lifted 203.0.113.11"}
    assert gateway.blocked == []


def test_an_order_is_kept_while_no_worker_is_up_and_done_once_whoever_dies(deployment, gateway):
    deployment.kill()
    code, out, err = deployment.call("block", IP, "--timeout", "1s")
    assert (code, out) == (3, "")
    assert "no worker answered in 1 s; the order is kept, and is carried out" in err
    assert gateway.blocked == []
    # The gateway has the effect, and the worker dies before it hears of it.
    gateway.trouble = "slow"
    deployment.start()
    deployment.look(lambda: gateway.blocked)
    deployment.kill()
    gateway.trouble = None
    gateway.released.set()
    deployment.start()
    deployment.look(lambda: [r["state"] for r in deployment.asked("blocks")] == ["confirmed"])
    assert (gateway.blocked, gateway.effects) == ([IP], {("block", IP): 1})


def test_what_the_workers_never_block_is_refused_by_them(deployment, gateway):
    text = deployment.worker_config.read_text()
    listed = json.dumps([{"cidr": "192.0.2.0/24", "reason": "head office"}])
    text = text.replace('"never_block": []', f'"never_block": {listed}')
    deployment.worker_config.write_text(text)
    code, out, err = deployment.call("block", HOME)
    assert (code, out, gateway.blocked) == (1, "", [])
    assert "192.0.2.9 is on the never-block list: 192.0.2.0/24 (head office)" in err


def test_a_block_that_waits_is_approved_from_another_machine(deployment, gateway):
    log = deployment.folder / "access.log"
    log.write_text("".join(_attack.as_of_now(SystemClock().now_ms())))
    code, _, err = deployment.call("ship", log, "--once")
    assert code == 0, err
    (row, *_) = deployment.waiting()
    assert (row["target"], row["waits"], gateway.blocked) == (_attack.ATTACKER_IP, True, [])
    (said,) = deployment.asked("block", "--approve", row["action"], "--by", "ada")
    assert (said["state"], said["action"]) == ("confirmed", row["action"])
    assert gateway.effects == {("block", _attack.ATTACKER_IP): 1}
    code, out, err = deployment.call("block", "--approve", row["action"])
    assert (code, out) == (2, "")
    assert "already approved by ada" in err
