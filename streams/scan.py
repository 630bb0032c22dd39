"""Whole logs, by event time, through the same pipeline as the live path; nothing is performed.

In: paths, settings and an output folder. Out: the scan's summary, its store and its files.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from evidence.history import History
from evidence.keys import CredentialDigest, load_digest_key
from intake.ownership import Tables
from streams.capture import StoreCapture
from streams.clock import Clock
from streams.decider import Step
from streams.hints import Hint, hints
from streams.join_hint import join_hint, unjoined_hint
from streams.lines import Frame
from streams.merge import merge
from streams.pipeline import Pipeline
from streams.results import write_results
from streams.sealing import open_scan
from streams.settings import Settings
from streams.sources import read_frames

if TYPE_CHECKING:
    from streams.owners import Report

_COMMIT_FRAMES = 64
ASK_S = 60.0
"""How long a scan asks for owners; what was not answered by then is pending."""


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
    environ: Mapping[str, str] | None = None,
) -> Scanned:
    """Read all logs and write the result to `out`, which `results.prepare` has emptied.

    `environ` holds the tokens of ownership services.

    Raises:
        OSError: a log cannot be read, or the result not be written.
        ValueError: the `ca_file` of an ownership service cannot be read.
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
        reports = _ask(
            settings, tables, pipeline, os.environ if environ is None else environ, clock
        )
        capture = StoreCapture(store, lambda: pipeline.watermark_ms, settings.capture)
        for incident in store.incidents():
            capture.capture(incident.id)
        if history is not None:
            history.close()
        formats = {state.name: state.format for state in pipeline.sources.values()}
        unsaid = pipeline.unsaid()
        found = hints(pipeline.tally, set(formats.values()), pipeline.incomparable(), unsaid)
        if reports:
            # Here, not above: nobody without such a service waits for an HTTP client.
            from streams.owners import pending_hints  # noqa: PLC0415

            found = [*pending_hints(reports), *found]
        tally, join = pipeline.tally, settings.intake.join
        if join is None:
            addressless = tally.rejected.get("no_address", 0)
            alike = pipeline.reader.alike()
            hint = join_hint(pipeline.sources, alike, tally.events, addressless)
        else:
            hint = unjoined_hint(tally, join.window)
        found = found if hint is None else [hint, *found]
        summary = pipeline.tally.document(clock.monotonic_s() - started_s)
        summary["hints"] = msgspec.to_builtins(found)
        if reports:
            summary["ownership"] = msgspec.to_builtins(reports)
        summary["faults"] = msgspec.to_builtins(pipeline.engine.faults)
        write_results(out, store, pipeline.desk.impact, summary, unsaid.pairs)
    return Scanned(summary, found, formats, list(damaged))


def _ask(
    settings: Settings,
    tables: Tables,
    pipeline: Pipeline,
    environ: Mapping[str, str],
    clock: Clock,
) -> "list[Report]":
    """Ask for the owners of what incidents rest on: assessment, and no action."""
    if not any(source.http for source in settings.intake.ownership):
        return []
    from streams.owner_service import services  # noqa: PLC0415  as above
    from streams.owners import Asker, answer_all  # noqa: PLC0415

    async def ask() -> "list[Report]":
        async with services(settings.intake, tables, environ) as found:
            asker = Asker(
                found,
                pipeline.desk.pending,
                lambda answers, _now_ms: pipeline.answer(answers),
                Random(),
            )
            await answer_all(asker, clock, ASK_S)
            return asker.report()

    return asyncio.run(ask())
