from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.line import Unreadable
from intake.times import parse_time

AT = 1_795_341_603_000  # 2026-11-22T10:00:03Z

CASES = [
    ("common log", "22/Nov/2026:10:00:03 +0000", AT),
    ("common log, east", "22/Nov/2026:15:30:03 +0530", AT),
    ("common log, west", "22/Nov/2026:02:00:03 -0800", AT),
    ("common log, brackets", "[22/Nov/2026:10:00:03 +0000]", AT),
    ("common log, month in capitals", "22/NOV/2026:10:00:03 +0000", AT),
    ("haproxy: fraction, no zone", "22/Nov/2026:10:00:03.120", AT + 120),
    ("iso, Z", "2026-11-22T10:00:03Z", AT),
    ("iso, ms and Z", "2026-11-22T10:00:03.120Z", AT + 120),
    ("iso, offset with colon", "2026-11-22T10:00:03+00:00", AT),
    ("iso, offset without colon", "2026-11-22T12:00:03+0200", AT),
    ("iso, offset of hours", "2026-11-22T12:00:03+02", AT),
    ("iso, other day", "2026-11-23T00:00:03.5+14:00", AT + 500),
    ("iso, no zone is UTC", "2026-11-22T10:00:03", AT),
    ("iso, space", "2026-11-22 10:00:03", AT),
    ("iso, lower case", "2026-11-22t10:00:03z", AT),
    ("iso, comma", "2026-11-22 10:00:03,120", AT + 120),
    ("iso, one digit", "2026-11-22T10:00:03.1Z", AT + 100),
    ("iso, us are cut", "2026-11-22T10:00:03.120999Z", AT + 120),
    ("iso, ns are cut", "2026-11-22T10:00:03.999999999+00:00", AT + 999),
    ("iso, slashes", "2026/11/22 10:00:03", AT),
    ("iso, basic", "20261122T100003Z", AT),
    ("iso, zone name", "2026-11-22 10:00:03 UTC", AT),
    ("leap second", "2026-11-22T09:59:60Z", AT - 3000),
    ("rfc 1123", "Sun, 22 Nov 2026 10:00:03 GMT", AT),
    ("rfc 1123, offset", "Sun, 22 Nov 2026 11:00:03 +0100", AT),
    ("rfc 850 like", "Sunday, 22-Nov-2026 10:00:03 GMT", AT),
    ("white space", " 2026-11-22T10:00:03.120Z\n", AT + 120),
    ("iso, brackets", "[2026-11-22T10:00:03.120Z]", AT + 120),
    ("iso, ns and Z", "2026-11-22T10:00:03.120456789Z", AT + 120),
    ("iso, us and an offset", "2026-11-22T11:00:03.120456+01:00", AT + 120),
    ("iso, a zone's name", "2026-11-22 11:00:03 CET", AT),
    ("iso, a zone's name, summer", "2026-07-22T12:00:03 CEST", AT - 123 * 86_400_000),
    ("iso, compact", "20261122100003", AT),
    ("iso, compact with ms", "20261122100003120", AT + 120),
    ("Go", "2026-11-22 10:00:03.120456789 +0000 UTC", AT + 120),
    ("Go, elsewhere", "2026-11-22 05:00:03 -0500 EST", AT),
    ("Go, nameless zone", "2026-11-22 06:30:03 -0330 -0330", AT),
    ("Go, with its clock", "2026-11-22 10:00:03.120456789 +0000 UTC m=+0.000012345", AT + 120),
    ("asctime", "Sun Nov 22 10:00:03 2026", AT),
    ("asctime, a day of one digit", "Sun Nov  1 10:00:03 2026", AT - 21 * 86_400_000),
    ("Apache's errors", "[Sun Nov 22 10:00:03.120456 2026]", AT + 120),
    ("date(1), Java", "Sun Nov 22 10:00:03 UTC 2026", AT),
    ("date(1), elsewhere", "Sun Nov 22 02:00:03 PST 2026", AT),
    ("Ruby", "Sun Nov 22 10:00:03 +0000 2026", AT),
    ("syslog with a year", "Nov 22 2026 10:00:03", AT),
    ("syslog with a year behind", "Nov 22 10:00:03.120 2026", AT + 120),
    ("rfc 1123, a zone's name", "Sun, 22 Nov 2026 05:00:03 EST", AT),
    ("scientific", "1.795341603E9", AT),
    ("scientific with ms", "1.79534160312e+09", AT + 120),
    ("scientific, ms", "1.79534160312E12", AT + 120),
    ("seconds", 1_795_341_603, AT),
    ("seconds with ms, float", 1795341603.12, AT + 120),
    ("float just under a ms", 1795341603.1199999, AT + 120),
    ("seconds, text", "1795341603", AT),
    ("nginx msec, text", "1795341603.120", AT + 120),
    ("seconds with ns, text", "1795341603.120999999", AT + 120),
    ("ms", 1_795_341_603_120, AT + 120),
    ("ms, float", 1_795_341_603_120.9, AT + 120),
    ("ms, text", "1795341603120", AT + 120),
    ("us", 1_795_341_603_120_999, AT + 120),
    ("ns", 1_795_341_603_120_999_999, AT + 120),
    ("ns, text", "1795341603120999999", AT + 120),
    ("after 2038", "2040-01-01T00:00:00Z", 2_208_988_800_000),
    ("after 2038, seconds", 2_208_988_800, 2_208_988_800_000),
    ("first", "1990-01-01T00:00:00Z", 631_152_000_000),
    ("first, seconds", 631_152_000, 631_152_000_000),
    ("last", "2100-12-31T23:59:59.999Z", 4_133_980_799_999),
]

