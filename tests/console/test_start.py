import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from console.start import be_interruptible, leave_at_once

ROOT = Path(__file__).parents[2]

BEGIN = """
import signal
from console import start

start.leave_at_once()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
start.main()
"""
"""What comes before our first line is Python's own, so that Ctrl-C waits until then."""

MOMENTS_S = [0.0, *(Random(7).uniform(0.0, 0.6) for _ in range(11))]


def program(*args, folder, sigint=signal.SIG_DFL):
    def before():
        signal.signal(signal.SIGINT, sigint)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])

    return subprocess.Popen(
        [sys.executable, "-c", BEGIN, *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=before,  # noqa: PLW1509  there are no threads here
    )


@pytest.mark.stack
@pytest.mark.parametrize("after_s", MOMENTS_S)
def test_ctrl_c_ends_cleanly_at_any_moment(tmp_path, after_s):
    # Nobody writes to its input: it works until it is told to stop.
    process = program("scan", "-", folder=tmp_path)
    try:
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        out, err = process.stdout.read(), process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"Stopped.\n")


@pytest.mark.stack
def test_where_ctrl_c_is_ignored_it_stays_so(tmp_path):
    process = program("scan", "-", folder=tmp_path, sigint=signal.SIG_IGN)
    try:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(b"", timeout=60)
    finally:
        process.kill()
    assert process.returncode != 130
    assert b"Stopped" not in err


STATES = [
    # name, what holds before, calls, what a Ctrl-C then does
    ("Python's own", signal.default_int_handler, [leave_at_once], "_leave"),
    ("and back", signal.default_int_handler, [leave_at_once, be_interruptible], "default"),
    ("ignored", signal.SIG_IGN, [leave_at_once, be_interruptible], "ignored"),
    ("somebody else's", print, [leave_at_once, be_interruptible], "print"),
    ("never taken", signal.default_int_handler, [be_interruptible], "default"),
]


@pytest.mark.parametrize(
    ("name", "before", "calls", "expected"), STATES, ids=[c[0] for c in STATES]
)
def test_only_pythons_own_answer_is_replaced(name, before, calls, expected):
    known = {signal.default_int_handler: "default", signal.SIG_IGN: "ignored"}
    kept = signal.signal(signal.SIGINT, before)
    try:
        for call in calls:
            call()
        now = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, kept)
    assert known.get(now, getattr(now, "__name__", None)) == expected


@pytest.mark.stack
def test_nothing_heavy_comes_before_the_answer_to_ctrl_c():
    script = (
        "import sys; before = set(sys.modules); import console.start;"
        "print(sorted(set(sys.modules) - before - {'os', 'signal', 'enum', '_signal'}))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, check=True
    )
    for heavy in (b"'click", b"'typing", b"'logging", b"'console.main"):
        assert heavy not in ended.stdout
