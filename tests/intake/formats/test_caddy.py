import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats.caddy import FORMAT
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings, Trust

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


def parsed(peer="192.0.2.1", target="/api/v1/users/17?full=1", status=200, size=512, **rest):
    known = {"host": "api.example.com", "user_agent": "curl/8", "claimed": "18", **rest}
    return Parsed(AT, peer, "GET", target, status, size, **known)


def but(**changes):
    return {**BASE, **changes}


def asked(*gone, **changes):
    request = {name: value for name, value in REQUEST.items() if name not in gone}
    return but(request={**request, **changes})


CASES = [
    ("as it comes", BASE, parsed()),
    ("a name for the log", but(logger="http.log.access.log0"), parsed()),
    ("no logger", {name: value for name, value in BASE.items() if name != "logger"}, parsed()),
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
    rest = {name: record[name] for name in record if name not in {"ts", "level", "logger", "msg"}}
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
    ("another of Caddy's", {"level": "info", "ts": 1.7e9, "logger": "tls", "msg": "x"},
     "no_request"),
    ("no time", {name: value for name, value in BASE.items() if name != "ts"}, "no_time"),
    ("no address", asked("client_ip", "remote_ip"), "no_address"),
]  # fmt: skip


def parse(line, **settings):
    return FORMAT.parser(IntakeSettings(**settings))(line)


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[c[0] for c in CASES])
def test_records(name, record, expected):
    assert parse(orjson.dumps(record)) == expected


@pytest.mark.parametrize(("name", "line"), CONSOLE, ids=[c[0] for c in CONSOLE])
def test_console(name, line):
    assert parse(line) == parsed()


@pytest.mark.parametrize(("name", "record", "reason"), OTHERS, ids=[c[0] for c in OTHERS])
def test_what_is_no_request(name, record, reason):
    with pytest.raises(Unreadable) as caught:
        parse(orjson.dumps(record))
    assert caught.value.reason == reason


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
    with pytest.raises(Unreadable, match="not_json"):
        parse(line)


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


@given(st.binary(), st.integers(0, 80))
def test_any_bytes_are_a_line_or_unreadable(junk, at):
    line = console()
    for data in (junk, line[:at] + junk + line[at:], line[:at] + junk):
        try:
            found = parse(data)
        except Unreadable:
            continue
        assert isinstance(found, Parsed)


@pytest.mark.parametrize("part", [b"\t", b"\t\t", b"{", b"\t{", b"http.log.access\t", b"0"])
def test_a_huge_line_of_the_console_is_read_as_a_short_one_is(part):
    # Whatever takes work like the square of the line does not get to an end here.
    start = b"2026/11/22 10:00:03.120\tINFO\thttp.log.access"
    for times in (9, 300_000):
        with pytest.raises(Unreadable, match="not_json"):
            parse(start + part * times)
