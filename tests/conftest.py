"""What holds for every test."""

import os
import sys
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

# Machines are noisy: a test fails for what is wrong, never for how long it took. In CI each run
# tries the same examples, so that a failure there can be had again.
settings.register_profile(
    "here",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("few", settings.get_profile("here"), max_examples=10)
settings.load_profile("here")

BEGINS_A_PROCESS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen"}
running = SimpleNamespace(alone=False)
"""Whether the test that runs must do without a second process: it is not marked stack."""


def watch(event, _args):
    if running.alone and event in BEGINS_A_PROCESS:
        raise RuntimeError(f"{event}: mark tests that start a process with pytest.mark.stack")


sys.addaudithook(watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    running.alone = item.get_closest_marker("stack") is None
    try:
        return (yield)
    finally:
        running.alone = False
