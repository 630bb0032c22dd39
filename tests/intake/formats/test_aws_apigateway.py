from functools import partial

import orjson
import pytest

from intake.formats.aws_apigateway import FORMAT
from intake.line import Parsed
from intake.settings import Trust
from tests.intake._lines import Court
from tests.intake.formats._lines import changed, readers, unlike

AT = 1_795_341_603_000
TIME = "22/Nov/2026:10:00:03 +0000"
ID = "6b29fc40-ca47-4067-b31d-00dd010662da"
EXTENDED = "GPbQEzOiAMFxYg="
REST = {
    "requestId": ID,
    "ip": "203.0.113.7",
    "caller": "-",
    "user": "-",
    "requestTime": TIME,
    "httpMethod": "GET",
    "resourcePath": "/users/{id}",
    "status": "200",
    "protocol": "HTTP/1.1",
    "responseLength": "512",
    "extendedRequestId": EXTENDED,
}
HTTP = {
    "requestId": EXTENDED,
    "ip": "203.0.113.7",
    "requestTime": TIME,
    "httpMethod": "GET",
    "routeKey": "GET /users/{id}",
    "status": "200",
    "protocol": "HTTP/1.1",
    "responseLength": "512",
}


but = partial(changed, REST)


def parsed(target="/users/{id}", status=200, size=512, method="GET", peer="203.0.113.7", **rest):
    return Parsed(AT, peer, method, target, status, size, **{"request_id": ID, **rest})


def vouched(principal="17", **rest):
    return parsed(principal=principal, logs_principal=True, **rest)


def line(request="GET /users/{id} HTTP/1.1", *, who="- -", answer="200 512", ids=ID):
    return f'203.0.113.7 {who} [{TIME}] "{request}" {answer} {ids}'.encode()


RECORDS = [
    ("REST API", REST, parsed()),
    ("HTTP API", HTTP, parsed(request_id=EXTENDED)),
    ("HTTP API, no route", {**HTTP, "routeKey": "$default"}, parsed("", request_id=EXTENDED)),
    ("path", but(path="/prod/users/17"), parsed("/prod/users/17")),
    ("time in ms", but(requestTimeEpoch=str(AT)), parsed()),
    ("time in ms alone", {**but(requestTimeEpoch=AT), "requestTime": "-"}, parsed()),
    ("no answer", but(status="-", responseLength="-"), parsed(status=0, size=-1)),
    ("signed with IAM", but(user="AIDACKCEVSQ6C2EXAMPLE", caller="AIDACKCEVSQ6C2EXAMPLE"),
     parsed(asserted="AIDACKCEVSQ6C2EXAMPLE")),
    ("Lambda authorizer", but(authorizer={"principalId": "17"}), vouched()),
    ("Lambda authorizer, flat", but(principalId="17"), vouched()),
    ("Cognito", but(authorizer={"claims": {"sub": "17"}}), vouched()),
    ("Cognito, flat", but(**{"authorizer.claims.sub": "17"}), vouched()),
    ("JWT authorizer", but(sub="17"), vouched()),
    ("nobody authorized", but(authorizer={"principalId": "-"}), parsed(logs_principal=True)),
    ("claims before the signature", but(sub="17", user="AIDACKCEVSQ6C2EXAMPLE"), vouched()),
    ("integration", but(integrationStatus="200", domainName="api.example.com",
                        xrayTraceId="1-67891233-abcdef012345678912345678"),
     parsed(upstream_status="200", host="api.example.com",
            trace_id="1-67891233-abcdef012345678912345678")),
    ("refused", but(status="403", error={"responseType": "ACCESS_DENIED"}),
     parsed(status=403, blocked_by="ACCESS_DENIED")),
    ("refused by the firewall", but(status="403", wafResponseCode="WAF_BLOCK"),
     parsed(status=403, blocked_by="WAF_BLOCK")),
    ("let through by the firewall", but(wafResponseCode="WAF_ALLOW"), parsed()),
    ("failed behind", but(status="504", error={"responseType": "INTEGRATION_TIMEOUT"}),
     parsed(status=504)),
    ("nested as $context is", {
        "requestId": ID, "requestTimeEpoch": AT, "identity": {"sourceIp": "203.0.113.7",
        "userAgent": "curl/8"}, "httpMethod": "GET", "path": "/users/17", "status": 200,
        "responseLength": 512, "authorizer": {"principalId": "17"}},
     vouched(target="/users/17", user_agent="curl/8")),
]  # fmt: skip

