import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import ids


def test_where_one_part_ends_matters():
    assert ids.digest("ab", "c") != ids.digest("a", "bc")
    assert ids.digest("a", 1) == ids.digest("a", "1")


@given(st.text(), st.integers(0, 2**62))
def test_an_event_names_its_place(source, offset):
    assert ids.event_place(ids.event_id(source, offset)) == (source, offset)


@pytest.mark.parametrize(
    ("made", "again"),
    [
        (
            ids.finding_id("canary", "1", "ip:192.0.2.1", "high", 20_000, 0),
            ids.finding_id("canary", "1", "ip:192.0.2.1", "high", 20_000, 1),
        ),
        (ids.incident_id("ip:192.0.2.1", 20_000, 0), ids.incident_id("ip:192.0.2.1", 20_001, 0)),
        (
            ids.action_id("block_ip", "192.0.2.1", "inc-1", 0),
            ids.action_id("block_ip", "192.0.2.1", "inc-2", 0),
        ),
    ],
)
def test_another_episode_has_another_id(made, again):
    assert made != again


@pytest.mark.stack
def test_ids_are_the_same_in_every_process():
    program = "from records import ids; print(ids.digest('a', 7), ids.partition('u-17', 12))"
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{ids.digest('a', 7)} {ids.partition('u-17', 12)}\n"}


@given(st.text(), st.integers(1, 64))
def test_a_partition_is_one_of_them(key, count):
    assert 0 <= ids.partition(key, count) < count


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_341_603_120, "2026-11-22T10:00:03.120Z"),
        (2**31 * 1000, "2038-01-19T03:14:08.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_utc_with_milliseconds(time_ms, text):
    assert ids.iso(time_ms) == text
