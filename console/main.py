"""The one program: finds the command, runs it, and turns what happened into an exit code.

Exit codes (CONTRACT 1): 0 success; 1 the command's own negative answer; 2 wrong usage,
configuration or log; 3 a dependency is unreachable; 130 Ctrl-C.
"""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from console.fault import Negative, Refused, Unreachable

COMMANDS = {
    "scan": "Read whole logs, report what they show, exit.",
    "run": "Follow logs live, detect, respond.",
    "parse": "Show what Breachline understood of a log, as ECS NDJSON.",
    "incidents": "List incidents, or show one.",
    "affected": "Print the users whose data an incident touched.",
    "evidence": "List, show, export and verify evidence.",
    "explain": "Why an actor was or was not flagged and acted on.",
    "history": "Search the access events that were kept.",
    "block": "Block an address by hand.",
    "unblock": "Lift a block by hand.",
    "blocks": "Show the state of every block.",
    "simulate": "Write a labelled synthetic access log.",
    "config": "Check a configuration, print its schema.",
    "doctor": "Check every configured dependency.",
}
"""Command -> one line of help. A command's module is imported only when it is called: starting
must not cost the import of what other commands need."""


class Commands(click.Group):
    """Finds `console.commands.NAME:command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a newcomer's use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"console.commands.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101  our own module's shape
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: breachline scan access.log, then: breachline incidents --from var/scans/last",
)
@click.version_option(package_name="breachline", message="breachline %(version)s")
def cli() -> None:
    """Finds in access logs who reads other people's data, contains them, names those affected."""


def main(args: Sequence[str] | None = None) -> None:
    """Run one command and exit with the contract's code."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    try:
        code = cli.main(
            args=None if args is None else list(args),
            prog_name="breachline",
            standalone_mode=False,
        )
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return 130
    except Refused as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
        return 2
    except Unreachable as error:
        click.echo(f"Error: {error}", err=True)
        return 3
    except Negative as answer:
        if str(answer):
            click.echo(str(answer), err=True)
        return 1
    except BrokenPipeError:
        # `breachline parse log | head`: the reader has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0
