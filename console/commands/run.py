"""`breachline run`: the live embedded service."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from random import Random

import click

from console.fault import Refused
from console.options import as_json, common, config_file, refusing, settings_of
from console.overview import Overview
from console.watch import Watcher
from evidence.history import History
from evidence.keys import CredentialDigest, load_digest_key
from evidence.store import EmbeddedStore
from intake.ownership import Tables
from records.incident import Receipt
from responders._base import Responder
from responders.capture_evidence import CaptureEvidence
from streams.capture import StoreCapture
from streams.clock import SystemClock
from streams.decider import Step
from streams.enforcement import gateway_of
from streams.example import clear, paced
from streams.exposition import Exposition, listening
from streams.lines import Frame
from streams.listen.configured import receiving
from streams.listen.inbox import Inbox
from streams.listen.reception import Reception
from streams.listen.seen import Seen
from streams.live import Busy, Live, Outbox, lock
from streams.live_meter import LiveMeter
from streams.lookback import LookBack
from streams.metrics import Meters
from streams.outward import opened
from streams.owner_service import services
from streams.owners import Asker
from streams.pipeline import Pipeline
from streams.plain import plain
from streams.reread import NeverBlockFile
from streams.sealing import open_signed
from streams.settings import Settings
from streams.sources import problems, read_frames
from streams.stopping import when_told
from streams.tables import read_tables

_EXAMPLE = """\b
Examples:
  breachline run /var/log/nginx/access.log
  breachline run access.log --once
  ssh gateway tail -F /var/log/nginx/access.log | breachline run -
  breachline run --config breachline.yaml     (with listen: in it)
  breachline run --example
