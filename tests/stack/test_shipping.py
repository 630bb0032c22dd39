"""A real rsyslog ships lines to `run`, which is killed on the way: none is lost, none is twice.

The whole campaign, a million lines, is `python -m benchmarks.shipping`.
"""

import pytest

from streams.listen.syslog import AT_ONCE_BYTES
from tests.stack._rsyslog import BULK, TCP, rsyslogd
from tests.stack._shipping import ship
from tests.stack.conftest import or_skip

LINES, KILLS, TIMEOUT_S = 40_000, 3, 240
SHORTEST_BYTES = 150
"""Of a line as it is sent, with its syslog header."""
BATCH = 2_000


@pytest.fixture(scope="module", autouse=True)
def rsyslog_runs():
    """The program is here."""
    with or_skip("the real rsyslog"):
        rsyslogd()


def test_bulk_calls_lose_nothing_and_count_what_came_again(tmp_path):
    shipped = ship(tmp_path, LINES, KILLS, BULK, TIMEOUT_S)
    assert (shipped.lost, shipped.events, shipped.rejected) == (0, LINES, 0), shipped
    assert shipped.errors == ""


def test_syslog_over_tcp_loses_what_the_sockets_held_at_most(tmp_path):
    # More than the sockets hold, or nothing would be left to come after the kill.
    shipped = ship(tmp_path, 4 * LINES, 1, TCP, TIMEOUT_S)
    # rsyslog sends again what it is unsure of, and no syslog line has a name to be known by.
    assert shipped.events - shipped.distinct <= BATCH, shipped
    held = (shipped.held_bytes + AT_ONCE_BYTES) // SHORTEST_BYTES
    assert 0 <= shipped.lost <= held, shipped
    print(f"lost {shipped.lost:,} of {shipped.sent:,} lines; sockets held {shipped.held_bytes:,} B")