TEXTS = [
    ("REST API", line(), parsed()),
    ("REST API, two ids", line(ids=f"{ID} {EXTENDED}"), parsed()),
    ("HTTP API", line("GET GET /users/{id} HTTP/1.1", ids=EXTENDED), parsed(request_id=EXTENDED)),
    ("HTTP API, any method", line("POST ANY /users/{id} HTTP/1.1"), parsed(method="POST")),
    ("HTTP API, no route", line("GET $default HTTP/1.1"), parsed("")),
    ("signed with IAM", line(who="AIDACALLER AIDAUSER"), parsed(asserted="AIDAUSER")),
    ("no resource", line("GET - HTTP/1.1", answer="403 42"), parsed("", 403, 42)),
    ("nothing", line("- - -", answer="- -"), parsed("", 0, -1, "")),
    ("an id that was replaced", line(ids=f"{ID}_REPLACED_INVALID_REQUEST_ID"),
     parsed(request_id=f"{ID}_REPLACED_INVALID_REQUEST_ID")),
    ("CR", line() + b"\r", parsed()),
    ("without the space that AWS's example forgot", line().replace(b'] "', b']"'), parsed()),
]  # fmt: skip

BAD = [
    ("no id", line(ids="").rstrip()),
    ("combined", line(ids='"-" "curl/8"')),
    ("websocket", f'203.0.113.7 - - [{TIME}] "MESSAGE $default x=" 200 {ID}'.encode()),
    ("quotes in the request", line('GET /a" 200 5 "x')),
]


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "record", "expected"), RECORDS, ids=[c[0] for c in RECORDS])
def test_records(name, record, expected):
    assert parse(orjson.dumps(record)) == expected


@pytest.mark.parametrize(("name", "data", "expected"), TEXTS, ids=[c[0] for c in TEXTS])
def test_lines(name, data, expected):
    assert parse(data) == expected


@pytest.mark.parametrize(("name", "data"), BAD, ids=[c[0] for c in BAD])
def test_what_is_no_line(name, data):
    assert outcome(data) == "not_this_format"


def test_an_owner_who_vouches_for_iam():
    trust = Trust(principal="gateway")
    expected = parsed(principal="AIDAUSER", logs_principal=True)
    assert parse(line(who="AIDACALLER AIDAUSER"), trust=trust) == expected


@pytest.mark.parametrize("resource", ["/users/{id}", "/users/{user1}", "/wallets/{owner}/cards"])
def test_a_template_names_nobody(resource):
    court = Court(routes=[{"match": "/wallets/{owner}/**"}])
    event = court.event(parse(orjson.dumps(but(resourcePath=resource, sub="17"))))
    assert (event.path, event.targets, event.object, event.verdict) == (
        resource, (), "", "no_target",
    )  # fmt: skip


def test_sniff_knows_what_only_this_gateway_writes():
    assert FORMAT.sniff([orjson.dumps(REST)]) == FORMAT.sniff([orjson.dumps(HTTP)]) == 1
    for own in (line(), line(ids=f"{ID} {EXTENDED}"), line("GET GET /a HTTP/1.1"),
                line("GET /a HTTP/1.1", who="A B")):  # fmt: skip
        assert FORMAT.sniff([own]) == 1
    plain = line("GET /a HTTP/1.1")
    assert FORMAT.sniff([plain]) == pytest.approx(0.8), "Apache may log an id at the end too"
    assert FORMAT.sniff([plain, line(), orjson.dumps(REST), b"junk"]) == pytest.approx(0.75)
    chosen = {"requestId": ID, "sourceIp": "203.0.113.7", "httpMethod": "GET", "path": "/a",
              "status": "200", "requestTime": TIME, "sub": "17"}  # fmt: skip
    assert FORMAT.sniff([orjson.dumps(chosen)]) == 1
    flat = b'{"requestId":"1","ip":"192.0.2.1","method":"GET","path":"/a","status":200,"ts":1}'
    assert FORMAT.sniff([flat, b"junk"]) == 0


@pytest.mark.parametrize("part", [b"1", b" -", b"[", b'"', b"/ ", b"{", b"="])
@pytest.mark.parametrize("begin", [line()[:20], line() + b"!"])
def test_a_huge_line_is_refused_as_a_short_one_is(begin, part):
    assert unlike(outcome, lambda n: begin + part * n, lambda _: "not_this_format") == []
