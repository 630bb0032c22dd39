from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.formats._base import (
    NoRequest,
    Timeless,
    clean,
    decode,
    detect,
    discover,
    is_object,
    json_or_text,
    put_basic_user,
    share,
    split_request,
    split_url,
    unescape,
    unmarked,
    unreadable,
)
from intake.line import Parsed, Unreadable
from intake.settings import IntakeSettings
from tests.intake.formats._lines import answer, torn, unlike

GOLDEN = Path(__file__).parents[2] / "golden" / "intake"
COMBINED = b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8"'
MAIN = COMBINED + b' "203.0.113.9"'
COMMON = b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET /a HTTP/1.1" 200 5'
VHOST = b"www.example.com:443 " + COMBINED
NAMED = COMBINED.replace(b"192.0.2.1", b"client.example.net")
ECS = (
    b'{"@timestamp":"2026-11-22T10:00:03Z","source":{"ip":"192.0.2.1"},'
    b'"http":{"request":{"method":"GET"}},"url":{"path":"/a"}}'
)
DOTTED = b'{"@timestamp":"2026-11-22T10:00:03Z","source.ip":"192.0.2.1","url.path":"/a"}'
JSON = b'{"time":1795341603,"remote_addr":"192.0.2.1","request":"GET /a HTTP/1.1","status":200}'

DETECTED = [
    ("combined", [COMBINED], "nginx"),
    ("main", [MAIN], "nginx"),
    ("with times", [COMBINED + b" 0.003 0.001 ."], "nginx"),
    ("common", [COMMON], "apache"),
    ("virtual hosts", [VHOST], "apache"),
    ("host names", [NAMED], "apache"),
    ("a few host names", [COMBINED] * 90 + [NAMED] * 10, "apache"),
    ("ecs", [ECS], "ecs"),
    ("ecs, dotted", [DOTTED], "ecs"),
    ("json", [JSON], "json"),
    ("json with names that settings explain", [b'{"wann":1,"wer":"192.0.2.1"}'], "json"),
    ("json, mostly", [JSON] * 9 + [ECS], "json"),
    ("junk first", [b"# started", b"\xff\xfe\x00", b"{", *[COMBINED] * 3], "nginx"),
    ("1,000 lines of another thing first", [b"worker ready"] * 1000 + [ECS] * 5, "ecs"),
    ("blank lines", [b"", b"  ", b"\r", COMBINED], "nginx"),
    ("order does not matter", [COMBINED, JSON, JSON], "json"),
    ("junk", [b"hello", b"[]", b"17", b"\0\0"], None),
    ("blank lines only", [b"", b" "], None),
    ("nothing", [], None),
]


@pytest.mark.parametrize(("name", "lines", "expected"), DETECTED, ids=[c[0] for c in DETECTED])
def test_detect(name, lines, expected):
    found = detect(lines)
    assert (found.name if found else None) == expected


def written_by(name):
    """Lines that servers of this format wrote: those of its golden logs."""
    logs = sorted((GOLDEN / name).glob("*.log"))
    return [line for log in logs for line in log.read_bytes().split(b"\n") if line]


def test_every_module_with_a_format_is_found_under_its_name():
    formats = discover()
    assert {"apache", "ecs", "json", "nginx"} <= set(formats)
    for name, found in formats.items():
        assert found.name == name
        assert callable(found.parser(IntakeSettings()))


@pytest.mark.parametrize("name", sorted(discover()))
def test_every_format_shows_lines_of_its_own(name):
    found = discover()[name]
    parse = found.parser(IntakeSettings())
    assert found.examples
    for line in found.examples:
        known = detect([line])
        assert known is not None
        assert known.name == name
        assert parse(line).status == 200


@pytest.mark.parametrize("name", sorted(discover()))
def test_what_no_format_reads(name):
    found = discover()[name]
    parse = found.parser(IntakeSettings())
    other = "not_json" if all(map(is_object, found.examples)) else "not_this_format"
    refused = [answer(parse, line) for line in (b"hello world", b"", b"\0" * 100)]
    assert refused == [other, other, "binary"]


@pytest.mark.parametrize("name", sorted(discover()))
@given(data=st.data())
def test_every_format_keeps_the_promise_of_parsers(name, data):
    found = discover()[name]
    parse = found.parser(IntakeSettings())
    for line in data.draw(st.sampled_from(written_by(name)).flatmap(torn)):
        assert isinstance(answer(parse, line), Parsed | str)
        assert 0 <= found.sniff([line or b"x"]) <= 1


