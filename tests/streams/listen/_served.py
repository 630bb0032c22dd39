"""A listener in its thread, and a consumer that makes durable what it is told to."""

import asyncio
import threading
import time

from streams.listen.inbox import Delivery, Inbox
from streams.listen.listeners import Listeners


class Served:
    """What a listener brought, in order. Without `hold`, everything is settled at once."""

    def __init__(self, make, *, max_bytes=64 << 20, hold=False):
        """`make` makes the listener for an inbox."""
        self.inbox = Inbox(max_bytes)
        self.listener = make(self.inbox)
        self.listeners = Listeners([self.listener])
        self.deliveries = []
        self.hold = hold
        self.known = set()
        self._ending = threading.Event()
        self._consumer = threading.Thread(target=self._consume, daemon=True)

    def __enter__(self):
        self.listeners.start()
        self._consumer.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._consumer.join(10)
        self.inbox.close()
        self.listeners.close()

    def _consume(self):
        while not self._ending.is_set():
            taken = [] if self.hold else self.inbox.take(1 << 20)
            if not taken:
                time.sleep(0.002)
                continue
            for delivery in taken:
                names = [name for p in delivery.parcels for name in p.identities if name]
                delivery.repeated = len(names) - len({*names} - self.known)
                self.known.update(names)
            self.deliveries += taken
            self.inbox.settle(taken)

    def parcels(self):
        return [parcel for delivery in self.deliveries for parcel in delivery.parcels]

    def lines(self):
        return [line for parcel in self.parcels() for line in parcel.lines]


def until(condition):
    """Waits for something to become true; bounded."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it never came")


async def taken(inbox, lines):
    """Deliveries until there are so many lines; not settled."""
    found: list[Delivery] = []
    async with asyncio.timeout(20):
        while sum(one.lines for one in found) < lines:
            found += inbox.take(1 << 20)
            await asyncio.sleep(0.005)
    return found
