"""The reference: typed msgspec decode, in frames, of the fields that the pipeline reads."""

import sys
import time
from pathlib import Path

import msgspec

FRAME_LINES = 500


class _Ip(msgspec.Struct):
    ip: str


class _User(msgspec.Struct):
    id: str | None = None


class _Request(msgspec.Struct):
    method: str
    id: str | None = None


class _Body(msgspec.Struct):
    bytes: int = -1


class _Response(msgspec.Struct):
    status_code: int
    body: _Body


class _Http(msgspec.Struct):
    request: _Request
    response: _Response


class _Url(msgspec.Struct):
    original: str


class _Agent(msgspec.Struct):
    original: str


class Line(msgspec.Struct):
    """What the pipeline reads of an event; the bare loops of `bench-kafka` decode the same."""

    source: _Ip
    user: _User
    session: _User
    user_agent: _Agent
    http: _Http
    url: _Url
    timestamp: str = msgspec.field(name="@timestamp")


def lines_per_second(log: Path) -> float:
    """Typed decode of the whole log in frames of 500 lines, reading excluded."""
    lines = log.read_bytes().splitlines()
    frames = [
        b"\n".join(lines[start : start + FRAME_LINES])
        for start in range(0, len(lines), FRAME_LINES)
    ]
    decoder = msgspec.json.Decoder(Line)
    count = 0
    started = time.perf_counter()
    for frame in frames:
        count += len(decoder.decode_lines(frame))
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    print(lines_per_second(Path(sys.argv[1])))
