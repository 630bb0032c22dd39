"""What honest people, staff and machines do. In: a World and a seed. Out: requests by second.

Two kinds come out: lines of ordinary sessions, rendered at once because they are nearly all of the
log, and scheduled `Request`s (health checks, crawlers, the delegate, the batch account).
"""

import heapq
from collections.abc import Iterator
from random import Random

from console.simulate.lines import Client, Line, Parts, Request
from console.simulate.world import (
    BATCH_IPS,
    CRAWLER_IPS,
    DELEGATE,
    HEALTH_IP,
    OFFICE_IP,
    SERVICE,
    User,
    World,
    pick,
)  # fmt: skip

_RETRY, _EXPIRED, _ORDERS, _CROSS_SITE = "retry", "expired", "orders", "cross_site"
_OWN, _PLAIN = "own", "plain"

_Step = tuple[str, str, str | None, int, int, int, bool, str]
"""Method, path before the own id, path after it (None: no id), status, least size, size span,
anonymous, what is special about it."""

_WORDS = ("lamp", "desk", "chair", "shelf", "rug", "mirror", "clock", "vase", "sofa", "bench")

# Share of a thousand, method, kind, path ("@" is one's own id), status, least size, span, special.
_HABITS: tuple[tuple[int, str, str, str, int, int, int, str], ...] = (
    (190, "GET", _OWN, "/users/@/profile", 200, 420, 900, ""),
    (160, "GET", _OWN, "/wallets/@/transactions", 200, 900, 7000, ""),
    (40, "GET", _OWN, "/wallets/@/transactions", 304, 0, 0, ""),
    (60, "GET", _OWN, "/users/@/settings", 200, 300, 200, ""),
    (30, "PUT", _OWN, "/users/@/settings", 200, 40, 60, ""),
    (8, "PUT", _OWN, "/users/@/settings", 204, 0, 0, ""),
    (12, "POST", _OWN, "/wallets/@/transactions", 201, 180, 90, ""),
    (3, "PATCH", _OWN, "/users/@/profile", 200, 410, 80, ""),
    (2, "DELETE", _OWN, "/users/@/sessions", 204, 0, 0, ""),
    (20, "GET", _OWN, "/users/@/avatar", 200, 6000, 20000, ""),
    (4, "HEAD", _OWN, "/users/@/avatar", 200, 0, 0, ""),
    (6, "GET", _OWN, "/users/@/cards", 404, 48, 0, ""),
    (4, "PUT", _OWN, "/users/@/settings", 400, 90, 20, ""),
    (10, "OPTIONS", _OWN, "/wallets/@/transactions", 204, 0, 0, "anonymous"),
    (6, "GET", _OWN, "/users?ids=@", 200, 380, 200, ""),
    (4, "GET", _OWN, "/wallets/@/transactions", 500, 60, 0, _RETRY),
    (3, "GET", _OWN, "/users/@/profile", 502, 150, 0, _RETRY),
    (2, "GET", _OWN, "/users/@/profile", 499, 0, 0, _RETRY),
    (2, "GET", _OWN, "/users/@/profile", 429, 30, 0, _RETRY),
    (3, "GET", _OWN, "/users/@/profile", 401, 44, 0, _EXPIRED),
    (5, "GET", _OWN, "/users/@/avatar", 200, 6000, 20000, _CROSS_SITE),
    (12, "GET", _PLAIN, "/users/me/profile", 200, 420, 900, ""),
    (50, "GET", _PLAIN, "/orders/#", 200, 350, 1200, _ORDERS),
    (100, "GET", _PLAIN, "/search?q=?", 200, 1200, 9000, ""),
    (90, "GET", _PLAIN, "/products/?", 200, 1500, 3000, ""),
    (8, "GET", _PLAIN, "/products/?/reviews", 404, 48, 0, ""),
    (14, "POST", _PLAIN, "/auth/login", 200, 620, 40, "anonymous"),
    (4, "POST", _PLAIN, "/auth/login", 401, 52, 0, "anonymous"),
    (3, "POST", _PLAIN, "/auth/password-reset", 202, 20, 0, "anonymous"),
    (1, "GET", _PLAIN, "/admin/audit", 403, 60, 0, ""),
)
_PAGES: tuple[tuple[int, str, int, int, int], ...] = (
    (12, "/login", 200, 3100, 0),
    (80, "/static/app.?.js", 200, 90_000, 60_000),
    (30, "/static/app.?.css", 304, 0, 0),
    (14, "/static/img/?.webp", 200, 9_000, 40_000),
    (4, "/favicon.ico", 404, 150, 0),
)
"""The same outside of the API, all anonymous or not alike: what a browser loads."""


