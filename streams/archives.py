"""A log's decompressed bytes, whatever it is packed in: plain, gzip or zstd, told by its magic.

Comes in: a path, or "-" for standard input. Goes out: bytes in large reads. A truncated or corrupt
archive gives its good bytes and then ends, marked `damaged`; it MUST NOT raise for what is in it.
"""

import io
import os
import sys
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Final, Protocol, Self, cast

import zstandard

_BUFFER_BYTES: Final = 1 << 18

# Packed bytes go in by small slices, because what one slice unpacks to is held whole: a gzip slice
# at most 1032 times its size, a zstd slice 32 KiB of zeros for each byte.
_GZIP_SLICE_BYTES: Final = 4096
_ZSTD_SLICE_BYTES: Final = 1024


class Log:
    """An open log, read from its start; a plain one, unless a subclass unpacks it."""

    damaged = False
    """At the end: the archive was cut off or corrupt."""

    def __init__(self, file: BinaryIO, *, owned: bool = True) -> None:
        """`owned`: to be closed with the log, as standard input is not."""
        self._file = file
        self._owned = owned

    def read(self, size_bytes: int) -> bytes:
        """Exactly size_bytes; fewer at the end only."""
        return self._file.read(size_bytes)

    def skip(self, count_bytes: int) -> None:
        """Leaves out the next count_bytes."""
        if self._file.seekable():
            self._file.seek(count_bytes, io.SEEK_CUR)
        else:
            self._discard(count_bytes)

    def skip_hole(self) -> int:
        """Leaves out what comes next and is not stored at all, being NULs; how many bytes."""
        if not self._file.seekable():
            return 0
        position = self._file.tell()
        return self._file.seek(stored_from(self._file.fileno(), position)) - position

    def _discard(self, count_bytes: int) -> None:
        while count_bytes > 0 and (data := self.read(min(count_bytes, _BUFFER_BYTES))):
            count_bytes -= len(data)

    def close(self) -> None:
        """Closes the file, unless it is standard input."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Decoder(Protocol):
    """One gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Archive(Log):
    """Gzip members or zstd frames, one after another, as one stream."""

    _slice_bytes: int

    def __init__(self, file: BinaryIO, *, owned: bool = True) -> None:
        super().__init__(file, owned=owned)
        self._pieces = self._unpack()
        self._ready = bytearray()

    def read(self, size_bytes: int) -> bytes:
        while len(self._ready) < size_bytes and (piece := next(self._pieces, None)) is not None:
            self._ready += piece
        data = bytes(self._ready[:size_bytes])
        del self._ready[:size_bytes]
        return data

    def skip(self, count_bytes: int) -> None:
        self._discard(count_bytes)

    def skip_hole(self) -> int:
        return 0

    def _unpack(self) -> Iterator[bytes]:
        packed = self._file.read(self._slice_bytes)
        while packed:
            decoder = self._decoder()
            while not decoder.eof:
                if not packed:
                    self.damaged = True
                    return
                yield from self._decompress(decoder, packed)
                if self.damaged:
                    return
                packed = decoder.unused_data or self._file.read(self._slice_bytes)
            # An archive may be padded with zeros to the size of a block.
            packed = packed.lstrip(b"\0")
            while not packed and (packed := self._file.read(self._slice_bytes)):
                packed = packed.lstrip(b"\0")

    def _decoder(self) -> _Decoder:
        raise NotImplementedError

    def _decompress(self, decoder: _Decoder, packed: bytes) -> Iterator[bytes]:
        raise NotImplementedError


class _Gzip(_Archive):
    _slice_bytes = _GZIP_SLICE_BYTES

    def _decoder(self) -> _Decoder:
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def _decompress(self, decoder: _Decoder, packed: bytes) -> Iterator[bytes]:
        before = cast("_CopyableDecoder", decoder).copy()
        try:
            yield decoder.decompress(packed)
        except zlib.error:
            self.damaged = True
            yield from _good_bytes(before, packed)


class _CopyableDecoder(_Decoder, Protocol):
    def copy(self) -> _Decoder: ...


def _good_bytes(decoder: _Decoder, packed: bytes) -> Iterator[bytes]:
    """What unpacks before the corrupt byte: a failing call gives none of its output."""
    for i in range(len(packed)):
        try:
            piece = decoder.decompress(packed[i : i + 1])
        except zlib.error:
            return
        yield piece


class _Zstd(_Archive):
    _slice_bytes = _ZSTD_SLICE_BYTES

    def _decoder(self) -> _Decoder:
        return zstandard.ZstdDecompressor().decompressobj()

    def _decompress(self, decoder: _Decoder, packed: bytes) -> Iterator[bytes]:
        try:
            yield decoder.decompress(packed)
        except zstandard.ZstdError:
            self.damaged = True


def packing(head: bytes) -> type[Log]:
    """What kind of log begins with these bytes (4 are enough)."""
    if head.startswith(b"\x1f\x8b"):
        return _Gzip
    # Parallel compressors begin with a skippable frame.
    if head.startswith(b"\x28\xb5\x2f\xfd") or (
        head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
    ):
        return _Zstd
    return Log


def open_log(path: str) -> Log:
    """Opens a log for reading once, from its start to its end; "-" is standard input.

    Raises:
        OSError: it cannot be opened.
    """
    file: io.BufferedReader
    if path == "-":
        file = cast("io.BufferedReader", sys.stdin.buffer)
    else:
        file = io.BufferedReader(io.FileIO(path), _BUFFER_BYTES)
    return packing(file.peek(4))(file, owned=path != "-")


def stored_from(descriptor: int, offset: int) -> int:
    """The next offset, from this one on, at which a plain file stores anything; else its size."""
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:
        return max(offset, os.fstat(descriptor).st_size)
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)


def unpacked_size_bytes(path: str) -> int | None:
    """The size that an archive records of its contents (gzip: modulo 2 ** 32), if it does.

    Of several members it is one's own. MUST NOT be used but to see that nothing is new.
    """
    with io.FileIO(path) as file:
        head = file.read(_ZSTD_SLICE_BYTES)
        if packing(head) is _Gzip and file.seek(0, io.SEEK_END) > 18:
            file.seek(-4, io.SEEK_END)
            return int.from_bytes(file.read(4), "little")
    if packing(head) is _Zstd:
        try:
            size = zstandard.frame_content_size(head)
        except zstandard.ZstdError:
            return None
        return size if size >= 0 else None
    return None
