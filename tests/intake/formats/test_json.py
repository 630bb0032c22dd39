import pytest

from intake.formats.json import FORMAT
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings

AT = 1_795_341_603_000

# As the log_format examples of servers write them.
LINES = [
    ("nginx, escape=json",
     (b'{"time_iso8601":"2026-11-22T10:00:03+00:00","remote_addr":"192.0.2.1","remote_user":"",'
     b'"request":"GET /api/v1/users/17?x=1 HTTP/1.1","status":"200","body_bytes_sent":"512",'
     b'"http_referer":"","http_user_agent":"curl/8","http_x_forwarded_for":"203.0.113.9",'
     b'"request_time":"0.003","http_x_user_id":"18","request_id":"r1"}'),
     Parsed(AT, "192.0.2.1", "GET", "/api/v1/users/17?x=1", 200, 512, user_agent="curl/8",
            forwarded="203.0.113.9", claimed="18", request_id="r1")),
    ("nginx, escape=default",
     (rb'{"msec":1795341603.000,"remote_addr":"192.0.2.1","request":"GET /a\x22b HTTP/1.1",'
     rb'"status":200,"bytes":5,"upstream_time":-,"agent":"x\x22\xC3\xA9"}'),
     Parsed(AT, "192.0.2.1", "GET", '/a"b', 200, 5, user_agent='x"é')),
    ("caddy",
     (b'{"level":"info","ts":1795341603.000123,"logger":"http.log.access","msg":"handled request",'
     b'"request":{"remote_ip":"192.0.2.1","remote_port":"4711","proto":"HTTP/2.0","method":"GET",'
     b'"host":"h.example","uri":"/a?x=1","headers":{"User-Agent":["curl/8"],"X-User-Id":["18"]}},'
     b'"user_id":"","duration":0.003,"size":5,"status":200,"resp_headers":{"Server":["Caddy"]}}'),
     Parsed(AT, "192.0.2.1", "GET", "/a?x=1", 200, 5, host="h.example", user_agent="curl/8",
            claimed="18")),
    ("express, morgan",
     (b'{"date":"Sun, 22 Nov 2026 10:00:03 GMT","remote-addr":"192.0.2.1","method":"GET",'
     b'"url":"/a","status":"200","res":{"content-length":"5"},"referrer":"-","user-agent":"curl/8"}'),
     Parsed(AT, "192.0.2.1", "GET", "/a", 200, 5, user_agent="curl/8")),
    ("pino-http",
     (b'{"level":30,"time":1795341603000,"pid":1,"hostname":"web-1","req":{"id":7,"method":"GET",'
     b'"url":"/a","headers":{"host":"h.example","cookie":"sid=abc"},"remoteAddress":"192.0.2.1"},'
     b'"res":{"statusCode":200},"msg":"request completed"}'),
     Parsed(AT, "192.0.2.1", "GET", "/a", 200, host="h.example", request_id="7", session="abc")),
    ("spring",
     (b'{"@timestamp":"2026-11-22T10:00:03.000Z","remoteAddress":"192.0.2.1","method":"PUT",'
     b'"requestUri":"/a","statusCode":204,"principal":"ann","sessionId":"abc","level":"INFO"}'),
     Parsed(AT, "192.0.2.1", "PUT", "/a", 204, asserted="ann", session="abc")),
    ("Tomcat, whose host is the peer",
     (b'{"host":"192.0.2.1","logicalUserName":"-","user":"ann","time":"[22/Nov/2026:10:00:03 '
     b'+0000]","request":"GET /a HTTP/1.1","statusCode":"200","size":"5"}'),
     Parsed(AT, "192.0.2.1", "GET", "/a", 200, 5, asserted="ann", basic_user=True)),
    ("a header that is named as Tomcat's field",
     (b'{"time":1795341603000,"ip":"192.0.2.1","host":"6.6.6.6","method":"GET","url":"/a",'
     b'"headers":{"logicalUserName":"x"}}'),
     Parsed(AT, "192.0.2.1", "GET", "/a", 0, host="6.6.6.6")),
    ("Azure Front Door, where a client may write clientIp",
     (b'{"time":"2026-11-22T10:00:03Z","properties":{"httpMethod":"GET","requestUri":"/a",'
     b'"clientIp":"6.6.6.6","socketIp":"192.0.2.1","httpStatusCode":"200"}}'),
     Parsed(AT, "192.0.2.1", "GET", "/a", 200)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "line", "expected"), LINES, ids=[c[0] for c in LINES])
def test_lines_of_known_loggers(name, line, expected):
    assert FORMAT.parser(IntakeSettings())(line) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello", "not_json"), (b'{"a":', "not_json"), (b"[1]", "not_an_object"),
        (b'"text"', "not_an_object"), (b"{}", "no_request"), (b"[" * 5000, "not_json"),
        (b'{"uri":"/","a":' + b"[" * 5000 + b"]" * 5000 + b"}", "not_json"),
        (b"\0\0\0\0", "binary"), (b"", "not_json"),
    ],
)  # fmt: skip
def test_what_is_no_line(line, reason):
    with pytest.raises(Unreadable) as caught:
        FORMAT.parser(IntakeSettings())(line)
    assert caught.value.reason == reason


def test_sniff_prefers_what_it_understands():
    good = LINES[0][1]
    assert FORMAT.sniff([good]) == pytest.approx(0.7)
    assert FORMAT.sniff([b'{"wann":1}']) == pytest.approx(0.0001)
    assert FORMAT.sniff([good, b"junk"]) == pytest.approx(0.35)
    assert FORMAT.sniff([b"junk", b"[]", b"17"]) == 0
