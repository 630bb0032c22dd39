import json

import pytest
import yaml

from intake.formats._base import discover
from intake.settings import IntakeSettings
from streams.server_lines import principal_line

FORMATS = discover()


def shown(name, number=0):
    """A format's own example, as a record where it is one."""
    line = FORMATS[name].examples[number]
    return json.loads(line) if line.startswith(b"{") else line.decode()


def put(record, path, value):
    *inside, last = path
    for name in inside:
        record = record.setdefault(name, {})
    record[last] = value


def added(name, number, *path, value="u-17"):
    record = shown(name, number)
    put(record, path, value)
    return json.dumps(record)


LOGGED = {
    "caddy": added("caddy", 0, "resp_headers", "X-Authenticated-User", value=["u-17"]),
    "kong": added("kong", 1, "response", "headers", "x-authenticated-user"),
    "cloudflare": added("cloudflare", 0, "ResponseHeaders", "x-authenticated-user"),
    "traefik": added("traefik", 1, "downstream_X-Authenticated-User"),
    "envoy": added("envoy", 1, "user_id"),
    "nginx-ingress": '{"time":"2026-11-22T10:00:00+00:00","remote_addr":"203.0.113.7",'
    '"x_forwarded_for":"203.0.113.7","request":"GET /a HTTP/1.1","status":200,"bytes_sent":5,'
    '"host":"a.example","http_user_agent":"curl/8","request_id":"7","user_id":"u-17",'
    '"session_id":""}',
    "haproxy": shown("haproxy").replace("{}", "{u-17}"),
}
"""What each server then writes."""


@pytest.mark.parametrize("name", LOGGED)
def test_what_is_added_is_read(name):
    line = principal_line({name}).splitlines()[-1]
    settings = IntakeSettings.model_validate(yaml.safe_load(line)["intake"])
    parsers = [FORMATS["json" if name == "nginx-ingress" else name].parser(settings)]
    for parse in parsers:
        assert parse(LOGGED[name].encode()).principal == "u-17"


def test_a_custom_field_of_iis():
    line = principal_line({"iis"}).splitlines()[-1]
    parse = FORMATS["iis"].parser(IntakeSettings.model_validate(yaml.safe_load(line)["intake"]))
    fields = "date time cs-method cs-uri-stem c-ip sc-status authenticated-user"
    with pytest.raises(ValueError, match="directive"):
        parse(f"#Fields: {fields}".encode())
    assert parse(b"2026-11-22 10:00:00 GET /a 192.0.2.7 200 u-17").principal == "u-17"


def test_what_needs_no_line_of_ours():
    parsed = FORMATS["aws-apigateway"].parser(IntakeSettings())(
        FORMATS["aws-apigateway"].examples[0]
    )
    assert parsed.principal == "17"
    assert "$context.authorizer.principalId" in principal_line({"aws-apigateway"})


@pytest.mark.parametrize(
    ("formats", "begins"),
    [
        (set(), ""),
        ({"nginx", "json"}, ""),
        ({"aws-alb"}, "intake: {join: {gateway:"),
        ({"spring"}, "server.tomcat.accesslog.pattern=%h"),
        ({"nginx", "traefik"}, "accessLog: {format: json"),
    ],
)
def test_lines_by_format(formats, begins):
    line = principal_line(formats)
    assert line.startswith(begins)
    assert bool(line) == bool(begins)
