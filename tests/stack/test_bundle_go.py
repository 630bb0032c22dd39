"""A bundle, judged by the program of docs/evidence.md: Go's own code, and none of ours."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests._ledger import ORIGIN, exported, fill, key, sealed
from tests.stack._go import build
from tests.stack.conftest import or_skip

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "evidence.md"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    (source,) = re.findall(r"```go\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    folder = tmp_path_factory.mktemp("check")
    for name in ("go.mod", "go.sum"):
        shutil.copy(HERE / "sumdb" / name, folder)
    (folder / "main.go").write_text(source, encoding="utf-8")
    with or_skip("Go's sumdb"):
        build(folder, folder / "check")
    return folder / "check"


@pytest.fixture
def ask(program, tmp_path):
    """(exit code, what was said) of the program over a bundle."""

    def ask(path, number=1, change=None):
        folder = tmp_path / path.stem
        with zipfile.ZipFile(path) as bundle:
            bundle.extractall(folder)
        if change is not None:
            file = folder / "entries.ndjson"
            file.write_bytes(change(file.read_bytes()))
        ran = subprocess.run(
            [program, folder, str(key(number))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
        )  # fmt: skip
        return ran.returncode, ran.stdout

    return ask


def test_it_says_of_our_bundles_what_we_say(ask, tmp_path):
    with sealed(tmp_path / "store") as store:
        fill(store)
        whole = exported(store, tmp_path / "whole.zip")
        redacted = exported(store, tmp_path / "redacted.zip", redact=True)
    right = f"{ORIGIN}: 12 of its 15 entries, {{}} with content\n"
    assert ask(whole) == (0, right.format(12))
    assert ask(redacted) == (0, right.format(3))
    assert ask(whole, 2)[0] == 1
    code, said = ask(whole, 1, lambda data: data.replace(rb"\"ada\"", rb"\"eve\""))
    assert (code, "its content is not what was logged" in said) == (1, True)
    code, said = ask(whole, 1, lambda data: data.replace(b'"index":1,', b'"index":2,'))
    assert (code, "entry 2" in said) == (1, True)