@pytest.mark.parametrize("name", sorted(discover()))
@pytest.mark.parametrize("part", [b"1", b":", b'"', b"[", b"{", b"=", b" -", b"/ ", b"\t"])
def test_a_huge_line_of_one_thing_is_refused_as_a_short_one_is(name, part):
    parse = discover()[name].parser(IntakeSettings())

    def refused(line):
        return isinstance(answer(parse, line), str)

    assert unlike(refused, lambda n: part * n, lambda _: True) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /a HTTP/1.1", ("GET", "/a", None)),
        ("get  /a b   HTTP/1.1 ", ("GET", "/a b", None)),
        ("GET /a", ("GET", "/a", None)),
        ("GET /a HTTP/x", ("GET", "/a HTTP/x", None)),
        (r"GET /a\x20b HTTP/1.1", ("GET", "/a b", None)),
        ("M-SEARCH * HTTP/1.1", ("M-SEARCH", "*", None)),
        ("GET https://u:p@h.example/a?b#c HTTP/1.1", ("GET", "/a?b", "h.example")),
        ("GET a HTTP/1.1", ("GET", "a", None)),
        ("GET a", ("", "", None)),
        ("GET", ("", "", None)),
        ("GET HTTP/1.1", ("", "", None)),
        ("", ("", "", None)),
        ("-", ("", "", None)),
        ("- - HTTP/1.0", ("", "", None)),
        ("- /a HTTP/1.0", ("-", "/a", None)),
        (r"\x16\x03", ("", "", None)),
        ("G(T /a HTTP/1.1", ("", "", None)),
        ("A" * 41 + " /a HTTP/1.1", ("", "", None)),
    ],
)
def test_request_lines(text, expected):
    assert split_request(text) == expected


def test_a_request_line_that_was_not_escaped_keeps_its_backslashes():
    assert split_request(r"GET /\x37 HTTP/1.1", escaped=False) == ("GET", r"/\x37", None)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a?b", ("/a?b", None)),
        ("http://h.example", ("/", "h.example")),
        ("HTTPS://h.example:8443/a?b=http://x/#f", ("/a?b=http://x/", "h.example:8443")),
        ("http:///a", ("/a", None)),
        ("*", ("*", None)),
        ("", ("", None)),
    ],
)
def test_absolute_targets(target, expected):
    assert split_url(target) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        (r"\x22\"\\\t\n", '""\\\t\n'),
        (r"\xC3\xA9", "é"),
        (r"\xC3", r"\xc3"),
        (r"\xZZ\q", r"\xZZ\q"),
        ("\\", "\\"),
        (r"\\x22", r"\x22"),
    ],
)
def test_unescape(text, expected):
    assert unescape(text) == expected


def test_bytes_round_a_line():
    assert clean(b"\0\0 \xef\xbb\xbfa\0b\r\n\0") == b"a\0b"
    assert decode(b"a\xff\xc3\xa9") == "a\\xffé"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"text", "not_json"),
        ("Zoë".encode(), "not_json"),
        (b"a\0\0\0", "binary"),
        (b"\xff\xfe\xfd a", "binary"),
        (b"\xff text text", "not_json"),
        (b"", "not_json"),
    ],
)
def test_the_reason_of_a_binary_line(line, expected):
    assert unreadable(line, "not_json").reason == expected


def test_share():
    def parse(line):
        if line == b"x":
            raise Unreadable("not_json")
        return Parsed(0, "", "", "", 0)

    assert share([b"x", b"y", b"y", b"y"], parse) == 0.75
    assert share([b"x", b"y", b"y", b"y"], parse, {"binary"}) == 0.75
    assert share([b"x", b"y", b"y", b"y"], parse, {"not_json"}) == 1
    assert share([], parse) == 0


def test_json_and_text_have_a_parser_each():
    def reader(name):
        return lambda line: Parsed(0, name, "GET", line.decode(), 200)

    parse = json_or_text(reader("json"), reader("text"))
    found = [(parse(line).peer, parse(line).target) for line in (b"{}", b"\0{", b"a {", b"")]
    assert found == [("json", "{}"), ("json", "\0{"), ("text", "a {"), ("text", "")]


@pytest.mark.parametrize(
    ("vouched", "expected"),
    [(True, ("ann", None, False)), (False, (None, "ann", True))],
)
def test_a_name_of_basic_authentication_is_a_principal_if_the_owner_says_so(vouched, expected):
    parsed = Parsed(0, "192.0.2.7", "GET", "/a", 200)
    put_basic_user(parsed, "ann", vouched=vouched)
    assert (parsed.principal, parsed.asserted, parsed.basic_user) == expected


def test_reasons_that_say_more():
    parsed = Parsed(0, "192.0.2.7", "GET", "/a", 200)
    assert (NoRequest().reason, Timeless(parsed).reason) == ("no_request", "no_time")
    assert Timeless(parsed).parsed is parsed
    assert issubclass(NoRequest, Unreadable)
    assert issubclass(Timeless, Unreadable)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a \r", b"a \r"),
        (b"\xef\xbb\xbfa", b"a"),
        (b"\0\0 \xef\xbb\xbf\ta", b"a"),
        (b"\xe9t\xe9", b"\xe9t\xe9"),
        (b"", b""),
        (b"\0", b""),
    ],
)
def test_what_stands_before_a_line(line, expected):
    assert unmarked(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{}", True),
        (b'\xef\xbb\xbf {"a":1}', True),
        (b"\0\0{", True),
        (b"[{}]", False),
        (b"a {", False),
        (b"", False),
    ],
)
def test_what_begins_as_an_object(line, expected):
    assert is_object(line) is expected
