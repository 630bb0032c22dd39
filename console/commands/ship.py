"""`breachline ship`: the collector, which brings logs to Kafka."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
from pydantic import ValidationError

from console.fault import Refused, Unreachable
from console.options import as_json, common, print_ndjson, refusing, settings_of
from console.screen import Screen
from streams.clock import SystemClock
from streams.kafka.outflow import Unanswered, producers
from streams.kafka.settings import Kafka
from streams.kafka.ship import Checkpoint, Shipped, Shipper
from streams.kafka.topics import Topics
from streams.listen.configured import receiving
from streams.plain import plain
from streams.settings import Settings
from streams.sources import problems
from streams.stopping import when_told

_EXAMPLE = """\b
Examples:
  breachline ship /var/log/nginx/access.log --to 192.0.2.10:9092
  breachline ship access.log.2.gz access.log.1 access.log --to 192.0.2.10:9092 --once
  zcat old.gz | breachline ship - --to 192.0.2.10:9092
  breachline ship --config breachline.yaml     (with kafka: and listen: in it)
"""


@click.command(epilog=_EXAMPLE)
@click.argument("logs", nargs=-1, metavar="[LOG]...")
@click.option(
    "--to", metavar="HOST:PORT[,...]", help="Brokers (default: kafka.brokers of the configuration)."
)
@click.option("--once", is_flag=True, help="End where the logs end, instead of following them.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="LINES_PER_S",
    help="Ship no faster than this.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30,
    metavar="SECONDS",
    show_default=True,
    help="With --once: give up after so long without an answer of the brokers.",
)
@as_json
@common
def command(
    logs: tuple[str, ...],
    to: str | None,
    once: bool,
    rate: float | None,
    timeout: float,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> int:
    """Follow LOGs (plain, .gz, .zst; - is stdin, to its end) and send their lines to Kafka.

    With `listen:` in the configuration, what is sent by HTTP or syslog or stands in the journal is
    sent on too, with or without a LOG, and answered when the brokers have it.

    How far the brokers have acknowledged is kept in DATA_DIR/ship: after a stop, a crash or a
    rotation it goes on at the next line. Without an answer it waits, and does not read on.
    """
    settings = settings_of(config, data_dir)
    listens = settings.listen.is_any and not (once or "-" in logs)
    if not (logs or listens):
        raise click.UsageError("Name a LOG to ship, or configure listen: for lines that are sent.")
    if found := problems(logs):
        raise Refused(found)
    kafka = _kafka(settings, to)
    topic = Topics(kafka.prefix).raw
    with ExitStack() as stack:
        with refusing():
            connect = producers(kafka, os.environ)
            destination = " ".join([*sorted(kafka.brokers), topic])
            checkpoint = stack.enter_context(Checkpoint(settings.data_dir / "ship", destination))
        inbox = None
        if listens:
            with refusing():
                inbox, listeners = stack.enter_context(
                    receiving(settings.listen, os.environ, settings.data_dir)
                )
            for one in listeners.says:
                _say(f"Listening: {one}.")
        watch = _watch(stack)
        clock = SystemClock()
        shipper = Shipper(
            checkpoint, connect, topic, clock,
            rate=rate, patience_s=timeout if once else None, say=_say, watch=watch,
            join=settings.intake.join, inbox=inbox,
        )  # fmt: skip
        try:
            shipped, code = asyncio.run(_ship(shipper, logs, once=once or "-" in logs))
        except Unanswered as error:
            where = ", ".join(kafka.brokers)
            raise Unreachable(f"shipping to Kafka at {where}: {error}") from None
    _tell(shipped, as_json=as_json)
    return code


def _kafka(settings: Settings, to: str | None) -> Kafka:
    if to is not None:
        try:
            brokers = Kafka(brokers=to.split(",")).brokers
        except ValidationError as error:
            raise click.BadParameter(
                f"{to}: {error.errors()[0]['msg']}", param_hint="--to"
            ) from None
        return (settings.kafka or Kafka(brokers=brokers)).model_copy(update={"brokers": brokers})
    if settings.kafka is None:
        raise click.UsageError("Say where to: --to HOST:PORT, or kafka.brokers in --config.")
    return settings.kafka


def _watch(stack: ExitStack) -> Callable[[int], None]:
    """Says how far it is, where somebody watches."""
    console = Screen(stderr=True)
    if not console.is_terminal:
        return lambda _lines: None
    status = stack.enter_context(console.status("shipping"))
    return lambda lines: status.update(f"{lines:,} lines shipped   (Ctrl-C ends)")


def _say(text: str) -> None:
    click.echo(plain(text), err=True)


async def _ship(shipper: Shipper, logs: tuple[str, ...], *, once: bool) -> tuple[Shipped, int]:
    interrupted = when_told(shipper.stop)
    shipped = await shipper.ship(logs, once=once)
    return shipped, 130 if signal.SIGINT in interrupted else 0


def _tell(shipped: Shipped, *, as_json: bool) -> None:
    if shipped.held_bytes:
        _say(f"{shipped.held_bytes:,} bytes were not acknowledged: the next run sends them again.")
    if as_json:
        keys = ("lines", "bytes", "seconds")
        print_ndjson([dict(zip(keys, shipped, strict=False))])
        return
    lines, size_bytes, seconds, _ = shipped
    rate = f", {lines / seconds:,.0f} lines/s" if seconds >= 1 else ""
    click.echo(f"Shipped {lines:,} lines, {size_bytes:,} bytes in {seconds:.1f} s{rate}.")
