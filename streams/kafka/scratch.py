"""A folder for the life of a task; what a killed process left is removed by whoever comes next.

A parent folder comes in, a new folder in it goes out. The lock on the file in it is the sign of
life: the system lets it go with the process, however that ends. It must never remove the folder of
a process that lives.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

_LOCK = "alive"


class Scratch:
    """A folder of this object's own, gone when it is closed."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = parent / uuid4().hex
        # One at a time, or another one would sweep what has no lock yet.
        with _alone(parent):
            _sweep(parent)
            self.path.mkdir(mode=0o700)
            self._lock = (self.path / _LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _sweep(parent: Path) -> None:
    """Remove folders that nobody holds."""
    for lock in parent.glob(f"*/{_LOCK}"):
        try:
            with lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except (BlockingIOError, FileNotFoundError):
            continue


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
