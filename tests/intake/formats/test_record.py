import json
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats import _record
from intake.formats._record import RecordReader
from intake.formats._sniffing import marked_share
from intake.line import Parsed, Unreadable
from intake.settings import Fields, IdentityHeader, IntakeSettings, Trust
from tests.intake.formats._lines import answer, changed

AT = 1_795_341_603_000
BASE = {"ts": AT // 1000, "remote_addr": "192.0.2.1", "method": "GET", "uri": "/a", "status": 200}
but = without = partial(changed, BASE)


def parsed(method="GET", target="/a", status=200, size=-1, peer="192.0.2.1", **rest):
    return Parsed(AT, peer, method, target, status, size, **rest)


def read(record, settings=None):
    return RecordReader(settings or IntakeSettings()).parser()(orjson.dumps(record))


CASES = [
    ("flat", BASE, parsed()),
    ("bytes", but(bytes="512"), parsed(size=512)),
    ("what Fluent Bit found in a text", {"log": "{...}", "log_processed": BASE}, parsed()),
    ("status as text", but(status="404"), parsed(status=404)),
    ("a status in words beside a number", but(status="success", response={"status": 404}),
     parsed(status=404)),
    ("no status", but(status=None), parsed(status=0)),
    ("a status of several tries", but(status="502, 200"), parsed()),
    ("a status as a list", but(status=[502, 200]), parsed()),
    ("a status as a fraction", but(status=404.0), parsed(status=404)),
    ("no status but the upstream's", without("status", upstream_status="502, 201"),
     parsed(status=201, upstream_status="502, 201")),
    ("a status that is null beside the upstream's", but(status=None, upstream_status=[502, 200]),
     parsed(upstream_status="502, 200")),
    ("a status of 0 says that no answer was sent", but(status=0, upstream_status=200),
     parsed(status=0, upstream_status="200")),
    ("an upstream status that is none", without("status", upstream_status="-, x"),
     parsed(status=0, upstream_status="-, x")),
    ("values that were taken out", but(http_x_user_id="REDACTED", session_id="[Redacted]",
     user_id="***", cookie=["REDACTED"], user_agent="redacted"), parsed()),
    ("headers as Traefik names them", but(**{"request_X-User-Id": "18",
     "request_X-Forwarded-For": "203.0.113.9"}), parsed(claimed="18", forwarded="203.0.113.9")),
    ("query apart", but(args="x=1"), parsed(target="/a?x=1")),
    ("query with its mark", but(query="?x=1"), parsed(target="/a?x=1")),
    ("query already there", but(uri="/a?x=1", args="x=1"), parsed(target="/a?x=1")),
    ("no query", but(args="-"), parsed()),
    ("query as an object says nothing here", but(query={"x": 1}), parsed()),
    ("the raw target beats the rewritten one", but(request_uri="/raw?x=1", args="y=2"),
     parsed(target="/raw?x=1")),
    ("a request line beats the rewritten one", but(request="GET /raw HTTP/1.1"),
     parsed(target="/raw")),
    ("request line alone", without("method", "uri", request="POST /b HTTP/2.0"),
     parsed("POST", "/b")),
    ("request line with a space", without("method", "uri", request="GET /a b HTTP/1.1"),
     parsed(target="/a b")),
    ("request line with an absolute target",
     without("method", "uri", request="GET http://h.example/b HTTP/1.1"),
     parsed(target="/b", host="h.example")),
    ("request line keeps backslashes", without("method", "uri", request=r"GET /\x37 HTTP/1.1"),
     parsed(target=r"/\x37")),
    ("request that is a path", without("uri", request="/b"), parsed(target="/b")),
    ("no request came (400)", without("method", "uri", request="", request_method=""),
     parsed("", "")),
    ("no request came, dashes", without("method", "uri", request="-"), parsed("", "")),
    ("TLS to a plain port", without("method", "uri", request="\x16\x03\x01"), parsed("", "")),
    ("no method", without("method"), parsed("")),
    ("method in lower case", but(method="post"), parsed("POST")),
    ("absolute url", without("uri", url="https://h.example/b?x=1"),
     parsed(target="/b?x=1", host="h.example")),
    ("the address only forwarded", without("remote_addr", xff="203.0.113.9"),
     parsed(peer="", forwarded="203.0.113.9")),
    ("forwarded by two headers", but(headers={"X-Forwarded-For": ["6.6.6.6", "203.0.113.9"]}),
     parsed(forwarded="6.6.6.6, 203.0.113.9")),
    ("Forwarded by two headers", but(headers={"Forwarded": ["for=6.6.6.6", "for=203.0.113.9"]}),
     parsed(forwarded_elements="for=6.6.6.6, for=203.0.113.9")),
    ("one proxy's word alone", without("remote_addr", headers={"X-Real-IP": "203.0.113.9"}),
     parsed(peer="", client="203.0.113.9")),
    ("one proxy's word, twice the same",
     but(headers={"X-Real-IP": "203.0.113.9", "CF-Connecting-IP": "203.0.113.9"}),
     parsed(client="203.0.113.9")),
    ("words of which one is the client's",
     but(headers={"X-Real-IP": "203.0.113.9", "CF-Connecting-IP": "6.6.6.6"}),
     parsed(client="203.0.113.9, 6.6.6.6")),
    ("the header twice", but(headers={"True-Client-IP": ["6.6.6.6", "203.0.113.9"]}),
     parsed(client="6.6.6.6, 203.0.113.9")),
    ("PROXY protocol is nearer than a header",
     but(proxy_protocol_addr="203.0.113.9", xff="6.6.6.6"),
     parsed(forwarded="6.6.6.6, 203.0.113.9")),
    ("PROXY protocol alone", but(proxy_protocol_addr="203.0.113.9"),
     parsed(forwarded="203.0.113.9")),
    ("a cookie header", but(http_cookie="theme=dark; sid=abc"), parsed(session="abc")),
    ("two cookie headers", but(headers={"cookie": ["a=1", "sid=abc"]}), parsed(session="abc")),
    ("a session beats a cookie", but(http_cookie="sid=abc", session_id="def"),
     parsed(session="def")),
    ("no session in the cookie", but(http_cookie="theme=dark"), parsed()),
    ("cookies as an object", but(cookies={"sid": "abc", "theme": "x"}), parsed(session="abc")),
    ("user", but(user_id=17), parsed(asserted="17")),
    ("user as an object", but(user={"id": 17, "name": "ann"}), parsed(asserted="17")),
    ("user, but nobody", but(user_id=None, user="-"), parsed()),
    ("user, but nobody, as Nextcloud has it", but(user="--"), parsed()),
    ("user that is no id", but(user_id=True, user={"x": 1}), parsed()),
    ("remote user", but(remote_user="ann"), parsed(asserted="ann", basic_user=True)),
    ("remote user beside another", but(remote_user="ann", user_id="17"), parsed(asserted="17")),
    ("long id", but(user_id=123456789012345678901234567890),
     parsed(asserted="123456789012345678901234567890")),
    ("claim", but(http_x_user_id="18"), parsed(claimed="18")),
    ("claim in headers", but(request={"headers": {"X-User-Id": ["18"]}}), parsed(claimed="18")),
    ("authorization", but(http_authorization="Bearer abc"),
     parsed(authorization="Bearer abc", logs_principal=True)),
    ("a place for a credential", but(authorization=""), parsed(logs_principal=True)),
    ("a place for a credential, null", but(headers={"Authorization": None}),
     parsed(logs_principal=True)),
    ("a credential that was taken out", but(authorization="REDACTED"), parsed()),
    ("a credential that was taken out, scheme left", but(authorization="Bearer ***"), parsed()),
    ("an owner", but(resource_owner="18"), parsed(owners=("18",))),
    ("owners as a list", but(target_user=["18", 19, None, "20"]),
     parsed(owners=("18", "19", "20"))),
    ("owners with commas", but(target_user="18, 19,,"), parsed(owners=("18", "19"))),
    ("the rest", but(host="h.example", http_user_agent="curl/8", http_referer="-",
                     request_id="r1", tenant_id=7, http_origin="https://o.example",
                     sec_fetch_site="cross-site", http_x_http_method_override="DELETE",
                     upstream_status="502, 200", jwt_payload="e30", context_error="missing"),
     parsed(host="h.example", user_agent="curl/8", request_id="r1", tenant="7",
            origin="https://o.example", fetch_site="cross-site", override_method="DELETE",
            upstream_status="502, 200", jwt_payload="e30", context_error="missing")),
    ("request id before trace id", but(trace_id="t1", req_id="r1"), parsed(request_id="r1")),
    ("trace id where nothing else is", but(trace={"id": "t1"}), parsed(request_id="t1")),
    ("spelling", {"Ts": AT, "Client-IP": "192.0.2.1", "requestMethod": "GET", "requestUri": "/a",
                  "statusCode": 200}, parsed()),
    ("express", {"time": "2026-11-22T10:00:03.000Z", "req": {"method": "GET", "url": "/a",
                 "remoteAddress": "192.0.2.1", "headers": {"user-agent": "x"}},
                 "res": {"statusCode": 200}}, parsed(user_agent="x")),
    ("google", {"timestamp": "2026-11-22T10:00:03Z", "httpRequest": {"requestMethod": "GET",
                "requestUrl": "https://h.example/a", "status": 200, "remoteIp": "192.0.2.1"}},
     parsed(host="h.example")),
    ("datadog", {"timestamp": AT, "http": {"method": "GET", "url": "/a", "status_code": 200},
                 "network": {"client": {"ip": "192.0.2.1"}, "bytes_written": 5}}, parsed(size=5)),
    ("opentelemetry", {"time": AT * 1_000_000, "attributes": {"http.request.method": "GET",
                       "url.path": "/a", "url.query": "x=1", "client.address": "192.0.2.1",
                       "http.response.status_code": 200}}, parsed(target="/a?x=1")),
    ("a path without its slash", {**without("uri"), "reqPath": "users/17", "queryStr": "x=1"},
     parsed(target="/users/17?x=1")),
    ("no path: a server and its port", {**without("uri"), "method": "CONNECT",
                                        "url": "h.example:443"},
     parsed("CONNECT", "h.example:443")),
    ("no path: of the server itself", {**without("uri"), "method": "OPTIONS", "url": "*"},
     parsed("OPTIONS", "*")),
    ("wrapped", {"stream": "stdout", "log": {"data": BASE}}, parsed()),
    ("what the client sent says nothing",
     but(**{name: {"resource_owner": "18", "user": "x", "xff": "203.0.113.9", "sid": "s",
                   "headers": {"authorization": "Bearer abc"}}
            for name in ("body", "data", "Payload")}), parsed()),
    ("what the client sent, in a wrapped record",
     {"level": "info", "data": but(data={"resource_owner": "18", "status": 500})}, parsed()),
    ("a body that is the record", {"severity": 9, "body": but()},
     parsed()),
    ("the nearer name wins", {**BASE, "message": {"uri": "/b", "user": "x"}},
     parsed(asserted="x")),
    ("the better time wins", but(time_local="22/Nov/2026:10:00:09 +0000", msec="1795341603.000"),
     parsed()),
    ("a time that is none", but(msec=12), parsed()),
    ("a list is its first", but(remote_addr=["192.0.2.1", "x"], method=["GET"]), parsed()),
]  # fmt: skip

BAD = [
    ("no time", without("ts"), "no_time"),
    ("time is null", but(ts=None), "no_time"),
    ("bad time", but(ts="soon"), "bad_time"),
    ("no request", without("uri"), "no_request"),
    ("a target that is none", but(uri={"x": 1}, request=None), None),
    ("no address", without("remote_addr"), "no_address"),
    ("empty address", but(remote_addr="-"), "no_address"),
    ("bad status", but(status="ok"), "bad_status"),
    ("list", [BASE], "not_an_object"),
    ("number", 17, "not_an_object"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "record", "expected"), CASES, ids=[c[0] for c in CASES])
def test_records(name, record, expected):
    if name == "long id":
        line = orjson.dumps(BASE)[:-1] + b',"user_id":123456789012345678901234567890}'
        assert RecordReader(IntakeSettings()).parser()(line) == expected
    else:
        assert read(record) == expected


@pytest.mark.parametrize(("name", "record", "reason"), BAD, ids=[c[0] for c in BAD])
def test_what_is_no_request(name, record, reason):
    if reason is None:
        assert read(record) == parsed(target="")
        return
    with pytest.raises(Unreadable) as caught:
        read(record)
    assert caught.value.reason == reason


def test_the_same_shape_with_other_types():
    parse = RecordReader(IntakeSettings()).parser()
    for request, target in [
        ("GET /b HTTP/1.1", "/b"), ({"uri": "/c"}, "/c"), (None, ""), ({}, ""), ("", ""),
        ({"uri": "/d", "x": 1}, "/d"), (["GET /e HTTP/1.1"], "/e"),
    ] * 2:  # fmt: skip
        record = {**without("uri"), "request": request}
        assert parse(orjson.dumps(record)).target == target


def test_configured_fields():
    settings = IntakeSettings(
        fields=Fields(
            client_ip="edge.addr", principal="who.id", claimed_user="h.x-person",
            target_user="labels.whose", session="sess.key", tenant="org", target="raw.path",
        )
    )  # fmt: skip
    record = but(
        edge={"addr": "203.0.113.9"}, who={"id": 17}, h={"X-Person": ["18"]}, org="o1",
        **{"labels.whose": ["18"], "sess.key": "abc", "raw.path": "/b"},
    )  # fmt: skip
    expected = parsed(
        target="/b", peer="203.0.113.9", principal="17", claimed="18", session="abc",
        owners=("18",), tenant="o1", logs_principal=True,
    )  # fmt: skip
    assert read(record, settings) == expected
    with pytest.raises(Unreadable, match="no_address"):
        read(but(**{"raw.path": "/b"}), settings)
    anonymous = {name: value for name, value in record.items() if name != "who"}
    assert read(anonymous, settings).logs_principal, "configured: its absence says anonymous"
    assert read(anonymous, settings).principal is None


def test_an_owner_who_vouches():
    settings = IntakeSettings(trust=Trust(principal="gateway"))
    assert read(but(user_id="17"), settings) == parsed(principal="17", logs_principal=True)
    assert read(but(user_id=None), settings) == parsed(logs_principal=True)
    assert read(but(remote_user="ann", user_id="17"), settings) == parsed(
        principal="17", logs_principal=True
    )
    assert read(BASE, settings) == parsed()


def test_a_configured_principal_is_not_filled_from_elsewhere():
    settings = IntakeSettings(trust=Trust(principal="gateway"), fields=Fields(principal="who"))
    assert read(but(who=None, user_id="17"), settings) == parsed(asserted="17", logs_principal=True)
    assert read(but(who="18", user_id="17"), settings) == parsed(
        principal="18", logs_principal=True
    )


def test_identity_and_internal_headers():
    settings = IntakeSettings(
        identity_headers=[IdentityHeader(name="X-Person"), IdentityHeader(name="X-User-ID")],
        internal_headers=["X-User-ID", "X-Debug"],
    )
    assert read(but(http_x_user_id="18", http_x_person="-"), settings) == parsed(
        other_claims=((1, "18"),), internal=("X-User-ID",)
    )
    assert read(but(headers={"x-user-id": "18", "x-person": "19", "x-debug": ""}), settings) == (
        parsed(claimed="19", other_claims=((1, "18"),), internal=("X-User-ID",))
    )


def test_an_identity_header_that_came_twice_says_two_things():
    assert read(but(headers={"x-user-id": ["17", "18"]})) == parsed(claimed="17,18")


def test_a_format_has_the_last_word():
    def finish(line, record):
        line.blocked_by = str(record["status"])

    line = orjson.dumps(BASE)
    assert RecordReader(IntakeSettings(), finish=finish).parser()(line) == parsed(blocked_by="200")


def test_lines_with_a_mark_that_are_understood():
    good, bad = orjson.dumps(BASE), b'{"remote_addr":1}'

    def sniff(*lines):
        return marked_share(
            lines, lambda line: b"remote_addr" in line, lambda s: RecordReader(s).parser()
        )

    assert sniff(good, bad, b"{}", good) == pytest.approx(0.5)
    assert sniff(b"{}") == 0


def test_what_is_remembered_stays_bounded(monkeypatch):
    monkeypatch.setattr(_record, "_MAX_SHAPES", 20)
    reader = RecordReader(IntakeSettings())
    parse = reader.parser()
    for number in range(200):
        record = but(headers={f"x-{number}": "1", "x-user-id": "18"}, **{f"n{number}": 1})
        assert parse(orjson.dumps(record)) == parsed(claimed="18")
        assert len(reader._plans) <= 20
    wide = but(**{f"w{number}": 1 for number in range(1000)})
    plans = len(reader._plans)
    assert parse(orjson.dumps(wide)) == parsed()
    assert len(reader._plans) == plans


def test_a_record_of_many_objects_is_read_as_far_as_is_sane():
    record: dict[str, Any] = {"headers": {}}
    for _ in range(50):
        record = {"log": record, "data": {}, "context": {}}
    with pytest.raises(Unreadable, match="no_request"):
        read(record)
    assert read({**record, **BASE}) == parsed()


@pytest.mark.parametrize(
    ("name", "written", "agent"),
    [
        ("control byte", b"x\x01", "x\x01"),
        ("broken utf-8", b"x\xff", "x\\xff"),
        ("half a surrogate", rb"x\ud800", "x\ufffd"),
        ("surrogate bytes", b"x\xed\xa0\x80", "x\\xed\\xa0\\x80"),
        ("quote as nginx escapes it", rb"x\x22", 'x"'),
        ("unknown escape", rb"x\y", r"x\y"),
        ("a whole record", rb"\x22,\x22uri\x22:\x22/b\x22,\x22z\x22:\x22", '","uri":"/b","z":"'),
    ],
)
def test_a_client_cannot_hide_its_line(name, written, agent):
    line = orjson.dumps(BASE)[:-1] + b',"ua":"' + written + b'"}'
    found = RecordReader(IntakeSettings()).parser()(line)
    assert found == parsed(user_agent=agent)
    assert agent.encode(), "and can be stored"


NAMES = st.sampled_from(
    """ts time @timestamp remote_addr client_ip ip uri url path request req http headers method
    status bytes user user_id id session sid cookie authorization x-user-id x-forwarded-for
    response message log source original body query target_user junk""".split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from(["192.0.2.1", "/a", "GET /a HTTP/1.1", AT, 200, "2026-11-22T10:00:03Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
)  # fmt: skip
READER = RecordReader(IntakeSettings(internal_headers=["X-User-ID"])).parser()


@given(st.dictionaries(NAMES, VALUES, max_size=12))
def test_any_record_is_a_line_or_unreadable_and_memory_changes_nothing(record):
    line = json.dumps(record).encode()
    fresh = RecordReader(IntakeSettings(internal_headers=["X-User-ID"])).parser()
    assert answer(READER, line) == answer(READER, line) == answer(fresh, line)
