import pytest

from intake.formats._unescaped import unescaped
from intake.line import Parsed, Unreadable

AT = 1_795_341_603_000
BEGIN = "192.0.2.1 - - [22/Nov/2026:10:00:03 +0000]"


def parsed(method="GET", target="/a", status=200, size=5, **rest):
    return Parsed(AT, "192.0.2.1", method, target, status, size, **rest)


CASES = [
    ("common", f'{BEGIN} "GET /a HTTP/1.1" 200 5', parsed()),
    ("no size", f'{BEGIN} "GET /a HTTP/1.1" 200 -', parsed(size=-1)),
    ("Reactor Netty", f'{BEGIN} "GET /a HTTP/1.1" 200 5 12', parsed()),
    ("Reactor Netty before 1.0", f'{BEGIN} "GET /a HTTP/1.1" 200 5 8080 12 ms', parsed()),
    ("a quote in the target", f'{BEGIN} "GET /a?x="y" HTTP/1.1" 200 5 12',
     parsed(target='/a?x="y"')),
    ("a backslash in the target", f'{BEGIN} "GET /a\\x22 HTTP/1.1" 200 5',
     parsed(target="/a\\x22")),
    ("an answer forged in the target of HTTP/2",
     f'{BEGIN} "GET /a HTTP/1.1" 200 5 1 HTTP/2.0" 403 0 3',
     parsed(target='/a HTTP/1.1" 200 5 1', status=403, size=0)),
    ("an absolute target", f'{BEGIN} "GET http://api.example.com/a HTTP/1.1" 200 5',
     parsed(host="api.example.com")),
    ("combined", f'{BEGIN} "GET /a HTTP/1.1" 200 5 "-" "curl/8"', parsed(user_agent="curl/8")),
    ("combined, time taken", f'{BEGIN} "GET /a HTTP/1.1" 200 5 "/b" "-" 12', parsed(referer="/b")),
    ("quotes in the agent", f'{BEGIN} "GET /a HTTP/1.1" 200 5 "-" "a "b" c"',
     parsed(user_agent='a "b" c')),
    ("an answer forged in the agent",
     f'{BEGIN} "GET /a HTTP/1.1" 403 5 "-" "x "GET /b HTTP/1.1" 200 7"',
     parsed(status=403, user_agent='x "GET /b HTTP/1.1" 200 7')),
    ("IPv6 in brackets, as Jetty has it",
     BEGIN.replace("192.0.2.1", "[2001:db8:0:0:0:0:0:1]") + ' "GET /a HTTP/1.1" 200 5',
     Parsed(AT, "[2001:db8:0:0:0:0:0:1]", "GET", "/a", 200, 5)),
    ("another field before the peer", f'www.example.com {BEGIN} "GET /a HTTP/1.1" 200 5', None),
    ("another field before an IPv6 peer",
     BEGIN.replace("192.0.2.1", "a.example 2001:db8::1") + ' "GET /a HTTP/1.1" 200 5', None),
    ("a program's name before the peer", f'web.0 nginx: {BEGIN} "GET /a HTTP/1.1" 200 5', None),
    ("X-Forwarded-For behind a host",
     f'a.example x, y{BEGIN[9:]} "GET /a HTTP/1.1" 200 5 "-" "-" "-"', None),
    ("a user with spaces", BEGIN.replace("- - ", "- ann lee ") + ' "GET /a HTTP/1.1" 200 5',
     parsed(asserted="ann lee", basic_user=True)),
    ("a month as Japan writes it",
     BEGIN.replace("Nov", "11\u6708") + ' "GET /a HTTP/1.1" 200 5', parsed()),
    ("a month as Korea writes it",
     BEGIN.replace("Nov", "11\uc6d4") + ' "GET /a HTTP/1.1" 200 5', parsed()),
    ("what ends in no number", f'{BEGIN} "GET /a HTTP/1.1" 200 5 "-" "a" b', None),
    ("one quoted field", f'{BEGIN} "GET /a HTTP/1.1" 200 5 "-"', None),
    ("a target with spaces in combined", f'{BEGIN} "GET /a b HTTP/1.1" 200 5 "-" "-"', None),
    ("no request", f'{BEGIN} "" 400 0', None),
    ("another text", "hello", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), CASES, ids=[c[0] for c in CASES])
def test_lines(name, text, expected):
    assert unescaped(text, vouched=False) == expected


def test_an_owner_who_vouches():
    text = f'{BEGIN} "GET /a HTTP/1.1" 200 5'
    assert unescaped(text, vouched=True) == parsed(logs_principal=True)
    text = text.replace("- - ", "- ann ")
    assert unescaped(text, vouched=True) == parsed(principal="ann", logs_principal=True)


def test_a_month_that_is_none():
    with pytest.raises(Unreadable):
        unescaped(BEGIN.replace("Nov", "13\u6708") + ' "GET /a HTTP/1.1" 200 5', vouched=False)


HOSTILE = [
    ("quotes", f'{BEGIN} "GET /a HTTP/1.1" 200 5 ', '" "'),
    ("answers", f'{BEGIN} "GET /a', ' HTTP/1.1" 200 5'),
    ("spaces in a user", "192.0.2.1 - ", "a "),
    ("times", "192.0.2.1 - ", " [a b]"),
    ("numbers", f'{BEGIN} "GET /a HTTP/1.1" 200 5', " 1"),
    ("digits", f'{BEGIN} "GET /a HTTP/1.1" 200 5 ', "1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "begin", "part"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_takes_no_longer_than_its_length(name, begin, part):
    # Whatever takes work like the square of the line does not get to an end here.
    for tail in ("", " x", '"'):
        huge = unescaped(begin + part * (1_000_000 // len(part)) + tail, vouched=False)
        short = unescaped(begin + part * 40 + tail, vouched=False)
        assert (huge is None) == (short is None)
