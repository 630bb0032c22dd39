"""The laws of the house: which room may import which, where tests stand, what a file may hold.

Everything is read from the tree with ast, so a new file is under the law from its first commit.
"""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest

from detectors.engine import discover

ROOT = Path(__file__).parents[2]
ROOMS = (
    "records", "intake", "detectors", "evidence", "incidents", "responders", "streams", "console",
)  # fmt: skip
PURE = ("records", "intake", "detectors", "incidents")
OUTSIDE = {
    "asyncio", "elasticsearch", "faust", "httpx", "multiprocessing", "os", "random", "requests",
    "secrets", "socket", "sqlite3", "subprocess", "threading", "time", "urllib.request",
}  # fmt: skip
"""Clocks, networks, threads, chance and the environment: nothing for a pure room."""
DOCSTRING_PARTS = ("Sees:", "Misses:", "False alarms:", "Runbook:")
MAX_LINES = 400

SOURCES = sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PYTHON = sorted(
    path.relative_to(ROOT)
    for folder in (*ROOMS, "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


@cache
def tree(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports(path):
    """Every module that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = None if node.level else node.module
            assert module, f"{path}: relative import; name the room"
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def has_logic(path):
    """Whether any function does something: a list of words or a Protocol has nothing to test."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = [n.value for n in node.body if isinstance(n, ast.Expr)]
            if len(said) < len(node.body) or not all(isinstance(v, ast.Constant) for v in said):
                return True
    return False


def twin_of(path):
    return Path("tests", *path.parts[:-1], f"test_{path.stem.removeprefix('_')}.py")


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def assert_none(against):
    """Like `== []`, but says all of them."""
    assert not against, "\n".join(sorted(map(str, against)))


def test_the_walk_finds_the_house():
    assert {path.parts[0] for path in SOURCES} == set(ROOMS)


def test_a_room_imports_only_from_the_rooms_before_it():
    against = []
    for path in SOURCES:
        behind = {*ROOMS[ROOMS.index(path.parts[0]) + 1 :], "tests", "benchmarks"}
        against += [f"{path}: {name}" for name in imports(path) if name.split(".")[0] in behind]
    assert_none(against)


def test_pure_rooms_reach_nothing_outside():
    assert_none(
        [
            f"{path}: {name}"
            for path in SOURCES
            if path.parts[0] in PURE
            for name in imports(path)
            if any(f"{name}.".startswith(f"{outside}.") for outside in OUTSIDE)
        ]
    )


def test_every_source_file_with_logic_has_its_twin():
    logic = [path for path in SOURCES if has_logic(path)]
    assert_none([path for path in logic if path.name == "__init__.py"])
    assert_none(
        [f"write {twin_of(path)}" for path in logic if not (ROOT / twin_of(path)).is_file()]
    )


def test_every_module_says_what_it_is_for():
    lengths = {path: len((ast.get_docstring(tree(path)) or "").splitlines()) for path in SOURCES}
    assert_none([f"{path}: {n} lines" for path, n in lengths.items() if not 1 <= n <= 12])


def test_no_file_is_too_long():
    lengths = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in PYTHON}
    assert_none([f"{path}: {n} lines" for path, n in lengths.items() if n > MAX_LINES])


def test_records_know_their_types():
    assert_none(
        [
            f"{path}:{node.lineno}"
            for path in SOURCES
            if path.parts[0] == "records"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Name | ast.Attribute)
            and ast.unparse(node).rpartition(".")[2] == "Any"
        ]
    )


def test_nothing_unpickles_evaluates_or_hashes_by_process():
    against = []
    for path in SOURCES:
        calls = {ast.unparse(n.func) for n in ast.walk(tree(path)) if isinstance(n, ast.Call)}
        found = {"pickle", "marshal", "shelve"} & imports(path)
        found |= {"eval", "exec", "hash", "__import__"} & calls
        against += [f"{path}: {name}" for name in sorted(found)]
    assert_none(against)


def test_a_detector_says_what_it_sees_misses_and_mistakes_and_what_to_do():
    found = discover()
    assert len(found) >= 7
    for detector in found:
        missing = [part for part in DOCSTRING_PARTS if part not in (detector.__doc__ or "")]
        assert missing == [], f"detectors/{detector.id}.py: its docstring lacks {missing}"
        assert detector.__module__ == f"detectors.{detector.id}", "file name and rule.id differ"


def test_only_the_clock_reads_wall_time():
    readers = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"}
    for path in SOURCES:
        if path == Path("streams", "clock.py"):
            continue
        calls = {
            ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)
        }
        found = {call for call in calls if any(call.endswith(reader) for reader in readers)}
        assert found == set(), f"{path} reads a clock: take the time as an argument"


@pytest.mark.stack
def test_no_machine_and_no_registry_is_named_in_the_project():
    home = re.compile(rf"{re.escape(str(ROOT))}\b|/(?:home|Users)/\w+/")
    registry = re.compile(
        r"(?:--(?:extra-)?index-url|(?:index-url|registry|find-links)\s*[=:])\s*\"?(?:https?:|/)"
        r"|files\.pythonhosted\.org|pypi\.org/simple"
    )
    for path in tracked():
        if path == Path(__file__).relative_to(ROOT):
            continue
        text = (ROOT / path).read_bytes().decode("utf-8", "replace")
        assert not home.search(text), f"{path} names a folder of one machine"
        assert not registry.search(text), f"{path} names a package registry"


def commands(group, context):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be found"
        if isinstance(command, click.Group):
            yield from commands(command, click.Context(command, context, name))
        else:
            yield click.Context(command, context, name)


def test_every_command_has_help_with_an_example():
    from console.main import cli

    found = list(commands(cli, click.Context(cli, info_name="breachline")))
    assert len(found) >= 10
    for context in found:
        text = context.command.get_help(context)
        assert "Example" in text, f"{context.command_path} --help shows no example"
        assert context.command_path in text, f"{context.command_path}: its example is another's"
        assert context.command.get_short_help_str(), f"{context.command_path} says nothing"


@pytest.mark.parametrize(
    "name",
    ["requirements.lock", "requirements-dev.lock", "benchmarks/requirements-bench.lock"],
)
def test_every_lock_entry_has_hashes(name):
    text = (ROOT / name).read_text()
    pins = re.findall(r"^(\S+==\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\w", text, re.MULTILINE)) > 10


def test_what_starts_a_process_is_marked_stack():
    with pytest.raises(RuntimeError, match=r"^subprocess\.Popen: mark tests that start a process"):
        subprocess.run(["true"], check=True)
