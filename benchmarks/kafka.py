"""`make bench-kafka`: a worker beside bare loops, on one real Kafka, with the same lines.

Prints rates and their ratios, the time from a line to its finding, and memory with a million active
addresses, each beside its goal. A missed goal is a word in the output; only a fault ends it early.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

import msgspec
from aiokafka import TopicPartition

from benchmarks._kafka_baselines.count import SAID
from benchmarks._kafka_worker import Deployment, Run, reader, worker
from benchmarks.feed import (
    FRAME_LINES,
    PARTITIONS,
    Sources,
    Steady,
    now_ms,
    send_frames,
    send_lines,
)
from benchmarks.traffic import Request, requests
from tests.stack._kafka import Kafka
from tests.stack._process import Process

ROOT = Path(__file__).parent.parent
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
LOOPS = {
    "bare Faust agent": (sys.executable, "faust_agent"),
    "bare Quix Streams": (BENCH_PYTHON, "quix_loop"),
    "bare Bytewax": (BENCH_PYTHON, "bytewax_loop"),
}
FAUST = "bare Faust agent"
FAST = [name for name in LOOPS if name != FAUST]
CORES = os.cpu_count() or 1
WORKERS = (
    ("frames", f"one worker of {CORES} processes, frames", FRAME_LINES, CORES),
    ("lines", f"one worker of {CORES} processes, a line a message", 1, CORES),
    ("alone", "one worker of 1 process, frames", FRAME_LINES, 1),
)
"""A worker uses the machine's cores by processes; the bare loops have one."""
TIMEOUT_S = 240
"""Of one measurement: a rate so low that this is not enough is a fault."""
BLOCK = FRAME_LINES * PARTITIONS
ATTACKS = 200
WARM_UP_S = 6
FINDING_TIMEOUT_S = 15


class _Source(msgspec.Struct):
    ip: str


class Finding(msgspec.Struct):
    """What is read of a finding's document."""

    source: _Source | None = None


def say(text: str) -> None:
    print(text, flush=True)


def goal(name: str, value: float, wanted: float, unit: str = "", *, most: bool = False) -> None:
    """One line: the value, the goal, and whether it is reached."""
    good = value < wanted if most else value >= wanted
    words = "under" if most else "at least"
    say(
        f"  {'PASS' if good else 'FAIL'}  {name:<52} {value:>8.2f}{unit}"
        f"   goal {words} {wanted:g}{unit}"
    )


def _bare(name: str, brokers: str, topic: str, total: int, home: Path) -> Run:
    """A bare loop, from the first line to the last of `total`."""
    python, module = LOOPS[name]
    home.mkdir(parents=True, exist_ok=True)
    words = ["-W", "ignore", "-m", f"benchmarks._kafka_baselines.{module}"]
    group = f"bare-{module}-{home.name}"
    # In its own folder: Faust and Quix leave folders of theirs where they are.
    loop = Process(
        [python, *words, brokers, topic, group, total],
        home / f"{module}.log",
        cwd=home,
        env={**os.environ, "PYTHONPATH": f"{ROOT}"},
    )
    try:
        loop.wait_for(f"{SAID} {total} ", TIMEOUT_S)
        found = re.search(rf"{SAID} {total} ([\d.]+) ([\d.]+)\s", loop.output())
        if not found:
            raise RuntimeError(f"reading what {name} said: {loop.output()[-500:]}")
        return Run(total, float(found[1]), float(found[2]))
    finally:
        if loop.is_running:
            loop.kill()


