import pytest

from incidents.population import MOST, Population, block_of
from tests.incidents._world import HOUR, MINUTE, T0

IP = "203.0.113.7"


def seen(*pairs):
    """A population that saw (address, principal, minutes after T0), one batch each."""
    population = Population()
    for ip, name, minute in pairs:
        population.observe({(ip, name): T0 + minute * MINUTE})
    return population


CASES = [
    ("nobody at all", [], IP, None),
    ("nobody here", [("192.0.2.1", "n1", -5)], IP, 0),
    ("one", [(IP, "n1", -5)], IP, 1),
    ("one, often", [(IP, "n1", -5), (IP, "n1", -4), (IP, "n1", 0)], IP, 1),
    ("two", [(IP, "n1", -5), (IP, "n2", -4)], IP, 2),
    ("excluded", [(IP, "n1", -5), (IP, "bad", -4)], IP, 1),
    ("after the attack began", [(IP, "n1", 1)], IP, 0),
    ("before, and still there", [(IP, "n1", -5), (IP, "n1", 1)], IP, 1),
    ("over an hour ago, others lately", [(IP, "n1", -61), ("192.0.2.1", "n2", 0)], IP, 0),
    ("all over an hour ago", [(IP, "n1", -90)], IP, None),
    ("only the attacker is known", [(IP, "bad", -5)], IP, 0),
    ("one /64", [("2001:db8::1", "n1", -5), ("2001:db8::2", "n2", -5)], "2001:db8::3", 2),
    ("another /64", [("2001:db8:0:1::1", "n1", -5)], "2001:db8::3", 0),
    ("asked for as a /64", [("2001:db8::1", "n1", -5), ("2001:db8::2", "n2", -5)],
     "2001:db8::/64", 2),
    ("a /64 and its neighbour", [("2001:db8:0:1::1", "n1", -5)], "2001:db8::/64", 0),
    ("a /48 counts each /64", [("2001:db8:0:1::1", "n1", -5), ("2001:db8::1", "n2", -5)],
     "2001:db8::/48", 2),
    ("a network", [(IP, "n1", -5), ("203.0.113.9", "n2", -5), ("192.0.2.1", "n3", -5)],
     "203.0.113.0/24", 2),
    ("a /96 counts its whole /64", [("2001:db8::1", "n1", -5)], "2001:db8::5:0:0/96", 1),
    ("text that is no address", [("unknown", "n1", -5)], "203.0.113.0/24", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "target", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_innocents(pairs, target, expected):
    population = seen(*pairs)
    assert population.innocents(target, T0, T0, {"bad"}) == expected
    again = Population()
    again.load(population.take_dirty())
    assert again.innocents(target, T0, T0, {"bad"}) == expected
    assert population.take_dirty() == []


def test_a_coarse_batch_does_not_make_old_neighbours_look_new():
    population = Population()
    population.observe({(IP, "n1"): T0 + 5 * MINUTE}, since_ms=T0 - 5 * MINUTE)
    assert population.innocents(IP, T0, T0 + 6 * MINUTE) == 1


def test_what_two_hours_did_not_see_is_forgotten():
    population = seen(*((f"192.0.2.{n}", "n1", 0) for n in range(50)), (IP, "old", 0))
    population.observe({(IP, "n1"): T0 + 90 * MINUTE})
    assert len(population) == 51
    population.observe({(IP, "n1"): T0 + 181 * MINUTE})
    assert len(population) == 1
    dirty = dict(population.take_dirty())
    assert dirty["192.0.2.1"] == b""
    again = Population()
    again.load([("192.0.2.1", b""), (IP, dirty[IP])])
    assert again.innocents(IP, T0 + 3 * HOUR, T0 + 3 * HOUR + MINUTE) == 1


def test_one_address_remembers_a_bounded_crowd():
    population = Population()
    population.observe({(IP, f"n{n}"): T0 for n in range(10 * MOST)})
    assert population.innocents(IP, T0, T0) == MOST


def test_an_own_success_in_the_same_minute_is_not_written_again():
    population = seen((IP, "n1", 0))
    population.take_dirty()
    population.observe({(IP, "n1"): T0 + 59_000})
    assert population.take_dirty() == []


def test_an_address_costs_under_400_bytes():
    import tracemalloc

    tracemalloc.start()
    try:
        population = Population()
        for hour in range(2):
            for first in range(0, 50_000, 1000):
                population.observe(
                    {
                        (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", f"user-{n}"): T0 + hour * HOUR
                        for n in range(first, first + 1000)
                    }
                )
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(population) == 50_000
    assert used / len(population) < 400


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        (IP, IP),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_block_of(ip, expected):
    assert block_of(ip) == expected


ACTIVE = [
    ("nobody", [], 0, 0),
    ("each once, wherever", [(IP, "n1", 0), ("192.0.2.1", "n1", 0), (IP, "n2", 0)], 0, 2),
    ("within the hour", [(IP, "n1", 0), ("192.0.2.1", "n2", 61)], 60, 1),
    ("over an hour ago", [(IP, "n1", 0), ("192.0.2.1", "n2", 61)], 61, 1),
]


@pytest.mark.parametrize(
    ("pairs", "at_min", "expected"), [c[1:] for c in ACTIVE], ids=[c[0] for c in ACTIVE]
)
def test_active(pairs, at_min, expected):
    population = seen(*pairs)
    assert population.active(T0 + at_min * MINUTE, 100) == expected
    assert population.active(T0 + at_min * MINUTE, 1) == min(expected, 1)


def test_the_names_behind_an_address():
    population = seen((IP, "n1", -5), (IP, "n2", 5), ("192.0.2.1", "n3", -5))
    assert population.innocent(IP, T0, T0) == {"n1"}
