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


PLACES = ("usr/bin", "usr/sbin", "lib/systemd", "usr/lib/systemd")


@cache
def program(name, package, *libraries):
    """The path of a program: on PATH, or out of that package, with the packages that it needs."""
    if (found := shutil.which(name)) is not None:
        return found
    folder = unpacked(package, *libraries)
    for place in PLACES:
        if (path := folder / place / name).is_file():
            return str(path)
    raise NotHereError(f"{package} has no {name}: it is not in {folder}")


def unpacked(package, *libraries):
    """The folder in which a package and its libraries are unpacked, as if it were the root."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "breachline-test")
    home.mkdir(parents=True, exist_ok=True)
    folder = home / f"debian-{package}"
    with alone(home / f"debian-{package}.lock"):
        if not folder.is_dir():
            _fetch(folder, package, *libraries)
    return folder


def environment(folder):
    """What a program of such a folder needs to find its libraries."""
    found = sorted({str(path.parent) for path in folder.glob("**/lib*.so.*")})
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(found)}


def _fetch(folder, *packages):
    names = " ".join(packages)
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        raise NotHereError(f"fetching {names}: no {' and no '.join(missing)}. Install {names}.")
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as part:
        try:
            _download(packages, part)
            for archive in sorted(Path(part).glob("*.deb")):
                _run("dpkg-deb", "-x", archive, "unpacked", cwd=part)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            raise NotHereError(
                f"fetching {names} with apt: {fault}\n{str(fault.output or '')[-2000:]}"
            ) from fault
        Path(part, "unpacked").rename(folder)


def _download(packages, folder):
    try:
        _run("apt-get", "download", *packages, cwd=folder)
    except subprocess.CalledProcessError as fault:
        # A fresh machine has no lists of packages, or old ones; only root may fetch new ones.
        try:
            _run("apt-get", "update", cwd=folder)
        except subprocess.CalledProcessError:
            raise fault from None
        _run("apt-get", "download", *packages, cwd=folder)


def _run(*words, cwd):
    subprocess.run(
        words, cwd=cwd, check=True, timeout=FETCH_TIMEOUT_S, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
