"""What travels between our own stages: frames of many signals or exposures, never one a message.

Everything that a frame holds was in one partition's order. The names of origins say whose: `i3` is
partition 3 of access.raw, `d0` partition 0 of signals.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from intake.frames import Batch
from records.event import AccessEvent, Exposure, RawLine, Reject, Signal
from records.finding import Finding
from records.kinds import Key
from streams.tally import Tally

_MOST_EXPOSURES = 2_000
_MOST_RAW_BYTES = 1 << 20


class Output(NamedTuple):
    """One message to send."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Signals(msgspec.Struct, array_like=True):
    """On `signals`: one partition's notable events for one partition of keys."""

    origin: str
    watermark_ms: int
    """How far the origin has come; the last frame of a commit says so for all before it."""
    idle: bool
    signals: list[tuple[Key, Signal]] = []
    """A copy for each key kind whose detectors look at it."""


class Slice(msgspec.Struct, array_like=True):
    """What one batch holds for the desk."""

    time_ms: int
    """How far its source had come."""
    source: str
    name: str = ""
    """What to call the source to a person."""
    exposures: list[Exposure] = []
    raw: list[RawLine] = []
    own: list[tuple[str, str, int]] = []
    """(address, vouched principal, time of its own success), once a minute."""
    own_since_ms: int = 0
    events: list[AccessEvent] = []
    """Only those that say something about the log: late, or refused although they named nobody."""
    rejects: list[Reject] = []
    gaps: list[tuple[int, str]] = []
    findings: list[Finding] = []

    def batch(self) -> Batch:
        """As the embedded pipeline would hand it to its decider."""
        return Batch(
            self.source,
            late=sum(event.late for event in self.events),
            events=self.events,
            exposures=self.exposures,
            raw=self.raw,
            rejects=self.rejects,
        )


class Slices(msgspec.Struct, array_like=True):
    """On `exposures`: what an intake or a detect task has for the decider."""

    origin: str
    watermark_ms: int
    idle: bool
    slices: list[Slice] = []
    tally: Tally | None = None
    """What was counted since the last frame that had one."""


def split(one: Slice) -> Iterator[Slice]:
    """The same in pieces that fit into a message each; what it counts stands in the first."""
    lines = list(_raw_pieces(one.raw))
    parts = max(len(lines), -(-len(one.exposures) // _MOST_EXPOSURES), 1)
    if parts == 1:
        yield one
        return
    for n in range(parts):
        exposures = one.exposures[n * _MOST_EXPOSURES : (n + 1) * _MOST_EXPOSURES]
        raw = lines[n] if n < len(lines) else []
        if n:
            yield Slice(one.time_ms, one.source, one.name, exposures, raw)
        else:
            yield msgspec.structs.replace(one, exposures=exposures, raw=raw)


def _raw_pieces(raw: Iterable[RawLine]) -> Iterator[list[RawLine]]:
    piece: list[RawLine] = []
    size = 0
    for line in raw:
        if piece and size + len(line.data) > _MOST_RAW_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line.data)
    if piece:
        yield piece


def packed(origin: str, watermark_ms: int, slices: Sequence[Slice]) -> Iterator[Slices]:
    """Frames of slices, each small enough for a message. `watermark_ms` was reached before them."""
    held: list[Slice] = []
    exposures = raw_bytes = 0
    for piece in (piece for one in slices for piece in split(one)):
        exposures += len(piece.exposures)
        raw_bytes += sum(len(line.data) for line in piece.raw)
        if held and (exposures > _MOST_EXPOSURES or raw_bytes > _MOST_RAW_BYTES):
            yield Slices(origin, watermark_ms, False, held)
            held, exposures = [], len(piece.exposures)
            raw_bytes = sum(len(line.data) for line in piece.raw)
        held.append(piece)
    yield Slices(origin, watermark_ms, False, held)


encode = msgspec.msgpack.Encoder().encode
decode_signals = msgspec.msgpack.Decoder(Signals).decode
decode_slices = msgspec.msgpack.Decoder(Slices).decode
