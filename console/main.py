"""The one program: finds the command, runs it, and turns what happened into an exit code.

Exit codes (CONTRACT 1): 0 success; 1 the command's own negative answer; 2 wrong usage,
configuration or log, or a disk that cannot be read or written; 3 a dependency is unreachable;
130 Ctrl-C. A person's mistake never shows a traceback; a bug of ours does.
"""

import gc
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from io import TextIOWrapper

import click

from console.fault import Negative, Refused, Unreachable, words
from console.start import be_interruptible, leave_at_once
from streams.plain import plain

COMMANDS = {
    "scan": "Read whole logs, report what they show, exit.",
    "run": "Follow logs live, detect, respond.",
    "worker": "Take a share of a deployment on Kafka.",
    "ship": "Follow logs and send them to Kafka.",
    "deadletter": "List rejected lines, and send them again.",
    "formats": "List the log formats, or show what is understood of a log.",
    "parse": "Show what Breachline understood of a log, as ECS NDJSON.",
    "routes": "Learn routes from a log or an OpenAPI file.",
    "incidents": "List incidents, or show one.",
    "affected": "Print the users whose data an incident touched.",
    "evidence": "List, show, export and verify evidence.",
    "explain": "Why an actor was or was not flagged and acted on.",
    "history": "Search the access events that were kept.",
    "block": "Block an address by hand.",
    "unblock": "Lift a block by hand.",
    "blocks": "Show the state of every block.",
    "es": "Set up Elasticsearch, check it, print what Kibana shows.",
    "simulate": "Write a labelled synthetic access log.",
    "config": "Check a configuration, print its schema.",
    "doctor": "Check every configured dependency.",
}
"""Command -> one line of help. A command's module is imported only when it is called: starting
must not cost the import of what other commands need."""


_BREAK = "\n"


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
        be_interruptible()
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101  our own module's shape
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument; of a misspelt one, what may have been meant."""
        name = args[0]
        if name not in COMMANDS and (near := get_close_matches(name, COMMANDS, 1)):
            ctx.fail(f"No such command {name!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

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
    _open_streams()
    # What the service logs, it also says; without a handler Python would repeat it on stderr.
    logging.getLogger("breachline").addHandler(logging.NullHandler())
    # What the stages keep lives long and has no cycles: looking through all of it again after every
    # few hundred allocations takes a tenth of the time and finds nothing.
    gc.set_threshold(200_000, 50, 1_000)
    code = run(args)
    leave_at_once()
    sys.exit(code)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    code = 0
    try:
        try:
            code = _command(sys.argv[1:] if args is None else list(args))
        except BaseException as error:
            told = _tell(_first(error))
            if told is None:
                raise
            code = told
        # Here, not as Python exits: there an error is beyond anybody's reach.
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        # `breachline parse log | head`: the reader has what it wanted.
        _silence()
        return 0
    except OSError as error:
        _silence()
        if not code:
            _say(f"writing the output: {words(error)}")
        return code or 2
    return code


def _command(args: list[str]) -> int:
    # Not `cli.main`: click's own way with a closed pipe is to exit with 1.
    with cli.make_context("breachline", args) as context:
        code = cli.invoke(context)
    return code if isinstance(code, int) else 0


def _first(error: BaseException) -> BaseException:
    """What went wrong first, where tasks ran side by side."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell(error: BaseException) -> int | None:
    """Say what happened, for a person; the exit code, or None for a bug of ours."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.ClickException():
            error.show()
            return 2 if isinstance(error, click.UsageError) else error.exit_code
        case click.Abort() | KeyboardInterrupt():
            click.echo("Stopped.", err=True)
            return 130
        case Refused():
            for problem in error.problems:
                _say(problem)
            return 2
        case Unreachable():
            _say(str(error))
            return 3
        case Negative():
            if str(error):
                click.echo(plain(str(error), keep=_BREAK), err=True)
            return 1
        case BrokenPipeError():
            raise error
        case OSError():
            own = error.filename is None and error.strerror == os.strerror(error.errno or 0)
            _say(f"writing the output: {words(error)}" if own else words(error))
            return 2
        case ValueError() | RuntimeError() if _is_of_store(error):
            _say(str(error))
            return 2
        case _:
            return None


def _say(problem: str) -> None:
    click.echo(f"Error: {plain(problem, keep=_BREAK)}", err=True)


def _is_of_store(error: Exception) -> bool:
    """Whether the file of the store is damaged."""
    import sqlite3  # noqa: PLC0415  only where something went wrong

    return isinstance(error.__cause__, sqlite3.Error)


def _open_streams() -> None:
    """Make sure that there are three: a closed one's number would become that of the next file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            stream = os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            # A name that the terminal's encoding lacks must not end the program.
            output.reconfigure(errors="backslashreplace")


def _silence() -> None:
    """Let what is still buffered go nowhere, or Python complains as it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(null, stream.fileno())
    os.close(null)
