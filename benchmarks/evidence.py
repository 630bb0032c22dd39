"""`make bench-evidence`: the log, its check, Elasticsearch and look-backs, beside bare figures.

Prints durable entries a second, entries checked a second, documents indexed a second, and the
seconds of a look-back over 50 million events, each beside the least that could do its work, and
beside its goal. A missed goal is a word in the output; only a fault ends it early.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks._evidence.batches import ENTRIES
from benchmarks._evidence.beside import say
from benchmarks._evidence.bulk import bulk
from benchmarks._evidence.ledger import ledger, verify
from benchmarks._evidence.lookback import look_back

PARTS = ("ledger", "verify", "bulk", "look-back")


def bench(given: argparse.Namespace, home: Path) -> None:
    started = time.perf_counter()
    # Whole batches only.
    entries = max(1, given.entries // ENTRIES) * ENTRIES
    say(f"evidence, {given.rounds} rounds, median (each round), {os.cpu_count()} CPUs")
    parts = {
        "ledger": lambda place: ledger(entries, given.rounds, place),
        "verify": lambda place: verify(entries * 5, given.rounds, place),
        "bulk": lambda place: bulk(entries, given.rounds, place),
        "look-back": lambda place: look_back(given.events, given.rounds, place),
    }
    for name in PARTS:
        if given.only in {None, name}:
            # Gone before the next part needs the disk.
            with tempfile.TemporaryDirectory(dir=home) as place:
                parts[name](Path(place))
    say(f"{time.perf_counter() - started:.0f} s in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--entries", type=int, default=20_000, help="a round; five times as many are checked"
    )
    parser.add_argument("--events", type=int, default=50_000_000, help="of the look-back part")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS)
    with tempfile.TemporaryDirectory(prefix="breachline-bench-evidence-") as home:
        bench(parser.parse_args(), Path(home))


if __name__ == "__main__":
    main()
