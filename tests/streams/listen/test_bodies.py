import gzip
import tracemalloc
import zlib

import pytest
import zstandard

from streams.listen.bodies import TooLarge, UnknownEncoding, unpacked

TEXT = b"a line of a log\n" * 1000
MAX = 1 << 20


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), " GZIP "),
        (gzip.compress(TEXT[:500], mtime=0) + gzip.compress(TEXT[500:], mtime=0), "x-gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
        (zstandard.compress(TEXT), "zstd"),
    ],
)
def test_it_is_unpacked_as_its_encoding_says(body, encoding):
    assert unpacked(body, encoding, MAX) == TEXT
    assert unpacked(body, encoding, max(len(TEXT), len(body))) == TEXT


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (TEXT, "br", UnknownEncoding),
        (TEXT, "gzip, gzip", UnknownEncoding),
        (TEXT, "gzip", ValueError),
        (TEXT, "zstd", ValueError),
        (TEXT, "deflate", ValueError),
        (gzip.compress(TEXT, mtime=0)[:60], "gzip", ValueError),
        (zstandard.compress(TEXT)[:-3], "zstd", ValueError),
        (zlib.compress(TEXT)[:-9], "deflate", ValueError),
        (b"", "gzip", ValueError),
        (TEXT, "", TooLarge),
        (gzip.compress(TEXT, mtime=0), "gzip", TooLarge),
        (zlib.compress(TEXT), "deflate", TooLarge),
        (raw_deflate(TEXT), "deflate", TooLarge),
        (zstandard.compress(TEXT), "zstd", TooLarge),
    ],
)
def test_what_is_none_or_too_large_is_refused(body, encoding, expected):
    with pytest.raises(expected) as error:
        unpacked(body, encoding, len(TEXT) - 1)
    assert type(error.value) is expected
    assert "a line" not in str(error.value)


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (zstandard.compress, "zstd")],
)
def test_a_bomb_costs_no_more_than_the_bound(pack, encoding):
    bomb = pack(bytes(256 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            unpacked(bomb, encoding, MAX)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 96 << 20
