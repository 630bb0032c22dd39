import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from console.fault import Negative, Refused, Unreachable
from console.main import COMMANDS, cli, run

ROOT = Path(__file__).parents[2]


ENDS = [
    # name, what a command raises, code, stderr
    ("refused", Refused(["one", "two"]), 2, "Error: one\nError: two\n"),
    ("unreachable", Unreachable("no answer"), 3, "Error: no answer\n"),
    ("negative", Negative("not intact\n  a.txt"), 1, "not intact\n  a.txt\n"),
    ("negative without words", Negative(""), 1, ""),
    ("Ctrl-C", KeyboardInterrupt(), 130, "Stopped.\n"),
    ("click's own abort", click.Abort(), 130, "Stopped.\n"),
    ("a file", OSError(28, "No space left on device", "x.zip"), 2, "Error: x.zip: no space left"),
    ("the output", OSError(28, "No space left on device"), 2, "Error: writing the output: no sp"),
    ("a store", OSError(28, "committing: db: disk full"), 2, "Error: committing: db: disk full\n"),
    ("in a group", ExceptionGroup("tasks", [Refused("inner")]), 2, "Error: inner\n"),
    ("hostile words", Refused("reading \x1b[31m\u202e"), 2, "Error: reading \\x1b[31m\\u202e\n"),
    ("a closed pipe", BrokenPipeError(32, "Broken pipe"), 0, ""),
    ("a closed pipe in a group", ExceptionGroup("t", [BrokenPipeError(32, "Broken")]), 0, ""),
    ("an exit", click.exceptions.Exit(5), 5, ""),
]


@pytest.fixture
def raising(monkeypatch):
    """Makes `breachline doctor` raise."""

    def make(error):
        def callback():
            raise error

        command = click.Command("doctor", callback=callback)
        monkeypatch.setattr(type(cli), "get_command", lambda *_: command)

    return make


@pytest.mark.parametrize(("name", "error", "code", "err"), ENDS, ids=[c[0] for c in ENDS])
def test_every_end_has_its_code_and_its_words(raising, capsys, name, error, code, err):
    raising(error)
    assert run(["doctor"]) == code
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith(err) if err else said == ""
    assert "Traceback" not in said


@pytest.mark.parametrize("bug", [ValueError("a bug"), ExceptionGroup("t", [KeyError("a bug")])])
def test_a_bug_is_not_hidden(raising, bug):
    raising(bug)
    with pytest.raises(type(bug)):
        run(["doctor"])


def test_a_damaged_store_is_no_bug(raising, capsys):
    import sqlite3

    error = ValueError("reading findings: db is damaged: restore it from a backup")
    error.__cause__ = sqlite3.DatabaseError("malformed")
    raising(error)
    assert run(["doctor"]) == 2
    assert capsys.readouterr().err == f"Error: {error}\n"


USAGE = [
    ("nothing at all", [], "Usage: breachline"),
    ("an unknown command", ["frobnicate"], "No such command 'frobnicate'."),
    ("a slip", ["scna"], "No such command 'scna'. Did you mean 'scan'?"),
    ("an unknown option", ["incidents", "--nonsense"], "No such option"),
    ("a missing argument", ["affected"], "Missing argument 'INCIDENT'"),
]


@pytest.mark.parametrize(("name", "args", "says"), USAGE, ids=[c[0] for c in USAGE])
def test_wrong_usage(capsys, name, args, says):
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert (out, says in err) == ("", True)


