from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.query import values
from tests._events import NOON_MS

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MIDNIGHT_MS = NOON_MS - 12 * HOUR_MS
TIMES = [
    ("2026-11-22", MIDNIGHT_MS, DAY_MS),
    ("2026-11-22T12", NOON_MS, HOUR_MS),
    ("2026-11-22T12:00", NOON_MS, 60_000),
    ("2026-11-22 12:00:00", NOON_MS, 1000),
    ("2026-11-22t12:00:00z", NOON_MS, 1000),
    ("2026-11-22T12:00:00.000Z", NOON_MS, 1),
    ("2026-11-22T12:00:00,0019Z", NOON_MS + 1, 1),
    ("2026-11-22T13:30:00+01:30", NOON_MS, 1000),
    ("2026-11-22T11:00-0100", NOON_MS, 60_000),
    ("1795348800000", NOON_MS, 1),
    ("now", NOON_MS, 1),
    ("now-1h", NOON_MS - HOUR_MS, 1),
    ("now-1w+2d-30s", NOON_MS - 5 * DAY_MS - 30_000, 1),
]


@pytest.mark.parametrize(("text", "first", "length"), TIMES, ids=[c[0] for c in TIMES])
def test_times(text, first, length):
    assert values.time_span(text, NOON_MS) == (first, first + length)


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-13-01", "2026-11-22T25", "2026-11-22T12:00:00+25:00", "22/Nov/2026", "now/d",
     "now-1", "now-1y", "now-999999999w", "yesterday", "0000-01-01", "12:00"],
)  # fmt: skip
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="is no time: write 2026-11-22, "):
        values.time_span(text, NOON_MS)


READERS = [
    (values.whole_number, "-17", -17),
    (values.whole_number, "+017", 17),
    (values.whole_number, str(10**18), 10**18),
    (values.decimal, "-.5e1", -5.0),
    (values.decimal, "3", 3.0),
    (values.truth, "true", True),
    (values.truth, "false", False),
    (values.single, 0.1, 0.10000000149011612),
    (values.network, "192.0.2.7/25", ("192.0.2.0/25", *(0xFFFF_C000_0200 + n for n in (0, 127)))),
    (values.network, "::/0", ("::/0", 0, 2**128 - 1)),
    (values.network, "::ffff:192.0.2.0/120", values.network("192.0.2.0/24")),
]


@pytest.mark.parametrize(("read", "text", "value"), READERS)
def test_what_is_read(read, text, value):
    assert read(text) == value


WRONG = [
    (values.whole_number, ["", "1.5", "0x1", "1_0", "٣", str(10**18 + 1), "9" * 40]),
    (values.decimal, ["", ".", "1e999", "nan", "inf", "1_0.5", "4e38"]),
    (values.truth, ["", "True", "1", "yes"]),
    (values.address, ["", "1.2.3", "01.2.3.4", "fe80::1%eth0", "1.2.3.4/32", "host"]),
    (values.network, ["", "1.2.3.4/33", "1.2.3.4/x", "fe80::%1/64", "host/8", "::/129"]),
]


@pytest.mark.parametrize(("read", "texts"), WRONG)
def test_what_is_refused(read, texts):
    for text in texts:
        with pytest.raises(ValueError, match=r"is no |write "):
            read(text)


@given(st.ip_addresses())
def test_an_address_and_its_number(found):
    number = values.address_number(found)
    assert values.address(values.address_of(number)) == values.address(str(found))
    assert 0 <= number < 2**128


def test_addresses_are_in_elasticsearchs_order():
    ordered = ["::", "::1", "0.0.0.0", "192.0.2.1", "255.255.255.255", "::1:0:0:0", "2001:db8::"]
    numbers = [values.address_number(ip_address(text)) for text in ordered]
    assert numbers == sorted(numbers)


PIECES = [
    ("abc", [("abc", False)]),
    ("a*b?", [("a", False), ("*", True), ("b", False), ("?", True)]),
    (r"a\*b\\", [("a*b\\", False)]),
    ("**", [("*", True), ("*", True)]),
    ("a\\", [("a\\", False)]),
    ("", []),
]


@pytest.mark.parametrize(("pattern", "pieces"), PIECES, ids=[repr(c[0]) for c in PIECES])
def test_pieces(pattern, pieces):
    assert values.pieces(pattern) == pieces


WORDS = [
    ("203.0.113.7 claimed 12 user ids", ["203.0.113.7", "claimed", "12", "user", "ids"]),
    ("u-17 /users/u_18:x", ["u", "17", "users", "u_18", "x"]),
    ("Don't 3,000 x.1 a.b _ __", ["don't", "3,000", "x", "1", "a.b"]),
    ("日本 カタカナ x", ["日", "本", "カタカナ", "x"]),
    ("x" * 300, ["x" * 255, "x" * 45]),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_words(text, words):
    assert values.words(text) == words
