"""Every golden log is known for what it is: alone, by its lines, carried, and after other things.

What the lines say must be what they say where the format is named, whatever stood before them.
"""

import json
from functools import cache

import msgspec
import pytest

from intake.detection import Formats, SourceLines, Written
from intake.formats._base import detect, discover
from intake.line import Unreadable
from intake.settings import IntakeSettings
from tests.golden.test_golden_formats import LOGS, lines_of

CASES = pytest.mark.parametrize("log", LOGS, ids=[f"{log.parent.name}/{log.name}" for log in LOGS])
FORMATS = Formats(IntakeSettings())

MIXED = {"json/services.log"}
"""Lines of several programs: by itself, each is somebody's own."""
AMBIGUOUS = {*MIXED, "aws-apigateway/clf.log"}
"""Some of its lines by themselves are common log format with something behind it."""

NOISE = {
    "an application's log": [
        b"2026-11-22 10:00:00,123 INFO [worker-3] app.jobs: job 17 took 12 ms",
        b"2026-11-22T10:00:00.123+01:00  WARN 1 --- [nio-8080-exec-7] o.s.web.Dispatcher : slow",
        b"Traceback (most recent call last):",
        b'  File "/srv/app/views.py", line 17, in get',
        b"ValueError: status=200 is no user",
    ],
    "an application's JSON": [
        b'{"time":"2026-11-22T10:00:00Z","level":"INFO","msg":"job done","user":"17","ms":12}',
        (
            b'{"@timestamp":"2026-11-22T10:00:00Z","log":{"level":"warn"},"message":"slow",'
            b'"service":{"name":"shop"}}'
        ),
        b'{"ts":1795341600.5,"caller":"main.go:12","msg":"started","status":"ok"}',
    ],
    "errors of a gateway": [
        (
            b"2026/11/22 10:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while "
            b"connecting to upstream, client: 192.0.2.7, server: shop.example, request: "
            b'"GET /users/18 HTTP/1.1", upstream: "http://10.0.0.5:80/users/18", host: "a.example"'
        ),
        (
            b"[Sun Nov 22 10:00:00.123456 2026] [core:error] [pid 7] [client 192.0.2.7:4711] "
            b"AH00126: Invalid URI in request GET /../etc HTTP/1.1"
        ),
        b"[2026-11-22 10:00:00.123][7][warning][config] [source/server.cc:12] no listeners",
    ],
}


def cri(line):
    return b"2026-11-22T10:00:00.123456789Z stdout F " + line


def docker(line):
    text = line.decode("utf-8", "backslashreplace") + "\n"
    return json.dumps({"log": text, "stream": "stdout", "time": "2026-11-22T10:00:00Z"}).encode()


def bsd(line):
    return b"<134>Nov 22 10:00:00 web gateway[7]: " + line


def bsd_file(line):
    return b"Nov 22 10:00:00 web gateway[7]: " + line


def rsyslog_file(line):
    return b"2026-11-22T10:00:00.123456+00:00 web gateway: " + line


def ietf(line):
    return b'<134>1 2026-11-22T10:00:00Z web gateway 7 - [a@1 b="\\]"] \xef\xbb\xbf' + line


def filebeat(line):
    text = line.decode("utf-8", "backslashreplace")
    record = {"@timestamp": "2026-11-22T10:00:00Z", "message": text, "host": {"name": "web"}}
    return json.dumps(record).encode()


CARRIERS = {
    "": lambda line: line,
    "cri": cri,
    "docker": docker,
    "syslog": bsd,
    "syslog without PRI": bsd_file,
    "syslog of rsyslog": rsyslog_file,
    "syslog of RFC 5424": ietf,
    "message": filebeat,
    "named": lambda line: b"gateway-1  | " + line,
    "cri+syslog": lambda line: cri(bsd(line)),
    "docker+syslog": lambda line: docker(ietf(line)),
}


def name_of(log):
    return f"{log.parent.name}/{log.name}"


def alike(log, found):
    """Whether the lines say what they say where the format is named."""
    expected = said(named(log))
    if name_of(log) in MIXED:
        return [line is None for line in found] == [line is None for line in expected]
    return found == expected


def outcome(parse, line):
    try:
        return parse(line)
    except Unreadable as why:
        return why.reason


def read(source, lines):
    """What each line says, or why none was understood, as the frames' loop does it."""
    found = []
    for line in lines:
        try:
            found.append(source.parse(line))
        except Unreadable as why:
            source.refused(line, why)
            found.append(why.reason)
    return found


def named(log):
    """What the lines say where the format is named."""
    source = SourceLines(FORMATS, Written(format=log.parent.name))
    return [outcome(source.parser_of(("", log.parent.name)), line) for line in lines_of(log)]


def said(outcomes):
    """Of lines that were not understood it does not matter why."""
    return [None if isinstance(found, str) else found for found in outcomes]


@cache
def after(noise, carrier):
    """A source that has written a thousand lines of something else."""
    state = Written()
    kinds = NOISE[noise]
    lines = [CARRIERS[carrier](kinds[number % len(kinds)]) for number in range(1000)]
    assert said(read(SourceLines(FORMATS, state), lines)) == [None] * 1000
    return msgspec.msgpack.encode(state)


@CASES
def test_alone(log):
    lines = lines_of(log)
    (key, understood) = FORMATS.best(lines) or (None, 0)
    assert key == ("", log.parent.name)
    assert understood == sum(not isinstance(found, str) for found in named(log))


@CASES
def test_line_by_line(log):
    own = discover()[log.parent.name]
    for line in lines_of(log):
        if own.sniff([line]) and name_of(log) not in AMBIGUOUS:
            known = detect([line])
            assert known is not None, line
            assert known.name == own.name, line


@CASES
@pytest.mark.parametrize("carrier", CARRIERS)
def test_carried(log, carrier):
    lines = [CARRIERS[carrier](line) for line in lines_of(log)]
    key, understood = FORMATS.best(lines) or (None, 0)
    wrapper = carrier.partition(" ")[0]
    assert key == (wrapper, log.parent.name)
    state = Written(wrapper=wrapper, format=log.parent.name, understood=understood)
    found = said(read(SourceLines(FORMATS, state), lines))
    assert alike(log, found)


@CASES
@pytest.mark.parametrize("carrier", ["", "docker", "cri+syslog"])
@pytest.mark.parametrize("noise", NOISE)
def test_after_a_thousand_lines_of_something_else(log, noise, carrier):
    state = msgspec.msgpack.decode(after(noise, carrier), type=Written)
    lines = [CARRIERS[carrier](line) for line in lines_of(log)]
    found = said(read(SourceLines(FORMATS, state), lines))
    assert alike(log, found)
    assert name_of(log) in MIXED or state.own() == [(carrier, log.parent.name)]