def ordinary_steps(prefix: str) -> tuple[_Step, ...]:
    """What an ordinary session does, each step as often as it is likely, with varied paths."""
    steps: list[_Step] = []
    for share, method, kind, path, status, least, span, special in _HABITS:
        anonymous = special == "anonymous"
        for n in range(share):
            full = prefix + _vary(path, n)
            before, _, after = full.partition("@")
            own = after if kind == _OWN else None
            mark = "" if anonymous else special
            steps.append((method, before, own, status, least, span, anonymous, mark))
    for share, path, status, least, span in _PAGES:
        steps.extend(
            ("GET", _vary(path, n), None, status, least, span, n % 2 == 0, "") for n in range(share)
        )
    return tuple(steps)


def _vary(path: str, n: int) -> str:
    """A search word, a product or a file in the place of a second "?", or of the only one."""
    head, mark, tail = path.rpartition("?")
    if not mark or tail.startswith("ids="):
        return path
    return f"{head}{_WORDS[n % len(_WORDS)]}-{n % 37}{tail}"


class _Session:
    """One person at one device for a while."""

    __slots__ = ("anonymous", "client", "left", "loop", "order", "parts", "user")

    def __init__(self, user: User, client: Client, line: Line, left: int) -> None:
        self.user = user
        self.client = client
        self.parts = line.parts(client)
        self.anonymous = line.parts(client._replace(principal="", claimed=""))
        self.left = left
        self.loop = 0
        """Requests still to come with the expired token."""
        self.order = 0
        """Own orders already opened one after the other."""


class Ordinary:
    """Sessions of the World's users; call `second` for each second in order."""

    def __init__(self, world: World, rng: Random, line: Line, *, per_second: float) -> None:
        self._world = world
        self._rng = rng
        self._line = line
        self._steps = ordinary_steps(world.prefix)
        self._number = rng.getrandbits(63)
        self._later: list[tuple[int, int, _Session, str, str, int]] = []
        # About one request in half a minute from each: more would be faster than people read.
        size = min(max(10, int(per_second * 30)), 2 * len(world.users))
        self._pool = [self._session() for _ in range(size)]

    def next_number(self) -> int:
        """The number of the next line: unique, without a pattern, the same for the same seed."""
        self._number = (self._number + 0x9E37_79B9_7F4A_7C15) & 0xFFFF_FFFF_FFFF_FFFF
        return self._number ^ (self._number >> 29)

    def second(self, at_s: int, count: int) -> list[tuple[int, str]]:
        """`count` lines within the second `at_s` (since 1970), as (millisecond, line)."""
        out: list[tuple[int, str]] = []
        stamp = self._line.second(at_s)
        while len(out) < count and self._later and self._later[0][0] < (at_s + 1) * 1000:
            out.append(self._retry(at_s, stamp))
        steps, pool, draw, render = (
            self._steps,
            self._pool,
            self._rng.getrandbits,
            self._line.render,
        )
        for _ in range(count - len(out)):
            bits = draw(64)
            slot = ((bits & 0xFFFFF) * len(pool)) >> 20
            session = pool[slot]
            session.left -= 1
            if session.left < 0:
                session = pool[slot] = self._session()
            ms = (((bits >> 20) & 0xFFFF) * 1000) >> 16
            step = steps[(((bits >> 36) & 0xFFFF) * len(steps)) >> 16]
            if session.loop:
                out.append((ms, self._expired(session, stamp, ms)))
                continue
            method, before, after, status, least, span, anonymous, special = step
            path = before if after is None else f"{before}{session.user.id}{after}"
            size = least + ((span * (bits >> 52)) >> 12)
            parts = session.anonymous if anonymous else session.parts
            if special:
                path, parts = self._special(special, session, at_s * 1000 + ms, method, path, parts)
            number = self.next_number()
            out.append((ms, render(stamp, ms, parts, method, path, status, size, number)))
        return out

    def _session(self) -> _Session:
        world, rng = self._world, self._rng
        user = world.users[int(rng.random() * len(world.users))]
        # Those who have a desk in the office are there three times out of four.
        at_desk = user.devices[0].ip == OFFICE_IP and rng.random() < 0.75
        device = user.devices[0] if at_desk else pick(rng, user.devices)
        anonymous = world.principals == "none"
        client = Client(
            ip=device.ip,
            principal=user.principal,
            session="" if anonymous else f"{rng.getrandbits(64):016x}",
            user_agent=device.user_agent,
            claimed=user.id if device.sends_header and not anonymous else "",
        )
        return _Session(user, client, self._line, 3 + int(rng.random() * 40))

    def _special(
        self, special: str, session: _Session, time_ms: int, method: str, path: str, parts: Parts
    ) -> tuple[str, Parts]:
        if special == _RETRY:
            delay_ms = 200 + int(self._rng.random() * 2500)
            size = 400 + int(self._rng.random() * 600)
            self._plan(time_ms + delay_ms, session, method, path, size)
        elif special == _EXPIRED:
            session.loop = 5 + int(self._rng.random() * 12)
            return path, session.anonymous
        elif special == _CROSS_SITE:
            foreign = session.client._replace(
                referer="https://blog.example.net/", fetch_site="cross-site"
            )
            return path, self._line.parts(foreign)
        elif special == _ORDERS:
            order = session.user.first_order + session.order % 12
            session.order += 1
            return path.replace("#", str(order)), parts
        return path, parts

    def _plan(self, time_ms: int, session: _Session, method: str, path: str, size: int) -> None:
        # The number of waiting retries breaks ties, so that sessions are never compared.
        entry = (time_ms, self.next_number(), session, method, path, size)
        heapq.heappush(self._later, entry)

    def _retry(self, at_s: int, stamp: str) -> tuple[int, str]:
        time_ms, number, session, method, path, size = heapq.heappop(self._later)
        ms = max(0, time_ms - at_s * 1000)
        return ms, self._line.render(stamp, ms, session.parts, method, path, 200, size, number)

    def _expired(self, session: _Session, stamp: str, ms: int) -> str:
        """The app tries again with the token that ran out, and then gets a new one."""
        session.loop -= 1
        number = self.next_number()
        prefix = self._world.prefix
        if not session.loop:
            path = f"{prefix}/auth/refresh"
            return self._line.render(stamp, ms, session.anonymous, "POST", path, 200, 612, number)
        path = f"{prefix}/users/{session.user.id}/profile"
        return self._line.render(stamp, ms, session.anonymous, "GET", path, 401, 44, number)


