"""Bytes of a frame in; a Batch of events, signals, exposures and rejects out.

This is the hot loop: what an ordinary line needs is done here once for all detectors, and only
notable lines leave as signals. Bad data is a value (a Reject), never an exception.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, combinations

import msgspec

from intake.detection import DENSE, SPARSE, SURE, Formats, SourceLines, Written
from intake.formats._base import is_blank
from intake.halves import alone, better, half_of, joined, joined_caller
from intake.identity import Credentials
from intake.join import Joiner, Request
from intake.judge import Judge
from intake.line import Parsed, Unreadable
from intake.redact import mask, mask_line
from intake.settings import IntakeSettings
from records.event import AccessEvent, Exposure, RawLine, Reject, Signal
from records.ids import event_id
from records.kinds import TRUSTED, Verdict

LATENESS_MS = 60_000
_REJECT_BYTES = 4096
_SAMPLE_LINES = 2_000
_REQUESTS = 10_000
_COMPARED_SOURCES = 16
_OPEN_SOURCES = 64
"""Sources whose parser and latest request ids are at hand; the one longest unread goes first."""


class Watermark(msgspec.Struct):
    """The latest believable event time over all sources.

    One line whose clock runs ahead must not make all others late: a jump of more than the lateness
    counts once the next line ahead agrees with it, or lies beyond it.
    """

    max_ms: int = 0
    doubtful_ms: int = 0
    first_ms: int = 0
    """The first time that was believed: what was seen goes back to here."""

    def advance(self, time_ms: int) -> None:
        """Take one event's time that lies ahead of `max_ms`."""
        if self.max_ms and time_ms <= self.max_ms + LATENESS_MS:
            self.max_ms, self.doubtful_ms = time_ms, 0
            return
        before, self.doubtful_ms = self.doubtful_ms, time_ms
        if before and abs(time_ms - before) <= LATENESS_MS:
            self.max_ms = max(before, time_ms)
        elif self.max_ms < before < time_ms:
            self.max_ms = before


class SourceState(Written):
    """What is known of one source: its mark, how it is written, whether it logs credentials."""

    id: str
    name: str
    position: int = 0
    """Everything before this offset has been counted."""
    credentials: Credentials = msgspec.field(default_factory=Credentials)


class Batch(msgspec.Struct):
    """What came of one frame. lines = events + rejected + duplicate; late is a part of events."""

    source: str
    lines: int = 0
    duplicate: int = 0
    late: int = 0
    events: list[AccessEvent] = []
    signals: list[Signal] = []
    exposures: list[Exposure] = []
    raw: list[RawLine] = []
    rejects: list[Reject] = []
    own: dict[tuple[str, str], int] = {}
    """(address, vouched principal) -> time of its latest own success."""
    joined: int = 0
    """Lines that are the other half of an event's request; a part of `duplicate`."""
    unmatched: dict[str, int] = {}
    """Events of one log alone, by which log, of those whose requests two logs tell of."""
    halves: dict[str, str] = {}
    """Event -> the id under which its other line is in `raw`."""

    def judged(self) -> Counter[tuple[str, Verdict]]:
        """Events by (route, verdict)."""
        return Counter((event.route, event.verdict) for event in self.events)


