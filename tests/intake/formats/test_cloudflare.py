from functools import partial

import orjson
import pytest

from intake.formats.cloudflare import FORMAT
from intake.line import Parsed
from tests.intake.formats._lines import changed, readers

AT = 1_795_341_603_000
BASE = {
    "ClientIP": "203.0.113.7",
    "ClientRequestHost": "api.example.com",
    "ClientRequestMethod": "GET",
    "ClientRequestURI": "/api/v1/users/17?full=1",
    "EdgeEndTimestamp": "2026-11-22T10:00:09Z",
    "EdgeResponseBytes": 745,
    "EdgeResponseStatus": 200,
    "EdgeStartTimestamp": "2026-11-22T10:00:03Z",
    "RayID": "8e6a1b2c3d4e5f60",
}
but = without = partial(changed, BASE)


def parsed(target="/api/v1/users/17?full=1", status=200, size=745, **rest):
    known = {"host": "api.example.com", "request_id": "8e6a1b2c3d4e5f60", **rest}
    return Parsed(AT, "203.0.113.7", "GET", target, status, size, **known)


def refused(action, **changes):
    return but(EdgeResponseStatus=403, OriginResponseStatus=0, **action, **changes)


CASES = [
    ("default fields", BASE, parsed()),
    ("time in nanoseconds", but(EdgeStartTimestamp=AT * 1_000_000), parsed()),
    ("time in seconds", but(EdgeStartTimestamp=AT // 1000), parsed()),
    ("only the end", without("EdgeStartTimestamp", EdgeEndTimestamp=AT // 1000), parsed()),
    ("body before bytes with headers", but(EdgeResponseBodyBytes=512), parsed(size=512)),
    ("path alone", without("ClientRequestURI", ClientRequestPath="/a"), parsed("/a")),
    ("uri before path", but(ClientRequestPath="/api/v1/users/17"), parsed()),
    ("client", but(ClientRequestUserAgent="curl/8", ClientRequestReferer="https://h.example/"),
     parsed(user_agent="curl/8", referer="https://h.example/")),
    ("origin", but(OriginResponseStatus=200), parsed(upstream_status="200")),
    ("cache hit", but(OriginResponseStatus=0, CacheCacheStatus="hit"), parsed()),
    ("headers and cookies of custom fields",
     but(RequestHeaders={"x-user-id": "18", "authorization": "Bearer abc"},
         Cookies={"sid": "abc", "theme": "dark"}, ResponseHeaders={"location": "/login"}),
     parsed(claimed="18", authorization="Bearer abc", session="abc", location="/login",
            logs_principal=True)),
    ("blocked", refused({"SecurityAction": "block"}), parsed(status=403, blocked_by="block")),
    ("blocked, no origin logged", but(EdgeResponseStatus=403, SecurityAction="block"),
     parsed(status=403, blocked_by="block")),
    ("challenged", refused({"SecurityAction": "managed_challenge"}),
     parsed(status=403, blocked_by="managed_challenge")),
    ("the action that refused, of several", refused({"SecurityActions": ["log", "jschallenge"]}),
     parsed(status=403, blocked_by="jschallenge")),
    ("earlier names", refused({"FirewallMatchesActions": ["block"]}),
     parsed(status=403, blocked_by="block")),
    ("solved", but(OriginResponseStatus=200, SecurityActions=["managedChallengeInteractiveSolved"]),
     parsed(upstream_status="200")),
    ("logged only", refused({"SecurityAction": "log"}), parsed(status=403)),
    ("no action", but(SecurityAction="", SecurityActions=[]), parsed()),
    ("an origin that answered was asked", but(OriginResponseStatus=403, SecurityAction="block"),
     parsed(upstream_status="403")),
    ("actions of other types", but(SecurityActions=[1, None, {"block": 1}], SecurityAction=7),
     parsed()),
]  # fmt: skip


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[c[0] for c in CASES])
def test_records(name, record, expected):
    assert parse(orjson.dumps(record)) == expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (without("ClientIP"), "no_address"),
        (without("ClientRequestURI"), "no_request"),
        (but(EdgeStartTimestamp="soon", EdgeEndTimestamp=None), "bad_time"),
        ([BASE], "not_an_object"),
    ],
)
def test_what_is_no_request(record, reason):
    assert outcome(orjson.dumps(record)) == reason


def test_sniff_knows_the_names():
    good = orjson.dumps(BASE)
    assert FORMAT.sniff([good]) == 1
    assert FORMAT.sniff([good, b"junk"]) == pytest.approx(0.5)
    flat = b'{"ts":1795341603,"remote_addr":"192.0.2.1","method":"GET","uri":"/a","status":200}'
    assert FORMAT.sniff([flat]) == 0
    forged = orjson.dumps({"ua": '"EdgeResponseStatus":200', "ts": 1})
    assert FORMAT.sniff([forged]) == 0
    assert FORMAT.sniff([orjson.dumps({"EdgeResponseStatus": 200})]) == 0
