"""Options that every command shares, and how a command gets its settings and output."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from console.fault import Refused, words
from intake.times import parse_time
from streams.openapi import read_openapi, with_routes
from streams.plain import plain
from streams.settings import ConfigError, Settings, load

F = TypeVar("F", bound=Callable[..., Any])


def common(function: F) -> F:
    """--config and --data-dir."""
    function = click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where state is kept (default: data_dir of the configuration, ./var).",
    )(function)
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="YAML file (else $BREACHLINE_CONFIG, else ./breachline.yaml, else defaults).",
    )(function)


def moment(_context: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    """Callback of an option that is a time: ms since 1970 UTC.

    Whatever a log may write, and what people write: a day, or hours and minutes.
    """
    if value is None:
        return None
    for read in (parse_time, _iso):
        try:
            return read(value)
        except ValueError:
            continue
    raise click.BadParameter(f"{value!r} is no time: write 2026-11-22T10:00:00Z")


def _iso(value: str) -> int:
    found = datetime.fromisoformat(value)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


as_json = click.option("--json", "as_json", is_flag=True, help="Print data as NDJSON.")

from_dir = click.option(
    "--from",
    "from_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Read a scan's result from this folder, not the live service's or deployment's state.",
)

offline = click.option(
    "--offline",
    is_flag=True,
    help="With Kafka configured: answer from what was read last, without asking the brokers.",
)

timeout = click.option(
    "--timeout",
    metavar="TIME",
    default="30s",
    show_default=True,
    help="With Kafka configured: how long to wait until a worker has done it.",
)


openapi = click.option(
    "--openapi",
    type=click.Path(path_type=Path, dir_okay=False),
    help="OpenAPI file whose routes count after those of the configuration.",
)


def with_openapi(settings: Settings, path: Path | None) -> Settings:
    """The settings with the routes of an OpenAPI file that was named on the command line.

    Raises:
        Refused: the file cannot be used.
    """
    if path is None:
        return settings
    with refusing():
        intake = with_routes(settings.intake, read_openapi(path))
    return settings.model_copy(update={"intake": intake})


def settings_of(config: Path | None, data_dir: Path | None) -> Settings:
    """The configuration that counts for this call; its warnings go to stderr.

    Raises:
        Refused: it is wrong; each problem names file, line and what to write instead.
    """
    try:
        loaded = load(config, os.environ, Path.cwd())
    except ConfigError as error:
        raise Refused(error.problems) from error
    for warning in loaded.warnings:
        click.echo(f"Warning: {plain(warning)}", err=True)
    if data_dir is None:
        return loaded.settings
    return loaded.settings.model_copy(update={"data_dir": data_dir})


def config_file(config: Path | None) -> Path | None:
    """The file that `settings_of` read, None where the defaults hold."""
    try:
        return load(config, os.environ, Path.cwd()).path
    except ConfigError:
        return None


def print_ndjson(documents: Iterable[object]) -> None:
    """One JSON document a line on stdout."""
    out = sys.stdout.buffer
    sys.stdout.flush()
    for document in documents:
        out.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    out.flush()


@contextmanager
def refusing() -> Iterator[None]:
    """What people named and cannot be used (files, folders, formats) is said in one line."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        raise Refused(words(error)) from error