class Reader:
    """Reads frames of any source with one Judge; keeps a parser a source."""

    def __init__(
        self,
        settings: IntakeSettings,
        judge: Judge,
        forced_format: str = "auto",
        *,
        tracking: bool = False,
        joins: bool = True,
    ) -> None:
        """`tracking`: see `take_dirty`. `joins`: False judges each line on what it says alone."""
        self._judge = judge
        self._formats = Formats(settings, forced_format)
        self._sources: dict[str, SourceLines] = {}
        self._requests: dict[str, list[dict[str, bytes]]] = {}
        self.watermark = Watermark()
        self.joiner: Joiner | None = None
        if settings.join is not None:
            self.joiner = Joiner(settings.join, tracking=tracking, joins=joins)

    def read(
        self,
        state: SourceState,
        offset: int,
        data: bytes,
        faults: Sequence[tuple[int, str, str, bytes]] = (),
    ) -> Batch:
        """The batch of whole lines `data`, whose first byte stands at `offset` of the source.

        `faults` are bytes that are no lines: (offset, reason, sha256, head). Moves state.position.
        """
        batch = Batch(state.id)
        for at, reason, sha256, head in faults:
            batch.lines += 1
            if at < state.position:
                batch.duplicate += 1
            else:
                text = mask(head.decode("utf-8", "backslashreplace"))
                batch.rejects.append(Reject(state.id, at, reason, sha256, text))
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if lines:
            self._read_lines(state, lines, _places(lines, offset), batch)
        ends = [at + 1 for at, *_ in faults]
        state.position = max(state.position, offset + len(data), *ends)
        return batch

    def read_apart(
        self, state: SourceState, lines: Sequence[bytes], places: Sequence[int]
    ) -> Batch:
        """The batch of lines that each have a place of their own, such as messages of a topic.

        `places` rise, and stand for offsets: they identify the lines. Moves state.position.
        """
        batch = Batch(state.id)
        if lines:
            self._read_lines(state, lines, places, batch)
            state.position = max(state.position, places[-1] + 1)
        return batch

    def settle(self) -> Batch:
        """A batch of lines that still wait for their other half: nothing more is to come.

        To be asked for until it has no lines.
        """
        requests = self.joiner.flush() if self.joiner is not None else []
        batch = Batch(requests[0].half.source if requests else "")
        self._conclude(requests, batch)
        return batch

    def take_dirty(self) -> Iterator[tuple[str, str, bytes]]:
        """(space, key, value) of what changed of the lines that wait for their other half."""
        if self.joiner is not None:
            yield from self.joiner.take_dirty()

    def load(self, load_state: Callable[[str], Iterator[tuple[str, bytes]]]) -> None:
        """Restore what `take_dirty` gave."""
        if self.joiner is not None:
            self.joiner.load(load_state)

    def alike(self) -> dict[tuple[str, str], float]:
        """Two sources -> the share of the latest request ids of one that the other logged too."""
        ids = {
            source: recent.keys() | older.keys()
            for source, (recent, older) in [*self._requests.items()][-_COMPARED_SOURCES:]
        }
        found = {}
        for one, other in combinations(sorted(ids), 2):
            fewest = min(len(ids[one]), len(ids[other]))
            if both := len(ids[one] & ids[other]):
                found[one, other] = both / fewest
        return found

    def times(self, state: SourceState, offset: int, data: bytes) -> list[tuple[int, int]]:
        """(offset, time in ms) of each line that has a time; nothing is counted or judged."""
        lines = data.split(b"\n")
        self.begin(state, lines)
        return [(offset + at, parsed.time_ms) for at, parsed in self._ahead(state, lines)]

    def begin(self, state: SourceState, lines: Sequence[bytes]) -> None:
        """Learn a source's format, id spaces and whether it logs credentials from its first lines.

        `read` does so with its first frame where nobody has; whoever wants the same events from
        any cut into frames MUST give the same lines first.
        """
        if state.format:
            return
        # A log that was nothing for long is only glanced at.
        step = 1 if state.vain < DENSE else SPARSE
        sample = [line for line in lines[:_SAMPLE_LINES:step] if not is_blank(line)]
        found = self._formats.best(sample) if sample else None
        if found is not None:
            (state.wrapper, state.format), understood = found
            clear = understood * 2 >= len(sample)
            state.understood = min(understood, SURE) if clear else 0
            self._look_ahead(state, sample)

    def _lines(self, state: SourceState, lines: Sequence[bytes]) -> SourceLines:
        self.begin(state, lines)
        found = self._sources.get(state.id)
        if found is None or found.state is not state:
            found = self._sources[state.id] = SourceLines(self._formats, state)
        return found

    def _ahead(self, state: SourceState, lines: Sequence[bytes]) -> Iterator[tuple[int, Parsed]]:
        """(where, what) of the lines that will be understood; the state stays as it is."""
        copied = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=SourceState)
        reading = SourceLines(self._formats, copied)
        parse, at = reading.parse, 0
        for line in lines:
            try:
                yield at, parse(line)
            except Unreadable as why:
                if line and not line.isspace() and reading.refused(line, why):
                    parse = reading.parse
            at += len(line) + 1

    def _look_ahead(self, state: SourceState, sample: Sequence[bytes]) -> None:
        """Learn id spaces and whether credentials are logged before the first line is judged."""
        identity, routes = self._judge.identity, self._judge.routes
        for _, parsed in self._ahead(state, sample):
            identity.caller(parsed, state.credentials)
            self._judge.note_ids(routes.place(parsed.target))

    def _read_lines(
        self,
        state: SourceState,
        lines: Sequence[bytes],
        places: Iterable[int],
        batch: Batch,
    ) -> None:
        reading = self._lines(state, lines)
        parse = reading.parse
        judge, credentials, source = self._judge.judge, state.credentials, state.id
        watermark, position = self.watermark, state.position
        max_ms = watermark.max_ms
        late_before = max_ms - LATENESS_MS
        requests = self._requests.pop(source, None) or [{}, {}]
        self._requests[source] = requests
        if len(self._requests) > _OPEN_SOURCES:
            # A log that was rotated away for good must not be remembered for good.
            gone = next(iter(self._requests))
            del self._requests[gone]
            self._sources.pop(gone, None)
        recent, older = requests
        gateway = None if self.joiner is None else self.joiner.is_gateway(state.name)
        total = duplicate = 0
        for line, start in zip(lines, places, strict=False):
            if not line or line.isspace():
                continue
            total += 1
            if start < position:
                duplicate += 1
                continue
            try:
                parsed = parse(line)
                time_ms = parsed.time_ms
                request_id = parsed.request_id
                if request_id is not None:
                    # The same id in another line is another event: clients choose ids too, and
                    # try again with the one that was refused.
                    if recent.get(request_id, older.get(request_id)) == line:
                        duplicate += 1
                        continue
                    recent[request_id] = line
                    if len(recent) >= _REQUESTS:
                        requests[:] = recent, older = {}, recent
                if time_ms > max_ms:
                    watermark.advance(time_ms)
                    max_ms = watermark.max_ms
                    late_before = max_ms - LATENESS_MS
                late = time_ms < late_before
                if gateway is not None and self.joiner is not None:
                    caller = self._judge.identity.caller(parsed, credentials)
                    half = half_of(
                        source, start, line, parsed, caller,
                        gateway=gateway, credentials=credentials.provenance, late=late,
                    )  # fmt: skip
                    # It counts with its event, which may be that of a line that is still to come.
                    total -= 1
                    self._conclude(self.joiner.take(half, max_ms), batch)
                    continue
                event, signal, exposures = judge(parsed, source, start, credentials, late=late)
            except Unreadable as why:
                batch.rejects.append(_reject(source, start, why.reason, line))
                if reading.refused(line, why):
                    parse = reading.parse
                continue
            _add(batch, event, signal, exposures)
            if exposures or signal is not None:
                batch.raw.append(_raw(source, start, line, parsed))
        reading.keep()
        batch.lines += total
        batch.duplicate += duplicate

    def _conclude(self, requests: Iterable[Request], batch: Batch) -> None:
        """Judge requests of which all is there that was to come."""
        judge = self._judge
        for half, service in requests:
            batch.lines += 1
            if service is None:
                line, caller, credentials = alone(half), half.caller, half.credentials
                log = "gateway" if half.gateway else "service"
                batch.unmatched[log] = batch.unmatched.get(log, 0) + 1
            else:
                batch.lines += 1
                batch.duplicate += 1
                batch.joined += 1
                line = joined(half.parsed, service.parsed)
                caller = joined_caller(half.caller, service.caller, judge.spaces)
                credentials = better(half.credentials, service.credentials)
            try:
                event, signal, exposures = judge.judge(
                    line, half.source, half.offset, Credentials(credentials), late=half.late,
                    caller=caller,
                )  # fmt: skip
            except Unreadable as why:
                kept = half.evidence()
                text = kept.data[:_REJECT_BYTES].decode("utf-8", "backslashreplace")
                batch.rejects.append(
                    Reject(half.source, half.offset, why.reason, kept.sha256, text)
                )
                continue
            _add(batch, event, signal, exposures)
            if exposures or signal is not None:
                batch.raw.append(half.evidence())
                if service is not None:
                    other = service.evidence()
                    batch.raw.append(other)
                    batch.halves[event.id] = other.event


