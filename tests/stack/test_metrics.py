"""The real Prometheus scrapes a worker on the real Kafka, and the embedded service."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from evidence.keys import load_digest_key
from evidence.settings import Ledger
from evidence.signing import load_signer
from records.ids import iso
from streams.clock import SystemClock
from tests import _attack
from tests._gateway import TOKEN, Gateway
from tests.stack._clients import produce
from tests.stack._debian import program
from tests.stack._kafka import HOST
from tests.stack._process import Process, free_ports
from tests.stack.conftest import or_skip

PROGRAM = Path(sys.executable).with_name("breachline")
TIMEOUT_S = 90
SCRAPE = """\
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: breachline
    static_configs: [{{targets: [{target}]}}]
"""
PEOPLE = 40


@pytest.fixture(scope="module")
def prometheus_runs():
    with or_skip("the real Prometheus"):
        return program("prometheus", "prometheus"), program("promtool", "prometheus")


class Prometheus:
    """A server that scrapes one target each second; `with` starts it."""

    def __init__(self, path, folder, target):
        folder.mkdir()
        (folder / "prometheus.yml").write_text(SCRAPE.format(target=target))
        (self.port,) = free_ports(1)
        self._words = [
            path, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address={HOST}:{self.port}",
        ]  # fmt: skip
        self._folder = folder

    def __enter__(self):
        self._process = Process(self._words, self._folder / "log", cwd=self._folder)
        self._process.wait_for("Server is ready to receive web requests", TIMEOUT_S)
        return self

    def __exit__(self, *_fault):
        self._process.kill()

    def ask(self, question):
        """Labels as text -> value."""
        query = urlencode({"query": question})
        with urlopen(f"http://{HOST}:{self.port}/api/v1/query?{query}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return {
            ",".join(
                value
                for name, value in sorted(one["metric"].items())
                if name not in {"__name__", "instance", "job"}
            ): float(one["value"][1])
            for one in found
        }

    def until(self, question, holds):
        """What it answers, once that holds."""
        deadline = time.monotonic() + TIMEOUT_S
        while not holds(found := self.ask(question)):
            assert time.monotonic() < deadline, f"{question}: {found}"
            time.sleep(0.2)
        return found


def get(port, path):
    try:
        with urlopen(f"http://{HOST}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def healthy(port, process):
    """Waits until it says so; what it said first."""
    deadline = time.monotonic() + TIMEOUT_S
    said = []
    while True:
        assert process.is_running, process.output()
        try:
            status, body = get(port, "/healthz")
        except OSError:
            status, body = 0, ""
        said.append((status, body))
        if status == 200:
            return said
        assert time.monotonic() < deadline, f"{body}\n{process.output()[-2000:]}"
        time.sleep(0.1)


def lines():
    """Two own accesses, one of them two hours ago; then one person reads what is of 40 others.

    The last is no line.
    """
    now_ms = SystemClock().now_ms()
    seen = [(now_ms - 7_200_000, "203.0.113.9", "u-1", "u-1")]
    seen.append((now_ms, "203.0.113.7", "u-1000", "u-1000"))
    seen += [(now_ms, "203.0.113.7", "u-1000", f"u-{n}") for n in range(PEOPLE)]
    return [
        json.dumps(
            {
                "time": iso(time_ms), "remote_addr": address, "method": "GET", "status": 200,
                "uri": f"/api/v1/users/{owner}/profile", "user_id": user, "session": user,
            }
        ).encode()
        for time_ms, address, user, owner in seen
    ] + [b"not a line"]  # fmt: skip


def config(folder, port, **more):
    folder.mkdir(exist_ok=True)
    path = folder / "breachline.yaml"
    settings = {"data_dir": str(folder / "var"), "metrics": {"listen": f"{HOST}:{port}"}}
    path.write_text(json.dumps(settings | more))
    return path


@pytest.fixture
def worker(kafka, tmp_path):
    """(port, process) of a worker that blocks at a gateway, and where its lines go in."""
    (port,) = free_ports(1)
    with Gateway() as gateway:
        path = config(
            tmp_path / "worker", port,
            kafka={"brokers": [kafka.brokers], "prefix": "metrics.", "group": "metrics",
                   "partitions": 1},
            intake={"trust": {"principal": "gateway"}},
            respond={"mode": "enforce", "gateway": {"url": gateway.url, "token_env": "TOKEN"}},
        )  # fmt: skip
        load_digest_key(path.parent / "var", create=True)
        load_signer(path.parent / "var", Ledger().origin, create=True)
        process = Process(
            [PROGRAM, "worker", "--config", path], tmp_path / "worker.log", cwd=tmp_path,
            env={**os.environ, "TOKEN": TOKEN},
        )  # fmt: skip
        try:
            yield port, process
        finally:
            if process.is_running:
                process.kill()


def test_prometheus_has_what_a_worker_did(worker, kafka, prometheus_runs, tmp_path):
    server, tool = prometheus_runs
    port, process = worker
    said = healthy(port, process)
    assert {status for status, _ in said} <= {0, 503, 200}
    assert json.loads(said[-1][1]) == {"healthy": True, "why": []}
    with Prometheus(server, tmp_path / "prometheus", f"{HOST}:{port}") as prometheus:
        prometheus.until("up", lambda found: found == {"": 1})
        asyncio.run(produce(kafka.brokers, "metrics.access.raw", lines()))
        prometheus.until("breachline_lines_total", lambda found: found == {"": PEOPLE + 3})
        prometheus.until(
            'breachline_receipts_total{kind="block_ip"}',
            lambda found: found.get("block_ip,confirmed", 0) >= 1,
        )
        assert prometheus.ask("breachline_events_total") == {"": PEOPLE + 2}
        assert prometheus.ask("breachline_rejected_lines_total > 0") == {"not_json": 1}
        findings = prometheus.ask("sum(breachline_findings_total)")[""]
        assert prometheus.ask("breachline_line_to_finding_seconds_count") == {"": findings}
        blocks = prometheus.ask("breachline_line_to_block_seconds_count")[""]
        assert (
            blocks
            == prometheus.ask('breachline_actions_total{kind="block_ip"}')["block_ip,enforce"]
        )
        assert findings >= blocks >= 1
        lag = prometheus.until(
            "breachline_partition_lag_records", lambda found: set(found.values()) == {0}
        )
        assert set(lag) == {
            "0,metrics.access.raw", "0,metrics.exposures", "0,metrics.signals",
        }  # fmt: skip
        assert prometheus.ask("breachline_task_ready") == {
            "0,decide": 1, "0,detect": 1, "0,intake": 1,
        }  # fmt: skip
        assert prometheus.ask("breachline_detector_seconds_total")["cross_user_read"] > 0
    text = get(port, "/metrics")[1]
    assert "203.0.113.7" not in text
    assert "u-1000" not in text
    linted = subprocess.run(
        [tool, "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")
    second = subprocess.run(
        [PROGRAM, "worker", "--config", tmp_path / "worker" / "breachline.yaml"],
        capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        env={**os.environ, "TOKEN": TOKEN},
    )  # fmt: skip
    assert second.returncode == 2
    assert f"listening on {HOST}:{port}: the port is in use" in second.stderr
    process.stop()


def test_the_embedded_service_shows_the_same(tmp_path):
    log = _attack.write(tmp_path / "attack")
    (port,) = free_ports(1)
    with (log.parent / "breachline.yaml").open("a") as file:
        file.write(f"\nmetrics: {{listen: '{HOST}:{port}'}}\n")
    process = Process(
        [PROGRAM, "run", log, "--config", log.parent / "breachline.yaml"],
        tmp_path / "run.log", cwd=tmp_path,
    )  # fmt: skip
    try:
        healthy(port, process)
        deadline = time.monotonic() + TIMEOUT_S
        while "breachline_lines_total 852.0" not in (shown := get(port, "/metrics")[1]):
            assert time.monotonic() < deadline, shown
            time.sleep(0.1)
        assert 'breachline_findings_total{rule="cross_user_read"' in shown
    finally:
        process.stop()
