"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

# Machines are noisy: a test fails for what is wrong, never for how long it took. In CI each run
# tries the same examples, so that a failure there can be had again.
settings.register_profile(
    "here",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("here")
