from functools import partial
from typing import Any

import orjson
import pytest

from intake.formats.kong import FORMAT
from intake.line import Parsed
from tests.intake.formats._lines import changed, readers

AT = 1_795_341_603_123
ID = "6b29fc40ca471067b31d00dd010662da"
CONSUMER = "b4b27e4c-7c1e-4f3a-9c3e-000000000007"
ENTITY = {"id": "a1a27e4c-7c1e-4f3a-9c3e-000000000001", "consumer_id": CONSUMER}
HEADERS = {"host": "api.example.com", "user-agent": "curl/8"}
BASE: dict[str, Any] = {
    "request": {
        "id": ID,
        "uri": "/api/v1/users/17?full=1",
        "url": "https://api.example.com:8443/api/v1/users/17?full=1",
        "querystring": {"full": "1"},
        "method": "GET",
        "headers": HEADERS,
        "size": 321,
    },
    "upstream_uri": "/users/17?full=1",
    "upstream_status": "200",
    "response": {"status": 200, "headers": {"content-length": "512"}, "size": 745},
    "latencies": {"kong": 2, "proxy": 10, "request": 13, "receive": 1},
    "tries": [{"ip": "198.51.100.20", "port": 8080}],
    "route": {"id": "c4", "name": "users", "paths": ["/api/v1/users"]},
    "service": {"id": "d5", "name": "users", "host": "users.internal"},
    "client_ip": "203.0.113.7",
    "started_at": AT,
    "source": "upstream",
    "workspace": "e6",
}
but = partial(changed, BASE)


def parsed(status=200, size=745, target="/api/v1/users/17?full=1", **rest):
    known = {"host": "api.example.com", "user_agent": "curl/8", "request_id": ID,
             "upstream_status": "200", "logs_principal": True, **rest}  # fmt: skip
    return Parsed(AT, "203.0.113.7", "GET", target, status, size, **known)


def sent(**headers):
    request = {
        "headers": {**HEADERS, **{name.replace("_", "-"): headers[name] for name in headers}}
    }
    return {"request": {**BASE["request"], **request}}


def consumer(**names):
    return {"authenticated_entity": ENTITY, "consumer": {"id": CONSUMER, **names}}


def refused(status=403, **changes):
    response = {"status": status, "headers": {"content-length": "42"}, "size": 242}
    return but(response=response, upstream_status="", source="kong", **changes)


CASES = [
    ("nobody", BASE, parsed()),
    ("consumer of one's own database", but(**consumer(custom_id="17", username="ann")),
     parsed(principal="17")),
    ("consumer by name", but(**consumer(custom_id=None, username="ann")), parsed(principal="ann")),
    ("consumer by id", but(**consumer()), parsed(principal=CONSUMER)),
    ("entity alone", but(authenticated_entity=ENTITY), parsed(principal=CONSUMER)),
    ("subject of openid-connect", but(authenticated_entity={"id": "17"}), parsed(principal="17")),
    ("an anonymous consumer", but(consumer={"id": CONSUMER, "username": "anonymous"},
                                  **sent(x_anonymous_consumer="true")), parsed()),
    ("a client that says it is anonymous",
     but(**consumer(custom_id="17"), **sent(x_anonymous_consumer="true")), parsed(principal="17")),
    ("a consumer without a credential", but(consumer={"id": CONSUMER, "custom_id": "17"}),
     parsed(principal="17")),
    ("what a client claims beside it", but(**consumer(custom_id="17"), **sent(x_user_id="18")),
     parsed(principal="17", claimed="18")),
    ("a credential, taken out", but(**sent(authorization="REDACTED")), parsed()),
    ("tries", but(upstream_status="502, 200"), parsed(upstream_status="502, 200")),
    ("no status but the upstream's", but(response={"size": 745}, upstream_status="502, 201"),
     parsed(status=201, upstream_status="502, 201")),
    ("no body", but(response={"status": 200, "headers": {"content-length": "0"}, "size": 233}),
     parsed(size=0)),
    ("refused by a plugin", refused(), parsed(403, 242, upstream_status=None, blocked_by="kong")),
    ("limited", refused(429), parsed(429, 242, upstream_status=None, blocked_by="kong")),
    ("no route", refused(404), parsed(404, 242, upstream_status=None)),
    ("refused by the service", but(response={"status": 403, "size": 745}, upstream_status="403"),
     parsed(403, upstream_status="403")),
    ("traced", but(trace_id={"w3c": "0af7651916cd43dd8448eb211c80319c"}),
     parsed(trace_id="0af7651916cd43dd8448eb211c80319c")),
    ("objects that are none", but(consumer=[], authenticated_entity="x", route=None, tries={}),
     parsed()),
]  # fmt: skip

COMBINED = '203.0.113.7 - - [22/Nov/2026:10:00:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "{agent}"'
TEXT = COMBINED.format(agent="curl/8") + f' kong_request_id: "{ID}"'


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[c[0] for c in CASES])
def test_records(name, record, expected):
    assert parse(orjson.dumps(record)) == expected


def test_headers_that_are_none():
    broken = {**BASE["request"], "headers": ["x-anonymous-consumer"]}
    record = but(request=broken, response=[], consumer={"id": "17"})
    expected = parsed(0, -1, principal="17", host=None, user_agent=None)
    expected.status = 200  # the upstream's
    assert parse(orjson.dumps(record)) == expected


def test_the_proxy_access_log():
    expected = Parsed(
        AT - 123, "203.0.113.7", "GET", "/a", 200, 5, user_agent="curl/8", request_id=ID
    )
    assert parse(TEXT.encode()) == expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"session": {"sent": 1}, "client_ip": "203.0.113.7", "started_at": AT}, "no_request"),
        (but(client_ip=None), "no_address"),
        (but(started_at="soon"), "bad_time"),
    ],
)
def test_what_is_no_request(record, reason):
    assert outcome(orjson.dumps(record)) == reason


def test_sniff_knows_its_marks():
    good = orjson.dumps(BASE)
    assert FORMAT.sniff([good]) == FORMAT.sniff([TEXT.encode()]) == 1
    assert FORMAT.sniff([good, TEXT.encode(), b"junk"]) == pytest.approx(2 / 3)
    combined = COMBINED.format(agent=r"\x22 kong_request_id: \x22x\x22")
    assert FORMAT.sniff([combined.encode()]) == 0
    forged = orjson.dumps({"ua": '"started_at":1,"latencies":{}', "ts": 1})
    assert FORMAT.sniff([forged]) == 0
    started = b'{"started_at":1795341603,"ip":"192.0.2.1","method":"GET","uri":"/a","status":200}'
    assert FORMAT.sniff([started]) == 0
