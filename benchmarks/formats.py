"""`make bench`: lines a second of parsing, by format, on one core, beside the goals.

The lines are those of the golden logs, varied: other addresses, ids, paths, times and request ids,
as traffic has them. Nothing is judged: what `intake/formats` does with a line alone is measured.
"""

import argparse
import gc
import json
import random
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from intake.detection import Formats, SourceLines, Written
from intake.formats._base import Parser, is_blank
from intake.line import Unreadable
from intake.settings import IntakeSettings

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "intake"
GOALS = {"text": 60_000, "JSON": 100_000}
ROUNDS = 5
_ADDRESSES, _USERS, _REQUESTS = 20_000, 50_000, 1 << 128
_ADDRESS = re.compile(rb"(?<![\d.])(?:203\.0\.113|198\.51\.100|192\.0\.2)\.\d{1,3}(?![\d.])")
_NUMBER = re.compile(rb"(?<=[a-z]/)\d{1,6}(?=[/? \"])")
_HEX = re.compile(rb"(?<![0-9a-fA-F])[0-9a-f]{32}(?![0-9a-fA-F])")
_CLOCK = re.compile(rb"(?<=[T: ])\d\d:\d\d:\d\d(?=[.,Z +\"])")


def varied(lines: list[bytes], count: int) -> list[bytes]:
    """So many lines, each like one of these, in the order of a busy hour."""
    chance = random.Random(17)
    found = []
    for number in range(count):
        second = number * 3600 // count
        clock = b"%02d:%02d:%02d" % (10, second // 60, second % 60)
        address = chance.randrange(_ADDRESSES)
        line = lines[number % len(lines)]
        line = _ADDRESS.sub(b"203.0.%d.%d" % (113 + address // 256, address % 256), line)
        line = _NUMBER.sub(b"%d" % chance.randrange(_USERS), line)
        line = _HEX.sub(b"%032x" % chance.randrange(_REQUESTS), line)
        found.append(_CLOCK.sub(clock, line))
    return found


def rate(parse: Parser, lines: list[bytes]) -> float:
    """Lines a second, the best of several rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        gc.collect()
        started = time.process_time()
        for line in lines:
            parse(line)
        best = max(best, len(lines) / (time.process_time() - started))
    return best


def _understood(parse: Parser, lines: Iterable[bytes]) -> list[bytes]:
    found = []
    for line in lines:
        try:
            parse(line)
        except Unreadable:
            continue
        found.append(line)
    return found


def _cri(line: bytes) -> bytes:
    return b"2026-11-22T10:00:00.123456789Z stdout F " + line


def _docker(line: bytes) -> bytes:
    text = line.decode("utf-8", "backslashreplace") + "\n"
    return json.dumps({"log": text, "stream": "stdout", "time": "2026-11-22T10:00:00Z"}).encode()


def _syslog(line: bytes) -> bytes:
    return b"<134>Nov 22 10:00:00 web gateway[7]: " + line


_CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, "cri": _cri, "docker": _docker, "syslog": _syslog,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    count = parser.parse_args().lines
    formats = Formats(IntakeSettings())
    print(f"{count:,} lines a log, the best of {ROUNDS} rounds on one core")
    for log in sorted(GOLDEN.glob("*/*.log")):
        name = log.parent.name
        for wrapper, carry in _CARRIERS.items():
            if wrapper and (name, log.stem) != ("nginx", "combined"):
                continue
            parse = SourceLines(formats, Written(format=name, wrapper=wrapper)).parser_of(
                (wrapper, name)
            )
            bare = [line for line in log.read_bytes().split(b"\n") if not is_blank(line)]
            known = _understood(parse, [carry(line) for line in bare])
            lines = _understood(parse, varied(known, count))
            kind = "JSON" if known[0][:1] == b"{" or bare[0][:1] == b"{" else "text"
            found, goal = rate(parse, lines), GOALS[kind]
            label = f"{name}/{log.stem}" + (f" in {wrapper}" if wrapper else "")
            print(f"  {label:<28} {kind}  {found:>9,.0f}/s   goal {goal:,} ({found / goal:.1f})")


if __name__ == "__main__":
    main()
