import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats.nginx import FORMAT, is_address_list
from intake.line import Parsed
from intake.settings import IntakeSettings, LogFormat, Trust
from tests.intake.formats._lines import hex_escaped, readers, unlike

parse, outcome = readers(FORMAT)
AT = 1_795_341_603_000
TIME = "[22/Nov/2026:10:00:03 +0000]"
DASHES = '"-" "-"'
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"
ID = "0123456789abcdef0123456789abcdef"


def line(request="GET /a HTTP/1.1", *, peer="192.0.2.1", user="-", answer="200 5", rest=DASHES):
    return f'{peer} - {user} {TIME} "{request}" {answer} {rest}'.encode()


def parsed(method="GET", target="/a", status=200, size=5, peer="192.0.2.1", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


def managed(target="/a"):
    return (
        f'{TIME} - 502, 200 200 - GET https api.example.com "{target}" [Client 192.0.2.1] '
        '[Length 5] [Gzip 3.1] [Sent-to 10.0.0.5] "curl/8" "-"'
    ).encode()


CASES = [
    ("combined", line(rest=f'"https://app.example.com/" "{AGENT}"'),
     parsed(referer="https://app.example.com/", user_agent=AGENT)),
    ("nothing sent", line(answer="304 0"), parsed(status=304, size=0)),
    ("no size", line(answer="200 -"), parsed(size=-1)),
    ("no status", line(answer="- 0"), parsed(status=0, size=0)),
    ("basic user", line(user="ann"), parsed(asserted="ann", basic_user=True)),
    ("user with spaces", line(user="ann lee [x] y"),
     parsed(asserted="ann lee [x] y", basic_user=True)),
    ("user with escapes", line(user=r"a\x22b"), parsed(asserted='a"b', basic_user=True)),
    ("ipv6", line(peer="2001:db8::a:1"), parsed(peer="2001:db8::a:1")),
    ("ipv6, zone", line(peer="fe80::1%eth0"), parsed(peer="fe80::1%eth0")),
    ("unix socket", line(peer="unix:"), parsed(peer="unix:")),
    ("main, forwarded", line(rest=DASHES + ' "203.0.113.9, 198.51.100.2"'),
     parsed(forwarded="203.0.113.9, 198.51.100.2")),
    ("main, forwarded by v6", line(rest=DASHES + ' "2001:db8::9"'),
     parsed(forwarded="2001:db8::9")),
    ("main, not forwarded", line(rest=DASHES + ' "-"'), parsed()),
    ("forwarded, junk first", line(rest=DASHES + ' "x\\x22, 203.0.113.9"'),
     parsed(forwarded=r"x\x22, 203.0.113.9")),
    ("forwarded, junk only: no upstream instead", line(rest=DASHES + ' "junk" "10.0.0.5:80"'),
     parsed()),
    ("an upstream first", line(rest=DASHES + ' "10.0.0.5:8080" "0.003"'), parsed()),
    ("upstreams first", line(rest=DASHES + ' "172.16.0.4:80, unix:/run/a.sock"'), parsed()),
    ("a public client with its port", line(rest=DASHES + ' "203.0.113.9:40312"'),
     parsed(forwarded="203.0.113.9:40312")),
    ("a private client", line(rest=DASHES + ' "10.0.0.5"'), parsed(forwarded="10.0.0.5")),
    ("forwarded after bare times", line(rest=DASHES + ' 0.003 "203.0.113.9" 0.001'),
     parsed(forwarded="203.0.113.9")),
    ("named trailing fields", line(rest=DASHES + ' rt=0.1 ua="10.0.0.5:80" us="200"'), parsed()),
    ("request id", line(rest=f"{DASHES} 0.003 {ID}"), parsed(request_id=ID)),
    ("request id, quoted UUID",
     line(rest=DASHES + ' "-" "0f8fad5b-d9cb-469f-a165-70867728950e"'),
     parsed(request_id="0f8fad5b-d9cb-469f-a165-70867728950e")),
    ("hex that is not last is no request id", line(rest=f'{DASHES} "{ID}" 0.003'), parsed()),
    ("common: no referer, no agent", line(rest="").rstrip(), parsed()),
    ("escaped agent", line(rest=r'"-" "a\x22b\\c\xC3\xA9\xFFd"'),
     parsed(user_agent='a"b\\cé\\xffd')),
    ("quote escaped by a backslash", line(rest=r'"-" "a\"b"'), parsed(user_agent='a"b')),
    ("target with escapes", line(r"GET /a\x22b HTTP/1.1"), parsed(target='/a"b')),
    ("target with spaces", line("GET /a b  c HTTP/1.1"), parsed(target="/a b  c")),
    ("absolute target", line("GET http://u@api.example.com:80/a?x=1 HTTP/1.1"),
     parsed(target="/a?x=1", host="api.example.com:80")),
    ("absolute target without a path", line("GET http://api.example.com?x=1 HTTP/1.1"),
     parsed(target="/?x=1", host="api.example.com")),
    ("CONNECT", line("CONNECT api.example.com:443 HTTP/1.1", answer="400 0"),
     parsed("CONNECT", "api.example.com:443", 400, 0)),
    ("OPTIONS *", line("OPTIONS * HTTP/1.1"), parsed("OPTIONS", "*")),
    ("HTTP/2", line("POST /a HTTP/2.0"), parsed("POST")),
    ("HTTP/0.9", line("GET /a HTTP/0.9"), parsed()),
    ("no protocol", line("GET /a"), parsed()),
    ("unknown method", line("PROPFIND /a HTTP/1.1"), parsed("PROPFIND")),
    ("lower case is no other method", line("get /a HTTP/1.1"), parsed()),
    ("empty request", line("", answer="400 0"), parsed("", "", 400, 0)),
    ("dash request", line("-", answer="400 0"), parsed("", "", 400, 0)),
    ("TLS to a plain port", line(r"\x16\x03\x01\x02\x00", answer="400 150"),
     parsed("", "", 400, 150)),
    ("ssh", line("SSH-2.0-Go", answer="400 150"), parsed("", "", 400, 150)),
    ("method alone", line("GET", answer="400 150"), parsed("", "", 400, 150)),
    ("other protocol", line("HELO example.com", answer="400 150"), parsed("", "", 400, 150)),
    ("raw bytes in the agent", line().replace(b'"-" "-"', b'"-" "a\xff\xfe"'),
     parsed(user_agent="a\\xff\\xfe")),
    ("utf-8 in the agent", line(rest='"-" "Zoë"'), parsed(user_agent="Zoë")),
    ("NULs of copytruncate", b"\0" * 500 + line(), parsed()),
    ("BOM", b"\xef\xbb\xbf" + line(), parsed()),
    ("CR", line() + b"\r\n", parsed()),
    ("a line forged in the user name",
     line(user="x [01/Jan/2026:00:00:00 +0000] y"),
     parsed(asserted="x [01/Jan/2026:00:00:00 +0000] y", basic_user=True)),
    ("quotes that nobody escaped", line(rest='"-" "a "b" c"'), parsed(user_agent='a "b" c')),
    ("an answer forged in such an agent",
     line(answer="403 5", rest='"-" "x "GET /b HTTP/1.1" 200 7"'),
     parsed(status=403, user_agent='x "GET /b HTTP/1.1" 200 7')),
    ("a host between time and request", line().replace(b'] "', b'] api.example.com "'),
     parsed(host="api.example.com")),
    ("a host in quotes there", line().replace(b'] "', b'] "api.example.com:8080" "'),
     parsed(host="api.example.com:8080")),
    ("a word there that is no host", line().replace(b'] "', b'] 443 "'), parsed()),
    ("two spaces there", line().replace(b'] "', b']  "'), parsed()),
    ("an absolute target beats a host there",
     line("GET http://b.example/a HTTP/1.1").replace(b'] "', b'] a.example "'),
     parsed(host="b.example")),
    ("a time between size and referer", line(answer="200 5 0.012", rest='"-" "curl/8" "-"'),
     parsed(user_agent="curl/8")),
    ("X-Forwarded-For for the peer", line(peer="203.0.113.9, 198.51.100.2"),
     parsed(peer="", forwarded="203.0.113.9, 198.51.100.2")),
    ("X-Forwarded-For for the peer, junk first", line(peer="junk, 198.51.100.2"),
     parsed(peer="", forwarded="junk, 198.51.100.2")),
    ("a list in the user name is no X-Forwarded-For", line(user="x, 203.0.113.9 - y"),
     parsed(asserted="x, 203.0.113.9 - y", basic_user=True)),
    ("a host in the second place", line().replace(b" - - ", b" api.example.com - ann "),
     parsed(asserted="ann", basic_user=True)),
    ("a word in the second place", line().replace(b" - - ", b" https - "), parsed()),
    ("X-Forwarded-For before the peer: nobody knows where a client ended it",
     line(peer="203.0.113.9, x 192.0.2.1"), parsed(peer="", forwarded="203.0.113.9, x, 192.0.2.1")),
    ("X-Forwarded-For before the peer, in quotes", b'"203.0.113.9, 198.51.100.2" ' + line(),
     parsed(forwarded="203.0.113.9, 198.51.100.2")),
    ("no X-Forwarded-For before the peer", b'"-" ' + line(), parsed()),
    ("an escaped quote there", rb'"x\x22 203.0.113.8 - -, 203.0.113.9" ' + line(),
     parsed(forwarded=r"x\x22 203.0.113.8 - -, 203.0.113.9")),
    ("a host before all", b'api.example.com:80 "203.0.113.9" ' + line(),
     parsed(host="api.example.com", forwarded="203.0.113.9")),
    ("a host in quotes before all", b'"api.example.com" ' + line(), parsed(host="api.example.com")),
    ("a host before X-Forwarded-For for the peer",
     line(peer="api.example.com 203.0.113.9, 198.51.100.2"),
     parsed(peer="", host="api.example.com", forwarded="203.0.113.9, 198.51.100.2")),
    ("no user", line().replace(b" - - ", b" - "), parsed()),
    ("neither user nor dash", line().replace(b" - - ", b" "), parsed()),
    ("a time forged in the user where there is one", line(user=TIME),
     parsed(asserted=TIME, basic_user=True)),
    ("the time first", f'{TIME} 192.0.2.1 "GET /a HTTP/1.1" 200 5 {DASHES}'.encode(), parsed()),
    ("a request id between time and request", line().replace(b'] "', f'] {ID} "'.encode()),
     parsed(request_id=ID)),
    ("another id there is no host", line().replace(b'] "', b'] 006BXOa7PzbEoIXElvtlWJ1Z "'),
     parsed()),
    ("a host without a dot there", line().replace(b'] "', b'] orders "'), parsed(host="orders")),
    ("X-Forwarded-For by its name", line(rest=DASHES + ' X-Forwarded-For="203.0.113.9"'),
     parsed(forwarded="203.0.113.9")),
    ("named among others", line(rest=DASHES + ' rt=0.1 xff="203.0.113.9" us="200"'),
     parsed(forwarded="203.0.113.9")),
    ("a name forged in the agent",
     line(rest=r'"-" "x X-Forwarded-For=\x22203.0.113.8\x22" X-Forwarded-For="203.0.113.9"'),
     parsed(user_agent='x X-Forwarded-For="203.0.113.8"', forwarded="203.0.113.9")),
    ("a request id by its name", line(rest=f"{DASHES} rt=0.1 request_id={ID}"),
     parsed(request_id=ID)),
    ("a request id before the user, as BunkerWeb has it", line(user=f"{ID} ann"),
     parsed(asserted="ann", basic_user=True, request_id=ID)),
    ("no user behind it", line(user=f"{ID} -"), parsed(request_id=ID)),
    ("a user like a request id", line(user=ID), parsed(asserted=ID, basic_user=True)),
    ("another id by its name", line(rest=f"{DASHES} session={ID}"), parsed()),
    ("Tomcat's fields between size and referer",
     line(answer="200 5 192.0.2.9 + 400", rest='"-" "curl/8"'), parsed(user_agent="curl/8")),
    ("Nginx Proxy Manager", managed(),
     parsed(host="api.example.com", user_agent="curl/8", upstream_status="502, 200")),
    ("Nginx Proxy Manager, a field forged in the target",
     managed(target=r"/a\x22 [Client 203.0.113.9]"),
     parsed(target='/a" [Client 203.0.113.9]', host="api.example.com", user_agent="curl/8",
            upstream_status="502, 200")),
    ("a line forged in the agent",
     line(rest=rf'"-" "x\x22 {TIME} \x22GET /b HTTP/1.1\x22 200 1"'),
     parsed(user_agent=f'x" {TIME} "GET /b HTTP/1.1" 200 1')),
]  # fmt: skip

BAD = [
    ("json", b'{"a":1}', "not_this_format"),
    ("host name", line(peer="client.example.net"), "not_this_format"),
    (
        "a time forged in X-Forwarded-For for the peer",
        line(peer=f"203.0.113.9, 203.0.113.8 - x {TIME}, 198.51.100.2"),
        "not_this_format",
    ),
    (
        "an address before the peer: it is not known which is which",
        line(peer="198.51.100.2 192.0.2.1"),
        "not_this_format",
    ),
    ("X-Forwarded-For that ends in no address", line(peer="203.0.113.9, junk"), "not_this_format"),
    (
        "a piece of X-Forwarded-For like a user",
        line(peer="203.0.113.9, a - b, 198.51.100.2"),
        "not_this_format",
    ),
    ("a number for the peer", line(peer="190"), "not_this_format"),
    ("a clock for the peer", line(peer="10:00:03"), "not_this_format"),
    ("a priority before syslog's header", b"190 <190>1 x - - - " + line(), "not_this_format"),
    ("cut off", line()[:60], "not_this_format"),
    ("bad time", line().replace(b"Nov", b"Foo"), "bad_time"),
    ("time without an end", line().replace(b"]", b""), "not_this_format"),
    ("gzip", bytes(range(128, 256)) * 3, "binary"),
]


LINES = [*CASES, *BAD]


@pytest.mark.parametrize(("name", "data", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines(name, data, expected):
    assert outcome(data) == expected


def test_an_owner_who_vouches_for_remote_user():
    trust = Trust(principal="gateway")
    assert parse(line(user="ann"), trust=trust) == parsed(principal="ann", logs_principal=True)
    assert parse(line(), trust=trust) == parsed(logs_principal=True)
    like_an_id = parse(line(user=f"{ID} ann"), trust=trust)
    assert like_an_id == parsed(principal=f"{ID} ann", logs_principal=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", True), ("192.0.2.1:80", True), ("[2001:db8::1]:80", True), ("::1", True),
        ("x, 192.0.2.1", True), ("192.0.2.1, x", False), ("192.0.2.1,", False), ("-", False),
        ("", False), ("0.003", False), ("10:00:03", False), ("unknown", False),
        ("1" * 100, False),
    ],
)  # fmt: skip
def test_lists_of_addresses(text, expected):
    assert is_address_list(text) is expected


CUSTOM = '$remote_addr - $remote_user [$time_local] "$request" $status "$http_x_user_id"'


def test_configured_log_formats_come_first():
    log_format = LogFormat(nginx=[CUSTOM, f"{CUSTOM} $host"])
    begin = f'192.0.2.1 - - {TIME} "GET /a HTTP/1.1" 200'
    found = parse(f'{begin} "17"'.encode(), log_format=log_format)
    assert found == parsed(size=-1, claimed="17")
    found = parse(f'{begin} "17" h'.encode(), log_format=log_format)
    assert found == parsed(size=-1, claimed="17", host="h")
    assert parse(line(), log_format=log_format) == parsed(), "the usual ones are still read"
    assert outcome(b"hello", log_format=log_format) == "not_this_format"


def test_a_configured_log_format_that_says_too_little():
    settings = IntakeSettings(log_format=LogFormat(nginx=['[$time_local] "$request"']))
    with pytest.raises(ValueError, match="no client address"):
        FORMAT.parser(settings)


def test_sniff_does_not_take_a_clock_for_an_address():
    text = b"10:00:03.123 [a] INFO x - " + line()
    assert FORMAT.sniff([text]) == 0


def test_sniff_knows_nginx_proxy_manager():
    assert FORMAT.sniff([managed(), b"junk"]) == pytest.approx(0.45)


def test_sniff_knows_combined_and_not_common():
    assert FORMAT.sniff([line()] * 4) == pytest.approx(0.9)
    assert FORMAT.sniff([line(), b"junk", b"junk", b"\xff\0"]) == pytest.approx(0.225)
    assert FORMAT.sniff([line(rest="").rstrip()]) == 0
    assert FORMAT.sniff([b'{"a":1}']) == 0


@given(st.text(st.characters(codec="utf-8")))
def test_no_agent_can_lose_its_line(agent):
    expected = agent if agent not in {"", "-"} else None
    assert parse(line(rest=f'"-" "{hex_escaped(agent)}"')).user_agent == expected


def not_this_format(_):
    return "not_this_format"


# name, the line that has something n times, what becomes of it
HOSTILE = [
    ("brackets", lambda n: b"192.0.2.1 - " + b" [" * n, not_this_format),
    ("times", lambda n: b"192.0.2.1 - " + b" [a] " * n, not_this_format),
    ("quotes", lambda n: line()[:44] + b'"' * n, not_this_format),
    ("backslashes", lambda n: line()[:45] + b"\\" * n, not_this_format),
    ("spaces in a request", lambda n: line("GET " + " " * n + "x"), lambda _: parsed("", "")),
    ("spaces in a target", lambda n: line("GET /x" + " " * n + "x"),
     lambda n: parsed(target="/x" + " " * n + "x")),
    ("protocols", lambda n: line("GET /" + " HTTP/1.1x" * n),
     lambda n: parsed(target="/" + " HTTP/1.1x" * n)),
    ("trailing quotes", lambda n: line() + b' "' * n, lambda _: parsed()),
    ("forwarded", lambda n: line() + b' "' + b"1," * n + b'"', lambda _: parsed()),
    ("commas", lambda n: b"a, " * n + line(),
     lambda n: parsed(peer="", forwarded="a, " * n + "192.0.2.1")),
    ("words and commas", lambda n: b"a a, " * n + line(), not_this_format),
    ("quotes first", lambda n: b'"a" ' * n + line(), not_this_format),
    ("times first", lambda n: (TIME + " ").encode() * n + line(), not_this_format),
    ("brackets of a proxy manager", lambda n: managed() + b" [Client 1]" * n, not_this_format),
    ("names", lambda n: line() + b" x-forwarded-for=" * n, lambda _: parsed()),
    ("escapes", lambda n: line("GET /" + r"\xff" * n + " HTTP/1.1"),
     lambda n: parsed(target="/" + r"\xff" * n)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
