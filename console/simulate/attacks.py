"""Attacks, each a script of requests that knows whose data it was given.

In: the World and a seed. Out: Attackers with their requests in order. What a request disclosed is
written down by the script itself (`owners`, and `disclosed` from what the service answered); it
is never asked of Breachline.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from console.simulate.lines import Client, Request
from console.simulate.world import BROWSERS, OFFICE_IP, User, World, pick

_TOOLS = (
    "python-requests/2.{}",
    "Go-http-client/1.{}",
    "okhttp/4.{}",
    "curl/8.{}",
    "PostmanRuntime/7.{}",
    "axios/1.{}",
)
_READS = {"GET", "POST"}
_WRITES = {"PUT", "PATCH", "DELETE"}


def disclosed(method: str, status: int, size: int) -> bool:
    """Whether this answer gave away or changed the data that was asked for.

    A read needs a body; HEAD and 304 give none. A write is done when the service says so.
    """
    if method in _WRITES:
        return status in {200, 201, 204}
    return method in _READS and status in {200, 203, 206} and size > 0


@dataclass
class Step:
    """One request of an attack: `gap_s` seconds after the one before."""

    gap_s: float
    client: Client
    method: str
    path: str
    status: int
    size: int
    owners: tuple[str, ...]
    """Whose data the service looked up for it; () for the attacker's own or nobody's."""

    @property
    def victims(self) -> tuple[str, ...]:
        """Whose data it really gave away or changed."""
        return self.owners if disclosed(self.method, self.status, self.size) else ()


@dataclass
class Attacker:
    """One attack as it happened."""

    id: str
    kind: str
    principal: str | None
    """The account that it used, as the gateway names it; None where it used none."""
    account: str | None
    """The same as it stands in paths."""
    start_ms: int
    steps: list[Step] = field(default_factory=list)

    @property
    def victims(self) -> list[str]:
        """Sorted unique ids of everybody whose data was read or changed."""
        return sorted({owner for step in self.steps for owner in step.victims})

    @property
    def attempted(self) -> list[str]:
        """Sorted unique ids of everybody else whose data was asked for."""
        asked = {owner for step in self.steps for owner in step.owners}
        return sorted(asked.difference(self.victims))

    def requests(self) -> Iterator[tuple[Request, Step]]:
        """The requests by time, each with the step that it comes from."""
        time = float(self.start_ms)
        for step in self.steps:
            time += step.gap_s * 1000
            yield (
                Request(int(time), step.client, step.method, step.path, step.status, step.size),
                step,
            )


class Stage:
    """What a script needs: who it is, whom it can ask for, and how to write a request down."""

    def __init__(self, world: World, rng: Random, number: int, me: User) -> None:
        self.world = world
        self.rng = rng
        self.number = number
        self.me = me
        tool = _TOOLS[number % len(_TOOLS)].format(20 + number)
        logged = world.principals != "none"
        self.client = Client(
            ip=attack_ip(number),
            principal=me.principal,
            session=f"{rng.getrandbits(64):016x}" if logged else "",
            user_agent=tool if number % 3 == 0 else pick(rng, BROWSERS),
        )
        self.steps: list[Step] = []

    def others(self, count: int) -> list[str]:
        """Ids of `count` distinct other people, or as many as there are."""
        users = self.world.users
        count = min(count, len(users) - 1)
        chosen: dict[str, None] = {}
        while len(chosen) < count:
            user = users[int(self.rng.random() * len(users))]
            if user.id != self.me.id:
                chosen[user.id] = None
        return list(chosen)

    def gap(self, least_s: float, most_s: float) -> float:
        """Seconds between two requests."""
        return least_s + self.rng.random() * (most_s - least_s)

    def size(self, least: int = 420) -> int:
        """The size of an answer with somebody's data in it."""
        return least + int(self.rng.random() * 900)

    def hit(
        self,
        path: str,
        owners: Sequence[str],
        *,
        gap_s: float,
        method: str = "GET",
        status: int = 200,
        size: int | None = None,
        client: Client | None = None,
    ) -> None:
        """Write down one request below the API's prefix."""
        if size is None:
            size = self.size() if status == 200 and method != "HEAD" else 48
        full = self.world.prefix + path
        owned = tuple(owner for owner in owners if owner != self.me.id)
        self.steps.append(Step(gap_s, client or self.client, method, full, status, size, owned))

    def look_at_own(self) -> None:
        """What everybody does first."""
        me = self.me.id
        self.hit(f"/users/{me}/profile", (), gap_s=self.gap(0.5, 3))
        self.hit(f"/wallets/{me}/transactions", (), gap_s=self.gap(1, 6))


