"""Between those who listen and whoever makes lines durable: bounded, and answered when it is true.

Parcels of lines come in from the listeners' thread; deliveries go out to the thread that commits
them, and the answer comes back. It MUST NOT hold more than its bound, nor tell a sender that lines
are safe before they are.
"""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final, Literal, NamedTuple

Kind = Literal["http", "syslog", "journald", "stdin"]
"""Through what lines came; a label of the metrics."""

IDENTITY_BYTES: Final = 16
LINE_COST_BYTES: Final = 128
"""What a line takes in memory beside its bytes."""
_LOOK_S: Final = 0.05
_NAMED: Final = 1 << 62
"""Places made from names begin here: no file is so long."""


class Full(Exception):
    """No room now: the sender is to try again later."""


class Closed(Exception):
    """Nothing more is taken, and what waits was not made durable: the sender is to try again."""


class Parcel(NamedTuple):
    """Lines of one source."""

    source: str
    """Its id: 16 hex digits (records.ids.digest) that are the same after a restart."""
    name: str
    """What to call it to a person."""
    lines: Sequence[bytes]
    """Without their newlines, and with none in them. Blank ones do not count as lines."""
    identities: Sequence[bytes] = ()
    """Of each line: 16 bytes, or b"" for one that has none. Empty: none of them has one."""

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return sum(map(len, self.lines)) + LINE_COST_BYTES * len(self.lines)


class Delivery:
    """What one call brought, until it is durable."""

    __slots__ = ("_answer", "_loop", "kind", "parcels", "repeated", "size_bytes")

    def __init__(
        self,
        kind: Kind,
        parcels: Sequence[Parcel],
        answer: "asyncio.Future[int] | None",
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.kind = kind
        self.parcels = parcels
        self.size_bytes = sum(parcel.size_bytes for parcel in parcels)
        self.repeated = 0
        """Lines whose identity had been seen before; whoever takes the delivery counts them."""
        self._answer = answer
        self._loop = loop

    @property
    def lines(self) -> int:
        """How many lines it holds."""
        return sum(len(parcel.lines) for parcel in self.parcels)

    def settle(self, error: Exception | None = None) -> None:
        """Answers whoever waits, in any thread."""
        if self._answer is None or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_answered, self._answer, self.repeated, error)
        except RuntimeError:
            return  # the listeners' loop has ended, and nobody waits


def _answered(answer: "asyncio.Future[int]", repeated: int, error: Exception | None) -> None:
    if answer.done():
        return  # the sender has gone
    if error is None:
        answer.set_result(repeated)
    else:
        answer.set_exception(error)


class Inbox:
    """One for a process. Listeners put, in the thread of their loop; one consumer takes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._waiting: deque[Delivery] = deque()
        self._held_bytes = 0
        self._closed = False
        self._arrived: Callable[[], object] = lambda: None
        self._counts: Counter[tuple[str, Kind]] = Counter()

    # -- listeners' side

    async def put(self, kind: Kind, parcels: Sequence[Parcel], *, wait: bool = False) -> int:
        """Returns once all of it is durable: how many lines had been seen before.

        `wait`: for room, by whoever can slow its sender down; else no room is an error.

        Raises:
            Full: there is no room.
            Closed: it was not made durable, and will not be.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[int] = loop.create_future()
        delivery = Delivery(kind, parcels, answer, loop)
        while not self._add(delivery):
            if not wait:
                self.count("refused", kind)
                raise Full
            await asyncio.sleep(_LOOK_S)
        return await answer

    def offer(self, kind: Kind, parcels: Sequence[Parcel]) -> bool:
        """Takes it without an answer, from a sender that waits for none; False: no room, dropped.

        Raises:
            Closed: nothing more is taken.
        """
        delivery = Delivery(kind, parcels, None, None)
        if self._add(delivery):
            return True
        self.count("dropped", kind, delivery.lines)
        return False

    async def has_room(self) -> None:
        """Returns when something can be put: for those who read only what they can hand on.

        Raises:
            Closed: nothing more is taken.
        """
        while True:
            with self._lock:
                if self._closed:
                    raise Closed
                if self._held_bytes < self.max_bytes:
                    return
            await asyncio.sleep(_LOOK_S)

    def _add(self, delivery: Delivery) -> bool:
        with self._lock:
            if self._closed:
                raise Closed
            # One that is larger than all room there is gets in alone, or it never would.
            if self._held_bytes and self._held_bytes + delivery.size_bytes > self.max_bytes:
                return False
            self._held_bytes += delivery.size_bytes
            self._waiting.append(delivery)
            self._counts["received", delivery.kind] += delivery.lines
            arrived = self._arrived
        arrived()
        return True

    # -- the consumer's side

    def attach(self, arrived: Callable[[], object]) -> None:
        """`arrived` is called whenever something was put, in the listeners' thread."""
        with self._lock:
            self._arrived = arrived

    def take(self, max_bytes: int) -> list[Delivery]:
        """What waits, the oldest first, at least one if any, up to about max_bytes."""
        taken: list[Delivery] = []
        size_bytes = 0
        with self._lock:
            while self._waiting and (not taken or size_bytes < max_bytes):
                taken.append(self._waiting.popleft())
                size_bytes += taken[-1].size_bytes
        return taken

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        """They are durable: their senders are told, and their room is free."""
        with self._lock:
            for one in deliveries:
                self._held_bytes -= one.size_bytes
                self._counts["acknowledged", one.kind] += one.lines
                self._counts["repeated", one.kind] += one.repeated
        for one in deliveries:
            one.settle()

    def close(self, unsettled: Sequence[Delivery] = ()) -> None:
        """Takes nothing more. What waits, and what was taken and is not durable, is not told so."""
        with self._lock:
            self._closed = True
            waiting = [*unsettled, *self._waiting]
            self._waiting.clear()
            self._held_bytes = 0
        for one in waiting:
            one.settle(Closed())

    # -- numbers

    def count(self, what: str, kind: Kind, number: int = 1) -> None:
        """Adds to a number that the metrics show: `what` is a word of ours."""
        with self._lock:
            self._counts[what, kind] += number

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        with self._lock:
            return not self._waiting

    @property
    def held_bytes(self) -> int:
        """Waiting, or taken and not durable."""
        with self._lock:
            return self._held_bytes

    def counts(self) -> dict[tuple[str, Kind], int]:
        """(what, through what) -> how many, since the start.

        received, acknowledged, repeated, dropped: lines; others: requests or connections.
        """
        with self._lock:
            return dict(self._counts)


def identity(*parts: bytes | str | int) -> bytes:
    """What tells a line from all others: 16 bytes, equal only if all parts are.

    Give what the sender says of its place and the line itself: neither a file that begins anew
    under its old name nor a number that a client chose can then hide a line behind another.
    """
    digest = hashlib.blake2b(digest_size=IDENTITY_BYTES)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


def place_of(identity: bytes, keyed: Callable[[str], str]) -> int:
    """Where a line stands that its sender can name; the key keeps anyone from choosing it."""
    return _NAMED | int(keyed(f"place:{identity.hex()}")[:15], 16)
