"""Brokers that answer when they are told to, and a producer as aiokafka's."""

import asyncio

from aiokafka.errors import MessageSizeTooLargeError


class Broker:
    """Keeps every record that was sent; acknowledges at once, or when told to."""

    def __init__(self, topic="raw"):
        self.topic = topic
        self.keys = {}
        """By name of a log, what its frames are sent under; else their source."""
        self.records = []
        """(value, headers) in the order in which producers gave them."""
        self.answers = True
        self.refuses = 0
        """So many times nobody can connect."""
        self.takes = []
        """What the next sends raise; None for nothing."""
        self.max_bytes = 1 << 30
        self.on_send = lambda: None
        self.batches_bytes = []
        """What the producers were made for."""
        self.connected = 0
        self.stopped = 0
        self._open = []

    def connect(self, batch_bytes):
        self.batches_bytes.append(batch_bytes)
        return Producer(self)

    def offsets(self):
        return [int(headers["offset"]) for _, headers in self.records]

    def answer(self, index=None):
        """Acknowledge all that waits, or the one of that index."""
        for future in self._open if index is None else [self._open[index]]:
            if not future.done():
                future.set_result(None)

    def fail(self, index, error):
        self._open[index].set_exception(error)

    def take(self, value, headers):
        self.on_send()
        if self.takes and (error := self.takes.pop(0)):
            raise error
        future = asyncio.get_running_loop().create_future()
        self._open = [one for one in self._open if not one.done()] + [future]
        if len(value) > self.max_bytes:
            future.set_exception(MessageSizeTooLargeError())
            return future
        self.records.append((value, dict(headers)))
        if self.answers:
            future.set_result(None)
        return future

    def sources(self):
        """Source id -> its bytes, put together as intake does: what is missing is an error."""
        found: dict[str, bytes] = {}
        for value, headers in self.records:
            source, offset = headers["source"].decode(), int(headers["offset"])
            known = found.setdefault(source, b"")
            assert offset <= len(known), "a gap"
            overlap = known[offset : offset + len(value)]
            assert value.startswith(overlap), "other bytes at the same place"
            found[source] += value[len(overlap) :]
        return found


class Producer:
    def __init__(self, broker):
        self._broker = broker

    async def start(self):
        self._broker.connected += 1
        if self._broker.refuses:
            self._broker.refuses -= 1
            raise ConnectionError("nothing listens there")

    async def stop(self):
        self._broker.stopped += 1

    async def send(self, topic, value=None, key=None, headers=None):
        assert topic == self._broker.topic
        named = dict(headers)
        assert key == self._broker.keys.get(named["name"], named["source"])
        return self._broker.take(value, headers)