def attack_ip(number: int) -> str:
    """Every attacker's own address, in a network where nobody else is."""
    if number == 0:
        return "203.0.113.7"
    if number == 1:
        return "198.51.100.23"
    if number < 90:
        return f"198.19.{128 + number}.{7 + number}"
    return f"2001:db8:a77:{number:x}::7"


def _path_walk(stage: Stage) -> None:
    """One session opens one profile after the other, and a wallet now and then."""
    stage.look_at_own()
    for n, victim in enumerate(stage.others(30 + int(stage.rng.random() * 30))):
        gap_s = stage.gap(0.4, 2.5)
        if n % 9 == 8:
            stage.hit(f"/users/{stage.world.nobody(n)}/profile", (), gap_s=gap_s, status=404)
        stage.hit(f"/users/{victim}/profile", (victim,), gap_s=gap_s)
        if n % 7 == 3:
            stage.hit(f"/wallets/{victim}/transactions", (victim,), gap_s=stage.gap(0.4, 1.5))


def _slow_reader(stage: Stage) -> None:
    """Three people, an hour apart, between ordinary use of the own account."""
    for victim in stage.others(3):
        stage.look_at_own()
        stage.hit(f"/users/{victim}/profile", (victim,), gap_s=stage.gap(3500, 3700))


def _header_forger(stage: Stage) -> None:
    """The service believes X-User-ID, so `me` is whom the header says."""
    stage.look_at_own()
    for victim in stage.others(15):
        forged = stage.client._replace(claimed=victim)
        stage.hit("/users/me/profile", (victim,), gap_s=stage.gap(1, 4), client=forged)


def _cross_user_writer(stage: Stage) -> None:
    """Changes other people's settings; two attempts fail."""
    stage.look_at_own()
    writes = [("PUT", "settings", 200), ("PATCH", "profile", 200), ("DELETE", "sessions", 204)]
    for n, victim in enumerate(stage.others(8)):
        method, what, status = writes[n % 3]
        size = 0 if status == 204 else 60
        path = f"/users/{victim}/{what}"
        stage.hit(path, (victim,), gap_s=stage.gap(2, 8), method=method, status=status, size=size)
    for victim, status in zip(stage.others(2), (403, 500), strict=False):
        path = f"/users/{victim}/settings"
        stage.hit(path, (victim,), gap_s=stage.gap(2, 8), method="PUT", status=status)


def _denied_prober(stage: Stage) -> None:
    """Refused at fourteen people, then finds the route that forgot to check."""
    stage.look_at_own()
    for victim in stage.others(14):
        path = f"/wallets/{victim}/transactions"
        stage.hit(path, (victim,), gap_s=stage.gap(1, 9), status=403)
    for victim in stage.others(4):
        path = f"/wallets/{victim}/transactions"
        stage.hit(path, (victim,), gap_s=stage.gap(2, 6))


def _office_insider(stage: Stage) -> None:
    """One of the many behind the office's address reads thirty others."""
    stage.client = stage.client._replace(ip=OFFICE_IP, user_agent=BROWSERS[0])
    stage.look_at_own()
    for victim in stage.others(30):
        stage.hit(f"/users/{victim}/profile", (victim,), gap_s=stage.gap(1, 7))


