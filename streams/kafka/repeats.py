"""Which named lines a partition has shown before: a sender that was not answered sends again.

Names of lines come in, in the partition's order; out comes which are new, and what has to be kept.
It is a function of the partition's records, so that whoever takes over drops the same ones. It
remembers the latest `REMEMBERED`: what is sent again comes soon, and into the same partition.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from streams.listen.inbox import IDENTITY_BYTES

REMEMBERED: Final = 200_000
_BLOB: Final = 512
"""Names in one value of the journal: each commit writes the one that is being filled anew."""
SPACE: Final = "named"

State = tuple[str, str, bytes]


class Repeats:
    """The names of one partition."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._blobs = max(1, limit // _BLOB)
        self._known: set[bytes] = set()
        self._kept: dict[int, list[bytes]] = {}
        """By number, the oldest first."""
        self._dirty: set[int] = set()

    def are_new(self, names: Sequence[bytes]) -> list[bool]:
        """Of each, whether it was not seen before; all of them have been from now on."""
        return [self._is_new(name) for name in names]

    def _is_new(self, name: bytes) -> bool:
        if name in self._known:
            return False
        self._known.add(name)
        number = next(reversed(self._kept), 0)
        blob = self._kept.get(number)
        if blob is None or len(blob) >= _BLOB:
            number += 1
            blob = self._kept[number] = []
            if len(self._kept) > self._blobs:
                oldest = next(iter(self._kept))
                self._known.difference_update(self._kept.pop(oldest))
                self._dirty.add(oldest)
        blob.append(name)
        self._dirty.add(number)
        return True

    def take_dirty(self) -> Iterator[State]:
        """(space, key, value) of what changed since the last call; b"" for what is forgotten."""
        for number in sorted(self._dirty):
            yield SPACE, f"{number}", b"".join(self._kept.get(number, ()))
        self._dirty.clear()

    def load(self, items: Mapping[str, bytes]) -> None:
        """Take back what `take_dirty` gave, the last of each key."""
        for number, value in sorted((int(key), value) for key, value in items.items()):
            blob = [value[at : at + IDENTITY_BYTES] for at in range(0, len(value), IDENTITY_BYTES)]
            self._kept[number] = blob
            self._known.update(blob)
