from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats.traefik import FORMAT
from intake.line import Parsed
from intake.settings import Trust
from tests.intake.formats._lines import changed, readers, unlike

AT = 1_795_341_603_000
TIME = "[22/Nov/2026:10:00:03 +0000]"
SERVER = "http://198.51.100.20:8080"
BASE = {
    "ClientAddr": "203.0.113.7:53212",
    "ClientHost": "203.0.113.7",
    "ClientPort": "53212",
    "ClientUsername": "-",
    "DownstreamContentSize": 512,
    "DownstreamStatus": 200,
    "Duration": 3210987,
    "OriginContentSize": 512,
    "OriginDuration": 3010987,
    "OriginStatus": 200,
    "Overhead": 200000,
    "RequestAddr": "api.example.com:443",
    "RequestHost": "api.example.com",
    "RequestMethod": "GET",
    "RequestPath": "/api/v1/users/17?full=1",
    "RequestProtocol": "HTTP/2.0",
    "RouterName": "api@docker",
    "ServiceName": "api@docker",
    "ServiceURL": SERVER,
    "StartLocal": "2026-11-22T11:00:03.000456789+01:00",
    "StartUTC": "2026-11-22T10:00:03.000456789Z",
    "entryPointName": "websecure",
    "level": "info",
    "msg": "",
    "time": "2026-11-22T10:00:09Z",
}
but = without = partial(changed, BASE)


def line(
    request="GET /a HTTP/1.1", *, peer="203.0.113.7", user="-", answer="200 5", referer='"-"',
    agent='"-"', rest=f'7 "api@docker" "{SERVER}" 3ms',
):  # fmt: skip
    return f'{peer} - {user} {TIME} "{request}" {answer} {referer} {agent} {rest}'.encode()