"""
_PLAY_S = 15.0
_EXAMPLE_DIR = "example"


@click.command(epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, metavar="[LOG]...")
@click.option("--once", is_flag=True, help="End where the logs end, instead of following them.")
@click.option("--example", is_flag=True, help="Play the bundled example log, sped up.")
@as_json
@common
def command(
    logs: tuple[str, ...],
    once: bool,
    example: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> int:
    """Follow LOGs, detect, respond. Reads what is there first, at full speed.

    - is standard input, read to its end. With `listen:` in the configuration, what is sent by HTTP
    or syslog or stands in the journal is read too, with or without a LOG.

    State is kept in the data directory: after a stop or a crash it goes on at the next line.
    """
    if example:
        if logs:
            raise click.UsageError("--example plays the bundled log: name no other beside it.")
        with as_file(files("console") / "example") as folder:
            settings = settings_of(config or folder / "breachline.yaml", None)
            where = (data_dir or Path.cwd() / "var") / _EXAMPLE_DIR
            settings = settings.model_copy(update={"data_dir": where})
            log = str(folder / "access.log.gz")
            return _serve(settings, None, (log,), once=True, example=True, as_json=as_json)
    settings = settings_of(config, data_dir)
    if not logs and (once or not settings.listen.is_any):
        raise click.UsageError("Name a LOG to follow, or --example to see the bundled one.")
    if found := problems(logs):
        raise Refused(found)
    file = config_file(config)
    return _serve(settings, file, logs, once=once, example=False, as_json=as_json)


def _serve(
    settings: Settings,
    config: Path | None,
    logs: tuple[str, ...],
    *,
    once: bool,
    example: bool,
    as_json: bool,
) -> int:
    with refusing():
        tables = read_tables(settings.intake)
    with ExitStack() as stack:
        exposition = None
        if settings.metrics is not None and not example:
            with refusing():
                exposition = listening(settings.metrics)
        if exposition is not None:
            stack.callback(exposition.close)
        inbox = listeners = None
        if settings.listen.is_any and not (once or example):
            # What comes before the store is open waits for it.
            with refusing():
                inbox, listeners = stack.enter_context(
                    receiving(settings.listen, os.environ, settings.data_dir)
                )
        try:
            stack.enter_context(lock(settings.data_dir))
        except Busy as error:
            raise Refused(str(error)) from error
        with refusing():
            if example:
                clear(settings.data_dir)
            digest = CredentialDigest(load_digest_key(settings.data_dir, create=True))
            store = stack.enter_context(open_signed(settings))
        history = None
        if settings.history.enabled:
            history = stack.enter_context(
                History(
                    settings.data_dir / "history",
                    max_age_s=settings.history.max_age,
                    max_bytes=settings.history.max_bytes,
                )
            )
            history.recover(store)
        pipeline = Pipeline(
            settings,
            tables,
            store,
            digest,
            history=history,
            performer=Outbox(store, settings.capture),
            event_time=example,
            resumable=True,
        )
        pipeline.restore()
        reception = Reception(pipeline, Seen(store), digest) if inbox is not None else None
        overview = Overview(pipeline, store, settings, example=example)
        if not as_json:
            overview.begin(logs, listeners.says if listeners is not None else ())
        with Watcher(store, as_json=as_json) as watcher:
            code = asyncio.run(
                _live(
                    settings, pipeline, store, history, watcher, exposition, logs, inbox, reception,
                    once=once, example=example,
                    caught_up=(lambda: None) if as_json else overview.caught_up,
                    never_block=NeverBlockFile(config, os.environ), tables=tables,
                )
            )  # fmt: skip
        if not as_json:
            overview.end()
        return code


async def _live(
    settings: Settings,
    pipeline: Pipeline,
    store: EmbeddedStore,
    history: History | None,
    watcher: Watcher,
    exposition: Exposition | None,
    logs: tuple[str, ...],
    inbox: Inbox | None,
    reception: Reception | None,
    *,
    once: bool,
    example: bool,
    caught_up: Callable[[], None],
    never_block: NeverBlockFile,
    tables: Tables,
) -> int:
    clock = SystemClock()
    # What its client says of nodes is said by the projection, in words of ours.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)
    meter = None
    if exposition is not None:
        meter = LiveMeter(meters := Meters(), pipeline, clock, inbox)
        exposition.start(meters.registry, list)

    def watch(frame: Frame, step: Step) -> None:
        watcher.step(frame, step)
        if meter is not None:
            meter.step(step)

    def received(receipt: Receipt) -> None:
        # Inside the receipt's transaction: what it makes of the incident stands with it.
        if pipeline.decider.apply(receipt) is not None:
            pipeline.keep_desk()
        watcher.receipt(receipt)
        if meter is not None:
            meter.receipt(receipt)

    async with (
        gateway_of(settings, os.environ) as gateway,
        opened(settings, os.environ, clock) as outward,
        services(settings.intake, tables, os.environ) as asked,
    ):
        capture = StoreCapture(
            store, clock.now_ms, settings.capture, looks_back=history is not None
        )
        responders: list[Responder] = [CaptureEvidence(capture)]
        if gateway is not None:
            responders.append(gateway)
        told = outward.beside(store)
        live = Live(
            pipeline,
            store,
            history,
            responders,
            clock,
            Random(),
            watch=watch,
            on_receipt=received,
            caught_up=caught_up,
            beside=[
                Asker(
                    asked,
                    pipeline.desk.pending,
                    lambda answers, at_ms: pipeline.answer(answers, None if example else at_ms),
                    Random(),
                    lambda words: click.echo(f"Warning: {plain(words)}", err=True),
                ),
                LookBack(store, settings.data_dir, settings.intake, settings.capture),
                *told,
            ],
            never_block=never_block,
            event_time=example,
            inbox=inbox,
            reception=reception,
        )
        if meter is not None:
            meter.beside = told
        interrupted = when_told(live.stop)
        if example:
            await live.play(paced(read_frames(logs[0], pipeline.book), pipeline.times, _PLAY_S))
        else:
            await live.follow(logs, once=once)
    return 130 if signal.SIGINT in interrupted else 0
