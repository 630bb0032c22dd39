"""The one thing that the bare loops do with a line, the same in all of them."""

import argparse
import time
from collections.abc import Callable

import msgspec

from benchmarks.reference import Line

SAID = "COUNTED"
"""A loop's result: this word, the lines, and between the first of them and the last the seconds
and the seconds of CPU of all its threads."""


def arguments() -> argparse.Namespace:
    """brokers, topic, group and total of a loop's command line."""
    parser = argparse.ArgumentParser()
    for name in ("brokers", "topic", "group"):
        parser.add_argument(name)
    parser.add_argument("total", type=int)
    return parser.parse_args()


def counter(total: int) -> Callable[[bytes], None]:
    """Call it with each line; it decodes it, and says how long `total` of them took."""
    decode = msgspec.json.Decoder(Line).decode
    count, started, started_cpu = 0, 0.0, 0.0

    def on_line(value: bytes) -> None:
        nonlocal count, started, started_cpu
        if not count:
            started, started_cpu = time.perf_counter(), time.process_time()
        decode(value)
        count += 1
        if count == total:
            seconds = time.perf_counter() - started
            cpu_s = time.process_time() - started_cpu
            print(f"{SAID} {total} {seconds:.6f} {cpu_s:.6f}", flush=True)

    return on_line
