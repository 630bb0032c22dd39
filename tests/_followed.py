"""A caller of a follower, and a server whose log is rotated under it."""

import gzip
import os
import shutil

from streams.book import SourceBook
from streams.follow import Follower


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def packed(path, pack=gzip.compress, suffix=".gz"):
    """Packs as gzip does: the time of the file stays, the plain one goes."""
    target = path.with_name(path.name + suffix)
    target.write_bytes(pack(path.read_bytes()))
    os.utime(target, ns=(path.stat().st_mtime_ns,) * 2)
    path.unlink()


class Reader:
    """A caller: keeps the book, the marks and the lines through restarts of the follower."""

    def __init__(self, path, **settings):
        self.path = path
        self.settings = settings
        self.book = SourceBook()
        self.marks: dict[str, int] = {}
        self.lines = []
        self.faults = []
        self.follower = Follower(str(path), self.book, self.marks, **settings)

    def take(self, max_bytes=1 << 20, *, finish=False):
        """One poll; whether there was a frame."""
        frame = self.follower.poll(max_bytes, finish=finish)
        if not frame:
            return False
        assert frame.name == str(self.path)
        # No gap and no overlap: each frame begins where the last one of its source ended.
        assert frame.offset == self.marks.get(frame.source, 0)
        self.marks[frame.source] = frame.end
        self.lines += frame.data.splitlines()
        self.faults += frame.faults
        return True

    def drain(self, max_bytes=1 << 20, *, finish=False):
        """The lines that there are now."""
        before = len(self.lines)
        while self.take(max_bytes, finish=finish):
            pass
        return self.lines[before:]

    def has_begun(self):
        """Whether a line of the file that the path names now has been taken."""
        head = self.path.read_bytes() if self.path.exists() else b""
        return self.marks.get(self.book.find(head) or "", 0) > 0

    def restart(self):
        self.follower.close()
        book = SourceBook()
        book.load(self.book.dump())
        self.book = book
        self.follower = Follower(str(self.path), book, dict(self.marks), **self.settings)


class Writer:
    """A server and its logrotate. Times are set by hand: the kernel's are too coarse for this."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.clock = 0
        self.rotations = 0
        self.file = path.open("ab", buffering=0)
        self.partial = b""

    def write(self, data):
        self.file.write(data)
        self.clock += 1
        os.utime(self.file.fileno(), ns=(self.clock, self.clock))

    def append(self):
        self.lines.append(self.partial + b"line %d" % len(self.lines))
        self.write(b"line %d\n" % (len(self.lines) - 1))
        self.partial = b""

    def begin_line(self):
        self.partial += b"part "
        self.write(b"part ")

    def rename(self):
        if self.path.exists():
            self.rotations += 1
            self.path.rename(f"{self.path}.{self.rotations}")

    def reopen(self):
        if not self.path.exists():
            if self.partial:
                self.append()
            self.file.close()
            self.file = self.path.open("ab", buffering=0)
            self.clock += 1
            os.utime(self.path, ns=(self.clock, self.clock))

    def copytruncate(self):
        if self.path.exists():
            self.rotations += 1
            shutil.copy2(self.path, f"{self.path}.{self.rotations}")
            os.truncate(self.path, 0)
            self.clock += 1
            os.utime(self.path, ns=(self.clock, self.clock))

    def pack(self):
        """The rotated files that nobody writes to any more."""
        if self.path.exists():
            for path in self.path.parent.glob("*.log.*[0-9]"):
                packed(path)
