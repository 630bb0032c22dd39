import pytest

from intake.formats._names import (
    containers,
    header_paths,
    known_names,
    path_of,
    session_cookie,
)
from intake.settings import Fields, IdentityHeader, IntakeSettings


def fields_of(settings, path):
    return {field for field, _ in known_names(settings).get(path_of(path), [])}


KNOWN = [
    ("@timestamp", "time_ms"), ("time_iso8601", "time_ms"), ("msec", "time_ms"), ("ts", "time_ms"),
    ("time_local", "time_ms"), ("remote_addr", "peer"), ("RemoteAddr", "peer"),
    ("client-ip", "peer"), ("clientIp", "peer"), ("source.ip", "peer"),
    ("request.remote_ip", "peer"), ("xff", "forwarded"), ("http_x_forwarded_for", "forwarded"),
    ("request.headers.X-Forwarded-For", "forwarded"), ("method", "method"),
    ("request_method", "method"), ("req.method", "method"), ("http.request.method", "method"),
    ("request", "request"), ("request_uri", "target"), ("req.originalUrl", "target"),
    ("uri", "uri"), ("req.url", "uri"), ("httpRequest.requestUrl", "uri"), ("args", "query"),
    ("status", "status"), ("res.statusCode", "status"), ("responseStatus", "status"),
    ("body_bytes_sent", "bytes"), ("httpRequest.responseSize", "bytes"), ("size", "bytes"),
    ("host", "host"), ("http_user_agent", "user_agent"), ("userAgent", "user_agent"),
    ("req.headers.user-agent", "user_agent"), ("http_referer", "referer"),
    ("request_id", "request_id"), ("x-request-id", "request_id"), ("traceparent", "trace"),
    ("user", "asserted"), ("user_id", "asserted"), ("sub", "asserted"), ("user.id", "asserted"),
    ("req.user.id", "asserted"), ("remote_user", "remote_user"), ("x_user_id", "claimed"),
    ("http_x_user_id", "claimed"), ("Request.Headers.X-User-ID", "claimed"),
    ("session", "session"), ("sessionId", "session"), ("cookie_session", "session"),
    ("cookies.sid", "session"), ("http_cookie", "cookie"), ("http_authorization", "authorization"),
    ("headers.Authorization", "authorization"), ("jwt_payload_b64", "jwt_payload"),
    ("tenant_id", "tenant"), ("security_context_error", "context_error"),
    ("http_origin", "origin"), ("sec-fetch-site", "fetch_site"),
    ("http_x_http_method_override", "override_method"), ("upstream_status", "upstream_status"),
    ("target_user", "owners"), ("x_real_ip", "client"), ("http_forwarded", "forwarded_elements"),
    ("CF-Connecting-IP", "client"), ("sent_http_location", "location"),
    ("location", "redirect"), ("upstream_http_location", "location"), ("x-b3-traceid", "trace"),
    ("cs(User-Agent)", "user_agent"), ("cs(X-User-ID)", "claimed"), ("cs(Cookie)", "cookie"),
    ("CsHost", "host"), ("sc-content-len", "bytes"), ("sc-bytes", None), ("sc(Location)", None),
    ("proxy.path", "target"), ("endpoint", "uri"), ("code", "code"),
    ("request_time", None), ("request_length", None), ("upstream_addr", None),
    ("server.ip", None), ("response.headers.set-cookie", None), ("level", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "field"), KNOWN, ids=[path for path, _ in KNOWN])
def test_usual_names(path, field):
    assert fields_of(IntakeSettings(), path) == ({field} if field else set())


def test_a_trace_names_a_request_where_nothing_better_does():
    assert fields_of(IntakeSettings(), "trace.id") == {"trace", "request_id"}


def test_a_configured_name_means_that_and_nothing_else():
    settings = IntakeSettings(
        fields=Fields(
            principal="user_id", claimed_user="request.headers.X-Person", target="route.raw"
        )
    )
    assert fields_of(settings, "user_id") == {"principal"}
    assert fields_of(settings, "USER-ID") == {"principal"}
    assert fields_of(settings, "request.headers.x-person") == {"claimed"}
    assert fields_of(settings, "x_user_id") == set(), "settings replace the usual names"
    assert fields_of(settings, "route.raw") == {"target"}
    assert fields_of(settings, "uri") == set()
    assert fields_of(settings, "request") == {"request"}, "it still has the method"
    assert fields_of(settings, "username") == {"asserted"}


def test_a_session_in_the_cookie_header_is_one_cookie_of_it():
    settings = IntakeSettings(fields=Fields(session="http.request.headers.cookie"))
    assert fields_of(settings, "http.request.headers.cookie") == {"cookie"}
    assert fields_of(settings, "session_id") == set()


def test_identity_headers_in_their_order():
    settings = IntakeSettings(
        identity_headers=[IdentityHeader(name="X-Person"), IdentityHeader(name="X-User-ID")]
    )
    names = known_names(settings)
    assert names["httpxperson"] == [("claimed", 0)]
    assert names["xuserid"] == [("claim:1", 0)]
    assert fields_of(IntakeSettings(identity_headers=[]), "x_user_id") == set()


@pytest.mark.parametrize(
    ("path", "field"),
    [("who.id", "claimed"), ("headers.x-person", "claimed"), ("headers.x-user-id", "claim:1")],
)
def test_a_configured_claim_is_of_the_header_that_it_names(path, field):
    settings = IntakeSettings(
        identity_headers=[IdentityHeader(name="X-Person"), IdentityHeader(name="X-User-ID")],
        fields=Fields(claimed_user=path),
    )
    assert fields_of(settings, path) == {field}


def test_a_header_may_be_an_identity_and_internal():
    settings = IntakeSettings(internal_headers=["X-User-ID", "X-Debug"])
    assert fields_of(settings, "http_x_user_id") == {"claimed", "internal:X-User-ID"}
    assert fields_of(settings, "req.headers.x-debug") == {"internal:X-Debug"}


def test_special_names_come_first_and_replace_the_usual_meaning():
    names = known_names(IntakeSettings(), [("user.id", "principal"), ("source.ip", "peer")])
    assert [field for field, _ in names["user.id"]] == ["principal"]
    assert names["source.ip"][0][1] < names["remoteaddr"][0][1]
    assert known_names(IntakeSettings())["user.id"][0][0] == "asserted", "nothing is remembered"


@pytest.mark.parametrize(
    ("name", "path"),
    [("X-User-ID", "xuserid"), ("@timestamp", "timestamp"), ("a.B_c", "a.bc"), ("$host", "host")],
)
def test_normal_paths(name, path):
    assert path_of(name) == path


def test_header_paths():
    paths = header_paths("X-User-ID")
    assert {"xuserid", "httpxuserid", "headers.xuserid", "http.request.headers.xuserid"} <= set(
        paths
    )
    assert len(paths) == len(set(paths))


def test_containers():
    assert containers({"a.b.c": [], "a.d": [], "e": []}) == {"a", "a.b"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("sid=abc", "abc"),
        ("theme=dark; SessionID=abc=; lang=en", "abc="),
        ("JSESSIONID=abc", "abc"),
        ("connect.sid=s%3Aabc", "s%3Aabc"),
        ("__Host-session=abc", "abc"),
        ("__Secure-laravel_session=abc", "abc"),
        ('PHPSESSID="abc"', "abc"),
        ("obsession_level=1; a", None),
        ("possessed=1", None),
        ("sid=; session=abc", "abc"),
        ("", None),
        ("=x; ;;", None),
        ("x" * 1000 + "session=abc", None),
    ],
)
def test_session_cookies(header, expected):
    assert session_cookie(header) == expected
