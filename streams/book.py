"""The book of sources, which tells one log from another by its beginning.

So renaming, rotating, packing and copying a log keep its name. Comes in: the first bytes of a log.
Goes out: the id of its source. It MUST NOT look at a path, nor name a source by when it was met,
but for those that begin with the same line; nor keep the bytes, which may hold credentials.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from itertools import count
from typing import Final

HEAD_BYTES: Final = 4096
"""As much of a source's beginning as tells it from others."""

_BOM: Final = b"\xef\xbb\xbf"
_MAX_SOURCES: Final = 10_000
_DIGEST_BYTES: Final = 8


def first_line(head: bytes) -> tuple[bytes, bool]:
    """The first line that is neither blank nor a comment, and whether it is there for good.

    It is, if its newline or the end of the first 4096 bytes has been reached. Without such a
    line, all of the first 4096 bytes stand in for it.
    """
    head = head[:HEAD_BYTES]
    start = len(_BOM) if head.startswith(_BOM) else 0
    while start < len(head):
        newline = head.find(b"\n", start)
        end = newline if newline >= 0 else len(head)
        line = head[start:end]
        if not line.isspace() and line and not line.startswith(b"#"):
            return line.rstrip(b"\r"), newline >= 0 or len(head) == HEAD_BYTES
        start = end + 1
    return head, len(head) == HEAD_BYTES


def source_id(head: bytes) -> str:
    """16 hex digits of the SHA-256 of a source's first line (as far as in its first 4096 bytes)."""
    return _digest(first_line(head)[0]).hex()


def fingerprint(head: bytes) -> bytes:
    """What is kept of a source's first 4096 bytes: digests of its first line and of each whole one.

    That of a head that goes on begins with that of the head; b"" of none.
    """
    head = head[:HEAD_BYTES]
    lines = head.split(b"\n")
    if len(head) < HEAD_BYTES:
        lines.pop()
    return b"".join(map(_digest, [first_line(head)[0], *lines])) if head else b""


def _digest(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()[:_DIGEST_BYTES]


def _numbered_id(first: bytes, ordinal: int) -> str:
    return _digest(first + b"\n%d" % ordinal).hex() if ordinal else first.hex()


class SourceBook:
    """Remembers the head of each source: the fingerprint of its first 4096 bytes, as far as known.

    Two logs are one source when they have the same first line and the whole lines of the shorter
    head begin the longer. A different log with the same first line gets an id of its own, by order
    of arrival. Bounded: of more than `limit` sources, the one not met for longest is forgotten.
    """

    def __init__(self, limit: int = _MAX_SOURCES) -> None:
        self._limit = limit
        self._heads: dict[str, bytes] = {}
        """In the order in which they were last met."""
        self._ordinals: dict[bytes, dict[int, str]] = {}
        self._dirty: set[str] = set()

    def head(self, source: str) -> bytes:
        """The fingerprint of a source's first bytes; b"" of an unknown one."""
        return self._heads.get(source, b"")

    def find(self, head: bytes, apart_from: Collection[str] = ()) -> str | None:
        """The known source that begins so, if there is one: the closest, then the newest."""
        return self._find(fingerprint(head), apart_from)

    def longer(self, head: bytes, size_bytes: int, mark: Callable[[str], int]) -> set[str]:
        """Sources that begin so, but of which more has been read than a file of this size holds."""
        found: set[str] = set()
        print_ = fingerprint(head)
        while (source := self._find(print_, found)) and mark(source) > size_bytes:
            found.add(source)
        return found

    def identify(self, head: bytes, apart_from: Collection[str] = ()) -> str:
        """The id of the source that begins so, which is remembered from now on.

        `apart_from` are sources that it cannot be, whatever its head says.
        """
        print_ = fingerprint(head)
        source = self._find(print_, apart_from)
        if source is None:
            first = _digest(first_line(head)[0])
            taken = {*self._ordinals.get(first, {}).values(), *apart_from}
            source = next(name for n in count() if (name := _numbered_id(first, n)) not in taken)
        self._remember(source, print_)
        return source

    def confirm(self, source: str, head: bytes) -> bool:
        """Whether the source may begin so; if it may, what is known of its head grows to this."""
        print_ = fingerprint(head)
        known = self._heads.get(source)
        if known is not None and not (print_.startswith(known) or known.startswith(print_)):
            return False
        self._remember(source, print_)
        return True

    def dump(self) -> list[tuple[str, bytes]]:
        """Every (source id, head), the least recently met first."""
        return list(self._heads.items())

    def take_dirty(self) -> list[tuple[str, bytes]]:
        """What has changed since the last call, by id; the head of a forgotten source is b""."""
        changed = [(source, self.head(source)) for source in sorted(self._dirty)]
        self._dirty.clear()
        return changed

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Takes back what `dump` or `take_dirty` gave, in any order.

        Raises:
            ValueError: an id does not belong to its head.
        """
        for source, head in items:
            if head:
                self._remember(source, head)
        self._dirty.clear()

    def _find(self, print_: bytes, apart_from: Collection[str]) -> str | None:
        found = None
        closest = -1
        same_line = self._ordinals.get(print_[:_DIGEST_BYTES], {})
        for _, source in sorted(same_line.items(), reverse=True):
            known = self._heads[source]
            common = min(len(known), len(print_))
            if source not in apart_from and known[:common] == print_[:common] and common > closest:
                found, closest = source, common
        return found

    def _remember(self, source: str, print_: bytes) -> None:
        known = self._heads.pop(source, b"")
        if len(print_) > len(known):
            self._dirty.add(source)
            if not known:
                first = print_[:_DIGEST_BYTES]
                self._ordinals.setdefault(first, {})[self._ordinal(source, first)] = source
            known = print_
        if known:
            self._heads[source] = known
        while len(self._heads) > self._limit:
            self._forget(next(iter(self._heads)))

    def _ordinal(self, source: str, first: bytes) -> int:
        for ordinal in range(self._limit + 1):
            if _numbered_id(first, ordinal) == source:
                return ordinal
        raise ValueError(f"loading source {source}: its head is another source's; remove its state")

    def _forget(self, source: str) -> None:
        first = self._heads.pop(source)[:_DIGEST_BYTES]
        same_line = self._ordinals[first]
        del same_line[self._ordinal(source, first)]
        if not same_line:
            del self._ordinals[first]
        self._dirty.add(source)
