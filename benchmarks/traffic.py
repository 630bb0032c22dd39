"""The benches' traffic: ordinary requests from many addresses, in two spellings.

The same requests as ECS NDJSON (about 390 bytes a line) and as nginx combined lines with the user
in $remote_user. Seeded, streamed to disk, no code of Breachline's judging in it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import NamedTuple

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
    ndjson, nginx = folder / "access.ndjson", folder / "access.log"
    with ndjson.open("w") as a, nginx.open("w") as b:
        for request in requests(lines, ADDRESSES, max(1, 3_600_000 // lines), seed):
            a.write(f"{request.ndjson()}\n")
            b.write(f"{request.nginx()}\n")
    return ndjson, nginx


class Request(NamedTuple):
    """One request; `address` is the number of its client."""

    number: int
    time_ms: int
    address: int
    user: str
    path: str
    size: int

    @property
    def ip(self) -> IPv4Address:
        return IPv4Address((_FIRST if self.address < 131_072 else _EXTRA) + self.address)

    @property
    def agent(self) -> str:
        return _AGENTS[self.address % len(_AGENTS)]

    def ndjson(self) -> str:
        """As ECS; `STAMP` says where its time stands."""
        return (
            f'{{"@timestamp":"{stamp(self.time_ms)}","source":{{"ip":"{self.ip}"}},'
            f'"user":{{"id":"{self.user}"}},'
            f'"http":{{"request":{{"method":"GET","id":"{self.number:032x}"}},'
            f'"response":{{"status_code":200,"body":{{"bytes":{self.size}}}}}}},'
            f'"url":{{"original":"{self.path}"}},"user_agent":{{"original":"{self.agent}"}},'
            f'"session":{{"id":"s{self.address:08x}"}}}}'
        )

    def nginx(self) -> str:
        """As nginx's combined format, with the user."""
        moment = datetime.fromtimestamp(self.time_ms // 1000, UTC)
        return (
            f"{self.ip} - {self.user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "
            f'"GET {self.path} HTTP/1.1" 200 {self.size} "-" "{self.agent}"'
        )


STAMP = slice(15, 39)
"""Where the time stands in an NDJSON line."""


def stamp(time_ms: int) -> str:
    """The time as it stands in an NDJSON line."""
    seconds, ms = divmod(time_ms, 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def requests(
    count: int, addresses: int = ADDRESSES, step_ms: float = 0.05, seed: int = 1
) -> Iterator[Request]:
    """That many, `step_ms` apart on average; each address once before any comes again."""
    rng = Random(seed)
    weights = list(accumulate(weight for weight, _ in _PATHS))
    paths = [path for _, path in _PATHS]
    now_ms: float = _START_MS
    for number in range(count):
        now_ms += rng.random() * 2 * step_ms
        address = number if number < addresses else rng.randrange(addresses)
        owner = rng.randrange(USERS) if rng.random() < 0.0002 else address % USERS
        path = rng.choices(paths, cum_weights=weights)[0].format(
            user=f"u-{owner:06d}", order=address * 7 + rng.randrange(3), page=rng.randrange(1, 40)
        )
        user = f"u-{address % USERS:06d}"
        yield Request(number, int(now_ms), address, user, path, rng.randrange(200, 5_000))


_EXTRA = int(IPv4Address("100.64.0.0"))
