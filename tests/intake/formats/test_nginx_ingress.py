import pytest

from intake.formats.nginx_ingress import FORMAT
from intake.line import Parsed
from intake.settings import Trust
from tests.intake.formats._lines import readers, unlike

AT = 1_795_341_603_000
TIME = "[22/Nov/2026:10:00:03 +0000]"
ID = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
UPSTREAM = "[shop-orders-80] [] 10.1.2.3:8080 5 0.004 200"


def line(request="GET /a HTTP/2.0", *, who="- -", answer="200 5", names=UPSTREAM, end=" " + ID):
    return f'192.0.2.1 {who} {TIME} "{request}" {answer} "-" "-" 90 0.004 {names}{end}'.encode()


def parsed(method="GET", target="/a", status=200, size=5, **rest):
    said = {"request_id": ID, "upstream_status": "200"} | rest
    return Parsed(AT, "192.0.2.1", method, target, status, size, **said)


CASES = [
    ("default", line(), parsed()),
    ("user", line(who="- ann"), parsed(asserted="ann", basic_user=True)),
    ("several upstreams",
     line(names="[a-b-80] [a-c-80] 10.1.2.3:80, 10.1.2.4:80 0, 5 0.001, 0.002 502, 200"),
     parsed(upstream_status="502, 200")),
    ("no upstream", line(names="[] [] - - - -"), parsed(upstream_status=None)),
    ("a socket", line(names="[a-b-80] [] unix:/run/a.sock 5 0.001 200"), parsed()),
    ("IPv6", line(names="[a-b-80] [] [2001:db8::5]:80 5 0.001 200"), parsed()),
    ("method, path and protocol", line("GET /a b HTTP/1.1"), parsed(target="/a b")),
    ("none of the three", line("- - -", answer="400 0"), parsed("", "", 400, 0)),
    ("empty request", line("", answer="400 0"), parsed("", "", 400, 0)),
    ("TLS to a plain port", line(r"\x16\x03\x01", answer="400 150"), parsed("", "", 400, 150)),
    ("before 0.26", line(who="- [192.0.2.1] - ann"), parsed(asserted="ann", basic_user=True)),
    ("before 0.24", line(who="- [192.0.2.1] - -", names="[a-b-80] 10.1.2.3:80 5 0.001 200"),
     parsed()),
    ("before 0.19", line(who="- [192.0.2.1] - -", names="[a-b-80] 10.1.2.3:80 5 0.001 200", end=""),
     parsed(request_id=None)),
    ("an id of the client's", line(end=" a [b] 10.9.9.9:1 5 0.1 500"),
     parsed(request_id="a [b] 10.9.9.9:1 5 0.1 500")),
    ("an upstream forged in the id", line(end=" : 500"), parsed(request_id=": 500")),
    ("an upstream forged in the id, by a comma", line(end=" , 500"), parsed(request_id=", 500")),
    ("an address forged in the user name", line(who="- [198.51.100.9] - ann"),
     parsed(asserted="ann", basic_user=True)),
]  # fmt: skip


parse, outcome = readers(FORMAT)


@pytest.mark.parametrize(("name", "data", "expected"), CASES, ids=[c[0] for c in CASES])
def test_lines(name, data, expected):
    assert parse(data) == expected
    assert FORMAT.sniff([data]) == 1


JSON = (
    b'{"time": "2026-11-22T10:00:03+00:00", "remote_addr": "192.0.2.1", "x_forwarded_for": "-",'
    b' "request_id": "r1", "remote_user": "ann", "bytes_sent": 5, "status": 200,'
    b' "vhost": "shop.example.com", "request_proto": "HTTP/1.1", "path": "/a",'
    b' "request_query": "x=1", "method": "GET", "http_user_agent": "curl/8"}'
)


def test_documented_json():
    assert parse(JSON) == Parsed(
        AT, "192.0.2.1", "GET", "/a?x=1", 200, 5, host="shop.example.com", user_agent="curl/8",
        request_id="r1", asserted="ann", basic_user=True,
    )  # fmt: skip
    assert FORMAT.sniff([JSON]) == 1


def test_an_owner_who_vouches():
    found = parse(line(who="- ann"), trust=Trust(principal="gateway"))
    assert found == parsed(principal="ann", logs_principal=True)


COMBINED = b'192.0.2.1 - - [22/Nov/2026:10:00:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "-"'


@pytest.mark.parametrize(
    "data",
    [COMBINED, COMBINED + b' "-" 0.003', b'{"remote_addr":"192.0.2.1"}', b"hello", line()[:110]],
)
def test_other_lines_are_not_claimed(data):
    assert FORMAT.sniff([data]) == 0
    assert isinstance(outcome(data), str)


def test_sniff_is_a_share():
    assert FORMAT.sniff([line(), JSON, COMBINED, b"W1122 10:00:08.000000 7 main.go:1] x"]) == 0.5


HOSTILE = [" ", " : 200", ", 200", "[", r"\q", " - [", ": "]


@pytest.mark.parametrize("part", HOSTILE)
def test_a_huge_id_is_read_as_a_short_one_is(part):
    def shape(n):
        return line(end=f" x{part * n}x")

    def expected(n):
        return parsed(request_id=f"x{part * n}x")

    assert unlike(outcome, shape, expected) == []
