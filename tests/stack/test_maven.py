"""Jars are fetched once, whole or not at all; a machine that cannot says what it lacks."""

import os
import subprocess
import sys

import pytest

from tests.stack import _maven
from tests.stack._maven import NotHereError, jars, java

MVN = """#!/bin/sh
echo called >> "$CALLS"
test -f "$BROKEN" && echo "cannot resolve" && exit 1
mkdir lib && grep -o "<version>[^<]*" pom.xml | tail -1 > lib/one.jar
"""
ASK = "from tests.stack._maven import jars; print(jars('thing', 'group:thing:1.0'))"


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def maven(tmp_path, monkeypatch):
    """A Maven that counts its calls, and an empty cache."""
    program(tmp_path / "bin", "mvn", MVN)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("BROKEN", str(tmp_path / "broken"))
    monkeypatch.setenv("PYTHONPATH", ".")
    for cached in (jars, java):
        cached.cache_clear()
    yield tmp_path
    for cached in (jars, java):
        cached.cache_clear()


def calls(maven):
    return len((maven / "calls").read_text().splitlines())


def test_processes_that_ask_at_once_share_one_fetch(maven):
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE) for _ in range(4)
    ]
    folders = {asked.communicate(timeout=60)[0].decode().strip() for asked in asking}
    assert folders == {str(maven / "cache" / "breachline-test" / "thing")}
    assert calls(maven) == 1


def test_an_unfinished_folder_and_other_versions_are_fetched_again(maven):
    folder = jars("thing", "group:thing:1.0")
    assert (folder / "one.jar").read_text() == "<version>1.0\n"
    (folder / "COMPLETE").unlink()
    jars.cache_clear()
    jars("thing", "group:thing:1.0")
    jars("thing", "group:thing:2.0")
    assert (folder / "one.jar").read_text() == "<version>2.0\n"
    assert calls(maven) == 3
    assert sorted(path.name for path in folder.parent.iterdir()) == ["thing", "thing.lock"]


def test_a_failed_fetch_leaves_nothing_and_says_why(maven):
    (maven / "broken").touch()
    with pytest.raises(NotHereError, match=r"(?s)fetching thing with Maven: .*cannot resolve"):
        jars("thing", "group:thing:1.0")
    (maven / "broken").unlink()
    assert (jars("thing", "group:thing:1.0") / "one.jar").is_file()


def test_without_maven_what_is_cached_is_used(maven, monkeypatch):
    folder = jars("thing", "group:thing:1.0")
    monkeypatch.setenv("PATH", str(maven / "empty"))
    jars.cache_clear()
    assert jars("thing", "group:thing:1.0") == folder
    with pytest.raises(NotHereError, match="fetching other: no mvn on PATH"):
        jars("other", "group:other:1.0")


def test_java_is_the_first_that_is_new_enough(maven, monkeypatch):
    for home, version in (("old", "11.0.2"), ("new", "17.0.1")):
        text = f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n"
        program(maven / home, "java", text)
    (maven / "home").mkdir()
    program(maven / "home" / "bin", "java", (maven / "new" / "java").read_text())
    monkeypatch.setenv("PATH", str(maven / "new"))
    monkeypatch.setenv("JAVA_HOME", str(maven / "home"))
    assert java() == str(maven / "home" / "bin" / "java")
    java.cache_clear()
    program(maven / "home" / "bin", "java", (maven / "old" / "java").read_text())
    assert java() == str(maven / "new" / "java")


def test_a_java_beside_the_default_one_is_found(maven, monkeypatch):
    monkeypatch.setenv("PATH", str(maven / "default"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(_maven, "JVMS", maven / "jvm")
    monkeypatch.setattr(_maven, "JDK_PACKAGE", "packaged_java")
    monkeypatch.syspath_prepend(str(maven))
    places = {
        "11.0.2": maven / "default",
        "21.0.1": maven / "jvm" / "java-21" / "bin",
        "25.0.1": maven / "packaged_java" / "java-runtime" / "bin",
    }
    for version, place in places.items():
        place.mkdir(parents=True)
        program(place, "java", f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    assert java() == java(21) == str(places["21.0.1"] / "java")
    assert java(25) == str(places["25.0.1"] / "java")
    with pytest.raises(NotHereError, match=r"Java 26 or newer: .*11\.0\.2.*21\.0\.1.*25\.0\.1"):
        java(26)
