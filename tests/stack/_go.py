"""Programs of this folder that are written in Go, built with the Go that is here.

Go decides where modules come from, by its own settings; go.sum says what they must be.
"""

import os
import re
import shutil
import subprocess
from functools import cache

from tests.stack._maven import NotHereError

TIMEOUT_S = 300
OLDEST = (1, 19)
"""Of Debian 12; the modules that the programs pin can be built by it."""


@cache
def go():
    """The path of a Go that is new enough, from PATH."""
    wanted = "Go {}.{} or newer".format(*OLDEST)
    if (program := shutil.which("go")) is None:
        raise NotHereError(f"finding {wanted}: no go on PATH. Install golang-go.")
    told = _run(program, "version").stdout
    version = re.search(r"go(\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        raise NotHereError(f"finding {wanted}: {program} says {told[:60]!r}. Install golang-go.")
    return program


def build(folder, program):
    """Build the main package in a folder into the file `program`."""
    fetched = _run(go(), "mod", "download", cwd=folder)
    if fetched.returncode:
        raise NotHereError(f"fetching the modules of {folder.name} with Go: {fetched.stdout}")
    built = _run(go(), "build", "-buildvcs=false", "-o", program, ".", cwd=folder)
    assert built.returncode == 0, built.stdout


def _run(*words, cwd=None):
    # Settings of one machine must neither change what is built nor fetch another Go.
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return subprocess.run(
        words, cwd=cwd, env=env, check=False, timeout=TIMEOUT_S, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
