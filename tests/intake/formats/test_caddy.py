from functools import partial

import orjson
import pytest

from intake.formats.caddy import FORMAT
from intake.line import Parsed
from intake.settings import Trust
from tests.intake.formats._lines import changed, readers, unlike

AT = 1_795_341_603_120
REQUEST = {
    "remote_ip": "192.0.2.1",
    "remote_port": "53212",
    "client_ip": "192.0.2.1",
    "proto": "HTTP/2.0",
    "method": "GET",
    "host": "api.example.com",
    "uri": "/api/v1/users/17?full=1",
    "headers": {"User-Agent": ["curl/8"], "X-User-Id": ["18"], "Cookie": ["REDACTED"]},
    "tls": {"version": 772, "proto": "h2", "server_name": "api.example.com"},
}
BASE = {
    "level": "info",
    "ts": 1795341603.1204567,
    "logger": "http.log.access",
    "msg": "handled request",
    "request": REQUEST,
    "bytes_read": 0,
    "user_id": "",
    "duration": 0.003210987,
    "size": 512,
    "status": 200,
    "resp_headers": {"Server": ["Caddy"]},
}
but = partial(changed, BASE)


def parsed(peer="192.0.2.1", target="/api/v1/users/17?full=1", status=200, size=512, **rest):
    known = {"host": "api.example.com", "user_agent": "curl/8", "claimed": "18", **rest}
    return Parsed(AT, peer, "GET", target, status, size, **known)


def asked(*gone, **changes):
    return but(request=changed(REQUEST, *gone, **changes))


CASES = [
    ("as it comes", BASE, parsed()),
    ("a name for the log", but(logger="http.log.access.log0"), parsed()),
    ("no logger", but("logger"), parsed()),
    ("time as text", but(ts="2026/11/22 10:00:03.120"), parsed()),
    ("time in nanoseconds", but(ts=AT * 1_000_000), parsed()),
    ("behind proxies that Caddy trusts", asked(client_ip="203.0.113.7"), parsed("203.0.113.7")),
    ("before client_ip", asked("client_ip"), parsed()),
    ("before remote_ip", asked("client_ip", "remote_ip", remote_addr="192.0.2.1:53212"),
     parsed("192.0.2.1:53212")),
    ("a client's own header", asked(headers={"X-Forwarded-For": ["6.6.6.6"]}),
     parsed(user_agent=None, claimed=None, forwarded="6.6.6.6")),
    ("authenticated by Caddy", but(user_id="ann"), parsed(asserted="ann", basic_user=True)),
    ("a credential that was taken out", asked(headers={"Authorization": ["REDACTED"]}),
     parsed(user_agent=None, claimed=None)),
    ("credentials logged", asked(headers={"Authorization": ["Bearer abc"], "Cookie": ["sid=x"]}),
     parsed(user_agent=None, claimed=None, authorization="Bearer abc", session="x",
            logs_principal=True)),
    ("an identity that was taken out", asked(headers={"X-User-Id": ["REDACTED"]}),
     parsed(user_agent=None, claimed=None)),
    ("redirected", but(status=302, resp_headers={"Location": ["/login"]}),
     parsed(status=302, location="/login")),
    ("traced", but(traceID="0af7651916cd43dd8448eb211c80319c", spanID="b7ad6b7169203331"),
     parsed(trace_id="0af7651916cd43dd8448eb211c80319c",
            request_id="0af7651916cd43dd8448eb211c80319c")),
]  # fmt: skip


def console(record=BASE, time="2026/11/22 10:00:03.120", level="INFO", logger="http.log.access"):
    rest = changed(record, "ts", "level", "logger", "msg")
    head = f"{time}\t{level}\t{logger}\thandled request\t".encode()
    return head + orjson.dumps(rest)


CONSOLE = [
    ("as it comes", console()),
    ("in colour", console(level="\x1b[34mINFO\x1b[0m")),
    ("wall", console(time="2026/11/22 10:00:03.120456789")),
    ("rfc 3339", console(time="2026-11-22T10:00:03.120Z")),
    ("epoch", console(time="1795341603.1204567")),
    ("named", console(logger="http.log.access.log0")),
    ("with CR", console() + b"\r"),
]
OTHERS = [
    ("an error, of a request that is logged too", but(logger="http.log.error"), "no_request"),
    ("a handler's, of a request that is logged too", but(logger="http.handlers.waf"), "no_request"),
    ("another program's", but(logger="access"), "not_this_format"),
    ("another of Caddy's", {"level": "info", "ts": 1.7e9, "logger": "tls", "msg": "x"},
     "no_request"),
    ("no time", but("ts"), "no_time"),
    ("no address", asked("client_ip", "remote_ip"), "no_address"),
]  # fmt: skip


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[c[0] for c in CASES])
def test_records(name, record, expected):
    assert parse(orjson.dumps(record)) == expected


@pytest.mark.parametrize(("name", "line"), CONSOLE, ids=[c[0] for c in CONSOLE])
def test_console(name, line):
    assert parse(line) == parsed()


@pytest.mark.parametrize(("name", "record", "reason"), OTHERS, ids=[c[0] for c in OTHERS])
def test_what_is_no_request(name, record, reason):
    assert outcome(orjson.dumps(record)) == reason


@pytest.mark.parametrize(
    "line",
    [
        console(logger="http.log.error"),
        b"2026/11/22 10:00:03.120\tINFO\ttls\tstarted",
        console().replace(b"\t", b" "),
        console(time='","uri":"/b'),
    ],
)
def test_what_is_no_line_of_the_console(line):
    assert outcome(line) == "not_json"


def test_our_own_trusted_proxies_judge_from_the_direct_peer_on():
    trusted = ["192.0.2.0/24"]
    behind = orjson.dumps(asked(client_ip="203.0.113.7"))
    assert parse(behind, trusted_proxies=trusted) == parsed(client="203.0.113.7")
    assert parse(orjson.dumps(BASE), trusted_proxies=trusted) == parsed()


def test_an_owner_who_vouches_for_whom_caddy_authenticated():
    line = orjson.dumps(but(user_id="ann"))
    found = parse(line, trust=Trust(principal="gateway"))
    assert found == parsed(principal="ann", logs_principal=True)


def test_sniff_knows_its_marks():
    good = orjson.dumps(BASE)
    assert FORMAT.sniff([good]) == FORMAT.sniff([console()]) == 1
    renamed = {("log" if name == "logger" else name): value for name, value in BASE.items()}
    assert FORMAT.sniff([orjson.dumps(renamed)]) == 1
    error = orjson.dumps(but(logger="http.log.error"))
    assert FORMAT.sniff([good, error]) == 1, "else a log full of errors would be any JSON"
    assert FORMAT.sniff([error]) == 0
    assert FORMAT.sniff([good, b"junk"]) == pytest.approx(0.5)
    pino = b'{"time":1795341603000,"req":{"url":"/a","remoteAddress":"192.0.2.1"},"res":{}}'
    assert FORMAT.sniff([pino, b"\tINFO\thttp.log.access\t"]) == 0
    assert FORMAT.sniff([orjson.dumps({"ua": '"logger":"http.log.access"'})]) == 0


@pytest.mark.parametrize("part", [b"\t", b"\t\t", b"{", b"\t{", b"http.log.access\t", b"0"])
def test_a_huge_line_of_the_console_is_read_as_a_short_one_is(part):
    start = b"2026/11/22 10:00:03.120\tINFO\thttp.log.access"
    assert unlike(outcome, lambda n: start + part * n, lambda _: "not_json") == []
