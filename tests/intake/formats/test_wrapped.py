import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats._wrapped import (
    WRAPPERS,
    Carried,
    Unwrapper,
    cri,
    docker,
    is_weak,
    is_wrapper,
    layers,
    message,
    named,
    syslog,
)
from intake.line import Unreadable

LINE = b'192.0.2.7 - - [22/Nov/2026:10:00:00 +0000] "GET /a: b[1] HTTP/1.1" 200 5 "-" "a: b"'
BOM = b"\xef\xbb\xbf"
Z = "2026-11-22T10:00:00.123456Z"

SYSLOG = [
    ("with PRI", b"<134>Nov 22 10:00:00 web nginx: ", None),
    ("a day of one digit", b"<134>Nov  2 10:00:00 web nginx: ", None),
    ("without PRI", b"Nov 22 10:00:00 web nginx: ", None),
    ("with a pid", b"Nov 22 10:00:00 web haproxy[123]: ", None),
    ("without a host", b"<134>Nov 22 10:00:00 nginx: ", None),
    ("without a space", b"<134>Nov 22 10:00:00 web nginx:", None),
    ("a host that is an IPv6 address", b"<134>Nov 22 10:00:00 2001:db8::1 nginx: ", None),
    ("with a year", b"Nov 22 2026 10:00:00 web nginx: ", None),
    ("a tag that is a path", b"Nov 22 10:00:00 web /usr/sbin/nginx[1]: ", None),
    ("only PRI and tag", b"<134>nginx: ", None),
    ("a cookie of CEE", b"<134>Nov 22 10:00:00 web nginx: @cee: ", None),
    ("rsyslog's file", f"{Z} web nginx[12]: ".encode(), Z),
    ("rsyslog's file, with an offset", b"2026-11-22T10:00:00.123456+01:00 web nginx: ",
     "2026-11-22T10:00:00.123456+01:00"),
    ("journald's file", b"2026-11-22T10:00:00+0100 web nginx[12]: ", "2026-11-22T10:00:00+0100"),
    ("a relay that names the sender again", f"{Z} router-5 router-5 haproxy[108]: ".encode(), Z),
    ("rsyslog's forwarding", f"<134>{Z} web nginx: ".encode(), Z),
    ("RFC 5424", f"<134>1 {Z} web nginx 12 ID47 - ".encode(), Z),
    ("RFC 5424, nothing known", b"<134>1 - - - - - - ", None),
    ("RFC 5424 with a BOM", f"<134>1 {Z} web nginx - - - ".encode() + BOM, Z),
    ("RFC 5424 with the length of its frame", f"283 <134>1 {Z} web nginx - - - ".encode(), Z),
    ("RFC 5424 without its data, as Heroku has it", f"<158>1 {Z} host app web.1 - ".encode(),
     Z),
    ("RFC 5424 with data", f'<134>1 {Z} web nginx - - [a@1 x="\\"] \\\\" y=""][b] '.encode(), Z),
]  # fmt: skip


V6 = LINE.replace(b"192.0.2.7", b"2001:db8::7")
SPLIT = LINE.replace(b"192.0.2.7 - -", b"192.0.2.7:4711 [a] b")


@pytest.mark.parametrize("line", [V6, SPLIT], ids=["IPv6", "an address and its port"])
@pytest.mark.parametrize(("name", "prefix", "time"), SYSLOG, ids=[c[0] for c in SYSLOG])
def test_an_address_in_front_is_no_tag(name, prefix, time, line):
    assert syslog(prefix + line) == Carried(line, time)


@pytest.mark.parametrize(("name", "prefix", "time"), SYSLOG, ids=[c[0] for c in SYSLOG])
def test_syslog(name, prefix, time):
    assert syslog(prefix + LINE) == Carried(LINE, time)


@pytest.mark.parametrize("before", ["", "<134>"])
@pytest.mark.parametrize(("stamp", "time"), [(Z, Z), ("Nov 22 10:00:00", None)])
def test_an_object_needs_no_tag(before, stamp, time):
    assert syslog(f'{before}{stamp} 192.0.2.9  {{"a":1}}'.encode()) == Carried(b'{"a":1}', time)
    assert syslog(f'{before}{stamp} 192.0.2.9 {{"a":1}}'.encode()) is None, "as rsyslog writes it"
    assert syslog(f"{before}{stamp} 192.0.2.9  a".encode()) is None