def text(target="/a", status=200, size=5, peer="203.0.113.7", method="GET", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


def parsed(status=200, size=512, peer="203.0.113.7", **rest):
    known = {"host": "api.example.com", "upstream_status": "200", **rest}
    return Parsed(AT, peer, "GET", "/api/v1/users/17?full=1", status, size, **known)


TEXTS = [
    ("common", line(agent='"curl/8"', referer='"https://h.example/"'),
     text(user_agent="curl/8", referer="https://h.example/")),
    ("no router", line(answer="404 19", rest='7 "-" "-" 0ms'), text(status=404, size=19)),
    ("refused by a middleware", line(answer="403 9", rest='7 "api@docker" "-" 0ms'),
     text(status=403, size=9, blocked_by="traefik")),
    ("refused by the service", line(answer="403 9"), text(status=403, size=9)),
    ("redirected by a middleware", line(answer="301 17", rest='7 "api@docker" "-" 0ms'),
     text(status=301, size=17)),
    ("user", line(user="ann"), text(asserted="ann", basic_user=True)),
    ("user with spaces", line(user="ann - lee"), text(asserted="ann - lee", basic_user=True)),
    ("ipv6", line(peer="2001:db8::7"), text(peer="2001:db8::7")),
    ("forwarded by those that Traefik trusts", line(peer="6.6.6.6, 203.0.113.7"),
     text(forwarded="6.6.6.6")),
    ("forwarded, no space", line(peer="6.6.6.6,203.0.113.7"), text(forwarded="6.6.6.6")),
    ("no size", line(answer="200 -"), text(size=-1)),
    ("no status", line(answer="- 0"), text(status=0, size=0)),
    ("no fields at all", line("- - -", peer="-", answer="- -", rest='- "-" "-" 0ms'),
     text("", 0, -1, "-", "")),
    ("CONNECT", line("CONNECT h.example:443 HTTP/1.1"), text("h.example:443", method="CONNECT")),
    ("absolute target", line("GET http://h.example/a HTTP/1.1"), text(host="h.example")),
    ("quote in the query", line('GET /a?q="x" HTTP/1.1'), text('/a?q="x"')),
    ("backslash is itself", line(r"GET /a?q=\x41 HTTP/1.1"), text(r"/a?q=\x41")),
    ("quote in the agent", line(agent=r'"a\"b"'), text(user_agent='a"b')),
    ("backslash in the agent", line(agent=r'"a\\b"'), text(user_agent=r"a\\b")),
    ("agent that ends in a backslash", line(agent='"a\\"'), text(user_agent="a\\")),
    ("agent of a quote", line(agent=r'"\""'), text(user_agent='"')),
    ("referer that ends in a backslash", line(referer='"a\\"', agent='"b"'),
     text(referer="a\\", user_agent="b")),
    ("raw bytes", line().replace(b'"-" "-"', b'"-" "a\xff"'), text(user_agent="a\\xff")),
    ("CR", line() + b"\r\n", text()),
    # What a client may write, as Traefik logs it.
    ("an end forged in the agent",
     line(agent=r'"x\" 7 \"r\" \"u\" 3ms"'), text(user_agent='x" 7 "r" "u" 3ms')),
    ("an end forged in the agent, after a backslash",
     line(agent=r'"x\\" 7 \\"r\\" \\"u\\" 3ms"'), text(user_agent='x\\" 7 \\"r\\" \\"u\\" 3ms')),
    ("a status forged in the query (HTTP/2 lets quotes and spaces through)",
     line('GET /users/18?" 403 5 "-" "x HTTP/2.0', answer="200 512"),
     text('/users/18?" 403 5 "-" "x', size=512)),
    ("a request forged in the query",
     line(f'GET /users/18?" {TIME} "GET /users/17 HTTP/2.0'),
     text(f'/users/18?" {TIME} "GET /users/17')),
    # The same as Traefik logged it before May 2026.
    ("bare quote in the agent", line(agent='"foo " bar"'), text(user_agent='foo " bar')),
    ("bare quotes in the agent", line(agent='"x" "y"'), text(user_agent='x" "y')),
    ("bare quotes in the query and the agent", line('GET /a?q="x" HTTP/1.1', agent='"x" 7"'),
     text('/a?q="x"', user_agent='x" 7')),
    ("bare quotes in the referer", line(referer='"x" y"', agent='"z"'),
     text(referer="x", user_agent='y" "z')),
    ("a denial forged in the agent",
     line("GET /users/18 HTTP/1.1", answer="200 512", agent='"x HTTP/1.1" 403 9 "-" "curl"'),
     text("/users/18", size=512, user_agent='x HTTP/1.1" 403 9 "-" "curl')),
    ("an empty answer forged in the agent, none logged for the referer",
     line("GET /users/18 HTTP/1.1", answer="200 512", referer="-",
          agent='"x HTTP/1.1" 200 0 "-" "-"'),
     text("/users/18", size=512, user_agent='x HTTP/1.1" 200 0 "-" "-')),
    ("a denial forged in the query",
     line('GET /users/18? HTTP/1.1" 403 9 "-" "x HTTP/2.0', answer="200 512"),
     text("/users/18?", size=512, user_agent='x HTTP/2.0" 200 512 "-" "-')),
    ("a denial forged in the user name",
     line("GET /users/18 HTTP/1.1", answer="200 512",
          user=f'a {TIME} "GET /x HTTP/1.1" 403 9 "-" "x'),
     text("/x", size=512, user_agent=f'x {TIME} "GET /users/18 HTTP/1.1" 200 512 "-" "-',
          asserted="a", basic_user=True)),
    # As Traefik logged what was absent before 2.2.
    ("no service", line(answer="404 9", rest='7 "ping@internal" - 0ms'),
     text(status=404, size=9)),
    ("no router", line(answer="404 9", rest="7 - - 0ms"), text(status=404, size=9)),
    ("no referer", line(referer="-", agent='"curl/8"'), text(user_agent="curl/8")),
    ("neither referer nor agent", line(referer="-", agent="-"), text()),
    ("a line forged in the referer",
     line(referer=rf'"x\" \"y\" 7 \"r\" \"u\" 3ms 192.0.2.9 - - {TIME} \"GET /b HTTP/1.1\" 1 1"'),
     text(referer=f'x" "y" 7 "r" "u" 3ms 192.0.2.9 - - {TIME} "GET /b HTTP/1.1" 1 1')),
]  # fmt: skip

RECORDS = [
    ("as it comes", BASE, parsed()),
    ("headers kept", but(**{"request_X-User-Id": "18", "request_User-Agent": "curl/8",
     "request_Cookie": "a=1; sid=x", "request_Authorization": "Bearer abc",
     "downstream_Location": "/login", "request_X-Forwarded-For": "6.6.6.6, 203.0.113.7"}),
     parsed(claimed="18", user_agent="curl/8", session="x", authorization="Bearer abc",
            location="/login", forwarded="6.6.6.6, 203.0.113.7", logs_principal=True)),
    ("headers redacted", but(**{f"request_{name}": "REDACTED" for name in (
        "X-User-Id", "User-Agent", "Cookie", "Authorization", "Referer")}), parsed()),
    ("user", but(ClientUsername="ann"), parsed(asserted="ann", basic_user=True)),
    ("traced", but(TraceId="0af7651916cd43dd8448eb211c80319c"),
     parsed(trace_id="0af7651916cd43dd8448eb211c80319c",
            request_id="0af7651916cd43dd8448eb211c80319c")),
    ("behind proxies that Traefik trusts", but(ClientHost="6.6.6.6, 198.51.100.9"),
     parsed(peer="198.51.100.9", forwarded="6.6.6.6")),
    ("address alone", without("ClientHost"), parsed()),
    ("address alone, v6", without("ClientHost", ClientAddr="[2001:db8::7]:53212"),
     parsed(peer="2001:db8::7")),
    ("v6", but(ClientAddr="[2001:db8::7]:53212", ClientHost="2001:db8::7"),
     parsed(peer="2001:db8::7")),
    ("local time alone", without("StartUTC"), parsed()),
    ("refused by a middleware", but(DownstreamStatus=403, OriginStatus=0, OriginContentSize=0,
                                    OriginDuration=0),
     parsed(403, upstream_status=None, blocked_by="traefik")),
    ("refused by a middleware of an earlier Traefik",
     without("OriginStatus", "OriginContentSize", "OriginDuration", "ServiceName", "ServiceURL",
             DownstreamStatus=429),
     parsed(429, upstream_status=None, blocked_by="traefik")),
    ("refused by the service", but(DownstreamStatus=403, OriginStatus=403),
     parsed(403, upstream_status="403")),
    ("the origin's status is not logged", without("OriginStatus", DownstreamStatus=403),
     parsed(403, upstream_status=None)),
    ("few fields are logged",
     without("OriginStatus", "OriginContentSize", "OriginDuration", "ServiceName", "ServiceURL",
             "Overhead", DownstreamStatus=403),
     parsed(403, upstream_status=None)),
    ("no router", without("RouterName", DownstreamStatus=403, OriginStatus=0),
     parsed(403, upstream_status=None)),
    ("redirected by a middleware", but(DownstreamStatus=302, OriginStatus=0),
     parsed(302, upstream_status=None)),
]  # fmt: skip

BAD = [
    ("nginx", b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "-"'),
    ("cut off", line()[:-3]),
    ("no time", line().replace(TIME.encode(), b"-")),
    ("no user", line().replace(b" - - ", b" - ")),
    ("no agent", line(agent="").replace(b"  ", b" ")),
    ("bare quotes", b'" " " " " " 3ms'),
]


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "data", "expected"), TEXTS, ids=[c[0] for c in TEXTS])
def test_lines(name, data, expected):
    assert parse(data) == expected


