"""The people, devices and addresses of a simulated service. In: sizes and a seed. Out: a World.

All addresses are documentation or benchmark ranges (RFC 5737, 3849, 2544) or shared carrier space
(RFC 6598), so that no log ever names a real machine. The same seed gives the same world.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

Ids = Literal["prefix", "int", "uuid"]
Principals = Literal["gateway", "uuid", "mapped", "asserted", "none"]
"""gateway: the id that paths use; uuid: an id of another space, no map; mapped: the same with
people.csv; asserted: written by the client, nobody vouches for it; none: not logged."""

OFFICE_IP = "192.0.2.10"
HEALTH_IP = "192.0.2.200"
BATCH_NETWORK = "198.19.254.0/28"
BATCH_IPS = ("198.19.254.3", "198.19.254.4")
CARRIER_NETWORK = "100.64.0.0/10"
CRAWLER_IPS = ("192.0.2.131", "192.0.2.132", "192.0.2.133")
DELEGATE = "support-7"
SERVICE = "batch-reports"
ORDERS_EACH = 12
"""Every user owns this many orders, numbered in a row."""
FIRST_ORDER = 1_000_000

_HOMES_IPV4 = 254 * 384

_CHROME = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 {}Safari/537.36"
_SAFARI = "Mozilla/5.0 ({}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{} {}Safari/605.1.15"
_DESKTOPS = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
)
BROWSERS: tuple[str, ...] = (
    *(_CHROME.format(system, version, "") for system in _DESKTOPS for version in (139, 140, 141)),
    *(
        f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        for system in _DESKTOPS
        for version in (143, 144)
    ),
    _SAFARI.format("Macintosh; Intel Mac OS X 10_15_7", "18.6", ""),
)
PHONES: tuple[str, ...] = (
    *(_CHROME.format("Linux; Android 10; K", version, "Mobile ") for version in (139, 140, 141)),
    *(
        _SAFARI.format(f"iPhone; CPU iPhone OS 18_{n} like Mac OS X", f"18.{n}", "Mobile/15E148 ")
        for n in (4, 5, 6)
    ),
)
APPS: tuple[str, ...] = tuple(
    f"ExampleApp/4.{minor} ({system})"
    for minor in (18, 19)
    for system in ("Android 15; Pixel 8", "iOS 18.6; iPhone15,2")
)


class Device(NamedTuple):
    """What one person uses, and where from."""

    ip: str
    user_agent: str
    sends_header: bool
    """The app sends X-User-ID with its own user's id."""


class User(NamedTuple):
    """One honest account."""

    id: str
    """As it stands in paths: the canonical user."""
    principal: str
    """As the gateway logs it; "" where it logs none."""
    devices: tuple[Device, ...]
    first_order: int


@dataclass(frozen=True)
class World:
    """Everybody who uses the service."""

    users: tuple[User, ...]
    office: int
    """The first so many users have a device behind the office NAT, which they mostly use."""
    prefix: str
    """What every API path begins with, such as /api/v1."""
    ids: Ids
    principals: Principals

    @property
    def staffed(self) -> bool:
        """Whether a delegate and a batch account work here: only where they can be told apart."""
        return self.principals in {"gateway", "uuid", "mapped"}

    def nobody(self, n: int) -> str:
        """An id, the n-th, that no account has."""
        number = len(self.users) + 1000 + n
        if self.ids == "uuid":
            return f"00000000-0000-4000-8000-{number:012x}"
        return str(number) if self.ids == "int" else f"u-{number:05d}"

    def owner_of(self, order: int) -> User | None:
        """Whose order it is."""
        index, _ = divmod(order - FIRST_ORDER, ORDERS_EACH)
        return self.users[index] if 0 <= index < len(self.users) else None


def uuid_text(rng: Random) -> str:
    """A version 4 UUID drawn from `rng`."""
    text = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[rng.getrandbits(2)]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of `items`. `Random.choice` may draw differently in another Python; this does not."""
    return items[int(rng.random() * len(items))]


def build_world(
    rng: Random,
    *,
    users: int,
    office_users: int,
    ids: Ids,
    principals: Principals,
    prefix: str,
) -> World:
    """Draw the people and their devices.

    Raises:
        ValueError: fewer than two users, or a prefix that is no path.
    """
    if users < 2:
        raise ValueError(f"simulating {users} users: foreign data needs at least 2")
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"path prefix {prefix!r}: write it like /api/v1")
    office = min(office_users, users)
    carriers = max(4, users // 120)
    return World(
        users=tuple(
            _user(rng, index, index < office, carriers, ids, principals) for index in range(users)
        ),
        office=office,
        prefix=prefix,
        ids=ids,
        principals=principals,
    )


def _user(
    rng: Random, index: int, in_office: bool, carriers: int, ids: Ids, principals: Principals
) -> User:
    user_id = _id(rng, index, ids)
    if principals == "none":
        principal = ""
    elif principals in {"uuid", "mapped"}:
        principal = uuid_text(rng)
    else:
        principal = user_id
    devices = []
    if in_office:
        devices.append(Device(OFFICE_IP, pick(rng, BROWSERS), False))
    devices.append(Device(_home(index), pick(rng, BROWSERS), False))
    if rng.random() < 0.6:
        is_app = rng.random() < 0.5
        agents = APPS if is_app else PHONES
        devices.append(Device(_carrier(rng, carriers), pick(rng, agents), is_app))
    return User(user_id, principal, tuple(devices), FIRST_ORDER + index * ORDERS_EACH)


def _id(rng: Random, index: int, ids: Ids) -> str:
    if ids == "prefix":
        return f"u-{index + 1:05d}"
    return str(index + 1) if ids == "int" else uuid_text(rng)


def _home(index: int) -> str:
    """A household's address; every eleventh shares its neighbour's. A quarter have IPv6."""
    if index % 11 == 10:
        index -= 1
    if index % 4 == 3 or index >= _HOMES_IPV4:
        return f"2001:db8:{index >> 16:x}:{index & 0xFFFF:x}::{1 + index % 9:x}"
    net, host = divmod(index, 254)
    return f"198.{18 + (net >> 8)}.{net & 255}.{host + 1}"


def _carrier(rng: Random, carriers: int) -> str:
    """A carrier NAT's address, shared by about 70 phones."""
    n = int(rng.random() * carriers)
    return f"100.{64 + (n >> 14) % 64}.{(n >> 6) & 255}.{1 + (n & 63)}"