NOT_SYSLOG = [
    LINE, b"", b"<134>", b"<134>1 ", b"Nov 22 10:00:00 web nginx", b"2026-11-22 10:00:00 GET /a: b",
    b'<134>1 - - - - - [a x="] ' + LINE, b'{"log": "Nov 22 10:00:00 web nginx: x"}',
    b"Nov 22 10:00:00 " + LINE, b"[22/Nov/2026:10:00:00 +0000] web: x",
    b"2026-11-22T10:00:00Z balancer 192.0.2.7:4711 10.0.0.5:80 0.1 200",
    b"Nov 22 10:00:00 web " + V6, b"<134>Nov 22 10:00:00 web " + V6, b"<134>web " + SPLIT,
    b"<134>1 2026-11-22T10:00:00Z web",
]  # fmt: skip


@pytest.mark.parametrize("line", NOT_SYSLOG)
def test_what_is_no_syslog(line):
    assert syslog(line) is None


def in_docker(text, **fields):
    return json.dumps({"log": text, "stream": "stdout", "time": Z} | fields).encode()


def test_docker():
    assert docker(in_docker('a "b"\n')) == Carried(b'a "b"', Z, "stdout", whole=True)
    assert docker(in_docker("a", stream="stderr")) == Carried(b"a", Z, "stderr", whole=False)
    assert docker(in_docker("é\n", attrs={"x": "y"})) == Carried("é".encode(), Z, "stdout")
    broken = in_docker("x\n").replace(b"x", b"\xff")
    assert docker(broken) == Carried(b"\\xff", Z, "stdout")


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"log":"x"}', b'{"log":1,"stream":"stdout"}', b'{"log":', b'{"log":{}}']
)
def test_what_is_no_docker(line):
    assert docker(line) is None


NAMED = [
    ("docker compose", b"gateway-1  | "),
    ("kubectl", b"[pod/gateway-7d9f-x2x/nginx] "),
]


@pytest.mark.parametrize(("name", "prefix"), NAMED, ids=[n[0] for n in NAMED])
def test_whose_line_it_is(name, prefix):
    assert named(prefix + LINE) == Carried(LINE)


@pytest.mark.parametrize(
    "line",
    [b"", LINE, b"| a", b"a| b", b"a |b", b"a b | c", b'"a" | b', b"[pod/a] b", b"[pod/a/b]c"],
)
def test_what_nobody_is_named_before(line):
    assert named(line) is None


def in_cri(line, tag=b"F", stream=b"stdout"):
    return b"2026-11-22T10:00:00.123456789Z %s %s " % (stream, tag) + line


def test_cri():
    time = "2026-11-22T10:00:00.123456789Z"
    assert cri(in_cri(LINE)) == Carried(LINE, time, "stdout", whole=True)
    assert cri(in_cri(LINE, b"P", b"stderr")) == Carried(LINE, time, "stderr", whole=False)
    assert cri(in_cri(LINE, b"F:x")) == Carried(LINE, time, "stdout", whole=True)
    assert cri(in_cri(b"").rstrip()) == Carried(b"", time, "stdout")
    assert cri(in_cri(b" a  b ")) == Carried(b" a  b ", time, "stdout")
    offset = b"2026-11-22T11:00:00+01:00 stdout F a"
    assert cri(offset) == Carried(b"a", "2026-11-22T11:00:00+01:00", "stdout")


@pytest.mark.parametrize(
    "line",
    [b"", LINE, b"a stdout F b", in_cri(LINE, b"X"), in_cri(LINE, b"F", b"out"), in_cri(b"", b"")],
)
def test_what_is_no_cri(line):
    assert cri(line) is None


