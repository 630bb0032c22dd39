import subprocess
import sys

import pytest

from streams.kafka.scratch import Scratch

DIES = """
import os, signal, sys
from pathlib import Path
from streams.kafka.scratch import Scratch
folder = Scratch(Path(sys.argv[1]))
(folder.path / "breachline.db").write_text("left")
os.kill(os.getpid(), signal.SIGKILL)
"""


def folders(parent):
    return {path.name for path in parent.iterdir()}


def test_a_folder_is_gone_when_it_is_closed(tmp_path):
    one = Scratch(tmp_path / "worker")
    (one.path / "store").mkdir()
    assert folders(tmp_path / "worker") == {one.path.name}
    assert one.path.stat().st_mode & 0o777 == 0o700
    one.close()
    assert folders(tmp_path / "worker") == set()


def test_what_lives_stays_and_what_is_not_ours_too(tmp_path):
    (tmp_path / "other").mkdir()
    one, two = Scratch(tmp_path), Scratch(tmp_path)
    assert folders(tmp_path) == {"other", one.path.name, two.path.name}
    one.close()
    two.close()
    assert folders(tmp_path) == {"other"}


@pytest.mark.stack
def test_what_a_killed_process_left_is_removed(tmp_path):
    died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    assert died.returncode == -9
    assert len(folders(tmp_path)) == 1
    one = Scratch(tmp_path)
    assert folders(tmp_path) == {one.path.name}
    one.close()
