import json

import pytest

from console.simulate.lines import Client, line_of

SECOND = 1_795_341_603  # 2026-11-22T10:00:03Z
FULL = Client(
    ip="203.0.113.7",
    principal="u-17",
    session="5e551011",
    user_agent='agent "x" \\ 1',
    claimed="u-18",
    referer="https://blog.example.net/",
    fetch_site="cross-site",
)
BARE = Client(ip="2001:db8::7")


def written(format_, client):
    line = line_of(format_)
    parts = line.parts(client)
    return line.render(line.second(SECOND), 7, parts, "GET", "/users/u-18?a=1", 200, 512, 255)


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (
            FULL,
            {
                "@timestamp": "2026-11-22T10:00:03.007Z",
                "source": {"ip": "203.0.113.7"},
                "user": {"id": "u-17"},
                "http": {
                    "request": {
                        "id": "00000000000000ff",
                        "method": "GET",
                        "headers": {"x-user-id": "u-18", "sec-fetch-site": "cross-site"},
                        "referrer": "https://blog.example.net/",
                    },
                    "response": {"status_code": 200, "body": {"bytes": 512}},
                },
                "url": {"original": "/users/u-18?a=1"},
                "user_agent": {"original": 'agent "x" \\ 1'},
                "session": {"id": "5e551011"},
            },
        ),
        (
            BARE,
            {
                "@timestamp": "2026-11-22T10:00:03.007Z",
                "source": {"ip": "2001:db8::7"},
                "http": {
                    "request": {"id": "00000000000000ff", "method": "GET"},
                    "response": {"status_code": 200, "body": {"bytes": 512}},
                },
                "url": {"original": "/users/u-18?a=1"},
                "user_agent": {"original": ""},
            },
        ),
    ],
)
def test_ecs(client, expected):
    text = written("ecs", client)
    assert text.endswith("}\n")
    assert json.loads(text) == expected


@pytest.mark.parametrize(
    ("client", "more"),
    [
        (
            FULL,
            {
                "remote_addr": "203.0.113.7",
                "user_id": "u-17",
                "session_id": "5e551011",
                "http_user_agent": 'agent "x" \\ 1',
                "http_x_user_id": "u-18",
                "http_referer": "https://blog.example.net/",
            },
        ),
        (BARE, {"remote_addr": "2001:db8::7", "http_user_agent": ""}),
    ],
)
def test_json(client, more):
    assert json.loads(written("json", client)) == {
        "time": "2026-11-22T10:00:03.007+00:00",
        "request_method": "GET",
        "request_uri": "/users/u-18?a=1",
        "status": 200,
        "body_bytes_sent": 512,
        "request_id": "00000000000000ff",
        **more,
    }


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (
            FULL._replace(user_agent="curl/8.1"),
            (
                '203.0.113.7 - u-17 [22/Nov/2026:10:00:03 +0000] "GET /users/u-18?a=1 HTTP/1.1" '
                '200 512 "https://blog.example.net/" "curl/8.1"\n'
            ),
        ),
        (
            BARE,
            (
                '2001:db8::7 - - [22/Nov/2026:10:00:03 +0000] "GET /users/u-18?a=1 HTTP/1.1" '
                '200 512 "-" "-"\n'
            ),
        ),
    ],
)
def test_nginx_combined(client, expected):
    assert written("nginx", client) == expected


def test_an_unknown_format_is_refused_with_those_that_exist():
    with pytest.raises(ValueError) as refused:
        line_of("syslog")  # type: ignore[arg-type]
    assert str(refused.value) == "log format 'syslog': write one of ecs, json, nginx"
