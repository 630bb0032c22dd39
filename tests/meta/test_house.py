"""The laws of the house: which room may import which, where tests stand, what a file may hold.

Everything is read from the tree with ast, so a new file is under the law from its first commit.
"""

import ast
import re
import subprocess
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


def tree(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports(path):
    """Every module that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the room"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
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


def test_the_walk_finds_the_house():
    assert {path.parts[0] for path in SOURCES} == set(ROOMS)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_room_imports_only_from_the_rooms_before_it(path):
    behind = set(ROOMS[ROOMS.index(path.parts[0]) + 1 :]) | {"tests", "benchmarks"}
    assert sorted(name for name in imports(path) if name.split(".")[0] in behind) == []


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] in PURE], ids=str)
def test_pure_rooms_reach_nothing_outside(path):
    reached = {
        name for name in imports(path) for bad in OUTSIDE if f"{name}.".startswith(f"{bad}.")
    }
    assert sorted(reached) == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_source_file_has_its_twin(path):
    if path.name == "__init__.py":
        assert not has_logic(path), f"{path}: move the code into a named file"
    elif has_logic(path):
        assert (ROOT / twin_of(path)).is_file(), f"write {twin_of(path)}"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_module_says_what_it_is_for(path):
    docstring = ast.get_docstring(tree(path))
    assert docstring, f"{path} has no docstring"
    assert len(docstring.splitlines()) <= 12, f"{path}: a module's docstring is 2 to 6 lines"


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_no_file_is_too_long(path):
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] == "records"], ids=str)
def test_records_know_their_types(path):
    named = [
        node.lineno
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    ]
    assert named == []


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parts[0] != "tests"], ids=str)
def test_nothing_unpickles_or_evaluates(path):
    text = imports(path)
    calls = {
        node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert {"pickle", "marshal", "shelve"} & text == set()
    assert {"eval", "exec", "hash", "__import__"} & calls == set()


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


def test_every_lock_entry_has_hashes():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        pins = re.findall(r"^(\S+==\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^\w", text, re.MULTILINE)) > 10
