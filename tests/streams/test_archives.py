import gzip
import io
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import pytest
import zstandard

from streams.archives import open_log, unpacked_size_bytes

LINES = b"".join(b"line %d of %d\n" % (i, i * 7919 % 10007) for i in range(20_000))
OTHER = b"another\n" * 1000
GZIP = gzip.compress(LINES)
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(LINES)
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def read_all(path, size=1000):
    with open_log(str(path)) as log:
        pieces = []
        while piece := log.read(size):
            pieces.append(piece)
        assert {len(piece) for piece in pieces[:-1]} <= {size}
        return b"".join(pieces), log.damaged


WHOLE = [
    ("plain", LINES, LINES),
    ("empty", b"", b""),
    ("gzip", GZIP, LINES),
    ("gzip of nothing", gzip.compress(b""), b""),
    ("two gzip members", GZIP + gzip.compress(OTHER), LINES + OTHER),
    ("gzip padded with zeros", GZIP + b"\0" * 9000, LINES),
    ("padded, and a member more", GZIP + b"\0" * 9000 + gzip.compress(OTHER), LINES + OTHER),
    ("zstd", ZSTD, LINES),
    ("two zstd frames", ZSTD + zstandard.compress(OTHER), LINES + OTHER),
    ("zstd after a skippable frame", SKIPPABLE + ZSTD, LINES),
    ("text with a byte of gzip's magic", b"\x1f\n", b"\x1f\n"),
]


@pytest.mark.parametrize(
    ("stored", "expected"), [case[1:] for case in WHOLE], ids=[case[0] for case in WHOLE]
)
def test_whole_logs(tmp_path, stored, expected):
    path = tmp_path / "log"
    path.write_bytes(stored)
    assert read_all(path) == (expected, False)


DAMAGED = [
    ("gzip cut off", GZIP[: len(GZIP) // 2], 0.4),
    ("gzip cut off in its header", GZIP[:5], 0),
    ("gzip without its trailer", GZIP[:-8], 1),
    ("gzip of a wrong checksum", flipped(GZIP, len(GZIP) - 6), 1),
    ("gzip and garbage", GZIP + b"garbage", 1),
    ("gzip and a member cut off", GZIP + gzip.compress(OTHER)[:-9], 1),
    ("zstd cut off", ZSTD[: len(ZSTD) // 2], 0.3),
    ("zstd cut off in its header", ZSTD[:5], 0),
    ("zstd and garbage", ZSTD + b"garbage", 1),
]


@pytest.mark.parametrize(
    ("stored", "share"), [case[1:] for case in DAMAGED], ids=[case[0] for case in DAMAGED]
)
def test_damaged_archives_give_their_good_bytes(tmp_path, stored, share):
    path = tmp_path / "log"
    path.write_bytes(stored)
    data, damaged = read_all(path)
    assert damaged
    assert (LINES + OTHER).startswith(data)
    assert len(data) >= share * len(LINES)


def test_all_bytes_before_a_corrupt_one_are_good(tmp_path):
    # Two stored blocks; the second one's length does not match its complement.
    compressor = zlib.compressobj(0, wbits=31)
    stored = compressor.compress(b"good\n") + compressor.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "log"
    path.write_bytes(stored + b"\0\x05\0\0\0never")
    assert read_all(path) == (b"good\n", True)


@pytest.mark.parametrize("stored", [LINES, GZIP, ZSTD], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("count", [0, 1, 70_000, len(LINES), len(LINES) + 5])
def test_skip(tmp_path, stored, count):
    path = tmp_path / "log"
    path.write_bytes(stored)
    with open_log(str(path)) as log:
        start = log.read(10)
        log.skip(count)
        assert start + log.read(len(LINES)) == LINES[:10] + LINES[10 + count :]


def test_skip_hole(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.write(b"a\n")
        file.seek(1 << 40)
        file.write(b"b\n")
        file.truncate(1 << 41)
    with open_log(str(path)) as log:
        assert log.read(1 << 16) == b"a\n" + bytes((1 << 16) - 2)
        assert log.skip_hole() == (1 << 40) - (1 << 16)
        assert log.read(1 << 16) == b"b\n" + bytes((1 << 16) - 2)
        assert log.skip_hole() == (1 << 40) - (1 << 16)
        assert log.read(1) == b""


@pytest.mark.parametrize("stored", [GZIP, ZSTD], ids=["gzip", "zstd"])
def test_an_archive_has_no_holes(tmp_path, stored):
    path = tmp_path / "log"
    path.write_bytes(stored)
    with open_log(str(path)) as log:
        assert log.skip_hole() == 0
        assert log.read(len(LINES)) == LINES


@pytest.mark.stack
@pytest.mark.parametrize("stored", [LINES, GZIP, ZSTD], ids=["plain", "gzip", "zstd"])
def test_standard_input(stored):
    script = (
        "import sys; from streams.archives import open_log\n"
        "with open_log('-') as log:\n"
        "    log.skip(10)\n"
        "    sys.stdout.buffer.write(log.read(1 << 30))\n"
        "assert not sys.stdin.buffer.closed\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=stored,
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == LINES[10:]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_bomb_is_unpacked_in_bounded_memory(tmp_path, pack):
    path = tmp_path / "bomb"
    path.write_bytes(pack(bytes(200 << 20)))
    with open_log(str(path)) as log:
        tracemalloc.start()
        total = 0
        while data := log.read(1 << 20):
            total += len(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert total == 200 << 20
    assert peak < 96 << 20


SIZES = [
    ("plain", LINES, None),
    ("empty", b"", None),
    ("gzip", GZIP, len(LINES)),
    ("zstd", ZSTD, len(LINES)),
    ("zstd of a stream", zstandard.ZstdCompressor(write_content_size=False).compress(LINES), None),
    ("zstd cut off", ZSTD[:4], None),
    ("gzip cut off", GZIP[:9], None),
]


@pytest.mark.parametrize(
    ("stored", "expected"), [case[1:] for case in SIZES], ids=[case[0] for case in SIZES]
)
def test_unpacked_size(tmp_path, stored, expected):
    path = tmp_path / "log"
    path.write_bytes(stored)
    assert unpacked_size_bytes(str(path)) == expected


def test_a_pipe_is_read_to_its_end(tmp_path, monkeypatch):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    class Stdin:
        buffer = io.BufferedReader(Pipe(LINES))

    monkeypatch.setattr(sys, "stdin", Stdin)
    with open_log("-") as log:
        log.skip(7)
        assert log.skip_hole() == 0
        assert log.read(len(LINES)) == LINES[7:]
