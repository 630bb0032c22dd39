"""`make chaos`: faults of every kind against two workers, each run beside a scan of the same lines.

Prints a table and writes it to docs/reliability.md; ends with 1 if any run was not exact.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks._chaos.campaign import APART_S, FROZEN_S, Kind, Plan, Report, run, seconds_for
from benchmarks._chaos.world import SESSION_TIMEOUT_S, World
from streams.clock import SystemClock

RATE = 15_000
DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"


def _plans() -> list[Plan]:
    several: list[tuple[str, tuple[Kind, ...]]] = [
        ("freeze a worker", ("freeze",) * 3),
        ("stop and start the broker", ("broker",) * 3),
        ("kill the leader of three brokers", ("leader",) * 3),
    ]
    plans = [
        Plan("undisturbed, one worker", "frames", (), workers=1),
        Plan("undisturbed", "lines", ()),
        Plan("kill -9 a worker", "frames", ("kill",) * 20),
        Plan("kill -9 a worker", "lines", ("kill",) * 5),
    ]
    plans += [Plan(name, way, faults) for name, faults in several for way in ("frames", "lines")]
    return [plan._replace(seed=number) for number, plan in enumerate(plans, 1)]


HEADER = (
    "fault", "access.raw", "times", "lines", "findings", "affected", "actions", "ledger: one head",
    "gateway: once", "blocks", "recovery, s: median (most)",
)  # fmt: skip


def row(report: Report) -> tuple[str, ...]:
    """A run's cells, as HEADER names them."""
    plan, result, reference = report.plan, report.result, report.reference
    found = result.outcome

    def same(field: str, count: int) -> str:
        return f"{count:,} of {count:,}" if field not in report.differences else "DIFFERENT"

    recoveries = sorted(report.recoveries_s)
    return (
        plan.name,
        plan.way,
        f"{len(plan.faults)}",
        f"{found.lines:,} of {reference.lines:,}",
        same("findings", reference.findings.total()),
        same("affected", reference.affected.total()),
        same("actions", reference.actions.total()),
        "no" if result.ledger else "yes",
        "no" if result.gateway else "yes",
        f"{result.blocks}",
        f"{recoveries[len(recoveries) // 2]:.1f} ({recoveries[-1]:.1f})" if recoveries else "-",
    )


def table(reports: Sequence[Report]) -> str:
    """In Markdown."""
    rows = [HEADER, tuple("---" for _ in HEADER), *map(row, reports)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def document(reports: Sequence[Report], rate: int) -> str:
    """The whole of docs/reliability.md."""
    exact = sum(report.is_exact for report in reports)
    return f"""# Reliability: what faults change

{exact} of {len(reports)} runs came out as if nothing had happened. `make chaos` wrote this page, on
{os.cpu_count()} cores that the brokers, the gateway and the feeder shared with the workers.

Each run feeds a labelled log with every kind of attack at {rate:,} lines/s to `access.raw` (4
partitions), either in frames of four sources or as one line a message, round robin. Two workers
(session timeout {SESSION_TIMEOUT_S} s) detect, decide and block at a gateway. Faults come at random
event counts, at least {APART_S} s apart. A killed worker is replaced at once; a frozen one sleeps
{FROZEN_S:g} s, longer than its session; a broker is away for seconds.

The reference is one process that scans the same lines undisturbed: `breachline scan`.

{table(reports)}
- *lines*: those that were counted, of those in the log: none lost, none twice.
- *findings*: equal in rule, actor, severity and users. *affected*: equal in incidents, actors,
  each person's reads, writes and certainty, and unknown objects. *actions*: in kind and target.
- *ledger: one head*: two readers of the topic and the log of the decider, rebuilt from its journal,
  have the same entries in the same order, and none twice.
- *gateway: once*: each block stands once in the gateway's state, was carried out once, under one
  action id, and exactly those that the guards let through are there.
- *recovery*: from the fault until less than two seconds of the feed waited to be read.
"""


def _one(plan: Plan, rate: int, seconds: float | None) -> Report:
    with tempfile.TemporaryDirectory(prefix="breachline-chaos.") as folder:
        home = Path(folder)
        lines = int(rate * (seconds or seconds_for(plan.faults)))
        world = World(home / "world", lines, rate, plan.seed)
        result, recoveries_s = asyncio.run(run(plan, world, home))
        return Report(plan, result, world.reference(), recoveries_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=RATE, help="lines a second")
    parser.add_argument("--times", type=int, help="faults a run at most (default: 20 kills, ...)")
    parser.add_argument("--only", default="", help="runs whose name has this; writes no page")
    given = parser.parse_args()
    # The feeder's and the watcher's clients say the same of a dead broker many times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    reports = []
    for plan in _plans():
        if given.only not in f"{plan.name}, {plan.way}":
            continue
        plan = plan._replace(faults=plan.faults[: given.times])  # noqa: PLW2901
        started_s = SystemClock().monotonic_s()
        report = _one(plan, given.rate, None)
        reports.append(report)
        took_s = SystemClock().monotonic_s() - started_s
        print(f"{' | '.join(row(report))}   [{took_s:.0f} s]", flush=True)
        for what, how in report.against.items():
            print(f"  {what}: {how}", flush=True)
    print(f"\n{table(reports)}")
    if not given.only:
        DOCUMENT.write_text(document(reports, given.rate), encoding="utf-8")
        print(f"Written: {DOCUMENT.relative_to(Path.cwd())}")
    return int(not all(report.is_exact for report in reports))


if __name__ == "__main__":
    sys.exit(main())