@pytest.mark.parametrize(("name", "record", "expected"), RECORDS, ids=[c[0] for c in RECORDS])
def test_records(name, record, expected):
    assert parse(orjson.dumps(record)) == expected


@pytest.mark.parametrize(("name", "data"), BAD, ids=[c[0] for c in BAD])
def test_what_is_no_line(name, data):
    assert outcome(data) == "not_this_format"


def test_a_bad_time():
    assert outcome(line().replace(b"Nov", b"Foo")) == "bad_time"


def test_our_own_trusted_proxies_judge_from_the_direct_peer_on():
    record = but(ClientAddr="198.51.100.9:4711", ClientHost="6.6.6.6, 203.0.113.7")
    found = parse(orjson.dumps(record), trusted_proxies=["198.51.100.0/24"])
    assert found == parsed(peer="198.51.100.9", forwarded="6.6.6.6, 203.0.113.7")


def test_an_owner_who_vouches_for_user_names():
    trust = Trust(principal="gateway")
    assert parse(line(user="ann"), trust=trust) == text(principal="ann", logs_principal=True)
    assert parse(line(), trust=trust) == text(logs_principal=True)
    record = orjson.dumps(but(ClientUsername="ann"))
    assert parse(record, trust=trust) == parsed(principal="ann", logs_principal=True)


def test_sniff_knows_what_only_traefik_writes():
    combined = dict(BAD)["nginx"]
    good, record = line(), orjson.dumps(BASE)
    assert FORMAT.sniff([good]) == FORMAT.sniff([record]) == 1
    assert FORMAT.sniff([good, record, combined]) == pytest.approx(2 / 3)
    serilog = b'{"@t":"2026-11-22T10:00:03Z","RequestMethod":"GET","RequestPath":"/a","ip":"::1"}'
    assert FORMAT.sniff([serilog, b"done in 3ms", combined]) == 0
    forged = combined[:-1] + rb'x\x22 7 \x22r\x22 \x22u\x22 3ms"'
    assert FORMAT.sniff([forged]) == 0


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])),
    st.text('\\" 7ms-'),
)
def test_no_client_can_end_a_field(agent, referer):
    def written(value):
        return '"' + value.replace('"', '\\"') + '"' if value else '"-"'

    def said(value):
        return None if value in {"", "-"} else value

    found = parse(line(agent=written(agent), referer=written(referer)))
    assert found == text(user_agent=said(agent), referer=said(referer))


HUGE = [
    ("quotes in the agent", lambda n: line(agent='"' + r"\"" * n + '"'),
     lambda n: text(user_agent='"' * n)),
    ("ends in the query", lambda n: line("GET /?" + '" 1 "' * n + " HTTP/2.0"),
     lambda n: text("/?" + '" 1 "' * n)),
    ("times in the query", lambda n: line("GET /?" + f' {TIME} "' * n + " HTTP/2.0"),
     lambda n: text("/?" + f' {TIME} "' * n)),
    ("addresses", lambda n: line(peer="6.6.6.6, " * n + "203.0.113.7"),
     lambda n: text(forwarded=("6.6.6.6, " * n)[:-2])),
    ("user", lambda n: line(user=" - " * n + "x"),
     lambda n: text(asserted=" - " * n + "x", basic_user=True)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shape", "expected"), HUGE, ids=[c[0] for c in HUGE])
def test_a_huge_line_is_read_as_a_short_one_is(name, shape, expected):
    assert unlike(outcome, shape, expected) == []
