"""`breachline doctor`: every configured dependency: reach, version, permission, and what to do."""

import asyncio
import os
from pathlib import Path

import click
import msgspec

from console import checkup
from console.fault import Negative, Unreachable
from console.options import as_json, common, print_ndjson, settings_of
from streams.clock import SystemClock
from streams.plain import plain


@click.command(epilog="Example: breachline doctor --config breachline.yaml")
@as_json
@common
def command(
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Check the configuration, the data directory and the enforcement points.

    Exit 3 if a dependency cannot be reached, 1 if something else is wrong.
    """
    settings = settings_of(config, data_dir)
    results = asyncio.run(checkup.examine(settings, os.environ, SystemClock().now_ms()))
    if as_json:
        print_ndjson(map(msgspec.to_builtins, results))
    else:
        for result in results:
            mark = "ok  " if result.state == "ok" else "FAIL" if result.state != "note" else "note"
            click.echo(f"{mark}  {result.what}: {plain(result.says)}")
            for line in filter(None, result.do.split("\n")):
                click.echo(f"      {plain(line)}")
    if any(result.state == "unreachable" for result in results):
        raise Unreachable("a configured dependency could not be reached")
    if any(result.state == "wrong" for result in results):
        raise Negative("")
