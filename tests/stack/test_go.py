import os

import pytest

from tests.stack._go import build, go
from tests.stack._maven import NotHereError

FAKE = """#!/bin/sh
echo "$@ $CGO_ENABLED$GOFLAGS $GOTOOLCHAIN $GOWORK" >> "$(dirname "$0")/calls"
case "$1" in
  version) echo "go version {version} linux/amd64" ;;
  mod) test ! -e "$(dirname "$0")/offline" || {{ echo 'dial tcp: no route'; exit 1; }} ;;
  build) test ! -e broken.go || {{ echo 'broken.go: syntax error'; exit 1; }}; echo built > "$4" ;;
esac
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder whose `bin` comes first on PATH; `go_says` puts a Go there."""
    go.cache_clear()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    (tmp_path / "bin").mkdir()
    (tmp_path / "code").mkdir()
    yield tmp_path
    go.cache_clear()


def go_says(here, version):
    path = here / "bin" / "go"
    path.write_text(FAKE.format(version=version))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("version", ["go1.19", "go1.19.8", "go1.26.8", "go2.0"])
def test_a_go_that_is_new_enough(here, version):
    assert go_says(here, version) == go()


@pytest.mark.parametrize("version", ["go1.18.10", "go1.9", "devel"])
def test_another_go_is_not_used(here, version):
    go_says(here, version)
    with pytest.raises(NotHereError, match=rf"Go 1\.19 or newer: .*{version}.*Install golang-go"):
        go()


def test_no_go_says_what_to_install(here, monkeypatch):
    monkeypatch.setenv("PATH", str(here / "bin"))
    with pytest.raises(NotHereError, match=r"1\.19 or newer: no go on PATH\. Install golang-go\."):
        go()


def test_a_program_is_built_by_what_is_pinned(here):
    go_says(here, "go1.19")
    program = here / "program"
    build(here / "code", program)
    assert program.read_text() == "built\n"
    assert (here / "bin/calls").read_text().splitlines() == [
        "version 0 local off",
        "mod download 0 local off",
        f"build -buildvcs=false -o {program} . 0 local off",
    ]


def test_modules_that_cannot_be_fetched_are_not_here(here):
    go_says(here, "go1.19")
    (here / "bin/offline").touch()
    with pytest.raises(NotHereError, match="fetching the modules of code with Go: dial tcp"):
        build(here / "code", here / "program")


def test_code_that_cannot_be_built_is_a_failure(here):
    go_says(here, "go1.19")
    (here / "code/broken.go").touch()
    with pytest.raises(AssertionError, match="syntax error"):
        build(here / "code", here / "program")
