import pytest

from intake.formats._putters import PUTTERS, internal, put_of
from intake.line import Parsed

TRACE = "0af7651916cd43dd8448eb211c80319c"


def line(**fields):
    return Parsed(0, "192.0.2.1", "GET", "/a", 200, **fields)


CASES = [
    ("addresses of two headers", "forwarded", ["6.6.6.6", "203.0.113.9"],
     line(forwarded="6.6.6.6, 203.0.113.9")),
    ("elements", "forwarded_elements", ["for=6.6.6.6", "for=203.0.113.9"],
     line(forwarded_elements="for=6.6.6.6, for=203.0.113.9")),
    ("client", "client", "203.0.113.9", line(client="203.0.113.9")),
    ("a code that says what the status does", "code", 404, line()),
    ("hop", "hop", "203.0.113.9", line(forwarded="203.0.113.9")),
    ("cookie", "cookie", "theme=dark; sid=abc", line(session="abc")),
    ("no session in the cookie", "cookie", "theme=dark", line()),
    ("authorization", "authorization", ["Bearer abc"], line(authorization="Bearer abc")),
    ("remote user", "remote_user", "ann", line(asserted="ann", basic_user=True)),
    ("owners", "owners", ["18, 19", 20, None], line(owners=("18", "19", "20"))),
    ("trace", "trace", f"00-{TRACE}-b7ad6b7169203331-01", line(trace_id=TRACE)),
    ("where a redirect leads", "redirect", "/login", line(location="/login")),
    ("the region of a cloud", "redirect", "West Europe", line()),
    ("what is no trace", "trace", "mine", line()),
    ("upstream statuses", "upstream_status", [502, 200], line(upstream_status="502, 200")),
    ("upstream status", "upstream_status", 200, line(upstream_status="200")),
    ("a further identity header", "claim:2", ["18", 19], line(other_claims=((2, "18,19"),))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "field", "value", "expected"), CASES, ids=[case[0] for case in CASES]
)
def test_values(name, field, value, expected):
    parsed = line()
    put_of(field)(parsed, value)
    assert parsed == expected


@pytest.mark.parametrize("field", [*sorted(PUTTERS), "claim:1", "internal:X-Debug"])
@pytest.mark.parametrize("value", [None, "", "-", [], [None], {}, {"a": 1}, True])
def test_what_says_nothing_changes_nothing(field, value):
    parsed = line()
    put_of(field)(parsed, value)
    assert parsed == line()


@pytest.mark.parametrize("value", ["REDACTED", ["REDACTED"], "Bearer ***", "Basic [redacted]"])
def test_a_credential_that_was_taken_out_is_neither_there_nor_missing(value):
    parsed = line(logs_principal=True)
    PUTTERS["authorization"](parsed, value)
    assert parsed == line()


def test_identity_headers_keep_their_order_and_the_best_place_wins():
    parsed = line()
    for at, said in ((2, "19"), (1, "17"), (1, "18")):
        put_of(f"claim:{at}")(parsed, said)
    assert parsed == line(other_claims=((1, "18"), (2, "19")))


def test_a_second_client_that_differs():
    parsed = line()
    for address in ("203.0.113.9", "203.0.113.9", "198.51.100.2"):
        PUTTERS["client"](parsed, address)
    assert parsed == line(client="203.0.113.9, 198.51.100.2")


def test_a_better_user_stays():
    parsed = line(asserted="17")
    PUTTERS["remote_user"](parsed, "ann")
    assert parsed == line(asserted="17")


def test_internal_headers_by_name_once():
    parsed = line()
    for value in ("1", "2", ""):
        internal("X-Debug")(parsed, value)
    assert parsed == line(internal=("X-Debug",))


@pytest.mark.parametrize(
    ("value", "status"), [(404, 404), (0, 0), (7, 0), (1000, 0), ("404", 0), ("E17", 0), (None, 0)]
)
def test_a_code_is_a_status_if_it_looks_like_one(value, status):
    parsed = Parsed(0, "192.0.2.1", "GET", "/a", 0)
    put_of("code")(parsed, value)
    assert parsed.status == status
