"""`breachline worker` on the real Kafka: nothing lost and nothing twice, whatever happens to it.

The long campaign is `make chaos`; here is its short form, and how a worker begins and ends.
"""

import asyncio
import os
import random
import secrets
import signal
from pathlib import Path

import pytest

from benchmarks._chaos.campaign import (
    APART_S,
    LASTS_S,
    Kind,
    Plan,
    Report,
    moments,
    run,
    seconds_for,
)
from benchmarks._chaos.feeding import Feeder
from benchmarks._chaos.stack import Stack
from benchmarks._chaos.world import PROGRAM, World
from streams.kafka.settings import Kafka as Settings
from tests.stack._kafka import HOST
from tests.stack._kafka import Kafka as Node
from tests.stack._process import Process

EVENTS, RATE = 300_000, 5_000
FAST = 1_000
TIMEOUT_S = 90
VARIABLE = "BREACHLINE_TEST_PASSWORD"


def test_three_kills_and_a_restart_of_the_broker_change_nothing(kafka_runs, tmp_path):
    plan = Plan("short", "frames", ("kill", "kill", "kill", "broker"))
    world = World(tmp_path / "world", EVENTS, RATE, plan.seed)
    result, recoveries_s = asyncio.run(run(plan, world, tmp_path))
    report = Report(plan, result, world.reference(), recoveries_s)
    assert report.against == {}
    assert report.reference.lines == EVENTS
    assert report.reference.findings.total() > 100
    assert report.reference.affected.total() > 30
    assert result.blocks > 20


def test_faults_are_12_s_apart_and_within_the_log():
    plans: list[tuple[Kind, ...]] = [("kill",) * 20, ("freeze",) * 3, ("kill", "broker", "leader")]
    for seed, faults in enumerate(plans):
        seconds = seconds_for(faults)
        begins = moments(faults, seconds, random.Random(seed))
        ends = [begin + LASTS_S[kind] for begin, kind in zip(begins, faults, strict=True)]
        assert all(b - a >= APART_S for a, b in zip(ends, begins[1:], strict=False))
        assert begins[-1] < seconds


# -- how a worker begins and ends


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small log, which is fed faster than it was written."""
    return World(tmp_path_factory.mktemp("world"), 6_000, 100, seed=3)


@pytest.fixture(scope="module")
def reference(world):
    return world.reference()


@pytest.fixture
def stack(world, kafka, tmp_path):
    """Makes a deployment of the test's own on the shared Kafka."""

    def do(node=kafka, environ=None, **other):
        name = f"w{secrets.token_hex(4)}"
        settings = {"brokers": [node.brokers], "prefix": f"{name}.", "group": name}
        settings |= {"session_timeout_s": 6} | other
        return Stack(world, Settings.model_validate(settings), tmp_path / name, environ)

    return do


async def came_to(stack, reference):
    """What speaks against it, once it is finished."""
    await stack.finished(TIMEOUT_S)
    result = await stack.result()
    return (result.outcome.differences(reference), result.ledger, result.gateway)


EXACT: tuple[dict[str, str], tuple[str, ...], tuple[str, ...]] = ({}, (), ())


@pytest.mark.parametrize("way", ["frames", "lines"])
def test_sigterm_ends_with_0_and_the_next_worker_goes_on_exactly(stack, reference, way):
    async def do():
        async with stack() as deployment:
            first = deployment.start(0)
            await deployment.ready()
            feeder = Feeder(deployment, way, FAST)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(feeder.run())
                await feeder.until(feeder.world.lines // 2)
                code = await asyncio.to_thread(ended, first, signal.SIGTERM)
                deployment.start(0)
            return code, await came_to(deployment, reference)

    assert asyncio.run(do()) == (0, EXACT)


def test_ctrl_c_ends_with_130(stack):
    async def do():
        async with stack() as deployment:
            worker = deployment.start(0)
            await deployment.ready()
            return await asyncio.to_thread(ended, worker, signal.SIGINT)

    assert asyncio.run(do()) == 130


def test_faust_starts_it_too_and_its_pages_stay_shut(stack, reference):
    async def do():
        async with stack() as deployment:
            faust = PROGRAM.with_name("faust")
            worker = deployment.start(0, faust, "-A", "streams.app", "worker", "-l", "warn")
            await deployment.ready()
            listening = listeners(worker.pid)
            await Feeder(deployment, "frames", FAST).run()
            found = await came_to(deployment, reference)
            only = [f"0100007F:{deployment.metrics_ports[0]:04X}"]
            code = await asyncio.to_thread(ended, worker, signal.SIGTERM)
            return listening == only, found, code

    assert asyncio.run(do()) == (True, EXACT, 0)


def test_a_broker_that_is_not_there_is_waited_for(kafka_runs, stack, reference, tmp_path):
    node = Node(tmp_path / "late")

    async def do():
        async with stack(node) as deployment:
            worker = deployment.start(0)
            await asyncio.to_thread(worker.wait_for, "trying again every", TIMEOUT_S)
            with node:
                await deployment.ready()
                await Feeder(deployment, "frames", FAST).run()
                return worker.output(), await came_to(deployment, reference)

    said, found = asyncio.run(do())
    assert found == EXACT
    assert said.count("trying again every") == 1
    assert node.brokers in said


def test_without_the_digest_key_of_the_deployment_it_does_not_start(tmp_path):
    config = tmp_path / "breachline.yaml"
    config.write_text(f"data_dir: {tmp_path}\nkafka: {{brokers: ['{HOST}:9']}}\n")
    worker = Process([PROGRAM, "worker", "--config", config], tmp_path / "log", cwd=tmp_path)
    assert worker.wait(TIMEOUT_S) == 2
    said = worker.output()
    assert str(tmp_path / "keys" / "digest.key") in said
    assert "Traceback" not in said


def test_it_signs_in_with_sasl_over_tls(stack, reference, secure_kafka):
    known = secure_kafka.security

    async def do():
        secure = {
            "sasl": {"username": known.user, "password_env": VARIABLE},
            "tls": {"ca_file": known.ca_file},
        }
        async with stack(secure_kafka, {VARIABLE: known.password}, **secure) as deployment:
            worker = deployment.start(0)
            await deployment.ready()
            await Feeder(deployment, "frames", FAST).run()
            return known.password in worker.output(), await came_to(deployment, reference)

    assert asyncio.run(do()) == (False, EXACT)


def ended(worker, number):
    """The exit status after that signal."""
    os.kill(worker.pid, number)
    return worker.wait(TIMEOUT_S)


def listeners(pid):
    """Local addresses on which a process listens (Linux)."""
    held = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held]
