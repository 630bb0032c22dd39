"""Access events turned into columns, in two steps, because only the first costs the hot path.

`Columns.add` joins each field's texts into one, at the speed of C; `table` cuts them up again as
Arrow arrays, on another thread and without Python's lock. A `Pack` between them is also what is
staged in the store. No value may be lost or moved to another row.
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import msgspec

from records.event import AccessEvent

SEPARATOR = "\x1e"
_TEXTS = {
    "event": "id", "source": "source", "ip": "ip", "method": "method", "path": "path",
    "route": "route", "host": "host", "user_agent": "user_agent", "request_id": "request_id",
    "principal": "principal", "provenance": "provenance", "session": "session",
    "claimed": "claimed", "tenant": "tenant", "object": "object", "category": "category",
    "effect": "effect", "outcome": "outcome", "verdict": "verdict", "allowed": "allowed",
}  # fmt: skip
_NUMBERS = {"offset": "offset", "time": "time_ms", "status": "status", "bytes": "bytes"}
COLUMNS = (
    "event", "source", "offset", "time", "ip", "method", "path", "route", "status", "bytes",
    "host", "user_agent", "request_id", "principal", "provenance", "session", "claimed", "tenant",
    "targets", "object", "category", "effect", "outcome", "verdict", "allowed", "late",
)  # fmt: skip
"""The history's columns, in order; `time` is a UTC timestamp in milliseconds."""

_TEXT_FIELDS = tuple(map(attrgetter, _TEXTS.values()))
_NUMBER_FIELDS = tuple(map(attrgetter, _NUMBERS.values()))
_LATE, _TARGETS = attrgetter("late"), attrgetter("targets")
_INT64 = 2**63 - 1


class Pack(msgspec.Struct, frozen=True, array_like=True):
    """Rows of history, by column; its MessagePack form is what the store stages."""

    rows: int
    first: str
    """Event id of the first row."""
    texts: list[str]
    numbers: list[bytes]
    """Little-endian 64-bit integers, as this machine writes them."""
    late: bytes
    target_counts: bytes
    targets: str


class Columns:
    """Collects rows until they are taken."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.rows = 0
        self._first = ""
        self._texts: list[list[str]] = [[] for _ in _TEXT_FIELDS]
        self._numbers = [array("q") for _ in _NUMBER_FIELDS]
        self._late = bytearray()
        self._target_counts = array("q")
        self._targets: list[str] = []

    def add(self, events: Sequence[AccessEvent]) -> None:
        """Take events as rows, in order."""
        if not events:
            return
        count = len(events)
        for texts, field in zip(self._texts, _TEXT_FIELDS, strict=True):
            texts.append(_join(list(map(field, events)), count))
        for numbers, field in zip(self._numbers, _NUMBER_FIELDS, strict=True):
            values = list(map(field, events))
            try:
                numbers.extend(array("q", values))
            except OverflowError:
                numbers.extend(min(max(n, -_INT64), _INT64) for n in values)
        self._late += bytes(map(_LATE, events))
        targets = list(map(_TARGETS, events))
        self._target_counts.extend(map(len, targets))
        flat = tuple(chain.from_iterable(targets))
        if flat:
            self._targets.append(_join(flat, len(flat)))
        if not self.rows:
            self._first = events[0].id
        self.rows += count

    def take(self) -> Pack:
        """The rows so far, of which there must be some; the next ones start a new pack."""
        pack = self.look()
        self._start()
        return pack

    def look(self) -> Pack:
        """The rows so far; they stay."""
        return Pack(
            rows=self.rows,
            first=self._first,
            texts=[SEPARATOR.join(texts) for texts in self._texts],
            numbers=[numbers.tobytes() for numbers in self._numbers],
            late=bytes(self._late),
            target_counts=self._target_counts.tobytes(),
            targets=SEPARATOR.join(self._targets),
        )


def _join(values: Sequence[str], count: int) -> str:
    text = SEPARATOR.join(values)
    if text.count(SEPARATOR) != count - 1:
        # A client may send the separator itself, which must not shift the rows behind it.
        text = SEPARATOR.join(value.replace(SEPARATOR, "\\x1e") for value in values)
    if not text.isascii():
        # A lone surrogate, which a JSON escape can give, is no UTF-8.
        text = text.encode("utf-8", "backslashreplace").decode()
    return text


def pack_blob(pack: Pack) -> bytes:
    """A pack as compressed bytes."""
    import pyarrow as pa  # noqa: PLC0415  0.2 s that commands without history need not wait for

    data = msgspec.msgpack.encode(pack)
    return msgspec.msgpack.encode((len(data), pa.compress(data, codec="zstd", asbytes=True)))


def unpack_blob(blob: bytes) -> Pack:
    """The pack of `pack_blob`'s bytes.

    Raises:
        ValueError: they are damaged.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        size, data = msgspec.msgpack.decode(blob, type=tuple[int, bytes])
        raw = pa.decompress(data, decompressed_size=size, codec="zstd", asbytes=True)
        return msgspec.msgpack.decode(raw, type=Pack)
    except (msgspec.MsgspecError, OSError) as error:
        raise ValueError(
            f"reading staged history: a row of the store is damaged: {error}"
        ) from error


def schema() -> Any:
    """The Arrow schema of every segment."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = dict.fromkeys(_TEXTS, pa.large_string()) | {
        "offset": pa.int64(),
        "time": pa.timestamp("ms"),
        "status": pa.int64(),
        "bytes": pa.int64(),
        "late": pa.bool_(),
        "targets": pa.large_list(pa.large_string()),
    }
    return pa.schema([(name, kinds[name]) for name in COLUMNS])


def table(pack: Pack) -> Any:
    """The pack as an Arrow table of `schema()`."""
    import pyarrow as pa  # noqa: PLC0415

    form = schema()
    arrays = {name: _split(text, pack.rows) for name, text in zip(_TEXTS, pack.texts, strict=True)}
    for name, data in zip(_NUMBERS, pack.numbers, strict=True):
        arrays[name] = pa.Array.from_buffers(
            form.field(name).type, pack.rows, [None, pa.py_buffer(data)]
        )
    late = pa.Array.from_buffers(pa.uint8(), pack.rows, [None, pa.py_buffer(pack.late)])
    arrays["late"] = late.cast(pa.bool_())
    ends = array("q", accumulate(memoryview(pack.target_counts).cast("q"), initial=0))
    offsets = pa.Array.from_buffers(pa.int64(), pack.rows + 1, [None, pa.py_buffer(ends)])
    arrays["targets"] = pa.LargeListArray.from_arrays(offsets, _split(pack.targets, ends[-1]))
    return pa.table([arrays[name] for name in COLUMNS], schema=form)


def concatenated(packs: Sequence[Pack]) -> Any:
    """One Arrow table of all packs, in order; an empty one of none."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.concat_tables([schema().empty_table(), *map(table, packs)])


def _split(text: str, count: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    if not count:
        return pa.array([], pa.large_string())
    data = text.encode()
    whole = pa.Array.from_buffers(
        pa.large_string(),
        1,
        [None, pa.py_buffer(array("q", [0, len(data)])), pa.py_buffer(data)],
    )
    return pc.split_pattern(whole, SEPARATOR).flatten()
