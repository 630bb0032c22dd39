"""Lines that were read once, read again from the files they came from, if they are still there.

Sources as the store keeps them and places come in; the bytes of each line go out, or none. A file
is known by its beginning, as when it was first read, and a line by what it says: where either
differs, nothing is given out. It MUST NOT change a file, nor what is known of a source.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Event

import msgspec

from evidence._progress import Source
from intake.detection import again
from intake.frames import SourceState, raw_line
from intake.line import Unreadable
from intake.settings import IntakeSettings
from records.event import RawLine
from records.ids import event_id
from streams.archives import Log, open_log
from streams.book import SourceBook
from streams.lines import MAX_LINE_BYTES
from streams.rotated import recognise, rotated_files

_PIECE_BYTES = 1 << 18


class Again:
    """Reads lines of the sources of one store again."""

    def __init__(
        self, sources: Iterable[Source], settings: IntakeSettings, stop: Event | None = None
    ) -> None:
        """`stop`, once set, ends reading: what is not read by then counts as not there."""
        self._sources = {source.id: source for source in sources}
        self._settings = settings
        self._stop = stop or Event()
        self._book = SourceBook()
        self._book.load((source.id, source.head) for source in self._sources.values())

    def lines(self, source: str, places: Mapping[int, int]) -> Iterator[RawLine]:
        """The lines of `source` at offset -> event time, secrets masked; none that differs."""
        known = self._sources.get(source)
        if known is None or not places:
            return
        parse = again(_state(known), self._settings)
        missing = dict(places)
        for path in self._files(known):
            try:
                for offset, line in _lines_at(path, sorted(missing), self._stop.is_set):
                    try:
                        parsed = parse(line)
                    except Unreadable:
                        continue
                    if parsed.time_ms != places[offset]:
                        continue
                    del missing[offset]
                    secrets = (parsed.session, parsed.authorization, parsed.jwt_payload)
                    yield raw_line(event_id(source, offset), line, [s for s in secrets if s])
            except OSError:
                continue
            if not missing:
                return

    def _files(self, source: Source) -> Iterator[str]:
        """Files that begin as the source does: where it was, then where it may have been moved."""

        def mark(name: str) -> int:
            return self._sources[name].position

        found = recognise(source.name, self._book, mark)
        if found is not None and found.source == source.id:
            yield found.path
        for one in rotated_files(source.name, self._book, mark):
            if one.source == source.id:
                yield one.path


def _state(source: Source) -> SourceState:
    return msgspec.msgpack.decode(source.profile, type=SourceState)


def _lines_at(
    path: str, offsets: Iterable[int], stopped: Callable[[], bool]
) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of the lines that begin at these offsets, which rise.

    Raises:
        OSError: the file cannot be read.
    """
    with open_log(path) as log:
        held, at = b"", 0
        for offset in offsets:
            begin = max(offset - 1, 0)
            if begin > at + len(held):
                if not _skip(log, begin - at - len(held), stopped):
                    return
                held, at = b"", begin
            else:
                held, at = held[begin - at :], begin
            start = offset - begin
            while (end := held.find(b"\n", start)) < 0 and len(held) <= MAX_LINE_BYTES:
                if stopped() or not (piece := log.read(_PIECE_BYTES)):
                    break
                held += piece
            # A line begins at the start of the log, or behind a line break.
            if (not start or held[:1] == b"\n") and len(held) > start:
                line = held[start : end if end >= 0 else len(held)]
                if len(line) <= MAX_LINE_BYTES:
                    yield offset, line


def _skip(log: Log, count_bytes: int, stopped: Callable[[], bool]) -> bool:
    """Leave out the next bytes; False where that was ended before its time."""
    if type(log) is Log:
        log.skip(count_bytes)
        return True
    while count_bytes > 0 and not stopped():
        piece = log.read(min(count_bytes, _PIECE_BYTES))
        if not piece:
            return False
        count_bytes -= len(piece)
    return count_bytes == 0
