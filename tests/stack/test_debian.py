"""A package is fetched once, whole or not at all; a machine that cannot says what it lacks."""

import os

import pytest

from tests.stack._debian import environment, program, unpacked
from tests.stack._maven import NotHereError

APT = """#!/bin/sh
echo "$1" >> "$CALLS"
test -f "$BROKEN" && echo "Unable to locate package" && exit 100
if test "$1" = update; then rm -f "$OLD"; exit 0; fi
test -f "$OLD" && echo "Unable to fetch" && exit 100
shift
for package; do : > "${package}_1.0_all.deb"; done
"""
DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/lib/here"
case "$2" in
*libthing*) : > "$3/usr/lib/here/libthing.so.1";;
*) : > "$3/usr/bin/thing";;
esac
"""


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """Debian's tools, of which apt counts its calls, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("apt-get", APT), ("dpkg-deb", DPKG)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("BROKEN", str(tmp_path / "broken"))
    monkeypatch.setenv("OLD", str(tmp_path / "old"))
    program.cache_clear()
    yield tmp_path
    program.cache_clear()


def test_what_is_on_the_path_is_taken(debian):
    assert program("sh", "dash").endswith("/sh")
    assert not (debian / "calls").exists()


def test_what_is_not_is_fetched_once(debian):
    path = debian / "cache" / "breachline-test" / "debian-things" / "usr" / "bin" / "thing"
    for _ in range(2):
        assert program("thing", "things") == str(path)
        program.cache_clear()
    assert (debian / "calls").read_text() == "download\n"


def test_a_fetch_that_fails_leaves_nothing_and_says_why(debian):
    (debian / "broken").touch()
    with pytest.raises(NotHereError, match=r"fetching things with apt: (.|\n)*Unable to locate"):
        program("thing", "things")
    (debian / "broken").unlink()
    assert program("thing", "things").endswith("/thing")


def test_a_package_without_the_program_is_said(debian):
    with pytest.raises(NotHereError, match="things has no other"):
        program("other", "things")


def test_a_machine_without_apt_says_what_to_install(debian, monkeypatch):
    monkeypatch.setenv("PATH", str(debian / "nowhere"))
    with pytest.raises(NotHereError) as missing:
        program("thing", "things")
    assert str(missing.value) == ("fetching things: no apt-get and no dpkg-deb. Install things.")


def test_old_lists_of_packages_are_fetched_anew(debian):
    (debian / "old").touch()
    assert program("thing", "things").endswith("/thing")
    assert (debian / "calls").read_text() == "download\nupdate\ndownload\n"


def test_a_program_comes_with_its_libraries(debian):
    assert program("thing", "things", "libthing1").endswith("/thing")
    folder = unpacked("things", "libthing1")
    assert environment(folder)["LD_LIBRARY_PATH"] == str(folder / "usr" / "lib" / "here")
    assert (debian / "calls").read_text() == "download\n"
