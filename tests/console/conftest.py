"""The program as people call it, in this process; and one scan of the attack for those who read."""

import contextlib
import io
import shutil
from typing import NamedTuple

import pytest

from console.main import run
from tests import _attack


class Said(NamedTuple):
    """How a call ended, and what it printed where."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Calls breachline in tmp_path, without a configuration but what the test writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BREACHLINE_CONFIG", raising=False)
    monkeypatch.setattr("sys.argv", ["breachline"])

    def call(*args):
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def scanned(tmp_path_factory):
    """The folder of a scan of the attack: result in `out`, log and configuration beside it."""
    folder = tmp_path_factory.mktemp("scanned")
    log = _attack.write(folder)
    args = ["scan", log, "--config", folder / "breachline.yaml"]
    args += ["--data-dir", folder / "var", "--out", folder / "out"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert run(list(map(str, args))) == 0
    return folder


@pytest.fixture
def result(scanned, tmp_path, tmp_path_factory):
    """The scan's result in a folder of the test's own, for --from, with its key at hand.

    Who reads it is entered in its log.
    """
    shutil.copytree(scanned / "var" / "keys", tmp_path / "var" / "keys")
    return shutil.copytree(scanned / "out", tmp_path_factory.mktemp("result") / "out")


@pytest.fixture(scope="session")
def case(scanned):
    """The id of the one incident."""
    (file,) = (scanned / "out" / "affected").glob("*.txt")
    return file.stem


@pytest.fixture
def attack(tmp_path):
    """The log of the attack in a folder of its own, with its configuration."""
    return _attack.write(tmp_path / "attack")
