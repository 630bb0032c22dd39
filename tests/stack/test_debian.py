"""A package is fetched once, whole or not at all; a machine that cannot says what it lacks."""

import os

import pytest

from tests.stack._debian import program
from tests.stack._maven import NotHereError

APT = """#!/bin/sh
echo called >> "$CALLS"
test -f "$BROKEN" && echo "Unable to locate package" && exit 100
: > "$2_1.0_all.deb"
"""
DPKG = '#!/bin/sh\nmkdir -p "$3/usr/bin" && : > "$3/usr/bin/thing"\n'


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
    assert (debian / "calls").read_text() == "called\n"


def test_a_fetch_that_fails_leaves_nothing_and_says_why(debian):
    (debian / "broken").touch()
    with pytest.raises(NotHereError, match=r"fetching things with apt: (.|\n)*Unable to locate"):
        program("thing", "things")
    (debian / "broken").unlink()
    assert program("thing", "things").endswith("/thing")


def test_a_package_without_the_program_is_said(debian):
    with pytest.raises(NotHereError, match="things has no usr/bin/other"):
        program("other", "things")


def test_a_machine_without_apt_says_what_to_install(debian, monkeypatch):
    monkeypatch.setenv("PATH", str(debian / "nowhere"))
    with pytest.raises(NotHereError) as missing:
        program("thing", "things")
    assert str(missing.value) == ("fetching things: no apt-get and no dpkg-deb. Install things.")
