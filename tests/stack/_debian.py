"""Programs of Debian's packages, fetched once per machine into a cache; nothing is installed.

apt decides where they come from, by its own settings. On other systems they must be on PATH.
"""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.stack._maven import NotHereError, alone

FETCH_TIMEOUT_S = 300


@cache
def program(name, package):
    """The path of a program: on PATH, or out of that package."""
    if (found := shutil.which(name)) is not None:
        return found
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "breachline-test")
    home.mkdir(parents=True, exist_ok=True)
    folder = home / f"debian-{package}"
    with alone(home / f"debian-{package}.lock"):
        if not folder.is_dir():
            _fetch(package, folder)
    path = folder / "usr" / "bin" / name
    if not path.is_file():
        raise NotHereError(f"{package} has no usr/bin/{name}: {path} is not there")
    return str(path)


def _fetch(package, folder):
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        raise NotHereError(f"fetching {package}: no {' and no '.join(missing)}. Install {package}.")
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as part:
        try:
            _run("apt-get", "download", package, cwd=part)
            (archive,) = Path(part).glob("*.deb")
            _run("dpkg-deb", "-x", archive, "unpacked", cwd=part)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            raise NotHereError(
                f"fetching {package} with apt: {fault}\n{str(fault.output or '')[-2000:]}"
            ) from fault
        Path(part, "unpacked").rename(folder)


def _run(*words, cwd):
    subprocess.run(
        words, cwd=cwd, check=True, timeout=FETCH_TIMEOUT_S, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
