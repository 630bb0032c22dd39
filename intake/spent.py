"""What was seen in the last seconds and must not count a second time, as short digests.

In: digests, and the second in which each was seen. Out: whether one was. It holds a bounded number,
and `take_dirty` gives what changed, by second. It reads no clock: seconds MUST NOT go back.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec

_DIGEST_BYTES = 8


class Spent:
    """Digests, and when each was last seen."""

    def __init__(self, space: str, most: int, *, tracking: bool = False) -> None:
        """`space`: of its state. `tracking`: changes are kept for `take_dirty`."""
        self._space = space
        self._most = most
        self._tracking = tracking
        # Not a dict, whose first entry is found slowly once many before it are gone.
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        """The longest unseen first."""
        self._changed: set[int] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, key: bytes, second: int) -> None:
        """It was seen now; it is of `short_digest`."""
        self._touch(self._seen.pop(key, second))
        self._seen[key] = second
        self._touch(second)
        if len(self._seen) > self._most:
            self._touch(self._seen.popitem(last=False)[1])

    def forget(self, before: int) -> None:
        """Those that were not seen since this second."""
        while self._seen and next(iter(self._seen.values())) < before:
            self._touch(self._seen.popitem(last=False)[1])

    def _touch(self, second: int) -> None:
        if self._tracking:
            self._changed.add(second)

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, second, digests) of each second that changed; an empty value: it is over."""
        found: dict[int, list[bytes]] = {second: [] for second in self._changed}
        self._changed.clear()
        for key, second in self._seen.items() if found else ():
            if second in found:
                found[second].append(key)
        for second, keys in found.items():
            yield self._space, str(second), msgspec.msgpack.encode(b"".join(keys)) if keys else b""

    def load(self, load_state: Callable[[str], Iterator[tuple[str, bytes]]]) -> None:
        """Restore what `take_dirty` gave."""
        for second, value in sorted((int(key), value) for key, value in load_state(self._space)):
            keys = msgspec.msgpack.decode(value, type=bytes)
            for at in range(0, len(keys), _DIGEST_BYTES):
                self._seen[keys[at : at + _DIGEST_BYTES]] = second


def short_digest(text: str) -> bytes:
    """What stands for a text here."""
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
