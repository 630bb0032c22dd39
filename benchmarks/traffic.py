"""The bench's traffic: one million requests from 200,000 addresses, in two spellings.

The same requests as ECS NDJSON (about 390 bytes a line) and as nginx combined lines with the user
in $remote_user. Seeded, streamed to disk, no code of Breachline's judging in it.
"""

from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import accumulate
from pathlib import Path
from random import Random

ADDRESSES = 200_000
USERS = 150_000
_START_MS = int(datetime(2026, 11, 22, 8, tzinfo=UTC).timestamp() * 1000)
_FIRST = int(IPv4Address("198.18.0.0"))
_AGENTS = [
    f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{n}.0.0.0"
    for n in range(120, 131)
]
_PATHS = (
    (40, "/api/v1/users/{user}/profile"),
    (20, "/api/v1/users/{user}/orders/{order}"),
    (15, "/api/v1/orders/{order}"),
    (10, "/api/v1/search?q=shoes&page={page}"),
    (10, "/api/v1/users/{user}/settings"),
    (5, "/static/app.{page}.js"),
)


def write(folder: Path, lines: int, seed: int = 1) -> tuple[Path, Path]:
    """(NDJSON log, nginx log) of the same `lines` requests."""
    rng = Random(seed)
    ndjson, nginx = folder / "access.ndjson", folder / "access.log"
    weights = list(accumulate(weight for weight, _ in _PATHS))
    paths = [path for _, path in _PATHS]
    step_ms = max(1, 3_600_000 // lines)
    time_ms = _START_MS
    with ndjson.open("w") as a, nginx.open("w") as b:
        for number in range(lines):
            time_ms += rng.randrange(2 * step_ms + 1)
            address = number % ADDRESSES if number < ADDRESSES else rng.randrange(ADDRESSES)
            user = f"u-{address % USERS:06d}"
            owner = rng.randrange(USERS) if rng.random() < 0.0002 else address % USERS
            path = rng.choices(paths, cum_weights=weights)[0].format(
                user=f"u-{owner:06d}",
                order=address * 7 + rng.randrange(3),
                page=rng.randrange(1, 40),
            )
            ip = IPv4Address(_FIRST + address % 131_072 if address < 131_072 else _EXTRA + address)
            agent = _AGENTS[address % len(_AGENTS)]
            size = rng.randrange(200, 5_000)
            seconds, ms = divmod(time_ms, 1000)
            moment = datetime.fromtimestamp(seconds, UTC)
            a.write(
                f'{{"@timestamp":"{moment:%Y-%m-%dT%H:%M:%S}.{ms:03d}Z","source":{{"ip":"{ip}"}},'
                f'"user":{{"id":"{user}"}},"http":{{"request":{{"method":"GET","id":"{number:032x}"}},'
                f'"response":{{"status_code":200,"body":{{"bytes":{size}}}}}}},'
                f'"url":{{"original":"{path}"}},"user_agent":{{"original":"{agent}"}},'
                f'"session":{{"id":"s{address:08x}"}}}}\n'
            )
            b.write(
                f'{ip} - {user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" 200 {size}'
                f' "-" "{agent}"\n'
            )
    return ndjson, nginx


_EXTRA = int(IPv4Address("100.64.0.0"))