async def _worker_rate(
    brokers: str, name: str, lines: Iterable[bytes], per_message: int, processes: int, home: Path
) -> tuple[Run, int]:
    """A new worker on a new deployment that holds all lines already; and its findings."""
    send = send_lines if per_message == 1 else send_frames
    async with Deployment(brokers, name) as deployment:
        count = await send(brokers, deployment.topics.raw, lines)
        with worker(deployment, home / name, processes) as running:
            run = await running.measure(count // per_message, per_message, TIMEOUT_S)
        return run, await deployment.count(deployment.topics.findings)


async def rates(
    brokers: str, lines: list[bytes], faust_lines: int, rounds: int, home: Path
) -> None:
    """(a) to (d), each in each round, so that a slower minute of the machine meets all of them."""
    seen: dict[str, list[Run]] = {}
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}, lines/s from the first to the last line")
        for name, what, per_message, processes in WORKERS:
            run, findings = await _worker_rate(
                brokers, f"{name}{number}", lines, per_message, processes, home
            )
            seen.setdefault(name, []).append(run)
            say(f"  {what:<44} {run}; {findings} findings")
        topic = f"lines{number}.access.raw"
        for name in LOOPS:
            total = faust_lines if name == FAUST else len(lines)
            run = _bare(name, brokers, topic, total, home / f"bare{number}")
            seen.setdefault(name, []).append(run)
            say(f"  {name:<44} {run}")
    say(f"ratios, median of {rounds}, with those of lines a second of CPU beside them")
    goals = (
        ("frames / bare Faust agent", "frames", [FAUST], 6),
        ("frames / bare Faust agent, a process each", "alone", [FAUST], 6),
        ("frames / the faster bare loop", "frames", FAST, 0.7),
        ("frames / the faster bare loop, a process each", "alone", FAST, 0.7),
        ("one line a message / the faster bare loop", "lines", FAST, 0.3),
    )
    for words, ours, theirs, wanted in goals:
        times = {name: _times(seen[ours], seen[name]) for name in theirs}
        beside = ", ".join(
            f"{name} {wall:.2f} (CPU {cpu:.2f})" for name, (wall, cpu) in times.items()
        )
        goal(words, min(wall for wall, _ in times.values()), wanted)
        say(f"        {beside}")


def _times(ours: list[Run], theirs: list[Run]) -> tuple[float, float]:
    """How many times as fast, by wall time and by CPU, each round by itself."""
    pairs = list(zip(ours, theirs, strict=True))
    by_cpu = median(a.lines / a.cpu_s / (b.lines / b.cpu_s) for a, b in pairs)
    return median(a.rate / b.rate for a, b in pairs), by_cpu


def attack(number: int) -> tuple[str, bytes]:
    """(address, line) of somebody who reads one profile of somebody else: one line, one finding."""
    request = Request(
        10**9 + number,
        0,
        0,
        f"u-{900_000 + number:06d}",
        f"/api/v1/users/u-{number:06d}/profile",
        900,
    )
    ip = f"203.0.113.{number + 1}"
    line = (
        request.ndjson()
        .replace(f'"{request.ip}"', f'"{ip}"')
        .replace("s00000000", f"s9{number:07d}")
    )
    return ip, line.encode()


async def latency(brokers: str, lines: list[bytes], rate: int, seconds: int, home: Path) -> None:
    """From the moment an attack's line was due to its finding, under a steady load."""
    attacks = [attack(number) for number in range(ATTACKS)]
    say(f"from line to finding at {rate:,} lines/s for {seconds} s, {ATTACKS} attacks")
    async with Deployment(brokers, "latency") as deployment:
        with worker(deployment, home / "latency", CORES) as running:
            feed = Steady(brokers, deployment.topics.raw, rate)
            ordinary = iter(lines)
            await feed.run(ordinary, WARM_UP_S, [])
            # What came while it was starting is not the steady load.
            await running.until(feed.frames - 1, TIMEOUT_S)
            async with asyncio.TaskGroup() as tasks:
                wanted = {ip for ip, _ in attacks}
                watching = tasks.create_task(
                    _watch(deployment, wanted, seconds + FINDING_TIMEOUT_S)
                )
                await feed.run(ordinary, seconds, [line for _, line in attacks])
                behind = feed.frames - await running.intake()
            found = watching.result()
            running.check()
    produced = dict(zip((ip for ip, _ in attacks), feed.produced_ms, strict=True))
    written, visible = (
        [found[ip][which] - ms if ip in found else float("inf") for ip, ms in produced.items()]
        for which in (0, 1)
    )
    late = f"the feeder was up to {feed.late_s * 1000:.0f} ms late"
    left = f"the worker {behind * feed.frame_lines:,} lines behind at the end"
    say(f"  {len(found)} of {ATTACKS} found; {late}, {left}")
    for name, times in (("stamped by its writer", written), ("seen by a reader", visible)):
        cuts = quantiles(times, n=100, method="inclusive")
        say(f"  finding {name:<22} p50 {cuts[49]:6.0f} ms   p99 {cuts[98]:6.0f} ms")
    goal("line to finding seen by a reader, p99", cuts[98] / 1000, 1, " s", most=True)