def test_help_lists_every_command_and_each_exists(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name, words in COMMANDS.items():
        assert f"  {name} " in out
        assert words in out
        assert run([name, "--help"]) == 0
    assert {p.stem for p in (ROOT / "console/commands").glob("[a-z]*.py")} == set(COMMANDS)


def test_the_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("breachline ")


@pytest.mark.stack
def test_starting_costs_no_heavy_import():
    script = (
        "import sys; from console.main import run; run(['--help']);"
        "print([m for m in ('pyarrow', 'duckdb', 'httpx', 'rich', 'pydantic', 'asyncio', 'sqlite3',"
        " 'yaml') if m in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True
    )
    assert ended.stderr == b"[]\n"


READERS = [["incidents"], ["affected", "inc-1"], ["config", "check"], ["parse", "access.log"]]


@pytest.mark.stack
@pytest.mark.parametrize("args", READERS, ids=" ".join)
def test_who_only_reads_does_not_wait_for_an_http_client(attack, args):
    script = (
        "import sys; from console.main import run; run(sys.argv[1:]);"
        "print([m for m in ('httpx', 'pyarrow', 'duckdb') if m in sys.modules], file=sys.stderr)"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", script, *args],
        cwd=attack.parent, env=environ, capture_output=True, check=True,
    )  # fmt: skip
    assert ended.stderr.splitlines()[-1] == b"[]"


class Gone:
    """A pipe whose reader has left."""

    def __enter__(self):
        read, write = os.pipe()
        os.close(read)
        self.file = os.fdopen(write, "w")
        return self.file

    def __exit__(self, *_):
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
        self.file.close()


PIPED = [["--help"], ["config", "schema"], ["parse", "access.log"], ["scan", "access.log"],
         ["scan", "access.log", "--json"], ["run", "access.log", "--once"]]  # fmt: skip


@pytest.mark.parametrize("args", PIPED, ids=" ".join)
def test_a_reader_that_leaves_is_no_error(attack, monkeypatch, capsys, args):
    monkeypatch.chdir(attack.parent)
    with Gone() as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert run(args) == 0
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("args", PIPED, ids=" ".join)
def test_a_full_disk_behind_the_output_is_said(attack, monkeypatch, capsys, args):
    monkeypatch.chdir(attack.parent)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert run(args) == 2
        monkeypatch.undo()
        err = capsys.readouterr().err
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert err == "Error: writing the output: no space left on device\n"


def program(*args, folder, **given):
    """The program as a process of its own."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL,
             **given}  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **given.pop("environ", {})}
    command = [sys.executable, "-c", "from console.main import main; main()", *args]
    return subprocess.Popen(command, cwd=folder, env=environ, **given)


@pytest.mark.stack
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_does_not_become_somebody_elses_file(attack, closed):
    process = program(
        "scan", "access.log", folder=attack.parent, preexec_fn=lambda: os.close(closed)
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in err
    database = (attack.parent / "var/scans/last/breachline.db").read_bytes()
    assert database.startswith(b"SQLite format 3\0")
    assert (b"12 people affected" in out) is (closed != 1)


@pytest.mark.stack
def test_an_output_that_lacks_a_letter_gets_an_escape(tmp_path):
    (tmp_path / "日.yaml").write_text("history: {}\n")
    environ = {"PYTHONIOENCODING": "latin-1"}
    process = program("config", "check", "日.yaml", folder=tmp_path, environ=environ)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert b"\\u65e5.yaml: no problem found" in out


INTERRUPTED = [
    # arguments, a file that shows that it is at work
    (["scan", "-"], "var/scans/last/breachline.db"),
    (["run", "access.log"], "var/run.lock"),
    (["run", "--example"], "var/example/run.lock"),
]


@pytest.mark.stack
@pytest.mark.parametrize(
    ("args", "shows"), INTERRUPTED, ids=[c[0][0] + c[0][1] for c in INTERRUPTED]
)
def test_ctrl_c_ends_cleanly(attack, args, shows):
    folder = attack.parent
    read, write = os.pipe()
    # A pipe that nobody writes to: `scan -` waits for its first line.
    process = program(*args, folder=folder, **({"stdin": read} if args[1] == "-" else {}))
    try:
        for _ in range(600):
            if (folder / shows).exists():
                break
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        os.close(read)
        os.close(write)
    assert process.returncode == 130
    assert b"Traceback" not in err
    if args[0] == "scan":
        assert list((folder / "var/scans/last").iterdir()) == []
