"""`breachline config`: check a configuration, print its schema."""

import os
from pathlib import Path

import click
import orjson

from console import config as logic
from console.fault import Negative, Refused
from streams.plain import plain


@click.group(epilog="Example: breachline config check --config breachline.yaml")
def command() -> None:
    """Check a configuration, print its JSON Schema."""


@command.command(epilog="Example: breachline config check --config breachline.yaml")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file.")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def check(config: Path | None, file: Path | None) -> None:
    """Say everything that is wrong with a configuration, with file and line; exit 1 if it is."""
    named = file or config
    if named is not None and not named.exists():
        raise Refused(f"{named}: no such configuration file: correct the path")
    checked = logic.check(named, os.environ, Path.cwd())
    for warning in checked.warnings:
        click.echo(f"Warning: {plain(warning)}", err=True)
    if checked.problems:
        raise Negative("\n".join(checked.problems))
    if checked.path is None:
        click.echo(
            "No configuration file: the defaults hold. Write ./breachline.yaml to change them."
        )
    else:
        click.echo(f"{checked.path}: no problem found.")


@command.command(epilog="Example: breachline config schema > breachline.schema.json")
def schema() -> None:
    """Print the JSON Schema of breachline.yaml, for editors."""
    click.echo(orjson.dumps(logic.schema(), option=orjson.OPT_INDENT_2))
