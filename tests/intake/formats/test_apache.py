import pytest

from intake.formats.apache import FORMAT
from intake.line import Parsed
from intake.settings import LogFormat, Trust
from tests.intake.formats._lines import readers

AT = 1_795_341_603_000
TIME = "[22/Nov/2026:10:00:03 +0000]"


def line(request="GET /a HTTP/1.1", *, peer="192.0.2.1", user="-", answer="200 5", rest=""):
    return f'{peer} - {user} {TIME} "{request}" {answer}{rest}'.encode()


def parsed(method="GET", target="/a", status=200, size=5, peer="192.0.2.1", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


CASES = [
    ("common", line(), parsed()),
    ("common, no body", line(answer="304 -"), parsed(status=304, size=0)),
    ("combined", line(rest=' "https://app.example.com/" "curl/8"'),
     parsed(referer="https://app.example.com/", user_agent="curl/8")),
    ("vhost_combined", line(peer="www.example.com:443 192.0.2.1", rest=' "-" "curl/8"'),
     parsed(host="www.example.com", user_agent="curl/8")),
    ("vhost_common", line(peer="www.example.com:80 2001:db8::1"),
     parsed(peer="2001:db8::1", host="www.example.com")),
    ("a virtual host without a port", line(peer="www.example.com 192.0.2.1"),
     parsed(host="www.example.com")),
    ("a virtual host without a port, IPv6",
     line(peer="www.example.com 2001:db8::a:1", rest=' "-" "curl/8"'),
     parsed(peer="2001:db8::a:1", host="www.example.com", user_agent="curl/8")),
    ("a virtual host and the name of the peer",
     line(peer="www.example.com client.example.net", user="ann"),
     parsed(peer="client.example.net", host="www.example.com", asserted="ann", basic_user=True)),
    ("an address and a name: the address is the peer", line(peer="192.0.2.1 www.example.com"),
     parsed()),
    ("a user name like more fields", line(user="- x"), parsed(asserted="- x", basic_user=True)),
    ("X-Forwarded-For behind a virtual host", line(peer="www.example.com 203.0.113.9, 192.0.2.9"),
     parsed(peer="", host="www.example.com", forwarded="203.0.113.9, 192.0.2.9")),
    ("X-Forwarded-For in quotes before the peer",
     line(peer='www.example.com:80 "203.0.113.9, x" 192.0.2.1'), parsed(host="www.example.com")),
    ("BunkerWeb: a request id before the user",
     line(peer="www.example.com 192.0.2.1", user="0123456789abcdef0123456789abcdef -"),
     parsed(host="www.example.com", request_id="0123456789abcdef0123456789abcdef")),
    ("Oracle HTTP Server", line().replace(b'] "', b'] 006BXOa7PzbEoIXElvtlWJ001FXh00001Z "'),
     parsed()),
    ("numbers between bytes and referer", line(rest=' 1234 + X "/b" "curl/8" "203.0.113.9"'),
     parsed(referer="/b", user_agent="curl/8", forwarded="203.0.113.9")),
    ("X-Forwarded-For by its name", line(rest=' "-" "-" X-Forwarded-For="203.0.113.9"'),
     parsed(forwarded="203.0.113.9")),
    ("no user", line().replace(b" - - ", b" "), parsed()),
    ("the time first", f'{TIME} 192.0.2.1 "GET /a HTTP/1.1" 200 5'.encode(), parsed()),
    ("an address in its place", line(peer="198.51.100.2 192.0.2.1"), parsed()),
    ("nothing in its place", line(peer="- 192.0.2.1"), parsed()),
    ("an address in the user name is no peer", line(user="192.0.2.9 - x"),
     parsed(asserted="192.0.2.9 - x", basic_user=True)),
    ("X-Forwarded-For in the peer's place", line(peer="203.0.113.9, 198.51.100.2"),
     parsed(peer="", forwarded="203.0.113.9, 198.51.100.2")),
    ("no peer", line(peer="-"), parsed(peer="")),
    ("IPv6 in brackets, as Jetty has it", line(peer="[2001:db8:0:0:0:0:0:1]"),
     parsed(peer="[2001:db8:0:0:0:0:0:1]")),
    ("host name", line(peer="client.example.net"), parsed(peer="client.example.net")),
    ("ipv6 that ends like a port", line(peer="2001:db8::a:1"), parsed(peer="2001:db8::a:1")),
    ("identd", line().replace(b" - - ", b" idt ann "), parsed(asserted="ann", basic_user=True)),
    ("user with spaces", line(user="ann lee"), parsed(asserted="ann lee", basic_user=True)),
    ("empty user", line(user='""'), parsed()),
    ("user with a quote", line(user=r"a\"b"), parsed(asserted='a"b', basic_user=True)),
    ("escapes", line(r"GET /a\"b\x01\tc HTTP/1.1"), parsed(target='/a"b\x01\tc')),
    ("time-out", line("-", answer="408 -"), parsed("", "", 408, 0)),
    ("TLS to a plain port", line(r"\x16\x03\x01", answer="400 226"), parsed("", "", 400, 226)),
    ("absolute target beats virtual host",
     line("GET http://api.example.com/a HTTP/1.1", peer="www.example.com:80 192.0.2.1"),
     parsed(host="api.example.com")),
    ("forwarded and request id",
     line(rest=' "-" "-" "203.0.113.9" 0f8fad5b-d9cb-469f-a165-70867728950e'),
     parsed(forwarded="203.0.113.9", request_id="0f8fad5b-d9cb-469f-a165-70867728950e")),
    ("duration", line(rest=' "-" "-" 1234'), parsed()),
    ("a line forged in the referer of an IPv6 client",
     line(peer="2001:db8::a:1", user="bob",
          rest=' "z [01/Jan/2026:00:00:00 +0000] " " 200 5 x"'),
     parsed(peer="2001:db8::a:1", asserted="bob", basic_user=True,
            referer="z [01/Jan/2026:00:00:00 +0000] ", user_agent=" 200 5 x")),
    ("quotes that nobody escaped", line('GET /a?x="y" HTTP/1.1', rest=" 12"),
     parsed(target='/a?x="y"', size=5)),
    ("quotes in an agent that nobody escaped", line(rest=' "-" "a "b" c" 12'),
     parsed(user_agent='a "b" c')),
    ("common and one quoted field", line(rest=' "203.0.113.9"'), parsed(forwarded="203.0.113.9")),
    ("raw bytes", line(rest=' "-" "a"').replace(b'"a"', b'"a\xff"'), parsed(user_agent="a\\xff")),
    ("NULs and CR", b"\0\0" + line() + b"\r", parsed()),
]  # fmt: skip


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "data", "expected"), CASES, ids=[c[0] for c in CASES])
def test_lines(name, data, expected):
    assert parse(data) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "not_this_format"),
        (b"2026-11-22 " + line(), "not_this_format"),
        (b"10:00:03.123 " + line(), "not_this_format"),
        (b"2026-11-22T10:00:03Z " + line(), "not_this_format"),
        (line().replace(b"Nov", b"Foo"), "bad_time"),
        (line(answer="2000 5"), "not_this_format"),
        (line(peer="www.example.com 203.0.113.9, junk"), "not_this_format"),
        (line(peer="web.0 nginx: 192.0.2.1", rest=' "-" "-"'), "not_this_format"),
        (line(peer="203.0.113.9, a - b, 198.51.100.2"), "not_this_format"),
        (b"\0" * 50, "binary"),
    ],
)
def test_what_is_no_line(data, reason):
    assert outcome(data) == reason