def staff_and_machines(
    world: World, rng: Random, start_ms: int, end_ms: int, share: int
) -> Iterator[Request]:
    """Health checks, crawlers, the delegate and the batch account, by time.

    `share` bounds how many requests they make together, so that short logs stay people's.
    """
    makers = [
        (max(1, share // 4), _health(world)),
        (max(1, share // 6), _crawler(world, rng)),
    ]
    if world.staffed:
        hours = (end_ms - start_ms) / 3_600_000
        makers.append((max(1, min(share // 4, int(60 * hours))), _delegate(world, rng)))
        makers.append((max(1, share // 3), _batch(world)))
    streams = []
    for count, maker in makers:
        streams.append(_spread(rng, maker, count, start_ms, end_ms))
    return heapq.merge(*streams, key=lambda request: request.time_ms)


def _spread(
    rng: Random, maker: Iterator[Request], count: int, start_ms: int, end_ms: int
) -> Iterator[Request]:
    """`count` requests over the whole time, each somewhere in its own part of it."""
    seed = rng.getrandbits(64)
    own = Random(seed)
    width = (end_ms - start_ms) / count
    for n in range(count):
        yield next(maker)._replace(time_ms=start_ms + int((n + own.random()) * width))


def _health(world: World) -> Iterator[Request]:
    client = Client(HEALTH_IP, user_agent="kube-probe/1.31")
    while True:
        yield Request(0, client, "GET", f"{world.prefix}/healthz", 200, 2)


def _crawler(world: World, rng: Random) -> Iterator[Request]:
    agent = "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example.org/)"
    while True:
        client = Client(pick(rng, CRAWLER_IPS), user_agent=agent)
        yield Request(0, client, "GET", "/robots.txt", 200, 64)
        for word in _WORDS:
            path = f"{world.prefix}/products/{word}-{int(rng.random() * 60)}"
            status = 404 if rng.random() < 0.3 else 200
            yield Request(0, client, "GET", path, status, 48 if status == 404 else 2200)


def _delegate(world: World, rng: Random) -> Iterator[Request]:
    """Support opens the people who called: profile, settings, sometimes the wallet."""
    session = f"{rng.getrandbits(64):016x}"
    client = Client(OFFICE_IP, DELEGATE, session, "Mozilla/5.0 (X11; Linux x86_64) SupportDesk/3.2")
    while True:
        user = pick(rng, world.users).id
        for tail in ("users/{}/profile", "users/{}/settings", "wallets/{}/transactions"):
            path = f"{world.prefix}/{tail.format(user)}"
            yield Request(0, client, "GET", path, 200, 700 + int(rng.random() * 900))


def _batch(world: World) -> Iterator[Request]:
    """The nightly report walks everybody's wallet, one after the other."""
    n = 0
    while True:
        client = Client(BATCH_IPS[n % 2], SERVICE, "", "batch-reports/1.8")
        user = world.users[n % len(world.users)].id
        yield Request(0, client, "GET", f"{world.prefix}/wallets/{user}/transactions", 200, 2400)
        n += 1
