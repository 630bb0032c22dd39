"""What a request's body holds, unpacked within a bound.

Bytes as they were sent and the name of their encoding come in, plain bytes go out. A few bytes that
unpack to gigabytes MUST NOT cost more than the bound.
"""

import io
import zlib
from typing import Final

from streams.archives import Log, packing

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class TooLarge(ValueError):
    """More than a body may have, as sent or unpacked."""


class UnknownEncoding(ValueError):
    """A Content-Encoding that is not read here."""


def unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body as it was before `encoding` (Content-Encoding: gzip, deflate, zstd, identity).

    Raises:
        TooLarge: it has more than max_bytes.
        UnknownEncoding: the encoding is another one.
        ValueError: it is not of this encoding, or is cut off.
    """
    match encoding.strip().lower():
        case "" | "identity":
            data = body
        case "gzip" | "x-gzip":
            data = _archive(body, _GZIP, max_bytes)
        case "zstd":
            data = _archive(body, _ZSTD, max_bytes)
        case "deflate":
            data = _deflated(body, max_bytes)
        case _:
            raise UnknownEncoding("send Content-Encoding gzip, deflate, zstd or none")
    if len(data) > max_bytes:
        raise TooLarge
    return data


def _archive(body: bytes, magic: bytes, max_bytes: int) -> bytes:
    if not body.startswith(magic):
        raise ValueError("the body is not of its Content-Encoding")
    log: Log = packing(body[:4])(io.BytesIO(body))
    data = log.read(max_bytes + 1)
    if log.damaged:
        raise ValueError("the body is cut off or damaged")
    return data


def _deflated(body: bytes, max_bytes: int) -> bytes:
    # RFC 9110 has it in zlib's wrapping; some senders leave that out.
    for wrapping in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        unpacker = zlib.decompressobj(wrapping)
        try:
            data = unpacker.decompress(body, max_bytes + 1)
        except zlib.error:
            continue
        if len(data) <= max_bytes and not unpacker.eof:
            break
        return data
    raise ValueError("the body is not of its Content-Encoding, or is cut off")
