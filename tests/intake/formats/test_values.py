import pytest

from intake.formats._values import (
    Imprecise,
    first_status,
    first_time,
    is_refusal,
    joined,
    last_status,
    scalar,
    size_of,
    status_of,
    text,
    trace_id_of,
)
from intake.line import Unreadable

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("u-17", "u-17"), (" 17", " 17"), (17, "17"), (-1, "-1"), (17.0, "17"), (1e3, "1000"),
        (12345678901234567890123, "12345678901234567890123"), (["a", "b"], "a"), ([[17]], "17"),
        ("", None), ("-", None), (None, None), (True, None), (False, None), ({"id": 1}, None),
        ([], None), ([{}], None), (1.5, None), (NAN, None), (float("inf"), None),
    ],
)  # fmt: skip
def test_ids_as_text(value, expected):
    assert text(value) == expected


@pytest.mark.parametrize("value", [2.0**53, 1.2345678901234568e22, -1e300, [1e20]])
def test_floats_that_lost_digits_are_read_again(value):
    with pytest.raises(Imprecise):
        text(value)


def test_scalars_keep_their_type():
    values: list[object] = [1, 1.5, "a", ["b"], True, {}, None, "-"]
    assert [scalar(v) for v in values] == [1, 1.5, "a", "b", None, None, None, None]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0), (200, 200), ("200", 200), (" 404 ", 404), ("404 Not Found", 404), (200.0, 200),
        (0, 0), ("000", 0), (999, 999), ("", 0), ("-", 0), (True, 0), ({}, 0), ([], 0),
        ("502, 200", 200), ("502, 504 : 201", 201), ("502 : 200", 200), ("502, -", 0),
        (["502", 200], 200), ([200, [404]], 404), ("200 OK, as ever", 200), ([200.0], 200),
        (-1, 0), ("-1", 0), ("502, -1", 0),
    ],
)  # fmt: skip
def test_statuses(value, expected):
    assert status_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("502, 200", 200), ("200", 200), ("", 0), ("-", 0), ("soon", 0)]
)
def test_the_status_of_the_last_try(value, expected):
    assert last_status(value) == expected


@pytest.mark.parametrize(
    "value", ["REDACTED", "redacted", "[Redacted]", "<masked>", "***", "********", "[FILTERED]"]
)
def test_what_was_taken_out_is_not_there(value):
    assert (text(value), scalar(value), joined([value, "a"], ",")) == (None, None, "a")


@pytest.mark.parametrize("value", ["hidden", "masked", "**", "redacted-17", "[17]"])
def test_what_only_looks_like_it_is_there(value):
    assert text(value) == value


@pytest.mark.parametrize("value", ["ok", "2000", "502, x", 1000, -2, 200.5, NAN, "²00", 10**30])
def test_what_is_no_status(value):
    with pytest.raises(Unreadable) as caught:
        status_of(value)
    assert caught.value.reason == "bad_status"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, -1), (0, 0), (512, 512), ("0", 0), ("512", 512), (512.0, 512), ("x", -1), ("-5", -1),
        (-5, -1),
        (NAN, -1), ("9" * 30, -1), ("²", -1),
    ],
)  # fmt: skip
def test_sizes(value, expected):
    assert size_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"), (["a", "b, c"], "a, b, c"), (["a", None, "", {}], "a"), ([], None),
        (None, None), ("-", None),
    ],
)  # fmt: skip
def test_all_values_of_a_header(value, expected):
    assert joined(value, ", ") == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], 0), ([None, "-"], 0), (["success", 404], 404), (["200"], 200), ([0, None], 0)],
)
def test_the_first_value_that_is_a_status(values, expected):
    assert first_status(values) == expected


def test_only_values_that_are_no_status():
    with pytest.raises(Unreadable, match="bad_status"):
        first_status([None, "success", 2000])


def test_the_first_value_that_is_a_time():
    assert first_time([12, "soon", "2026-11-22T10:00:03Z", 1]) == 1_795_341_603_000
    assert first_time(["10:00:03", "2026-11-22"]) == 1_795_341_603_000, "as CloudFront's JSON"
    assert first_time(["2026-11-22", 12, "11:00:03.250+01:00"]) == 1_795_341_603_250


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "no_time"),
        ([None, "", "-"], "no_time"),
        ([None, "soon"], "bad_time"),
        ([5], "bad_time"),
        (["10:00:03"], "bad_time"),
        (["2026-11-22"], "bad_time"),
        (["10:00:03", "2026-11-32"], "bad_time"),
    ],
)
def test_no_time(values, reason):
    with pytest.raises(Unreadable) as caught:
        first_time(values)
    assert caught.value.reason == reason


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        (TRACE, TRACE),
        (TRACE.upper(), TRACE),
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"{TRACE}-b7ad6b7169203331-1", TRACE),
        ("b7ad6b7169203331", "b7ad6b7169203331"),
        (f"{TRACE}/123;o=1", TRACE),
        (f"projects/my-project/traces/{TRACE}", TRACE),
        (f"projects/a/b/traces/{TRACE}", None),
        ("Root=1-67891233-abcdef012345678912345678", "1-67891233-abcdef012345678912345678"),
        (
            "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678",
            "1-67891233-abcdef012345678912345678",
        ),
        ("1-67891233-abcdef012345678912345678", "1-67891233-abcdef012345678912345678"),
        ("0" * 32, None),
        ("somebody's own", None),
        ("a" * 1_000_000, None),
    ],
)
def test_trace_ids(logged, expected):
    assert trace_id_of(logged) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0, False), (200, False), (302, False), (400, True), (401, True), (403, True), (404, False),
     (429, True), (499, True), (500, False), (503, False)],
)  # fmt: skip
def test_a_gateways_own_answer_that_refused(status, expected):
    assert is_refusal(status) is expected
