"""The numbers of an inbox for Prometheus. Labels are words of ours."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from streams.listen.inbox import Inbox
from streams.metrics import gauge

LINES: Final = ("received", "acknowledged", "repeated", "dropped")
"""What can become of lines. repeated: their senders sent them again, and they were taken once;
dropped: no room, from a sender that waits for no answer."""


def measured(inbox: Inbox) -> Iterable[Metric]:
    """How it stands now."""
    lines = CounterMetricFamily(
        "breachline_listen_lines", "Lines that listeners took.", labels=("through", "what")
    )
    requests = CounterMetricFamily(
        "breachline_listen_requests",
        "Requests turned away, and those whose body was equal to a recent one (kept).",
        labels=("through", "what"),
    )
    for (what, kind), number in sorted(inbox.counts().items()):
        family = lines if what in LINES else requests
        family.add_metric((kind, what), number)
    waiting = gauge("listen_waiting_bytes", "Taken from senders, and not yet durable.")
    waiting.add_metric((), inbox.held_bytes)
    return lines, requests, waiting