def test_an_owner_who_vouches_for_remote_user():
    trust = Trust(principal="gateway")
    assert parse(line(user="ann"), trust=trust) == parsed(principal="ann", logs_principal=True)
    assert parse(line(), trust=trust) == parsed(logs_principal=True)


def test_configured_log_formats_come_first():
    log_format = LogFormat(apache=[r"%h %l %u %t \"%r\" %>s %b \"%{X-User-ID}i\""])
    found = parse(line(answer="304 -", rest=' "17"'), log_format=log_format)
    assert found == parsed(status=304, size=0, claimed="17")
    usual = parse(line(rest=' "-" "-"'), log_format=log_format)
    assert usual == parsed(), "the usual ones are still read"


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("common", [line()], 0.85),
        ("virtual hosts", [line(peer="h.example:80 192.0.2.1", rest=' "-" "-"')], 0.85),
        ("host names", [line(peer="c.example.net", rest=' "-" "-"')], 0.85),
        ("plain combined may be nginx", [line(rest=' "-" "-"')], 0.5),
        ("one host name among addresses",
         [line(rest=' "-" "-"')] * 3 + [line(peer="c.example.net", rest=' "-" "-"')], 0.85),
        ("quotes that nobody escaped", [line(rest=' "-" "a "b" c"')], 0.5),
        ("half of it junk", [line(), b"junk"], 0.425),
        ("junk", [b"junk"], 0),
    ],
)  # fmt: skip
def test_sniff(name, lines, expected):
    assert FORMAT.sniff(lines) == pytest.approx(expected)
