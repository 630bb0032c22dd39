"""What travels between our own stages: frames of many signals or exposures, never one a message.

Everything that a frame holds was in one partition's order. The names of origins say whose: `i3` is
partition 3 of access.raw, `d0` partition 0 of signals.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from intake.frames import Batch
from records.event import AccessEvent, Exposure, RawLine, Reject, Signal
from records.finding import Finding
from records.kinds import Key
from streams.kafka.orders import Order
from streams.tally import Tally

MESSAGE_BYTES = 1 << 20
"""What a frame is cut to: an attacker who asks for long paths makes many frames, not large ones."""


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
    """How far its partition had come before it, or when its last finding was made."""
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
    halves: dict[str, str] = {}
    """Event -> the id under which its other line is in `raw`."""

    def batch(self) -> Batch:
        """As the embedded pipeline would hand it to its decider."""
        return Batch(
            self.source,
            late=sum(event.late for event in self.events),
            events=self.events,
            exposures=self.exposures,
            raw=self.raw,
            rejects=self.rejects,
            halves=self.halves,
        )


class Slices(msgspec.Struct, array_like=True):
    """On `exposures`: what an intake or a detect task has for the decider, or a person's orders."""

    origin: str
    watermark_ms: int
    idle: bool
    slices: list[Slice] = []
    tally: Tally | None = None
    """What was counted since the last frame that had one."""
    orders: list[Order] = []
    """Only in frames of a person, which hold nothing else."""


def signal_frames(frame: Signals, before_ms: int) -> Iterator[bytes]:
    """A frame as messages, each small enough; all but the last say that `before_ms` was reached."""
    data = encode(frame)
    half = len(frame.signals) // 2
    if len(data) <= MESSAGE_BYTES or not half:
        yield data
        return
    first = Signals(frame.origin, before_ms, False, frame.signals[:half])
    rest = msgspec.structs.replace(frame, signals=frame.signals[half:])
    yield from signal_frames(first, before_ms)
    yield from signal_frames(rest, before_ms)


def slice_frames(frame: Slices, before_ms: int) -> Iterator[bytes]:
    """As `signal_frames`; what is counted stands in the last."""
    data = encode(frame)
    slices = frame.slices
    if len(slices) == 1:
        slices = list(_halves(slices[0]))
    half = len(slices) // 2
    if len(data) <= MESSAGE_BYTES or not half:
        yield data
        return
    first = Slices(frame.origin, before_ms, False, slices[:half])
    rest = msgspec.structs.replace(frame, slices=slices[half:])
    yield from slice_frames(first, before_ms)
    yield from slice_frames(rest, before_ms)


_LISTS = ("exposures", "raw", "own", "events", "rejects", "gaps", "findings")


def _halves(one: Slice) -> Iterator[Slice]:
    """The same in two, or itself if there is nothing to share out."""
    lists: dict[str, list[object]] = {name: getattr(one, name) for name in _LISTS}
    most = max(map(len, lists.values()))
    full = [name for name, items in lists.items() if items]
    if most > 1:
        first = {name: items[: (len(items) + 1) // 2] for name, items in lists.items()}
        rest = {name: items[(len(items) + 1) // 2 :] for name, items in lists.items()}
    elif len(full) > 1:
        first = {name: items if name == full[0] else [] for name, items in lists.items()}
        rest = {name: [] if name == full[0] else items for name, items in lists.items()}
    else:
        yield one
        return
    for part in (first, rest):
        events = {line.event for line in part["raw"] if isinstance(line, RawLine)}
        halves = {event: other for event, other in one.halves.items() if other in events}
        yield msgspec.structs.replace(one, halves=halves, **part)


encode = msgspec.msgpack.Encoder().encode
decode_signals = msgspec.msgpack.Decoder(Signals).decode
decode_slices = msgspec.msgpack.Decoder(Slices).decode