def _token_replay(stage: Stage) -> None:
    """A stolen session, used from a dozen networks at once."""
    stage.look_at_own()
    networks = [attack_ip(stage.number)]
    networks += [f"2001:db8:fee:{stage.number * 16 + n:x}::1" for n in range(11)]
    for n, victim in enumerate(stage.others(18)):
        client = stage.client._replace(ip=networks[n % len(networks)])
        path = f"/users/{victim}/profile"
        stage.hit(path, (victim,), gap_s=stage.gap(1, 12), client=client)


def _unauthenticated(stage: Stage) -> None:
    """No credentials at all, and the service answers."""
    stage.client = stage.client._replace(principal="", session="")
    for victim in stage.others(12):
        stage.hit(f"/users/{victim}/profile", (victim,), gap_s=stage.gap(0.5, 4))


def _batch_ids(stage: Stage) -> None:
    """Many people in one request: a query list, and a list in the path."""
    stage.look_at_own()
    victims = stage.others(90)
    for start in range(0, 80, 20):
        ids = victims[start : start + 20]
        if ids:
            path = f"/users?ids={','.join(ids)}"
            stage.hit(path, ids, gap_s=stage.gap(2, 9), size=400 * len(ids))
    if rest := victims[80:]:
        path = f"/users/{','.join(rest)}/profile"
        stage.hit(path, rest, gap_s=stage.gap(2, 9), size=400 * len(rest))


def _mixed(stage: Stage) -> None:
    """Every answer there is; only some give anything away."""
    stage.look_at_own()
    answers = [
        (200, 640), (403, 48), (200, 710), (404, 48), (206, 320), (429, 30), (500, 60),
        (304, 0), (200, 0), (401, 44), (200, 880),
    ]  # fmt: skip
    victims = stage.others(33)
    for n, victim in enumerate(victims):
        status, size = answers[n % len(answers)]
        path = f"/users/{victim}/profile"
        # A 401 means that the credentials were not accepted: the gateway names nobody.
        client = stage.client._replace(principal="") if status == 401 else stage.client
        gap_s = stage.gap(1, 6)
        stage.hit(path, (victim,), gap_s=gap_s, status=status, size=size, client=client)
    for victim in victims[1:4]:
        stage.hit(f"/users/{victim}/profile", (victim,), gap_s=stage.gap(1, 6), size=640)


def _head_prober(stage: Stage) -> None:
    """Learns who exists, and nothing more: nobody's data was read."""
    stage.look_at_own()
    for victim in stage.others(40):
        path = f"/users/{victim}/profile"
        stage.hit(path, (victim,), gap_s=stage.gap(0.5, 3), method="HEAD", size=0)


def _wallet_walk(stage: Stage) -> None:
    """Wallets and profiles of two dozen people, and one change: the bundled example."""
    stage.look_at_own()
    victims = stage.others(24)
    for n, victim in enumerate(victims):
        path = f"/wallets/{victim}/transactions" if n % 3 else f"/users/{victim}/profile"
        stage.hit(path, (victim,), gap_s=stage.gap(4, 22), size=stage.size(900))
    path = f"/users/{victims[0]}/settings"
    stage.hit(path, victims[:1], gap_s=stage.gap(5, 20), method="PUT", size=52)


def _sequence_walk(stage: Stage) -> None:
    """A scraper counts upwards, one id after the other: visible even where nobody is logged."""
    users = stage.world.users
    first = int(stage.rng.random() * max(1, len(users) - 40))
    for user in users[first : first + 40]:
        if user.id != stage.me.id:
            stage.hit(f"/users/{user.id}/profile", (user.id,), gap_s=stage.gap(0.3, 1.2))


SCRIPTS: dict[str, Callable[[Stage], None]] = {
    "path_walk": _path_walk,
    "slow_reader": _slow_reader,
    "header_forger": _header_forger,
    "cross_user_writer": _cross_user_writer,
    "denied_prober": _denied_prober,
    "office_insider": _office_insider,
    "token_replay": _token_replay,
    "unauthenticated": _unauthenticated,
    "batch_ids": _batch_ids,
    "mixed": _mixed,
    "head_prober": _head_prober,
    "wallet_walk": _wallet_walk,
    "sequence_walk": _sequence_walk,
}
"""Every kind of attack by name; each writes its requests down on a Stage."""