BAD = [
    "", "-", "yesterday", "22/Nov/2026", "22/Foo/2026:10:00:03 +0000", "2026-13-01T00:00:00Z",
    "2026-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z", "2026-11-22T10:00:61Z",
    "2026-11-22T10:00:03+99:00", "2026-11-22T10:00:03+00:99", "2026-11-22T10:00:03.Z",
    "2026-11-22T10:00:03.1234567891Z", "1989-12-31T23:59:59Z", "2101-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-11-22T10:00:03.120X",
    "٢٠٢٦-11-22T10:00:03Z", "2026-11-22T10:00:03 BST", "2026-11-22T10:00:03 CST",
    "2026-11-22T10:00:03Z UTC", "Nov 22 10:00:03", "Sun Nov 22 10:00:03",
    "Nov 22 2026 10:00:03 2026", "2026-11-22T10:00:03.12x456Z", "20261322100003",
    "20261122250003", "1.7e99", "1e", "1.795341603e-9",
    "1" * 5000, "0", "-1795341603", "nan", "1795341603.1.2",
    0, -1, 631_151_999, 10**10, 10**40, -(10**40), float("nan"), float("inf"), float("-inf"), 0.003,
    631_151_999.9, 1e300, True, None, [1_795_341_603], {"$date": 1},
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), CASES, ids=[c[0] for c in CASES])
def test_times_that_logs_write(name, value, expected):
    assert parse_time(value) == expected
    assert parse_time(value) == expected, "and again, from memory"


@pytest.mark.parametrize("value", BAD, ids=[repr(value)[:40] for value in BAD])
def test_what_is_no_time_of_1990_to_2100(value):
    with pytest.raises(Unreadable) as caught:
        parse_time(value)
    assert caught.value.reason == "bad_time"


@given(st.one_of(st.text(), st.floats(), st.integers(), st.from_regex(r"[\dT:.,Z+/ -]{1,40}")))
def test_anything_is_a_time_within_bounds_or_unreadable(value):
    try:
        found = parse_time(value)
    except Unreadable as why:
        assert why.reason == "bad_time"  # noqa: PT017  nothing else may leave
    else:
        assert 631_152_000_000 <= found < 4_133_980_800_000


@given(st.integers(631_152_000, 4_133_980_799))
def test_every_second_reads_the_same_in_every_form(seconds):
    moment = datetime.fromtimestamp(seconds, UTC)
    for value in (
        f"{moment:%Y-%m-%dT%H:%M:%S}Z",
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"{moment:%d/%b/%Y:%H:%M:%S} +0000",
        f"{moment:%a, %d %b %Y %H:%M:%S} GMT",
        f"{seconds}.000",
        seconds,
        seconds * 1000,
        seconds * 1_000_000_000,
    ):
        assert parse_time(value) == seconds * 1000


SUMMER_ENDS = [
    (
        "in local time with its offset",
        "25/Oct/2026:02:59:59 +0200",
        "25/Oct/2026:02:00:00 +0100",
        1,
    ),
    ("in ISO", "2026-10-25T02:59:59.500+02:00", "2026-10-25T02:00:00.500+01:00", 1),
    ("named", "2026-10-25 02:59:59 CEST", "2026-10-25 02:00:00 CET", 1),
    ("without a zone it cannot be known", "2026-10-25 02:59:59", "2026-10-25 02:00:00", -3599),
]


@pytest.mark.parametrize(("name", "before", "after", "seconds"), SUMMER_ENDS)
def test_the_end_of_summer_time(name, before, after, seconds):
    assert parse_time(after) - parse_time(before) == seconds * 1000, name