async def _watch(
    deployment: Deployment, wanted: set[str], timeout_s: float
) -> dict[str, tuple[int, int]]:
    """(record's timestamp, moment of arrival) in ms of the first finding from each address."""
    found: dict[str, tuple[int, int]] = {}
    until = time.perf_counter() + timeout_s
    async with reader(deployment.brokers) as consumer:
        consumer.assign([TopicPartition(deployment.topics.findings, 0)])
        while len(found) < len(wanted) and time.perf_counter() < until:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                arrived_ms = now_ms()
                for record in records:
                    finding = msgspec.json.decode(record.value, type=Finding)
                    if finding.source and finding.source.ip in wanted:
                        found.setdefault(finding.source.ip, (record.timestamp, arrived_ms))
    return found


async def memory(brokers: str, few: int, many: int, measured: int, home: Path) -> None:
    """What a worker holds when so many addresses are active, and how fast it is then."""
    say(f"addresses seen within {(many + measured) // 20_000} s of event time, frames")
    seen, peak = {}, 0.0
    for addresses in (few, many):
        warm = -(-max(addresses, measured // 4) // BLOCK) * BLOCK
        all_lines = (request.ndjson().encode() for request in requests(warm + measured, addresses))
        name, sources = f"memory{addresses}", Sources()
        async with Deployment(brokers, name) as deployment:
            raw = deployment.topics.raw
            await send_frames(brokers, raw, islice(all_lines, warm), sources)
            lines = list(all_lines)
            with worker(deployment, home / name) as running:
                await running.until(warm // FRAME_LINES - 1, TIMEOUT_S)
                async with asyncio.timeout(TIMEOUT_S):
                    await running.decided()
                await send_frames(brokers, raw, lines, sources)
                total = (warm + measured) // FRAME_LINES
                run = await running.measure(total, FRAME_LINES, TIMEOUT_S)
                seen[addresses], peak = run.rate, running.peak_mib()
        say(f"  {f'{addresses:,} addresses':<31} {run}; peak RSS {peak:,.0f} MiB")
    goal(f"memory with {many:,} addresses", peak / 1024, 1.5, " GiB", most=True)
    goal(f"rate with {many:,} / with {few:,} addresses", seen[many] / seen[few], 0.6)


async def bench(given: argparse.Namespace, home: Path) -> None:
    started = time.perf_counter()
    count = given.lines // BLOCK * BLOCK
    most = max(count, given.rate * (WARM_UP_S + given.seconds))
    # As many lines an address as in `make bench`.
    lines = [request.ndjson().encode() for request in requests(most, most // 5)]
    size = sum(map(len, lines)) / most
    say(f"{count:,} lines of {size:.0f} bytes, {PARTITIONS} partitions, {os.cpu_count()} CPUs")
    with Kafka(home / "kafka") as kafka:
        parts = {
            "rates": lambda: rates(kafka.brokers, lines[:count], count // 5, given.rounds, home),
            "latency": lambda: latency(kafka.brokers, lines, given.rate, given.seconds, home),
            "memory": lambda: memory(kafka.brokers, 10_000, given.addresses, count // 2, home),
        }
        for name, part in parts.items():
            if given.only in {None, name}:
                await part()
    say(f"{time.perf_counter() - started:.0f} s in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=int, default=20_000, help="lines/s of the latency part")
    parser.add_argument("--seconds", type=int, default=20, help="of the latency part")
    parser.add_argument("--addresses", type=int, default=1_000_000, help="of the memory part")
    parser.add_argument("--only", choices=("rates", "latency", "memory"))
    with tempfile.TemporaryDirectory(prefix="breachline-bench-kafka-") as home:
        asyncio.run(bench(parser.parse_args(), Path(home)))


if __name__ == "__main__":
    main()