def _add(
    batch: Batch, event: AccessEvent, signal: Signal | None, exposures: Sequence[Exposure]
) -> None:
    """What was judged, but for its raw line."""
    batch.events.append(event)
    if event.late:
        batch.late += 1
    if (
        event.outcome == "proven"
        and event.provenance in TRUSTED
        and event.verdict in _HARMLESS
        and event.ip
    ):
        batch.own[event.ip, event.principal] = event.time_ms
    if signal is not None:
        batch.signals.append(signal)
    batch.exposures.extend(exposures)


_HARMLESS = frozenset({"own", "no_target"})


def _places(lines: Sequence[bytes], offset: int) -> Iterable[int]:
    """Where each line begins if they stand one after the other; one more than there are lines."""
    return accumulate(map((1).__add__, map(len, lines)), initial=offset)


def _reject(source: str, offset: int, reason: str, line: bytes) -> Reject:
    text = mask(line[:_REJECT_BYTES].decode("utf-8", "backslashreplace"))
    return Reject(source, offset, reason, hashlib.sha256(line).hexdigest(), text)


def raw_line(event: str, line: bytes, secrets: Sequence[str] = ()) -> RawLine:
    """A line as evidence: digest of the bytes as logged, secrets masked in what is kept."""
    data, masked = mask_line(line, secrets)
    return RawLine(event, hashlib.sha256(line).hexdigest(), data, masked)


def _raw(source: str, offset: int, line: bytes, parsed: Parsed) -> RawLine:
    known = (parsed.session, parsed.authorization, parsed.jwt_payload)
    return raw_line(event_id(source, offset), line, [value for value in known if value])
