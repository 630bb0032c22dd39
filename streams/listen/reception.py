"""What listeners brought, through the pipeline: each line once, wherever a sender sends it again.

Deliveries and the wall time come in, inside the store's transaction; steps go out. A line that its
sender can name stands at a place made from that name, so that it is the same event after a retry;
others stand behind each other, as in a file. It MUST NOT drop a line that nobody named.
"""

from collections.abc import Callable, Sequence
from typing import Final

from records.ids import digest
from streams.decider import Step
from streams.lines import MAX_LINE_BYTES, Frame
from streams.listen.faults import too_long
from streams.listen.inbox import Delivery, Kind, place_of
from streams.listen.seen import Seen
from streams.pipeline import Pipeline

MAX_SOURCES: Final = 2_000
"""Names of files and hosts are the senders'; beyond so many sources, the rest share one."""


class _Heap:
    """What one commit brings of one source."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.plain: list[bytes] = []
        self.named: list[bytes] = []
        self.places: list[int] = []
        self.long: list[bytes] = []
        self.repeated = 0


class Reception:
    """Drives one pipeline. MUST be called inside `store.transaction()`."""

    def __init__(self, pipeline: Pipeline, seen: Seen, keyed: Callable[[str], str]) -> None:
        """`keyed` is the digest under the deployment's key, as for credentials."""
        self._pipeline = pipeline
        self._seen = seen
        self._keyed = keyed

    def take(self, deliveries: Sequence[Delivery], now_ms: int) -> list[tuple[Frame, Step]]:
        """The steps of all of them, each with a frame that names its source."""
        heaps: dict[str, _Heap] = {}
        names = [
            name for one in deliveries for parcel in one.parcels for name in parcel.identities
            if name
        ]  # fmt: skip
        verdicts = iter(self._seen.are_new(names, now_ms) if names else ())
        for delivery in deliveries:
            for parcel in delivery.parcels:
                source, name = self._source(parcel.source, parcel.name, delivery.kind)
                heap = heaps.get(source)
                if heap is None:
                    heap = heaps[source] = _Heap(name)
                identities = parcel.identities or (b"",) * len(parcel.lines)
                for line, identity in zip(parcel.lines, identities, strict=True):
                    if identity and not next(verdicts):
                        heap.repeated += 1
                        delivery.repeated += 1
                    elif len(line) > MAX_LINE_BYTES:
                        heap.long.append(line)
                    elif identity:
                        heap.named.append(line)
                        heap.places.append(place_of(identity, self._keyed))
                    else:
                        heap.plain.append(line)
        return [
            step for source, heap in heaps.items() for step in self._steps(source, heap, now_ms)
        ]

    def _steps(self, source: str, heap: _Heap, now_ms: int) -> list[tuple[Frame, Step]]:
        pipeline, name = self._pipeline, heap.name
        steps: list[tuple[Frame, Step]] = []
        if heap.named or heap.repeated:
            step = pipeline.take_apart(
                source, name, heap.named, heap.places, repeated=heap.repeated, now_ms=now_ms
            )
            steps.append((Frame(source, name, 0, b""), step))
        if heap.plain:
            data = b"\n".join(heap.plain) + b"\n"
            frame = Frame(source, name, self._position(source), data)
            steps.append((frame, pipeline.take(frame, now_ms)))
        if heap.long:
            position = self._position(source)
            faults = []
            for line in heap.long:
                faults.append(too_long(line, position))
                position += len(line) + 1
            frame = Frame(source, name, faults[0].offset, b"", tuple(faults))
            steps.append((frame, pipeline.take(frame, now_ms)))
        return steps

    def _position(self, source: str) -> int:
        state = self._pipeline.sources.get(source)
        return state.position if state else 0

    def _source(self, source: str, name: str, kind: Kind) -> tuple[str, str]:
        known = self._pipeline.sources
        if source in known or len(known) < MAX_SOURCES:
            return source, name
        return digest("listen", kind, length=16), f"{kind}: other sources"
