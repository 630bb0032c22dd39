"""`python -m benchmarks.join`: joins a gateway's and a service's log, of as many requests as asked.

nginx lines that name nobody and ECS lines that name the user and the owner, interleaved, with up to
5 s between the two lines of a request; a few requests end at the gateway. Prints the share that was
joined, lines a second with and without the join, how many lines waited, and memory. The goals of
the issue stand beside the figures; what misses one ends with exit code 1.
"""

import argparse
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from intake.frames import Reader, SourceState
from intake.judge import Judge
from intake.ownership import Tables
from intake.settings import IntakeSettings

START_S = int(datetime(2026, 11, 22, 9, tzinfo=UTC).timestamp())
NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_id'
)
SKEW_S = 5
USERS = 20_000
_FRAME_LINES = 500
_ONLY_GATEWAY = 0.03
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"

Lines = list[tuple[float, bytes]]
"""(when it is read, line)"""


class Figures(NamedTuple):
    """What one reading came to."""

    lines: int
    seconds: float
    joined: int
    most_waiting: int
    grown_mib: float


def traffic(requests: int, rate: int, seed: int) -> Iterator[tuple[Lines, Lines, int]]:
    """Second by second: the gateway's lines, the service's, and how many requests have both.

    A service's clock drifts from 5 s behind to 5 s ahead, and its log is read up to 5 s later.
    """
    rng = random.Random(seed)
    number = 0
    for second in range(-(-requests // rate)):
        at_s = START_S + second
        stamp = f"{datetime.fromtimestamp(at_s, UTC):%d/%b/%Y:%H:%M:%S +0000}"
        skew_s = SKEW_S * (1 - 2 * (second % 60) / 60) * 0.94
        gateway: Lines = []
        service: Lines = []
        for n in range(min(rate, requests - number)):
            number += 1
            user = rng.randrange(USERS)
            name = f"{rng.getrandbits(128):032x}"
            path = f"/api/v1/users/{user}/orders/{number}"
            address = f"198.51.{user >> 8 & 255}.{user & 255}"
            line = f'{address} - - [{stamp}] "GET {path} HTTP/1.1" 200 512 "-" "{_AGENT}" {name}'
            gateway.append((at_s + n / rate, line.encode()))
            if rng.random() < _ONLY_GATEWAY:
                continue
            own_s = at_s + n / rate + skew_s
            time_s, ms = divmod(int(own_s * 1000), 1000)
            when = f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z"
            record = (
                f'{{"@timestamp":"{when}","source":{{"ip":"10.0.0.2"}},'
                f'"http":{{"request":{{"method":"GET","id":"{name}"}},'
                '"response":{"status_code":200,"body":{"bytes":512}}},'
                f'"url":{{"path":"{path}"}},"user":{{"id":"{user}"}},'
                f'"labels":{{"resource_owner":"{user}"}}}}'
            )
            service.append((at_s + n / rate + SKEW_S * (second % 7) / 7, record.encode()))
        yield gateway, service, len(service)


def frames(requests: int, rate: int, seed: int) -> Iterator[tuple[str, list[bytes], int]]:
    """(source, lines, requests with both halves) in the order of reading."""
    late: Lines = []
    pairs = 0
    for gateway, service, both in traffic(requests, rate, seed):
        pairs += both
        until_s = gateway[-1][0]
        late = sorted([*late, *service], key=lambda item: item[0])
        now = [line for at_s, line in late if at_s <= until_s]
        late = late[len(now) :]
        for start in range(0, max(len(gateway), len(now)), _FRAME_LINES):
            end = start + _FRAME_LINES
            yield "gateway.log", [line for _, line in gateway[start:end]], pairs
            yield "service.log", now[start:end], pairs
    yield "service.log", [line for _, line in late], pairs


def read(requests: int, rate: int, seed: int, *, joins: bool) -> tuple[Figures, int]:
    """All of it through a reader; (figures, requests with both halves)."""
    join = {"gateway": ["gateway.log"], "service": ["service.log"], "window": "10s"}
    settings = IntakeSettings.model_validate(
        {"log_format": {"nginx": NGINX}, "join": join if joins else None}
    )
    reader = Reader(settings, Judge(settings, [], Tables(), lambda text: text))
    states = {name: SourceState(name, name) for name in ("gateway.log", "service.log")}
    offsets = dict.fromkeys(states, 0)
    lines = joined = most = pairs = 0
    spent_s, before_mib = 0.0, _memory_mib()
    for name, part, pairs in frames(requests, rate, seed):  # noqa: B007  the last one counts
        data = b"".join(line + b"\n" for line in part)
        begun_s = time.process_time()
        batch = reader.read(states[name], offsets[name], data)
        spent_s += time.process_time() - begun_s
        offsets[name] += len(data)
        lines, joined = lines + batch.lines, joined + batch.joined
        if reader.joiner is not None:
            most = max(most, reader.joiner.waiting)
    begun_s = time.process_time()
    while (batch := reader.settle()).lines:
        lines, joined = lines + batch.lines, joined + batch.joined
    spent_s += time.process_time() - begun_s
    return Figures(lines, spent_s, joined, most, _peak_mib() - before_mib), pairs


def _memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="requests")
    parser.add_argument("--rate", type=int, default=5_000, help="requests a second in the logs")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    plain, _ = read(given.lines, given.rate, given.seed, joins=False)
    figures, pairs = read(given.lines, given.rate, given.seed, joins=True)
    share = figures.joined / pairs
    print(f"{given.lines:,} requests, {pairs:,} in both logs, {given.rate:,} a second, 5 s of skew")
    print(f"joined          {share:10.4%}   goal 99.9 %")
    print(f"without join    {plain.lines / plain.seconds:10,.0f} lines/s of processor time")
    print(f"with join       {figures.lines / figures.seconds:10,.0f} lines/s of processor time")
    print(f"most waiting    {figures.most_waiting:10,} lines")
    print(f"memory          {figures.grown_mib:10,.0f} MiB more than before it, at the most")
    if share < 0.999 or figures.lines != plain.lines:
        sys.exit(1)


if __name__ == "__main__":
    main()
