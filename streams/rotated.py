"""A followed path in; the files that were rotated away beside it out, recognised by what they hold.

So a rotation that nobody watched, during a stop, loses nothing. It MUST NOT change any file, nor
judge a file by its name: a name only says that a file never seen may be a rotated one.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from streams.archives import Log, open_log, unpacked_size_bytes
from streams.book import HEAD_BYTES, SourceBook
from streams.sources import beginning

_NUMBERED: Final = re.compile(r"[.\-_]\d[\d.\-_:T]*(\.gz|\.zst)?")

Key = tuple[int, int]
"""Device and inode."""


class Rotated(NamedTuple):
    """A file beside the followed one whose name begins with its name."""

    path: str
    key: Key
    source: str | None
    """The known source that it holds; None of one never met."""
    mark: int
    """How far that source has been read."""
    has_rest: bool
    """It holds more than that, or its size is not recorded."""
    numbered: bool
    """Its name is one that rotation gives: access.log.1, access.log-20261122.gz."""


def inode_key(status: os.stat_result) -> Key:
    """What a file keeps when it is renamed."""
    return status.st_dev, status.st_ino


def names_beside(path: str) -> frozenset[tuple[str, int]]:
    """(name, inode) of what begins with the name of `path` beside it: cheap, to see a change."""
    try:
        with os.scandir(Path(path).parent) as entries:
            name = Path(path).name
            return frozenset((e.name, e.inode()) for e in entries if e.name.startswith(name))
    except OSError:
        return frozenset()


def rotated_files(path: str, book: SourceBook, mark: Callable[[str], int]) -> list[Rotated]:
    """The regular files beside `path`, oldest first; of a packed file and its plain twin, the twin.

    Where `path` is a link, those beside its target too. Unreadable files are left out.
    """
    found: dict[Key, tuple[int, str, str]] = {}
    for named in dict.fromkeys((path, os.path.realpath(path))):
        for file, status in _beside(Path(named)):
            suffix = file.name.removeprefix(Path(named).name)
            found[inode_key(status)] = (status.st_mtime_ns, str(file), suffix)
    files = []
    for _, name, suffix in sorted(found.values()):
        numbered = _NUMBERED.fullmatch(suffix) is not None
        if recognised := recognise(name, book, mark, numbered=numbered):
            files.append(recognised)
    return files


def _beside(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        names = {file.name for file in path.parent.iterdir() if file.name.startswith(path.name)}
    except OSError:
        return
    for name in names:
        if name[len(path.name) :][:1] not in {".", "-", "_"}:
            continue
        # While a file is being packed, both are there, and the packed one is not whole.
        if name.endswith((".gz", ".zst")) and name.rpartition(".")[0] in names - {path.name}:
            continue
        try:
            status = (path.parent / name).stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield path.parent / name, status


def recognise(
    path: str, book: SourceBook, mark: Callable[[str], int], *, numbered: bool = False
) -> Rotated | None:
    """What the file at `path` holds; None if it cannot be read."""
    try:
        status = Path(path).stat()
        with open_log(path) as log:
            _, head = beginning(log, HEAD_BYTES)
            packed = type(log) is not Log
        size = unpacked_size_bytes(path) if packed else status.st_size
    except OSError:
        return None
    # A file shorter than what has been read of a source is not that source.
    apart_from = set() if packed or size is None else book.longer(head, size, mark)
    source = book.find(head, apart_from)
    place = mark(source) if source else 0
    if packed:
        # Gzip records the size modulo 2 ** 32.
        has_rest = size is None or size & 0xFFFFFFFF != place & 0xFFFFFFFF
    else:
        has_rest = size is not None and size > place
    return Rotated(path, inode_key(status), source, place, has_rest, numbered)
