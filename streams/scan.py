"""Whole logs, by event time, through the same pipeline as the live path; nothing is performed.

In: paths, settings and an output folder. Out: the scan's summary, its store and its files.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from evidence.history import History
from evidence.keys import CredentialDigest, load_digest_key
from intake.ownership import Tables
from streams.capture import StoreCapture
from streams.clock import Clock
from streams.decider import Step
from streams.hints import Hint, hints
from streams.join_hint import join_hint
from streams.lines import Frame
from streams.merge import merge
from streams.pipeline import Pipeline
from streams.results import write_results
from streams.sealing import open_scan
from streams.settings import Settings
from streams.sources import read_frames

_COMMIT_FRAMES = 64


class Scanned(msgspec.Struct, frozen=True):
    """What a scan came to."""

    summary: dict[str, object]
    hints: list[Hint]
    formats: dict[str, str]
    """Log -> the format it was read as; "" where no line was understood."""
    damaged: list[str]
    """Logs with bytes that are no lines: a truncated archive, an over-long line."""


def scan(
    logs: Sequence[str],
    settings: Settings,
    tables: Tables,
    out: Path,
    clock: Clock,
    *,
    forced_format: str = "auto",
    on_step: Callable[[Frame, Step], None] | None = None,
) -> Scanned:
    """Read all logs and write the result to `out`, which `results.prepare` has emptied.

    Raises:
        OSError: a log cannot be read, or the result not be written.
    """
    digest = CredentialDigest(load_digest_key(settings.data_dir, create=True))
    started_s = clock.monotonic_s()
    damaged: dict[str, None] = {}
    history = (
        History(
            out / "history",
            max_age_s=settings.history.max_age,
            max_bytes=settings.history.max_bytes,
        )
        if settings.history.enabled
        else None
    )
    with open_scan(settings, out) as store:
        pipeline = Pipeline(
            settings,
            tables,
            store,
            digest,
            history=history,
            forced_format=forced_format,
            event_time=True,
        )
        frames = merge([read_frames(log, pipeline.book) for log in logs], pipeline.times)
        while True:
            done = 0
            with store.transaction():
                for frame in frames:
                    for fault in frame.faults:
                        damaged[f"{frame.name}: {fault.reason} at byte {fault.offset:,}"] = None
                    step = pipeline.take(frame)
                    if on_step is not None:
                        on_step(frame, step)
                    done += 1
                    if done == _COMMIT_FRAMES:
                        break
            if done < _COMMIT_FRAMES:
                break
        with store.transaction():
            while pipeline.settle() is not None:
                pass
            pipeline.keep_incidents()
        capture = StoreCapture(store, lambda: pipeline.watermark_ms, settings.capture)
        for incident in store.incidents():
            capture.capture(incident.id)
        if history is not None:
            history.close()
        formats = {state.name: state.format for state in pipeline.sources.values()}
        found = hints(pipeline.tally, set(formats.values()), pipeline.incomparable())
        if settings.intake.join is None:
            tally = pipeline.tally
            addressless = tally.rejected.get("no_address", 0)
            alike = pipeline.reader.alike()
            hint = join_hint(pipeline.sources, alike, tally.events, addressless)
            found = found if hint is None else [hint, *found]
        summary = pipeline.tally.document(clock.monotonic_s() - started_s)
        summary["hints"] = msgspec.to_builtins(found)
        summary["faults"] = msgspec.to_builtins(pipeline.engine.faults)
        write_results(out, store, pipeline.desk.impact, summary)
    return Scanned(summary, found, formats, list(damaged))
