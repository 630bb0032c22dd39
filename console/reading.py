"""Whole logs in, batches of judged events out, for commands that show what was understood."""

from collections.abc import Iterator, Sequence

from console.options import refusing
from evidence.keys import CredentialDigest, load_digest_key
from intake.frames import Batch, Reader, SourceState
from intake.judge import Judge
from streams.lines import Frame
from streams.settings import Settings
from streams.sources import SourceBook, read_frames
from streams.tables import read_tables


def reader_of(settings: Settings, format_: str) -> Reader:
    """A reader of logs of any source.

    Raises:
        Refused: a file that the configuration names, or the format's name, cannot be used.
    """
    with refusing():
        tables = read_tables(settings.intake)
        digest = CredentialDigest(load_digest_key(settings.data_dir, create=True))
        judge = Judge(settings.intake, settings.canaries.ids, tables, digest)
        # What a line says is what is asked for: its other half is not waited for.
        return Reader(settings.intake, judge, format_, joins=False)


def batches(logs: Sequence[str], reader: Reader) -> Iterator[tuple[Frame, Batch]]:
    """Each frame of each log, with what came of it."""
    states: dict[str, SourceState] = {}
    book = SourceBook()
    for log in logs:
        for frame in read_frames(log, book):
            state = states.setdefault(frame.source, SourceState(frame.source, frame.name))
            faults = [(f.offset, f.reason, f.sha256, f.head) for f in frame.faults]
            batch = reader.read(state, frame.offset, frame.data, faults)
            state.position = max(state.position, frame.end)
            yield frame, batch
