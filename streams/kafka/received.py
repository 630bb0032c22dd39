"""What listeners bring to a collector: frames for the brokers, and answers when they have them.

Deliveries of the inbox come in, frames go out in their order; each acknowledgement comes back in
the same order. It MUST NOT settle a delivery before the last of its frames is acknowledged.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from streams.kafka.apart import Apart, Cutter
from streams.listen.inbox import Delivery, Inbox

_TAKE_BYTES: Final = 1 << 20


class Received:
    """The deliveries between one inbox and one `Outflow`."""

    def __init__(self, inbox: Inbox, frame_bytes: int) -> None:
        self._inbox = inbox
        self._cutter = Cutter(frame_bytes)
        self._waiting: deque[Delivery] = deque()
        """A delivery for each frame that is out, several times if it has several."""
        self._taken: deque[Delivery] = deque()
        """Not yet settled."""

    def frames(self) -> Iterator[Apart]:
        """Some of what waits; each is to be put before the next is asked for."""
        taken = self._inbox.take(_TAKE_BYTES)
        # Before the first of them goes out: whatever ends this tells those who wait.
        self._taken.extend(taken)
        for delivery in taken:
            frames = list(self._cutter.frames(delivery))
            if not frames:
                self._settle(delivery)  # blank lines: nothing of it can be lost
            self._waiting.extend([delivery] * len(frames))
            yield from frames

    def acknowledged(self) -> None:
        """The oldest frame that is out has arrived."""
        delivery = self._waiting.popleft()
        if not self._waiting or self._waiting[0] is not delivery:
            self._settle(delivery)

    def _settle(self, delivery: Delivery) -> None:
        self._taken.remove(delivery)
        self._inbox.settle([delivery])

    def close(self) -> None:
        """Nothing more is taken, and what did not arrive is not answered as safe."""
        self._inbox.close(list(self._taken))
        self._taken.clear()
