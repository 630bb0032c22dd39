import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats.haproxy import FORMAT
from intake.line import Parsed
from tests.intake.formats._lines import readers, unlike

parse, outcome = readers(FORMAT)
AT = 1_795_341_603_120
HEAD = "[22/Nov/2026:10:00:03.120] http-in"
TIMERS = "10/0/30/69/109"
COUNTS = "1/1/1/1/0 0/0"
TLS = " 0/0/0/0/0 api.example.com/TLSv1.3/TLS_AES_256_GCM_SHA384"


def line(
    request="GET /a HTTP/1.1", *, peer="192.0.2.1:33317", server="static/srv1", timers=TIMERS,
    answer="200 2750", cookies="- -", end="----", headers="", rest="",
):  # fmt: skip
    return (
        f"{peer} {HEAD} {server} {timers} {answer} {cookies} {end} {COUNTS}"
        f'{headers} "{request}"{rest}'
    ).encode()


def parsed(method="GET", target="/a", status=200, size=-1, peer="192.0.2.1", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


def clf(request="GET /a HTTP/1.1", *, answer="200 2750", server="srv1", end="----", rest='"" ""'):
    return (
        f'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "{request}" {answer} "" "" 33317 120 '
        f'"http-in" "static" "{server}" 10 0 30 69 109 {end} 1 1 1 1 0 0 0 {rest}'
    ).encode()


FAKE = f'- ---- {COUNTS} "GET /fake HTTP/1.1"'
CASES = [
    ("httplog", line(), parsed()),
    ("httpslog", line(rest=TLS), parsed()),
    ("process before it", b"haproxy[14389]: " + line(), parsed()),
    ("log format short", b"<6>" + line(), parsed()),
    ("log format timed", b"<134>2026-11-22T11:00:03.230112+01:00 " + line(), parsed()),
    ("log format iso", b"2026-11-22T10:00:03.230112+00:00 " + line(), parsed()),
    ("clf", clf(), parsed()),
    ("clf, process before it", b"haproxy[1]: " + clf(), parsed()),
    ("clf, escaped", clf("GET /a#22b HTTP/1.1"), parsed(target='/a"b')),
    ("clf, denied by a rule", clf(answer="403 192", server="<NOSRV>", end="PR--"),
     parsed(status=403, blocked_by="haproxy")),
    ("clf, aborted before an answer", clf("<BADREQ>", answer="-1 0", end="CR--"),
     parsed("", "", 0, 0)),
    ("clf, session cookie and headers", clf(rest='"JSESSIONID=s1" "" "api.example.com" "x"'),
     parsed(session="s1")),
    ("clf, cut", clf()[:-40], parsed()),
    ("clf, a line forged in a cookie",
     clf(rest='"a" 1 "GET /fake HTTP/1.1" 403 9 "" "" 1 120 "f" "b" "s"" ""'), parsed()),
    ("ipv6", line(peer="2001:db8::1:443"), parsed(peer="2001:db8::1")),
    ("mapped ipv4", line(peer="::ffff:192.0.2.1:443"), parsed(peer="::ffff:192.0.2.1")),
    ("unix socket", line(peer="unix:1"), parsed(peer="unix:")),
    ("TLS frontend", line().replace(b"http-in", b"https-in~"), parsed()),
    ("http/2 names its host", line("GET https://api.example.com/a?x=1 HTTP/2.0"),
     parsed(target="/a?x=1", host="api.example.com")),
    ("no request at all", line("<BADREQ>", server="http-in/<NOSRV>", timers="-1/-1/-1/-1/0",
     answer="400 187", end="CR--"), parsed("", "", 400)),
    ("malformed", line("<BADREQ>", server="http-in/<NOSRV>", answer="400 187", end="PR--"),
     parsed("", "", 400, blocked_by="haproxy")),
    ("denied by a rule", line(server="http-in/<NOSRV>", answer="403 192", end="PR--"),
     parsed(status=403, blocked_by="haproxy")),
    ("held and refused", line(server="http-in/<NOSRV>", answer="500 192", end="PT--"),
     parsed(status=500, blocked_by="haproxy")),
    ("an answer was refused: the server was asked", line(answer="502 192", end="PH--"),
     parsed(status=502)),
    ("answered by a rule, not refused", line(server="http-in/<NOSRV>", answer="200 90", end="LR--"),
     parsed()),
    ("no server to be had", line(server="bck/<NOSRV>", answer="503 212", end="SC--"),
     parsed(status=503)),
    ("aborted before an answer", line(timers="0/0/0/-1/9", answer="-1 0", end="CH--"),
     parsed(status=0, size=0)),
    ("logged as soon as possible", line(timers="9/0/7/14/+30", answer="200 +243"), parsed()),
    ("retried elsewhere", line().replace(b"1/1/1/1/0", b"1/1/1/1/+2"), parsed()),
    ("captured, sizes only", line(headers=" {api.example.com|212} {srv}"), parsed()),
    ("captured, forwarded", line(headers=" {api.example.com|198.51.100.1, 203.0.113.9|x} {}"),
     parsed(forwarded="198.51.100.1, 203.0.113.9")),
    ("captured, forwarded, one block", line(headers=" {203.0.113.9}"),
     parsed(forwarded="203.0.113.9")),
    ("captured from an answer", line(headers=" {x} {203.0.113.9}"), parsed()),
    ("captured, the same address twice", line(headers=" {x, 203.0.113.9|203.0.113.9} {}"),
     parsed(forwarded="x, 203.0.113.9")),
    ("captured, an address in the agent", line(headers=" {203.0.113.9|198.51.100.7} {}"),
     parsed()),
    ("captured, nothing", line(headers=" {} {}"), parsed()),
    ("session cookie", line(cookies="JSESSIONID=s1 JSESSIONID=s2"), parsed(session="s1")),
    ("other cookie", line(cookies="lang=de -"), parsed()),
    ("cookie with spaces", line(cookies='JSESSIONID="s 1" -'), parsed(session="s 1")),
    ("quote in the target", line("GET /a#22b#23#C3#A9#FF HTTP/1.1"), parsed(target='/a"b#é\\xff')),
    ("backslashes of syslog-ng", line().replace(b'"', b'\\"'), parsed()),
    ("cut in the target", line("GET /abc")[:-1], parsed(target="/abc")),
    ("cut in an absolute target", line("GET https://api.example.com/abc")[:-1],
     parsed(target="/abc", host="api.example.com")),
    ("a line forged in the name of a TLS server",
     line(rest=f" 0/0/0/0/0 a {FAKE} 0/0/0/0/0 x/TLSv1.3/y"), parsed()),
    ("a line forged in a cookie",
     line(cookies=f"JSESSIONID=a {FAKE} -"), parsed(session=f"a {FAKE}"[:-1])),
    ("a line forged in a cookie, with its server's",
     line(cookies=f"JSESSIONID=a - {FAKE} b=c"), parsed(session=f"a - {FAKE}"[:-1])),
    ("a line forged in both", line(cookies=f"a=b {FAKE} -", rest=TLS), parsed()),
    ("a header forged in a header", line(headers=" {x#7D #7B203.0.113.9#7D #22GET} {}"), parsed()),
]  # fmt: skip

BAD = [
    ("json", b'{"a":1}', "not_this_format"),
    ("nginx", b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
     "not_this_format"),
    ("cut before the request", line()[:80], "not_this_format"),
    ("bad time", line().replace(b"Nov", b"Foo"), "bad_time"),
    ("tcplog", f"192.0.2.1:33313 {HEAD} bck/srv1 0/0/5007 212 -- {COUNTS}".encode(), "not_http"),
    ("tcplog, refused",
     f"haproxy[1]: 192.0.2.1:33313 {HEAD} fe/<NOSRV> -1/-1/0 0 PR {COUNTS}".encode(), "not_http"),
    ("tcplog clf", clf("TCP ", answer="000 212", end="cD--"), "not_http"),
    ("handshake",
     b"192.0.2.1:56059 [22/Nov/2026:10:00:03.120] frt/f1: Connection error during SSL handshake",
     "not_http"),
    ("connection",
     b"haproxy[24551]: Connect from 192.0.2.1:40780 to 192.0.2.2:5000 (main/HTTP)", "no_request"),
    ("start", b"haproxy[14385]: Proxy http-in started.", "not_this_format"),
]  # fmt: skip


LINES = [*CASES, *BAD]


@pytest.mark.parametrize(("name", "data", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines(name, data, expected):
    assert outcome(data) == expected


def test_captured_headers_that_the_configuration_names():
    fields = {
        "forwarded_for": "captured.request.2",
        "claimed_user": "captured.request.3",
        "authorization": "captured.request.4",
        "location": "captured.response.1",
        "session": "captured.cookie",
    }
    captured = " {203.0.113.1|203.0.113.9|17|Bearer x} {/login|y}"
    found = parse(line(cookies="SID=a; SID=b -", headers=captured), fields=fields)
    assert found == parsed(
        forwarded="203.0.113.9", claimed="17", authorization="Bearer x", location="/login",
        session="a", logs_principal=True,
    )  # fmt: skip
    assert parse(line(headers=" {203.0.113.1|} {}"), fields=fields) == parsed()


def test_sniff_knows_tcp_and_http_and_nothing_else():
    bad = {name: data for name, data, _ in BAD}
    assert FORMAT.sniff([line(), line(rest=TLS), bad["tcplog"], bad["handshake"]]) == 1
    assert FORMAT.sniff([clf(), bad["connection"]]) == 1
    assert FORMAT.sniff([line(), b"junk", bad["nginx"], b"\xff\0"]) == 0.25
    assert FORMAT.sniff([b'{"a":1}']) == 0


@given(st.binary(max_size=40))
def test_no_header_can_end_its_field(header):
    # As HAProxy escapes captured headers.
    text = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"#{|}' else f"#{byte:02X}"
        for byte in header
    )
    fields = {"user_agent": "captured.request.1", "host": "captured.request.2"}
    found = parse(line(headers=f" {{{text}|api.example.com}} {{}}"), fields=fields)
    agent = header.decode("utf-8", "backslashreplace")
    assert found == parsed(host="api.example.com", user_agent=None if agent in {"", "-"} else agent)


# name, the line that has something n times, what becomes of it
HOSTILE = [
    ("frontends", lambda n: line()[:42] + b"a:" * n, lambda _: "not_this_format"),
    ("cookies", lambda n: line(cookies="a" * n + " -"), lambda _: parsed()),
    ("spaces in a cookie", lambda n: line(cookies=f"a=b {' x' * n} -"), lambda _: parsed()),
    ("ends of lines in a cookie", lambda n: line(cookies=f"a={FAKE * n} -"), lambda _: parsed()),
    ("ends without a request", lambda n: line()[:78] + f' - ---- {COUNTS} {{ "'.encode() * n,
     lambda _: "not_this_format"),
    ("open quotes", lambda n: line() + b' "' * n, lambda _: parsed()),
    ("headers", lambda n: line(headers=" {" + "|" * n + "} {}"), lambda _: parsed()),
    ("addresses", lambda n: line(headers=" {" + "1," * n + "} {}"), lambda _: parsed()),
    ("escapes", lambda n: line("GET /" + "#ff" * n + " HTTP/1.1"),
     lambda n: parsed(target="/" + r"\xff" * n)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HOSTILE, ids=[c[0] for c in HOSTILE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
