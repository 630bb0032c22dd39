import msgspec
import pytest

from intake.homes import Homes

MINUTE = 60_000


@pytest.mark.parametrize(
    ("seen", "asked", "expected"),
    [
        ([], ("u-1", "203.0.113.7", 0), False),
        ([("u-1", "192.0.2.1", 0)], ("u-1", "203.0.113.7", 2 * MINUTE), True),
        ([("u-1", "192.0.2.1", 0)], ("u-1", "192.0.2.1", 2 * MINUTE), False),
        ([("u-1", "192.0.2.1", 0)], ("u-2", "203.0.113.7", 2 * MINUTE), False),
        # Within the lateness the order is not known, so it does not count.
        ([("u-1", "192.0.2.1", 0)], ("u-1", "203.0.113.7", MINUTE), False),
        # A line that comes late moves the home to where the id really was first.
        (
            [("u-1", "203.0.113.7", 3 * MINUTE), ("u-1", "192.0.2.1", 0)],
            ("u-1", "203.0.113.7", 4 * MINUTE),
            True,
        ),
    ],
)
def test_elsewhere_is_another_address_a_minute_before(seen, asked, expected):
    homes = Homes()
    for one in seen:
        homes.is_elsewhere(*one)
    assert homes.is_elsewhere(*asked) is expected


def test_state_survives_a_restart():
    homes = Homes()
    homes.is_elsewhere("u-1", "192.0.2.1", 0)
    kept = list(homes.take_dirty())
    assert list(homes.take_dirty()) == []
    again = Homes()
    again.load(iter(kept))
    assert again.is_elsewhere("u-1", "203.0.113.7", 2 * MINUTE)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("intake.homes._MOST", 100)
    homes = Homes()
    for number in range(1_000):
        homes.is_elsewhere(f"u-{number}", "192.0.2.1", number)
    assert len(homes._recent) + len(homes._older) <= 200


def test_a_home_that_was_kept_as_an_address_is_its_64():
    homes = Homes()
    homes.load(iter([("u-1", msgspec.msgpack.encode(("2001:db8::1", 0)))]))
    assert not homes.is_elsewhere("u-1", "2001:db8::/64", 2 * MINUTE)