SHIPPED = [
    ("Filebeat", {"@timestamp": Z, "message": "a", "agent": {}}, Carried(b"a", Z)),
    ("Fluent Bit", {"date": 1795341600.5, "log": "a\n"}, Carried(b"a", 1795341600.5)),
    ("Fluentd", {"log": "a\n", "stream": "stdout", "kubernetes": {}}, Carried(b"a")),
    ("journald", {"MESSAGE": "a", "__REALTIME_TIMESTAMP": "1795341600000000"},
     Carried(b"a", "1795341600000000")),
    ("journald, what is not printable",
     {"MESSAGE": [97, 255, 10], "__REALTIME_TIMESTAMP": "1795341600000000"},
     Carried(b"a\xff", "1795341600000000")),
    ("GELF", {"version": "1.1", "short_message": "a", "timestamp": 1795341600.5},
     Carried(b"a", 1795341600.5)),
    ("Google Cloud", {"textPayload": "a\n", "timestamp": Z}, Carried(b"a", Z)),
    ("Loki", {"labels": {}, "line": "a", "timestamp": Z}, Carried(b"a", Z)),
    ("numbers that are no octets", {"message": [256]}, None),
    ("a list of texts", {"message": ["a"]}, None),
    ("no text", {"@timestamp": Z}, None),
    ("a text of another type", {"message": {"text": "a"}}, None),
    ("no object", ["message"], None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "record", "expected"), SHIPPED, ids=[c[0] for c in SHIPPED])
def test_shippers(name, record, expected):
    assert message(json.dumps(record).encode()) == expected


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("syslog", b"<134>Nov 22 10:00:00 web nginx: " + LINE),
        ("docker", in_docker(LINE.decode() + "\n")),
        ("cri", in_cri(LINE)),
        ("message", json.dumps({"message": LINE.decode()}).encode()),
    ],
)
@pytest.mark.parametrize("before", [MARK, b"\0\0", b" "])
def test_what_stands_before_a_carrier(name, line, before):
    assert Unwrapper(name, set())(before + line) == LINE
    assert list(layers(before + line)) == list(layers(line))


def test_layers():
    inner = b"<134>Nov 22 10:00:00 web nginx: " + LINE
    found = list(layers(in_cri(inner)))
    time = "2026-11-22T10:00:00.123456789Z"
    assert found == [
        ("cri", Carried(inner, time, "stdout")),
        ("cri+syslog", Carried(LINE, time)),
    ]
    assert list(layers(LINE)) == []
    assert [name for name, _ in layers(in_cri(in_cri(inner)))] == ["cri", "cri+cri"]
    assert [name for name, _ in layers(in_cri(inner, b"P"))] == ["cri"]
    assert [is_weak(name) for name in ("cri", "message", "docker+message", "")] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [is_wrapper(name) for name in ("", "cri", "cri+syslog", "cri+smoke", "+")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def unwrapped(lines, wrapper="cri"):
    unwrap = Unwrapper(wrapper, set())
    found: list[bytes | str] = []
    for line in lines:
        try:
            found.append(unwrap(line))
        except Unreadable as why:
            found.append(why.reason)
    return found


def test_the_rest_of_a_split_line_passes_for_no_line():
    lines = [
        in_cri(b"a", b"P"), in_cri(b"e", stream=b"stderr"), in_cri(b"b", b"P"), in_cri(LINE),
        in_cri(b"c"), LINE,
    ]  # fmt: skip
    assert unwrapped(lines) == ["partial", b"e", "partial", "partial", b"c", "not_this_format"]


def test_the_rest_of_a_split_line_is_known_after_a_restart():
    pieces: set[str] = set()
    with pytest.raises(Unreadable, match="partial"):
        Unwrapper("docker", pieces)(in_docker("a"))
    assert pieces == {"stdout"}
    with pytest.raises(Unreadable, match="partial"):
        Unwrapper("docker+syslog", pieces)(in_docker("<134>Nov 22 10:00:00 web nginx: b\n"))
    assert pieces == set()


def test_the_time_of_the_nearest_carrier():
    unwrap = Unwrapper("docker+syslog", set())
    unwrap(in_docker("Nov 22 10:00:00 web nginx: a\n"))
    assert unwrap.time == Z
    unwrap(in_docker("2026-11-22T09:59:59Z web nginx: a\n"))
    assert unwrap.time == "2026-11-22T09:59:59Z"


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_carried_or_not(data):
    for line in (data, in_cri(data), b"<1>1 - - - - - " + data, b'{"log":"' + data + b'"}'):
        for unwrap in WRAPPERS.values():
            assert unwrap(line) is None or isinstance(unwrap(line), Carried)
        assert len(list(layers(line))) <= 2
